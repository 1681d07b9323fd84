"""How many examples a property is tried with: a share of what the profile of Hypothesis says (``conftest.py``)."""

from __future__ import annotations

from hypothesis import settings


def examples(share: float) -> int:
    """Return ``share`` times the number of the profile, at least one: less than 1 for what is dear."""
    return max(1, round(share * settings().max_examples))
