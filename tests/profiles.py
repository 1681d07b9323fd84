"""How much is tried: a share of the examples that the profile of Hypothesis says (``conftest.py``), or all there is."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings


def examples(share: float) -> int:
    """Return ``share`` times the number of the profile, at least one: less than 1 for what is dear."""
    return max(1, round(share * settings().max_examples))


def deep() -> bool:
    """Tell whether this is the run of the night, in which nothing is left out."""
    return os.environ.get("HYPOTHESIS_PROFILE") == "deep"


def by_day(values: Iterable[Any], *kept: Any) -> list[Any]:
    """Return the values of a parameter: those that are kept are tried in every run, the others at night."""
    every = list(values)
    assert all(value in every for value in kept), "a value that is tried by day is none of the values"
    return [value if value in kept else _at_night(value) for value in every]


def _at_night(value: Any) -> Any:
    return pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.deep)
