"""How much is tried: a share of the examples that the profile of Hypothesis says (``conftest.py``), or all there is."""

from __future__ import annotations

import os

from hypothesis import settings


def examples(share: float) -> int:
    """Return ``share`` times the number of the profile, at least one: less than 1 for what is dear."""
    return max(1, round(share * settings().max_examples))


def deep() -> bool:
    """Tell whether this is the run of the night, in which nothing is left out."""
    return os.environ.get("HYPOTHESIS_PROFILE") == "deep"
