"""Work on large requests, one at a time in a thread, so that all others are answered meanwhile.

A parser holds the whole process while it is in its own code. One thread, and limits of what a text may hold, bound for
how long nobody else is answered; several would add up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_T = TypeVar("_T")
_worker = ThreadPoolExecutor(1, "large-requests")


async def off_loop(work: Callable[..., _T], *arguments: Any) -> _T:
    """Return what the work returns, done after that of earlier large requests; raises what it raises."""
    return await asyncio.get_running_loop().run_in_executor(_worker, work, *arguments)
