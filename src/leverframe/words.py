"""Words of messages that every layer writes: a list that is cut after its first names, the first line of an error."""

from __future__ import annotations

from collections.abc import Sequence


def first_few(names: Sequence[str], most: int, between: str = ", ", last: str = " and ") -> str:
    """Return the first names, joined, and after ``last`` how many more there are."""
    left = len(names) - most
    return between.join(names[:most]) + (f"{last}{left:,} more" if left > 0 else "")


def and_more(left: int, before: str = "- and ", after: str = "") -> list[str]:
    """Return the line below others that says how many more there are; none where all are shown."""
    return [f"{before}{left:,} more{after}"] if left > 0 else []


def first_line(error: object) -> str:
    """Return the first line of an error, or of what a program printed; empty where it has no words."""
    return next(iter(str(error).splitlines()), "")


def kind_and_line(error: Exception, text: str = "") -> str:
    """Return the kind of an error and the first line that is not blank of what it says, or of ``text``."""
    line = first_line((text or str(error)).strip()).strip()[:300]
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
