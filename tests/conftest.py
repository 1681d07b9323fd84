"""How much is drawn and left to the night, and in which order tests run: the longest first, so no worker ends alone."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import cost
from tests.profiles import deep

LEFT = pytest.StashKey[int]()
FOLDERS = ("loop", "workflows", "integration", "terraform", "unit")
# Before all, in this order: the tests of one Spark, so that no other worker takes some of them and starts another, and
# tests of a minute or more, of which none may be the last that runs.
FIRST = ("test_build_spark.py", "test_train_spark.py", "test_replay.py", "test_stranger.py", "test_demo_loop.py",
         "test_demo_pull_requests.py")  # fmt: skip

# Threads of numeric libraries sleep while they wait, here and in whatever is started: two workers share two cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Programs of Go end before their garbage would be in anybody's way: a tenth less for those that call Terraform.
os.environ.setdefault("GOGC", "400")

# No example has a deadline: a machine may be busy. `ci` draws the same in every run, `deep` anew in each.
settings.register_profile(
    "ci", max_examples=20, derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("deep", max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark of what is left to the night: one more kind of input, a whole journey, a year."""
    config.pluginmanager.register(cost)
    config.addinivalue_line("markers", "deep: tried by `make test-deep` every night, left out by `make test`")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep what is compiled of the tests, whatever the environment says: each worker rewrites their assertions.

    What is imported and collected stays until the end: nothing looks meanwhile, or ever, whether it is garbage.
    """
    kept, sys.dont_write_bytecode = sys.dont_write_bytecode, False
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        sys.dont_write_bytecode = kept


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave to the night what is marked so, and sort by folder; within one the order stays."""
    left = [] if deep() else [item for item in items if item.get_closest_marker("deep")]
    items[:] = [item for item in items if item not in left]
    config.stash[LEFT] = len(left)
    items.sort(key=lambda item: _place(item.path))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let a worker tell how many tests it left; every worker leaves the same."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left"] = session.config.stash.get(LEFT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker told."""
    node.config.stash[LEFT] = getattr(node, "workeroutput", {}).get("left", 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how many tests are left to the night."""
    if left := config.stash.get(LEFT, 0):
        terminalreporter.write_line(f"{left} tests are left to the night: `make test-deep` runs them as well")


def _place(path: Path) -> tuple[int, int]:
    first = FIRST.index(path.name) if path.name in FIRST else len(FIRST)
    return first, FOLDERS.index(path.parent.name) if path.parent.name in FOLDERS else 0
