"""Deployments to a server in memory: every way to fail, and a run that ends at any call of a port."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from leverframe.adapters.releases import Releases
from leverframe.domain.model.bundle.bundle_manifest import (
    FILES,
    GOLDEN,
    MANIFEST,
    ONNX,
    SCHEMA,
    SETTINGS,
    Manifest,
    read_manifest,
    sha256,
)
from leverframe.domain.release.deploy import Deployed, deploy, planned, rollback
from leverframe.domain.release.latency import Pace
from leverframe.domain.release.ledger import Ledger
from leverframe.domain.release.release_manifest import ReleaseManifest
from leverframe.domain.release.replay import LoggedRequest
from leverframe.domain.release.server_target import ServerTarget
from leverframe.domain.release.target import Candidate, DeployContext, RolloutPolicy
from leverframe.errors import ServerError
from tests.fakes.model_server import Fault, ModelServer
from tests.profiles import by_day
from tests.unit import test_deploy
from tests.unit.test_deploy_record import Book, Forge

POLICY = RolloutPolicy(
    verify_seconds=0.3, replay=50, maximum_disagreement=0.2, maximum_slowdown=2, slowdown_floor_ms=5, keep=2
)


class KilledError(BaseException):
    """Ends a run where it stands."""


@dataclass
class Clock:
    """A clock that moves when it is looked at, and when somebody sleeps."""

    at: float = 0.0

    def now(self) -> str:
        """Return the time."""
        return datetime.fromtimestamp(self.at, UTC).isoformat()

    def seconds(self) -> float:
        """Return seconds."""
        self.at += 0.001
        return self.at

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.at += seconds


class Watched:
    """A port every call of which is announced before it is made."""

    def __init__(self, port: Any, before_call: Callable[[str], None]) -> None:
        self._port, self._before_call = port, before_call

    def __getattr__(self, name: str) -> Any:
        """Return a method of the port."""

        def call(*arguments: Any) -> Any:
            self._before_call(name)
            return getattr(self._port, name)(*arguments)

        return call


@dataclass
class Machine:
    """A server with its folder; ``before_call`` is called before each call of the server or of the folder."""

    folder: Path
    before_call: Callable[[str], None] = lambda _: None
    messages: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start the server."""
        self.clock = Clock()
        self.server = ModelServer(self.folder, wait=self.clock.sleep)
        self.book, self.forge = Book(), Forge()

    def copied(self, folder: Path) -> Machine:
        """Return a copy in another folder: quicker than to deploy there what is deployed here."""
        copy = Machine(Path(shutil.copytree(self.folder, folder)))
        copy.server = replace(self.server, folder=folder, faults=dict(self.server.faults), wait=copy.clock.sleep)
        copy.server._loaded = deepcopy(self.server._loaded)
        copy.book, copy.forge = deepcopy(self.book), deepcopy(self.forge)
        return copy

    def announce(self, name: str) -> None:
        """Let who watches know of a call."""
        self.before_call(name)

    @property
    def target(self) -> ServerTarget:
        """The target, as a new process sees it."""
        store: Any = Watched(Releases(self.folder), self.announce)
        server: Any = Watched(self.server, self.announce)
        context = DeployContext("shop", "local", POLICY, self.clock, self.messages.append)
        return ServerTarget(context, store, lambda: server, logged, lambda: server)

    def deploy(self, bundle: Mapping[str, bytes], commit: str = "c", *, again: bool = False) -> Deployed:
        """Deploy a bundle."""
        with Releases(self.folder).lock():
            return deploy(self.target, candidate(bundle, commit), self.ledger, again=again)

    def rollback(self) -> Deployed:
        """Go back to the release before."""
        with Releases(self.folder).lock():
            return rollback(self.target, None, "late labels", self.ledger)

    @property
    def ledger(self) -> Ledger:
        """Where it is recorded, as a new process sees it."""
        return Ledger(self.book, self.forge, "shop", "local")

    def serves(self) -> str:
        """Return the bundle that gets the traffic."""
        serving = self.server.serving("shop")
        return serving[1] if serving else ""

    def is_whole(self) -> None:
        """Raise an error unless folder, server and record agree, and no candidate is left."""
        state = Releases(self.folder).state("shop")
        numbers = [release.number for release in state.releases]
        assert sorted(int(path.name) for path in (self.folder / "models/shop").iterdir()) == numbers
        assert self.server.models() == ["shop"]
        assert [path.name for path in (self.folder / "models").iterdir()] == ["shop"]
        assert state.serving is not None
        assert self.server.serving("shop") == (state.serving.number, state.serving.bundle)
        assert {release.bundle for release in state.releases} <= {
            path.name for path in (self.folder / "bundles").iterdir()
        }


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a server with nothing on it."""
    return Machine(tmp_path)


def bundle(name: str, **changed: bytes) -> dict[str, bytes]:
    """Return a bundle of the shop; ``name`` tells it from others."""
    files = {file: f"{file} of {name}".encode() for file in (*FILES, ONNX)}
    files[SETTINGS] = json.dumps({"name": "shop"}).encode()
    files[SCHEMA] = json.dumps(asdict(test_deploy.SCHEMA)).encode()
    files[GOLDEN] = "".join(json.dumps(row) + "\n" for row in test_deploy.GOLDEN).encode()
    files |= changed
    digests = {file: sha256(data) for file, data in files.items()}
    files[MANIFEST] = Manifest("shop", "late", "onnx", 1e-5, "p" * 64, {}, digests).to_bytes()
    return files


def candidate(files: Mapping[str, bytes], commit: str = "c") -> Candidate:
    """Return the release that a commit wants."""
    manifest = ReleaseManifest.of("shop", commit * 40, b"lock", files[MANIFEST], read_manifest(files[MANIFEST], "x"))
    return Candidate(manifest, fetch=lambda: files)


def logged(model: str, newest: int) -> list[LoggedRequest]:
    """Return logged requests."""
    at = datetime(2024, 1, 1, tzinfo=UTC)
    return [LoggedRequest(str(n), model, at, "columns", {"place": ["z"], "size": [n]}) for n in range(min(newest, 25))]


ONE, TWO = bundle("one"), bundle("two")
FAULTS: list[tuple[Fault, str]] = [
    ("load", "load-failed"),
    ("wrong", "smoke-failed"),
    ("accepts", "smoke-failed"),
    ("breaks", "smoke-failed"),
    ("flips", "replay-differs"),
    ("publish", "load-failed"),
    ("fails", "verify-failed"),
    ("slow", "too-slow"),
]


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
def test_each_step_that_fails_is_undone(machine: Machine, fault: Fault, reason: str) -> None:
    """The release before serves, the reason is right, the bundle is refused until tried again, and git reverts."""
    machine.deploy(ONE, "a")
    machine.server.faults[sha256(TWO[MANIFEST])] = fault
    failed = machine.deploy(TWO, "b")
    assert [violation.reason for violation in failed.violations] == [reason]
    assert (failed.serving, failed.before) == (failed.before, failed.serving)
    assert failed.rolled_back is (fault in ("publish", "fails"))
    assert machine.serves() == sha256(ONE[MANIFEST])
    machine.is_whole()
    assert [commit for commit, _, _ in machine.forge.reverts] == ["b" * 40]
    assert machine.forge.states[-1][1] == "failure"
    again = machine.deploy(TWO, "b")
    assert ([violation.reason for violation in again.violations], again.steps) == (["refused-before"], ())
    machine.server.faults.clear()
    healed = machine.deploy(TWO, "b", again=True)
    assert (healed.violations, healed.serving and healed.serving.number) == ((), 3)
    machine.is_whole()


def test_a_request_that_fails_on_both_releases_is_not_held_against_the_new_one(machine: Machine) -> None:
    """It fails as before, so nobody is worse off."""
    machine.deploy(ONE, "a")
    machine.server.faults[sha256(TWO[MANIFEST])] = "alike"
    assert machine.deploy(TWO, "b").violations == ()
    machine.is_whole()


def test_both_releases_are_timed_by_the_same_requests(machine: Machine) -> None:
    """One row and a batch of each form; a release that is as fast is decided by a few pairs."""
    machine.deploy(ONE, "a")
    done = machine.deploy(TWO, "b")
    assert [timed.what for timed in done.latency] == ["1 row by columns", "2 rows by columns", "1 row by keys"]
    assert {(timed.pace, timed.slower) for timed in done.latency} == {(Pace.NOT_SLOWER, 0)}
    assert "(not slower: +0.0 ms in the median of 3 pairs)" in "\n".join(done.lines())


def test_with_little_traffic_golden_rows_decide(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that one client requested a hundred times is one row, whose other label refuses no release."""
    at = datetime(2024, 1, 1, tzinfo=UTC)
    columns: dict[str, list[Any]] = {"place": ["z"] * 100, "size": [0] * 100}
    noisy = [LoggedRequest(str(number), "shop", at, "columns", columns) for number in range(50)]
    monkeypatch.setattr(f"{__name__}.logged", lambda *_: noisy)
    machine.deploy(ONE, "a")
    machine.server.faults[sha256(TWO[MANIFEST])] = "flips"
    done = machine.deploy(TWO, "b")
    assert done.violations == ()
    assert done.replayed is not None
    assert (
        "1 different row of 50 logged requests are too little evidence, so golden rows decide: 3"
        in done.replayed.line()
    )


def test_a_replay_at_the_limit_passes(machine: Machine) -> None:
    """Five of 25 rows get another label, which is what the policy allows."""
    machine.deploy(ONE, "a")
    machine.server.faults[sha256(TWO[MANIFEST])] = "flip"
    done = machine.deploy(TWO, "b")
    assert done.violations == ()
    assert done.replayed is not None
    assert (done.replayed.disagree, done.replayed.rows, done.replayed.share) == (5, 25, 0.2)


def test_a_damaged_copy_is_not_held_against_the_bundle(machine: Machine) -> None:
    """It is a failure without a revert; a whole copy is tried without being asked for."""
    machine.deploy(ONE, "a")
    damaged = candidate(TWO, "b")
    failed = deploy(machine.target, Candidate(damaged.manifest, fetch=lambda: {**TWO, ONNX: b"x"}), machine.ledger)
    assert [violation.reason for violation in failed.violations] == ["bundle-damaged"]
    assert (machine.forge.states[-1][1], machine.forge.reverts) == ("failure", [])
    assert machine.deploy(TWO, "b").violations == ()
    machine.is_whole()


@pytest.mark.parametrize("file", [SCHEMA, GOLDEN, SETTINGS])
def test_a_bundle_with_a_file_that_says_nothing_is_damaged(machine: Machine, file: str) -> None:
    """Though its manifest lists the very bytes; what serves goes on."""
    machine.deploy(ONE, "a")
    failed = machine.deploy(bundle("odd", **{file: b'{"half'}), "b")
    assert [violation.reason for violation in failed.violations] == ["bundle-damaged"]
    assert "a file in it is invalid" in failed.violations[0].what
    assert machine.serves() == sha256(ONE[MANIFEST])
    machine.is_whole()


def test_a_server_that_goes_away_is_an_error_and_no_verdict(machine: Machine) -> None:
    """Nothing is known of the bundle: it is not refused, and the forge is told that the outcome is unknown."""
    machine.deploy(ONE, "a")

    def away(name: str) -> None:
        if name == "infer":
            raise ServerError("the server does not answer", why="it is gone", next="start it")

    machine.before_call = away
    with pytest.raises(ServerError):
        machine.deploy(TWO, "b")
    assert machine.forge.states[-1][1] == "error"
    machine.before_call = lambda _: None
    assert machine.deploy(TWO, "b").violations == ()
    machine.is_whole()


def ended_at(machine: Machine, call: int, run: Callable[[Machine], object]) -> bool:
    """Run until the ``call``-th call of a port; return whether the run got that far.

    Requests for predictions that follow one another change nothing, so they count as one.
    """
    calls, last = count(), [""]

    def end(name: str) -> None:
        again = name == last[0] == "infer"
        last[0] = name
        if not again and next(calls) == call:
            raise KilledError

    machine.before_call = end
    try:
        run(machine)
    except KilledError:
        return True
    finally:
        machine.before_call = lambda _: None
    return False


@pytest.mark.parametrize("fault", by_day([None, "wrong", "slow"], "wrong"))
def test_a_run_that_ends_at_any_call_is_finished_by_the_next(tmp_path: Path, fault: Fault | None) -> None:
    """Whatever was under way, a deployment or its undo: release 1 or 2 serves meanwhile, and then what should."""
    first = Machine(tmp_path / "first")
    first.deploy(ONE, "a")
    if fault:
        first.server.faults[sha256(TWO[MANIFEST])] = fault
    for call in count():
        machine = first.copied(tmp_path / str(call))
        killed = ended_at(machine, call, lambda at: at.deploy(TWO, "b"))
        assert machine.serves() in (sha256(ONE[MANIFEST]), sha256(TWO[MANIFEST]))
        dry = [str(step) for step in planned(machine.target, candidate(TWO, "b"))]
        done = machine.deploy(TWO, "b")
        machine.is_whole()
        assert machine.serves() == sha256((ONE if fault else TWO)[MANIFEST])
        if not fault:
            assert done.serving is not None
            assert [result.step for result in done.steps] == dry
            assert machine.deploy(TWO, "b").steps == ()
        if not killed:
            break
    assert call > 15


def test_a_rollback_that_ends_at_any_call_is_finished_by_the_next(tmp_path: Path) -> None:
    """Before it is recorded nothing happened; after that, the bundle that was left is refused, and 1 serves."""
    first = Machine(tmp_path / "first")
    first.deploy(ONE, "a")
    first.deploy(TWO, "b")
    for call in count():
        machine = first.copied(tmp_path / str(call))
        killed = ended_at(machine, call, lambda at: rollback(at.target, None, "late labels", at.ledger))
        recorded = Releases(machine.folder).state("shop").serving
        assert recorded is not None
        following = machine.deploy(TWO, "b")
        machine.is_whole()
        assert machine.server.serving("shop") == (recorded.number, recorded.bundle)
        newest = max(machine.ledger._registry.assigned("local"), key=lambda tag: int(tag.name.rpartition("#")[2]))
        assert newest.commit == recorded.manifest.commit  # tags, too
        assert bool(following.violations) is (recorded.number == 1)
        if not killed:
            assert recorded.number == 1
            break
    assert call > 4


@pytest.mark.parametrize("fault", by_day([None, "wrong", "slow"], None))
def test_a_run_that_ends_at_any_call_is_undone_where_git_goes_back(tmp_path: Path, fault: Fault | None) -> None:
    """The commit before is wanted again, so nothing may be left of the other, in the folder or in the server."""
    first = Machine(tmp_path / "first")
    first.deploy(ONE, "a")
    if fault:
        first.server.faults[sha256(TWO[MANIFEST])] = fault
    for call in count():
        machine = first.copied(tmp_path / str(call))
        killed = ended_at(machine, call, lambda at: at.deploy(TWO, "b"))
        assert machine.deploy(ONE, "a").violations == ()
        machine.is_whole()
        assert machine.serves() == sha256(ONE[MANIFEST])
        if not killed:
            break
    assert call > 15


def test_a_rollback_that_was_killed_is_finished_by_the_same_command(tmp_path: Path) -> None:
    """Said again, it does not go one release further back; the server answers with what is recorded."""
    first = Machine(tmp_path / "first")
    for name, files in (("a", ONE), ("b", TWO)):
        first.deploy(files, name)
    for call in count():
        machine = first.copied(tmp_path / str(call))
        killed = ended_at(machine, call, lambda at: rollback(at.target, None, "late labels", at.ledger))
        rollback(machine.target, None, "late labels", machine.ledger)
        machine.is_whole()
        assert machine.serves() == sha256(ONE[MANIFEST])
        if not killed:
            break
    assert call > 4


@pytest.mark.parametrize("damage", ["server", "folder", "file"])
def test_what_the_record_does_not_show_is_repaired(machine: Machine, damage: str) -> None:
    """The server lost the release, its folder is gone, or a file of the bundle changed: it is loaded again."""
    machine.deploy(ONE, "a")
    machine.deploy(TWO, "b")
    match damage:
        case "server":
            machine.server._loaded["shop"].pop(2)
        case "folder":
            shutil.rmtree(machine.folder / "models/shop")
        case _:
            (machine.folder / "bundles" / sha256(TWO[MANIFEST]) / ONNX).write_bytes(b"x")
    tags = len(machine.book.tags("shop"))
    done = machine.deploy(TWO, "b")
    assert (done.violations, "again" in done.steps[-1].step) == ((), True)
    assert machine.server.serving("shop") == (2, sha256(TWO[MANIFEST]))
    assert len(machine.book.tags("shop")) == tags
    assert machine.deploy(TWO, "b").steps == ()


def test_a_server_that_stays_different_is_an_error_and_gets_no_tag(machine: Machine) -> None:
    """What is recorded cannot be loaded: nothing is said to serve."""
    machine.deploy(ONE, "a")
    machine.server._loaded.clear()
    machine.server.faults[sha256(ONE[MANIFEST])] = "publish"
    tags = len(machine.book.tags("shop"))
    with pytest.raises(ServerError, match="does not serve release 1"):
        machine.deploy(ONE, "c")
    assert len(machine.book.tags("shop")) == tags


def test_a_damaged_older_release_is_not_held_against_a_new_one(machine: Machine) -> None:
    """The server could not load it beside the new one: it is set aside and named, and a rollback to it is refused."""
    for name, files in (("a", ONE), ("b", TWO)):
        machine.deploy(files, name)
    digest = sha256(ONE[MANIFEST])
    (machine.folder / "bundles" / digest / ONNX).write_bytes(b"x")
    machine.server.faults[digest] = "load"
    refused = machine.rollback()
    assert [violation.reason for violation in refused.violations] == ["bundle-damaged"]
    assert machine.serves() == sha256(TWO[MANIFEST])
    assert machine.deploy(bundle("three"), "c").violations == ()
    assert any(f"release 1, bundle {digest[:12]}, is damaged" in line for line in machine.messages)
    machine.is_whole()


def test_a_release_of_another_commit_comes_back_with_its_own_types(machine: Machine) -> None:
    """A deployment fails, and the folder of what serves is gone: the settings of its own commit say what it holds."""
    machine.deploy(ONE, "a")
    shutil.rmtree(machine.folder / "models/shop")
    machine.server.faults[sha256(TWO[MANIFEST])] = "wrong"
    wanted = replace(candidate(TWO, "b"), trusted=lambda commit: [f"shop.{commit[0]}.Clip"])
    failed = deploy(machine.target, wanted, machine.ledger)
    assert [violation.reason for violation in failed.violations] == ["smoke-failed"]
    settings = json.loads((machine.folder / "models/shop/1" / SETTINGS).read_bytes())
    assert settings["parameters"]["extra"]["trusted"] == ["shop.a.Clip"]
    machine.is_whole()


def test_moving_away_a_record_that_cannot_be_read_is_no_outage(machine: Machine) -> None:
    """What its error advises: the release serves until the commit that should serve is deployed again."""
    machine.deploy(ONE, "a")
    record = machine.folder / "releases/shop.json"
    record.write_text("{")
    with pytest.raises(ServerError) as caught:
        machine.deploy(ONE, "a")
    assert "move it away and deploy" in caught.value.next
    record.rename(machine.folder / "record")
    machine.before_call = lambda _: None if machine.serves() else pytest.fail("nothing serves")
    assert machine.deploy(ONE, "a").violations == ()
    machine.is_whole()


def test_a_lost_record_is_no_outage(machine: Machine) -> None:
    """What is in the folder serves until a release that is recorded takes its place."""
    machine.deploy(ONE, "a")
    (machine.folder / "releases/shop.json").unlink()
    machine.before_call = lambda _: None if machine.serves() else pytest.fail("nothing serves")
    done = machine.deploy(ONE, "a")
    assert (done.violations, done.serving and done.serving.number) == ((), 2)
    machine.is_whole()


def test_a_rollback_is_recorded(machine: Machine) -> None:
    """The earlier version is assigned again, its deployment is active, and the later commit is reverted."""
    machine.deploy(ONE, "a")
    machine.deploy(TWO, "b")
    back = rollback(machine.target, None, "late labels", machine.ledger)
    assert (back.serving and back.serving.number, back.before and back.before.number) == (1, 2)
    assert (back.rolled_back, [result.step for result in back.steps]) == (True, ["roll back to release 1"])
    assert back.recorded is not None
    assert (back.recorded.assignment, back.recorded.revert) == ("shop#local#3", "pull/1")
    assert machine.forge.states[-1][1] == "success"
    for number in (None, 1, 2, 9):  # none before, the one that serves, one that was left, one that never was
        assert [violation.reason for violation in rollback(machine.target, number, "x").violations] == [
            "nothing-to-restore"
        ]
    machine.is_whole()


def test_the_newest_releases_are_kept(machine: Machine) -> None:
    """As many as the policy says; the bundles of others go."""
    for number, name in enumerate("abcd", 1):
        done = machine.deploy(bundle(name), name)
        assert done.serving is not None
        assert done.serving.number == number
        machine.is_whole()
    assert sorted(int(path.name) for path in (machine.folder / "models/shop").iterdir()) == [3, 4]
    assert len(list((machine.folder / "bundles").iterdir())) == 2
