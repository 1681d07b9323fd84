"""The agent's loop: it looks again, waits longer after failures, and never ends because of one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.release.reconcile import looks, pause
from leverframe.errors import RepositoryError


def failing(outcomes: list[bool]) -> Callable[[], str]:
    """Return a look that fails where ``outcomes`` say so."""
    left = iter(outcomes)

    def look() -> str:
        if next(left):
            raise RepositoryError("git cannot fetch", why="no network", next="wait")
        return "found"

    return look


def test_one_look_raises() -> None:
    """Without an interval there is one look, and its error is the caller's."""
    assert list(looks(failing([False]), None, lambda _: None, lambda _: None)) == ["found"]
    with pytest.raises(RepositoryError):
        list(looks(failing([True]), None, lambda _: None, lambda _: None))


def test_many_looks_go_on() -> None:
    """Failures are told and waited for ever longer; the first success begins anew."""
    slept: list[float] = []
    messages: list[str] = []
    outcomes = [False, True, True, False, False]
    assert list(islice(looks(failing(outcomes), 5, slept.append, messages.append), 3)) == ["found"] * 3
    assert slept == [5, 10, 20, 5]
    assert all("git cannot fetch" in message for message in messages)
    assert len(messages) == 2


@given(st.floats(0.1, 3600), st.integers(0, 10_000))
def test_no_pause_is_endless(seconds: float, failures: int) -> None:
    """Never shorter than asked, never longer than ten minutes unless asked."""
    assert seconds <= pause(seconds, failures) <= max(seconds, 600)
