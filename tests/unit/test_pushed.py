"""What is asked of a remote, what counts as missing, and what a remote that does not answer leaves open."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from leverframe.adapters.dvc.verified import Verified
from leverframe.domain.pipeline.status.lock import source
from leverframe.domain.pipeline.status.reasons import PipelineStatus, StageStatus, State
from leverframe.domain.pipeline.status.resolved import Artefact, Recorded, Stage
from leverframe.domain.review.pushed import RemoteResponse, RequiredOutput, StoredObject, kept_elsewhere, run
from leverframe.errors import RemoteUnreachableError

A, B, C, D = (letter * 32 for letter in "abcd")
SLOW = RemoteUnreachableError("too slow", why="2 seconds", next="again")


def listing(*digests: str) -> bytes:
    """Return a listing as DVC writes it."""
    return json.dumps([{"md5": digest, "relpath": f"{n}.csv"} for n, digest in enumerate(digests)]).encode()


@dataclass
class Memory:
    """A remote in memory, which answers ``patience`` questions and no more."""

    held: dict[str, bytes] = field(default_factory=dict)
    patience: int = 1000
    name: str = "store"
    asked: list[str] = field(default_factory=list)
    remembered: set[str] = field(default_factory=set)

    def known(self) -> Collection[str]:
        return set(self.remembered)

    def remember(self, places: Collection[str]) -> None:
        self.remembered |= set(places)

    def sizes(self, wanted: Sequence[StoredObject]) -> RemoteResponse[int | None]:
        reply = self._asked(wanted)
        return RemoteResponse(
            {blob: len(content) for blob, content in reply.present.items()}, reply.absent, reply.failure
        )

    def listings(self, wanted: Sequence[StoredObject]) -> RemoteResponse[bytes]:
        return self._asked(wanted)

    def _asked(self, wanted: Sequence[StoredObject]) -> RemoteResponse[bytes]:
        answered = wanted[: max(0, self.patience - len(self.asked))]
        self.asked += [blob.md5 for blob in answered]
        present = {blob: self.held[blob.md5] for blob in answered if blob.md5 in self.held}
        absent = [blob for blob in answered if blob.md5 not in self.held]
        return RemoteResponse(present, absent, SLOW if len(answered) < len(wanted) else None)


def kept(**outputs: str) -> list[RequiredOutput]:
    """Return outputs by name and digest; files have three bytes."""
    return [RequiredOutput(path, Recorded(md5, 9 if md5.endswith(".dir") else 3)) for path, md5 in outputs.items()]


def nothing(_: Recorded) -> bytes | None:
    """Return the listing of no cache."""
    return None


def test_every_object_of_the_lock_is_asked_for_once_whatever_the_remote_holds() -> None:
    """Two outputs of the same content are one question, and the million objects of others none."""
    remote = Memory({A: b"one", B: b"two", **{f"{number:032x}": b"" for number in range(1000)}})
    assert run(kept(x=A, y=B, z=A), lambda _: remote, nothing).missing == {}
    assert remote.asked == [A, B]


@pytest.mark.parametrize(
    ("held", "missing"),
    [
        ({A: b"one", f"{D}.dir": listing(B, C), B: b"1", C: b"2"}, []),
        ({f"{D}.dir": listing(B, C), B: b"1", C: b"2"}, ["file"]),
        ({A: b"four", f"{D}.dir": listing(B, C), B: b"1", C: b"2"}, ["file"]),  # cut short, or another one
        ({A: b"one", f"{D}.dir": listing(B, C), C: b"2"}, ["folder"]),
        ({A: b"one", B: b"1", C: b"2"}, ["folder"]),
        ({A: b"one", f"{D}.dir": b"{", B: b"1", C: b"2"}, ["folder"]),
        ({A: b"one", f"{D}.dir": b'[{"md5": "../../x"}]', B: b"1", C: b"2"}, ["folder"]),
    ],
)
@pytest.mark.parametrize("cached", [False, True])
def test_what_counts_as_missing(held: dict[str, bytes], missing: list[str], *, cached: bool) -> None:
    """A file of another size, and a directory of which the listing or one file lacks, wherever its listing is read."""
    here: Callable[[Recorded], bytes | None] = (lambda _: listing(B, C)) if cached else nothing
    if cached and f"{D}.dir" in held and held[f"{D}.dir"] != listing(B, C):
        missing = []  # a damaged listing is only noticed where it is read
    remote = Memory(held)
    outcome = run(kept(file=A, folder=f"{D}.dir"), lambda _: remote, here)
    assert outcome.missing == ({"store": missing} if missing else {})
    listed = missing == ["folder"] and held.get(f"{D}.dir") == listing(B, C)
    assert outcome.notes == (
        [
            "`dvc push` takes a directory for complete whose listing the remote has: "
            f"for `folder` remove `files/md5/dd/{'d' * 30}.dir` from it first"
        ]
        if listed
        else []
    )
    assert len(remote.asked) == len(set(remote.asked))


def test_what_dvc_2_wrote_is_looked_for_where_dvc_2_put_it() -> None:
    """A directory with its files; of a text another size is the same content with other line ends."""
    remote = Memory({A: b"one\r\n", f"{D}.dir": listing(B), B: b"1"})
    outputs = [
        RequiredOutput("x", Recorded(A, 4, legacy=True)),
        RequiredOutput("y", Recorded(f"{D}.dir", 1, 1, legacy=True)),
    ]
    assert run(outputs, lambda _: remote, nothing).missing == {}
    assert remote.remembered == {f"{md5[:2]}/{md5[2:]}" for md5 in (A, B, f"{D}.dir")}


def test_a_digest_that_is_none_is_never_asked_for() -> None:
    """It may be a path that somebody wrote into a lock."""
    remote = Memory()
    assert run(kept(x="../../secret"), lambda _: remote, nothing).missing == {"store": ["x"]}
    assert remote.asked == []


def test_what_was_there_is_not_asked_for_again_and_what_was_missing_is() -> None:
    """Of a directory not even the listing, once every file was there."""
    remote = Memory({f"{D}.dir": listing(B, C), B: b"1"})
    assert run(kept(folder=f"{D}.dir"), lambda _: remote, nothing).missing == {"store": ["folder"]}
    remote.held[C] = b"2"
    remote.asked.clear()
    assert run(kept(folder=f"{D}.dir"), lambda _: remote, nothing).missing == {}
    assert remote.asked == [f"{D}.dir", C]
    remote.asked.clear()
    assert run(kept(folder=f"{D}.dir"), lambda _: remote, lambda _: listing(B, C)).missing == {}
    assert remote.asked == []


@pytest.mark.parametrize(
    ("patience", "note"),
    [
        (0, "not checked whether data were pushed: too slow: 2 seconds; again"),
        (2, "of 4 objects of the lock 2 were not looked for: too slow: 2 seconds; again"),
    ],
)
def test_a_remote_that_stops_answering_is_a_note(patience: int, note: str) -> None:
    """What it answered counts, and the rest is no violation."""
    remote = Memory({A: b"one", B: b"two"}, patience)
    outcome = run(kept(x=A, gone=C, y=B, z=D), lambda _: remote, nothing)
    assert outcome.missing == ({"store": ["gone"]} if patience else {})
    assert outcome.notes == [note]


def test_a_directory_whose_listing_nobody_gives_is_not_looked_for() -> None:
    """One object is counted for it, as nobody knows of how many it consists."""
    outcome = run(kept(folder=f"{D}.dir"), lambda _: Memory(patience=0), nothing)
    assert (outcome.missing, len(outcome.notes)) == ({}, 1)


def test_each_output_is_looked_for_in_its_own_remote() -> None:
    """One that cannot be opened hinders no other."""
    named = [
        RequiredOutput("x", Recorded(A, 3)),
        RequiredOutput("y", Recorded(B, 3), "other"),
        RequiredOutput("z", Recorded(C, 3), "closed"),
    ]
    stores = {"": Memory({A: b"one"}), "other": Memory(name="other")}

    def store_of(name: str) -> Memory:
        if name == "closed":
            raise SLOW
        return stores[name]

    outcome = run(named, store_of, nothing)
    assert outcome.missing == {"other": ["y"]}
    assert outcome.notes == ["not checked whether data were pushed: too slow: 2 seconds; again"]


def test_the_default_remote_may_be_named_as_well() -> None:
    """What either way lacks is one list."""
    named = [RequiredOutput("x", Recorded(A, 3)), RequiredOutput("y", Recorded(B, 3), "store")]
    assert run(named, lambda _: Memory(), nothing).missing == {"store": ["x", "y"]}


def test_only_what_dvc_pushes_has_to_be_there() -> None:
    """Not what git keeps, what is declared so, nor the data of another repository."""
    outputs = (
        Artefact("model", "model", cached=True, flags={"remote": "other"}),
        Artefact("mine", "mine", cached=True, flags={"push": False}),
        Artefact("metrics.json", "metrics.json"),
    )
    entry = {"md5": D, "hash": "md5", "path": "theirs"}
    imported, _ = source({"frozen": True, "deps": [{"repo": {"url": "x"}}], "outs": [entry]}, "theirs.dvc")
    added, _ = source({"outs": [{**entry, "path": "ours", "remote": "cold"}]}, "ours.dvc")
    stages = (Stage("train", "dvc.yaml", "cmd", outputs=outputs), imported, added)
    recorded = {path: Recorded(A) for path in ("model", "mine", "metrics.json", "theirs", "ours")}
    status = PipelineStatus(tuple(StageStatus(stage, State.FRESH) for stage in stages), recorded=recorded)
    assert kept_elsewhere(status) == [
        RequiredOutput("model", Recorded(A), "other"),
        RequiredOutput("ours", Recorded(A), "cold"),
    ]


def test_what_was_verified_is_kept_for_a_week_and_for_one_remote(tmp_path: Path) -> None:
    """Days later it is asked again; another address knows nothing of it, and the file tells no address."""
    file, day = tmp_path / ".leverframe/pushed.json", 86_400.0
    Verified(file, "s3://me:hunter2@a", lambda: 10 * day).add(["p"])
    Verified(file, "s3://me:hunter2@a", lambda: 14 * day).add(["q"])
    Verified(file, "s3://b", lambda: 14 * day).add(["r"])
    assert set(Verified(file, "s3://me:hunter2@a", lambda: 16 * day).places()) == {"p", "q"}
    assert set(Verified(file, "s3://me:hunter2@a", lambda: 17 * day).places()) == {"q"}
    assert set(Verified(file, "s3://me:hunter2@a", lambda: 9 * day).places()) == set()  # a clock that was wrong
    assert set(Verified(file, "s3://b", lambda: 16 * day).places()) == {"r"}
    assert "hunter2" not in file.read_text()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"version": 1, "remotes": {"x": 1}}', b'{"version": 9}', b"\xff"]
)
def test_a_file_of_what_was_verified_that_is_damaged_costs_requests_only(tmp_path: Path, content: bytes) -> None:
    """It is read as empty, and replaced."""
    file = tmp_path / "pushed.json"
    file.write_bytes(content)
    known = Verified(file, "s3://a")
    assert set(known.places()) == set()
    known.add(["p"])
    assert set(Verified(file, "s3://a").places()) == {"p"}
    Verified(None, "s3://a").add(["p"])  # nowhere
