"""Every error says what happened, why, and what to do next, and has a code of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from leverframe.errors import LeverframeError, nearest


def _classes(root: type[LeverframeError] = LeverframeError) -> Iterator[type[LeverframeError]]:
    yield root
    for each in root.__subclasses__():
        yield from _classes(each)


def test_exit_codes_are_unique_and_leave_the_common_ones_alone() -> None:
    """0 is success, 1 a bug, 2 click's usage error, 126 and more belong to the shell."""
    codes = [each.exit_code for each in _classes()]
    assert len(set(codes)) == len(codes)
    assert all(2 < code < 126 for code in codes)


@pytest.mark.parametrize("kind", list(_classes()), ids=lambda kind: kind.__name__)
def test_rendered_text_is_complete(kind: type[LeverframeError]) -> None:
    """Three lines, none empty, the class documented."""
    lines = kind("it broke", why="a reason", next="a step").render().splitlines()
    assert lines == ["error: it broke", "  why:  a reason", "  next: a step"]
    assert kind.__doc__
    assert isinstance(kind.transient, bool)


def test_nearest_names_one_or_lists_what_is_known() -> None:
    """A slip gets the one name that was meant, anything else the list."""
    assert nearest("resamplez", ["resamples", "seed"]) == "did you mean `resamples`?"
    assert nearest("zzz", ["a", "b"]) == "known names: `a`, `b`"
    assert nearest("zzz", [f"n{number:02}" for number in range(20)]).endswith("and 8 more")
    assert nearest("zzz", []) == "declare one first, nothing is declared here"
