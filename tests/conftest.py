"""How much is drawn, and in which order tests run: those that take minutes first, so that no worker ends alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

FOLDERS = ("loop", "workflows", "integration", "terraform", "unit")
# Before all: a test of a minute, and the tests of one Spark: no other worker takes some of them and starts another.
FIRST = ("test_build_spark.py", "test_replay.py")

# Threads of numeric libraries sleep while they wait, here and in whatever is started: two workers share two cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# No example has a deadline: a machine may be busy. `ci` draws the same in every run, `deep` anew in each.
settings.register_profile(
    "ci", max_examples=35, derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("deep", max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep what is compiled of the tests, whatever the environment says: each worker rewrites their assertions."""
    kept, sys.dont_write_bytecode = sys.dont_write_bytecode, False
    try:
        return (yield)
    finally:
        sys.dont_write_bytecode = kept


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by folder; within one the order stays."""
    items.sort(key=lambda item: (item.path.name not in FIRST, _folder(item.path.parent.name)))


def _folder(name: str) -> int:
    return FOLDERS.index(name) if name in FOLDERS else 0
