"""How much is drawn, and in which order tests run: those that take minutes first, so that no worker ends alone."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

FOLDERS = ("loop", "workflows", "integration", "unit")

# No example has a deadline: a machine may be busy. `ci` draws the same in every run, `deep` anew in each.
settings.register_profile(
    "ci", max_examples=35, derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("deep", max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by folder; within one the order stays."""
    items.sort(key=lambda item: FOLDERS.index(item.path.parent.name) if item.path.parent.name in FOLDERS else 0)
