"""Runtimes of a package, opened where tests have a process of their own for it.

MLServer and Triton's client declare the same messages of gRPC, and one process takes them once.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from leverframe.domain.own_model.opened import NativeModel
from leverframe.domain.own_model.runtime_form import RuntimeForm
from leverframe.errors import EstimatorError

Inputs = Mapping[str, NDArray[Any]]


@contextmanager
def process() -> Iterator[ProcessPoolExecutor]:
    """Yield what runs the functions below, one after another in one process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        yield executor


def refusal(site: str, form: RuntimeForm, archive: bytes, inputs: Inputs | None) -> tuple[str, str, str] | None:
    """Return what is said of a runtime that cannot be opened, or predicts nothing; None for one that does."""
    open_runtime = _begun(site)
    try:
        opened = open_runtime(form, archive)
        if inputs is not None:
            opened.predict(inputs)
    except EstimatorError as error:
        return error.what, error.why, error.next
    return None


def refused_twice(site: str, form: RuntimeForm, archive: bytes, inputs: Inputs) -> list[str]:
    """Return why two requests in a row, in a thread as a server has them, are not predicted."""
    opened, reasons = _begun(site)(form, archive), list[str]()
    with ThreadPoolExecutor(1) as thread:
        for _ in range(2):
            try:
                thread.submit(opened.predict, inputs).result()
            except EstimatorError as error:
                reasons.append(error.why)
    return reasons


def let_go(site: str, form: RuntimeForm, archive: bytes, inputs: Inputs) -> tuple[list[float], tuple[bool, int], bool]:
    """Return predictions, whether the files of the model and how many threads were there, and what is left of both."""
    open_runtime = _begun(site)
    before = set(threading.enumerate())
    opened: Any = open_runtime(form, archive)
    predictions = opened.predict(inputs).ravel().tolist()
    place, more = Path(opened._settings.parameters.uri), set(threading.enumerate()) - before
    presence = (place.exists(), len(more))
    del opened
    for thread in more:
        thread.join(60)
    return predictions, presence, place.exists() or any(thread.is_alive() for thread in more)


def _begun(site: str) -> Callable[[RuntimeForm, bytes], NativeModel]:
    """Return what opens runtimes, where the package of this test is found, and none of an earlier one."""
    sys.path[:] = [site, *(path for path in sys.path if not path.endswith("/site"))]
    for name in [name for name in sys.modules if name.partition(".")[0] == "scorers"]:
        del sys.modules[name]
    from leverframe.serving.own_runtime import open_runtime  # noqa: PLC0415 - imports MLServer

    return open_runtime
