"""What files of tests cost of the processor, wherever it is spent: here, in what they start, in the warm programs.

Time on a clock says how busy a machine was. What outlives its test, as a server that nobody waits for, is not seen.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from tests.warm import costs_of

SHOWN = 10  # files
COST = pytest.StashKey[defaultdict[str, float]]()  # seconds by file
_OUTPUT = "cost"  # what a worker calls it


def pytest_configure(config: pytest.Config) -> None:
    """Begin with nothing."""
    config.stash[COST] = defaultdict(float)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Count what a test computes, with what it sets up and takes down."""
    before = _computed()
    try:
        return (yield)
    finally:
        item.config.stash[COST][item.nodeid.partition("::")[0]] += _computed() - before


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Add what warm programs computed, and let a worker tell all of it."""
    _add(session.config, costs_of(os.environ))
    if hasattr(session.config, "workeroutput"):
        cost = session.config.stash[COST]
        session.config.workeroutput[_OUTPUT] = dict(cost)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker told; one that crashed told nothing."""
    _add(node.config, getattr(node, "workeroutput", {}).get(_OUTPUT, {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the dearest files, and the sum of all."""
    cost = config.stash[COST]
    terminalreporter.section(f"{sum(cost.values()) / 60:.1f} minutes of processor time, most of it by")
    for file in sorted(cost, key=cost.__getitem__, reverse=True)[:SHOWN]:
        terminalreporter.write_line(f"{cost[file]:7.1f}s {file}")


def _add(config: pytest.Config, more: dict[str, float]) -> None:
    for file, seconds in more.items():
        config.stash[COST][file] += seconds


def _computed() -> float:
    """Return the seconds that this process and those of its children that ended have computed."""
    return sum(os.times()[:4])
