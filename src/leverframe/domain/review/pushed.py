"""Which outputs of the lock a remote lacks: it is asked for the objects that the lock names, and never listed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from leverframe.domain.pipeline.status.reasons import PipelineStatus
from leverframe.domain.pipeline.status.resolved import Recorded
from leverframe.errors import LeverframeError

_NAMED = 5  # directories that are named
_MD5 = re.compile(r"[0-9a-f]{32}")

Answer = TypeVar("Answer")
Cached = Callable[[Recorded], bytes | None]
"""Return the listing of a directory from the cache of this machine; None where that lacks it."""


@dataclass(frozen=True)
class RequiredOutput:
    """An output that a remote has to hold; ``remote`` is the one that its definition names, empty for the default."""

    path: str
    recorded: Recorded
    remote: str = ""


@dataclass(frozen=True)
class StoredObject:
    """What a remote stores by its MD5, which ends with `.dir` for the listing of a directory; ``size`` in bytes.

    A ``legacy`` one is where DVC 2 put it.
    """

    md5: str
    size: int | None = None
    legacy: bool = False

    @classmethod
    def of(cls, recorded: Recorded) -> StoredObject:
        """Return the object of an output: of a directory the lock has the size of its files, of DVC 2 one of many."""
        unknown = recorded.legacy or recorded.md5.endswith(".dir")
        return cls(recorded.md5, None if unknown else recorded.size, recorded.legacy)

    @property
    def place(self) -> str:
        """Return the path below the address of the remote."""
        return f"{'' if self.legacy else 'files/md5/'}{self.md5[:2]}/{self.md5[2:]}"


@dataclass(frozen=True)
class RemoteResponse(Generic[Answer]):
    """What a remote answered: of some objects what was asked of them, of others that it lacks them.

    What is in neither was not answered; ``failure`` says why.
    """

    present: Mapping[StoredObject, Answer] = field(default_factory=dict)
    absent: Collection[StoredObject] = ()
    failure: LeverframeError | None = None


class Store(Protocol):
    """One remote. Requests run in parallel and within a limit of time.

    After the first that fails for good there are no more, of whatever method: answers say that failure again.
    """

    @property
    def name(self) -> str:
        """Return what the configuration of DVC calls the remote."""

    def known(self) -> Collection[str]:
        """Return the places of what it held not long ago; that of a directory where it held every file, too."""

    def remember(self, places: Collection[str]) -> None:
        """Keep places for ``known``."""

    def listings(self, wanted: Sequence[StoredObject]) -> RemoteResponse[bytes]:
        """Return the content of the listings of directories."""

    def sizes(self, wanted: Sequence[StoredObject]) -> RemoteResponse[int | None]:
        """Return the bytes of each object; None where it does not tell."""


@dataclass(frozen=True)
class Pushed:
    """The outputs that remotes lack, by the name of the remote, and notes on what was not looked at, and why."""

    missing: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: Sequence[str] = ()


def kept_elsewhere(status: PipelineStatus) -> list[RequiredOutput]:
    """Return what remotes must hold: every output that DVC pushes, with its record."""
    return [
        RequiredOutput(output.path, status.recorded[output.path], str(output.flags.get("remote") or ""))
        for stage in status.stages
        for output in stage.stage.outputs
        if output.pushed and output.path in status.recorded
    ]


def run(kept: Sequence[RequiredOutput], store_of: Callable[[str], Store], cached: Cached) -> Pushed:
    """Return which outputs their remotes lack; ``store_of`` opens a remote by its name, empty for the default.

    A remote that cannot be asked, for which it raises ``LeverframeError``, gives a note and no violation: whoever has
    no credentials, such as the pull request of a fork, could not know that something is missing.
    """
    missing, notes = dict[str, list[str]](), list[str]()
    for remote in dict.fromkeys(output.remote for output in kept):
        outputs = [output for output in kept if output.remote == remote]
        try:
            look = _Look.at(store_of(remote), outputs, cached)
        except LeverframeError as error:
            notes.append(f"not checked whether data were pushed: {_told(error)}")
            continue
        missing.setdefault(look.name, []).extend(look.lacking)  # the default one may be named as well
        notes += look.notes
    return Pushed({name: paths for name, paths in missing.items() if paths}, notes)


@dataclass(frozen=True)
class _Look:
    """What one remote lacks of some outputs, and notes on that, such as that it did not answer for all."""

    name: str
    lacking: Sequence[str]
    notes: Sequence[str]

    @classmethod
    def at(cls, store: Store, outputs: Sequence[RequiredOutput], cached: Cached) -> _Look:
        """Ask for what was not known to be there, every object once."""
        known = frozenset(store.known())
        objects = {output.recorded: StoredObject.of(output.recorded) for output in outputs}
        unsure = {recorded: stored for recorded, stored in objects.items() if stored.place not in known}
        parts = _parts(unsure, store, cached)
        wanted = dict.fromkeys(part for group in parts.present.values() for part in group if part.place not in known)
        answers = store.sizes(list(wanted)) if wanted else RemoteResponse[int | None]()
        held = {part for part, size in answers.present.items() if None in (size, part.size) or size == part.size}
        gone = {*parts.absent, *answers.absent, *answers.present} - held
        store.remember(_remembered(parts.present, held, known))
        lacks = {recorded for recorded, stored in unsure.items() if gone & {stored, *parts.present.get(stored, ())}}
        lacking = {output.path: unsure[output.recorded] for output in outputs if output.recorded in lacks}
        asked = wanted.keys() | (set(unsure.values()) - parts.present.keys())
        failed = _note(answers.failure or parts.failure, len(asked), len(asked - held - gone))
        partly = _partly({path: stored for path, stored in lacking.items() if stored not in gone})
        return cls(store.name, list(lacking), [note for note in (failed, partly) if note])


def _remembered(
    outputs: Mapping[StoredObject, Sequence[StoredObject]], held: Collection[StoredObject], known: Collection[str]
) -> set[str]:
    """Return the places of files that are there, and of directories with every file of them."""
    there = {*known, *(part.place for part in held)}
    whole = {stored.place for stored, parts in outputs.items() if all(part.place in there for part in parts)}
    return whole | {part.place for part in held if not part.md5.endswith(".dir")}


def _parts(
    unsure: Mapping[Recorded, StoredObject], store: Store, cached: Cached
) -> RemoteResponse[Sequence[StoredObject]]:
    """Return the objects that each output consists of; a listing that came from the remote is not asked for again."""
    present = dict[StoredObject, Sequence[StoredObject]]()
    absent, elsewhere = list[StoredObject](), list[StoredObject]()
    for recorded, stored in unsure.items():
        if not _MD5.fullmatch(stored.md5.removesuffix(".dir")):
            absent.append(stored)
        elif not stored.md5.endswith(".dir"):
            present[stored] = (stored,)
        elif (files := _files(stored, cached(recorded))) is not None:
            present[stored] = (stored, *files)
        else:
            elsewhere.append(stored)
    answers = store.listings(elsewhere) if elsewhere else RemoteResponse[bytes]()
    for stored, content in answers.present.items():
        files = _files(stored, content)
        if files is None:  # damaged: nobody can pull the directory
            absent.append(stored)
        else:
            present[stored] = files
    return RemoteResponse(present, [*absent, *answers.absent], answers.failure)


def _files(folder: StoredObject, listing: bytes | None) -> list[StoredObject] | None:
    """Return the files of a directory by its listing; None for a content that is none."""
    try:
        digests = [str(entry["md5"]) for entry in json.loads(listing or b"")]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not all(map(_MD5.fullmatch, digests)):
        return None
    return [StoredObject(md5, legacy=folder.legacy) for md5 in dict.fromkeys(digests)]


def _note(failure: LeverframeError | None, asked: int, unanswered: int) -> str:
    if failure is None:
        return ""
    if unanswered == asked:
        return f"not checked whether data were pushed: {_told(failure)}"
    if unanswered:
        return f"of {asked:,} objects of the lock {unanswered:,} were not looked for: {_told(failure)}"
    return _told(failure)


def _partly(objects: Mapping[str, StoredObject]) -> str:
    """Return how directories are pushed, by their paths, of which the remote has the listing and not every file."""
    if not objects:
        return ""
    few = list(objects.items())[:_NAMED]
    named = "; ".join(f"for `{path}` remove `{stored.place}` from it first" for path, stored in few)
    return f"`dvc push` takes a directory for complete whose listing the remote has: {named}"


def _told(error: LeverframeError) -> str:
    return f"{error.what}: {error.why}; {error.next}"
