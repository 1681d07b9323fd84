"""Words of messages that every layer writes: a list that is cut after its first names."""

from __future__ import annotations

from collections.abc import Sequence


def first_few(names: Sequence[str], most: int, between: str = ", ", last: str = " and ") -> str:
    """Return the first names, joined, and after ``last`` how many more there are."""
    left = len(names) - most
    return between.join(names[:most]) + (f"{last}{left:,} more" if left > 0 else "")


def and_more(left: int, before: str = "- and ", after: str = "") -> list[str]:
    """Return the line below others that says how many more there are; none where all are shown."""
    return [f"{before}{left:,} more{after}"] if left > 0 else []
