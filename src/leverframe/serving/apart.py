"""Predictions by code that is not ours: in threads of their own, so that it keeps no other request waiting.

Code that never returns keeps the threads of its own bundle alone, and a server that ends does not wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime
from threading import Thread
from weakref import WeakKeyDictionary

from leverframe.domain.model.bundle.input_check import Checked
from leverframe.serving.choice import RefusedError
from leverframe.serving.served import Predicted, ServedBundle

WAITS = 60.0  # seconds that a request waits for such code
_THREADS = 16  # of one bundle
_rooms: MutableMapping[ServedBundle, asyncio.Semaphore] = WeakKeyDictionary()


async def predicted_apart(bundle: ServedBundle, request: Checked, now: datetime) -> Predicted:
    """Return the prediction; raises ``RefusedError`` where it takes too long."""
    room = _rooms.setdefault(bundle, asyncio.Semaphore(_THREADS))
    try:
        async with asyncio.timeout(WAITS):
            await room.acquire()
            return await asyncio.wrap_future(_started(bundle, request, now, room))
    except TimeoutError as error:
        raise RefusedError("unavailable", f"the model did not answer within {WAITS:g} seconds") from error


def _started(
    bundle: ServedBundle, request: Checked, now: datetime, room: asyncio.Semaphore
) -> Future[Predicted]:  # fmt: skip
    """Return what a thread, for which there is room, will have predicted; it gives the room back when it returns."""
    loop, future = asyncio.get_running_loop(), Future[Predicted]()
    future.set_running_or_notify_cancel()  # who waits no longer does not end it

    def work() -> None:
        try:
            future.set_result(bundle.predict(request, now))
        except BaseException as error:  # who waits gets it, whatever it is
            future.set_exception(error)
        finally:
            with suppress(RuntimeError):  # of a server that has ended
                loop.call_soon_threadsafe(room.release)

    try:
        Thread(target=work, name="runtime", daemon=True).start()
    except BaseException:
        room.release()
        raise
    return future
