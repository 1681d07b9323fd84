"""Predictions by code that is not ours: in threads of their own, so that it keeps no other request waiting."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from weakref import WeakKeyDictionary

from leverframe.domain.model.bundle.input_check import Checked
from leverframe.serving.choice import RefusedError
from leverframe.serving.served import Predicted, ServedBundle

WAITS = 60.0  # seconds that a request waits for such code
_THREADS = 16  # of one bundle: one whose code never returns keeps those of no other
_threads: MutableMapping[ServedBundle, ThreadPoolExecutor] = WeakKeyDictionary()


async def predicted_apart(bundle: ServedBundle, request: Checked, now: datetime) -> Predicted:
    """Return the prediction; raises ``RefusedError`` where it takes too long."""
    if bundle not in _threads:
        _threads[bundle] = ThreadPoolExecutor(_THREADS, thread_name_prefix="runtime")
    work = asyncio.get_running_loop().run_in_executor(_threads[bundle], bundle.predict, request, now)
    try:
        return await asyncio.wait_for(work, WAITS)
    except TimeoutError as error:
        raise RefusedError("unavailable", f"the model did not answer within {WAITS:g} seconds") from error
