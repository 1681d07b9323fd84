"""How the agent beside a server is put together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from leverframe.domain.release.reconcile import looks
from leverframe.wiring.deploy import follow

if TYPE_CHECKING:
    from leverframe.domain.release.deploy import Deployed


def reconcile(environment: str, branch: str, watch: float | None, tell: Callable[[str], None]) -> Iterator[Deployed]:
    """Bring an environment to the head of a branch, once or every ``watch`` seconds, and yield what came of it."""
    yield from looks(partial(follow, environment, branch, tell), watch, time.sleep, tell)
