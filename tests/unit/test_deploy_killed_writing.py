"""A deployment or rollback to a server that ends inside a write: between a temporary sibling and its rename, too."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from leverframe.adapters.releases import Releases
from leverframe.domain.model.bundle.bundle_manifest import MANIFEST, sha256
from tests.fakes.model_server import Fault
from tests.profiles import deep
from tests.unit.test_deploy_server_target import ONE, TWO, KilledError, Machine, bundle

CHANGES = ("rename", "replace", "mkdir", "rmdir", "unlink", *(("fsync", "open") if deep() else ()))
THREE = bundle("three")
RUNS: dict[str, tuple[Callable[[Machine], object], Fault | None]] = {
    "deploy, prune": (lambda at: at.deploy(THREE, "c"), None),
    "refused": (lambda at: at.deploy(THREE, "c"), "wrong"),
    "withdrawn": (lambda at: at.deploy(THREE, "c"), "slow"),
    "rollback": (lambda at: at.rollback(), None),
}


class Disk:
    """Ends a run at one change of the disk; as of a process that was killed, nothing after it happens either."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, pid: int) -> None:
        """Count the changes of the process that has the number ``pid``."""
        self._patch, self._pid = monkeypatch, pid

    def ends_at(self, number: int, run: Callable[[], object]) -> bool:
        """Run until change ``number``; return whether the run got that far."""
        calls = count()
        with self._patch.context() as patch:
            patch.setattr(os, "getpid", lambda: self._pid)
            for name in CHANGES:
                patch.setattr(os, name, self._counted(getattr(os, name), calls, number))
            try:
                run()
            except KilledError:
                return True
        return False

    def _counted(self, change: Callable[..., Any], calls: Iterator[int], number: int) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if next(calls) >= number:
                raise KilledError
            return change(*arguments, **named)

        return call


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Return the disk of a process that is over."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return Disk(monkeypatch, process.pid)


def nothing_is_left(machine: Machine) -> None:
    """Raise an error where something half written, or half removed, is in the folder of the server."""
    assert [path for path in machine.folder.rglob("*") if path.suffix in (".part", ".old")] == []
    assert [path for name in ("staged", "removed") for path in (machine.folder / name).glob("*")] == []


def tags_agree(machine: Machine) -> None:
    """Raise an error unless the newest assignment is the commit that is recorded."""
    serving = Releases(machine.folder).state("shop").serving
    assert serving is not None
    newest = max(machine.ledger._registry.assigned("local"), key=lambda tag: int(tag.name.rpartition("#")[2]))
    assert newest.commit == serving.manifest.commit


@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_ends_inside_a_write_is_finished_by_the_next(tmp_path: Path, disk: Disk, name: str) -> None:
    """At every change of the disk: something serves, the same command again makes all one, and nothing is left."""
    run, fault = RUNS[name]
    first = Machine(tmp_path / "first")
    first.deploy(ONE, "a")
    first.deploy(TWO, "b")
    if fault:
        first.server.faults[sha256(THREE[MANIFEST])] = fault
    wanted = {"deploy, prune": THREE, "rollback": ONE}.get(name, TWO)
    for change in count():
        machine = first.copied(tmp_path / str(change))
        killed = disk.ends_at(change, lambda at=machine: run(at))  # type: ignore[misc]
        assert machine.serves(), change
        run(machine)
        machine.is_whole()
        tags_agree(machine)
        nothing_is_left(machine)
        assert machine.serves() == sha256(wanted[MANIFEST]), change
        if not killed:
            break
    assert change > 10
