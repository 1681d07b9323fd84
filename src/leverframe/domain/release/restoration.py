"""How the files of a release come back onto the tip of a branch that went on since.

What no later commit touched is as in the release again. What one did is merged: `dvc.lock` stage by stage, other files
by their lines. Where that cannot be, and the lock describes the file, all files that the lock describes are taken from
the release, as they are right only together; the later work that is lost is named. So the restored tree always has the
outputs of the release. Every other file that cannot be merged stays as on the tip.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from leverframe.domain.pipeline.merge import merged
from leverframe.domain.pipeline.status.lock import entries
from leverframe.domain.pipeline.status.resolved import Locked, Recorded
from leverframe.errors import LeverframeError
from leverframe.inert.markdown import code, plain
from leverframe.words import and_more

LOCK = "dvc.lock"
_DEFINITION = "dvc.yaml"
_WORKFLOWS = ".github/workflows/"
_FILES = ("100644", "100755")  # modes of git whose content has lines
_SHOWN = 20  # files or commits in a text

CHANGED_SINCE = "changed since, in the same lines; no stage depends on it"
WORKFLOW = "a token of a workflow may not change workflows"


@dataclass(frozen=True)
class Commit:
    """A commit, and the first line of its message."""

    name: str
    subject: str


@dataclass(frozen=True)
class Sides:
    """What differs between a release, the commit that replaced it, and the tip.

    By path from the top of the repository: ``change`` has the entries in the release and in the commit that replaced
    it, ``since`` those in that commit and on the tip. An entry is mode and blob as git has them, mode 000000 for no
    file.
    """

    change: Mapping[str, tuple[str, str]]
    since: Mapping[str, tuple[str, str]]

    def at(self, path: str) -> tuple[str, str, str]:
        """Return a file in the release, in the commit that replaced it, and on the tip."""
        released, left = self.change.get(path) or (self.since[path][0], self.since[path][0])
        return released, left, self.since.get(path, (left, left))[1]


@dataclass(frozen=True)
class Scope:
    """What belongs to a release: files below ``folder`` of the repository, and what the locks there describe.

    ``outputs`` are those of the lock that must be as in the release; ``described`` are files and folders, ``written``
    those that stages write.
    """

    folder: str
    outputs: tuple[str, ...]
    described: frozenset[str] = frozenset()
    written: frozenset[str] = frozenset()

    @classmethod
    def of(cls, folder: str, outputs: Sequence[str], locks: Sequence[str]) -> Scope:
        """Return the scope of locks; ``folder`` ends in a slash, or is empty."""
        known = [entry for lock in locks for entry in _entries(lock).values()]
        written = {path for entry in known for path in entry.outputs}
        read = {path for entry in known for path in (*entry.dependencies, *entry.parameters)}
        below = (posixpath.normpath(f"{folder}{path}") for path in read | written | {LOCK, _DEFINITION})
        outs = frozenset(posixpath.normpath(f"{folder}{path}") for path in written)
        return cls(folder, tuple(outputs), frozenset(below), outs)

    @property
    def lock(self) -> str:
        """The path of the lock."""
        return f"{self.folder}{LOCK}"

    def covers(self, path: str) -> bool:
        """Tell whether a file is of the project, or described by its lock."""
        return path.startswith(self.folder) or self.describes(path)

    def describes(self, path: str) -> bool:
        """Tell whether the lock describes a file, or the file says what `dvc add` stored."""
        return _within(path, self.described) or _within(path.removesuffix(".dvc"), self.described)

    def writes(self, path: str) -> bool:
        """Tell whether a stage writes a file."""
        return _within(path, self.written)

    def same(self, one: str, other: str) -> bool:
        """Tell whether two locks record the same outputs; one that records none is the same as no other."""
        records = [_records(lock, self.outputs) for lock in (one, other)]
        return bool(records[0]) and records[0] == records[1]


class Blobs(Protocol):
    """The content of files, by their entries."""

    def content(self, entry: str) -> bytes:
        """Return the content of a file; none for mode 000000."""

    def entry_of(self, mode: str, content: bytes) -> str:
        """Store a content, and return its entry."""

    def lines_merged(self, base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
        """Return both changes of a text; None where they conflict."""


@dataclass(frozen=True)
class Restoration:
    """What is written onto the tip.

    ``files`` have the entries that differ from the tip. ``undone`` are files whose later changes are lost. ``kept`` are
    files that stay as on the tip, with the reason. ``already`` tells that the tip records the outputs of the release.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    undone: tuple[str, ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    already: bool = False


def restore(sides: Sides, scope: Scope, blobs: Blobs) -> Restoration:
    """Return how the files of the release come back onto the tip."""
    released, _, tip = (_text(blobs, entry) for entry in _lock_at(sides, scope))
    if scope.same(released, tip):
        return Restoration(already=True)
    files: dict[str, str] = {}
    kept: dict[str, str] = {}
    torn = False
    for path in sorted(path for path in sides.change if scope.covers(path)):
        before, _, now = sides.at(path)
        entry = _restored(path, sides, scope, blobs)
        if path.startswith(_WORKFLOWS) and before != now:
            kept[path] = WORKFLOW
        elif entry is not None:
            files |= {path: entry} if entry != now else {}
        elif scope.describes(path):
            torn = True
        else:
            kept[path] = CHANGED_SINCE
    return _whole(sides, scope, files, kept) if torn else Restoration(files, (), kept)


def _lock_at(sides: Sides, scope: Scope) -> tuple[str, str, str]:
    known = scope.lock in sides.change or scope.lock in sides.since
    return sides.at(scope.lock) if known else ("", "", "")


def _whole(sides: Sides, scope: Scope, files: Mapping[str, str], kept: Mapping[str, str]) -> Restoration:
    """Return all files that the lock describes as in the release, and the others as they are restored one by one."""
    paths = [path for path in {*sides.change, *sides.since} if scope.describes(path) and path not in kept]
    differing = {path: sides.at(path)[0] for path in sorted(paths) if sides.at(path)[0] != sides.at(path)[2]}
    others = {path: entry for path, entry in files.items() if not scope.describes(path)}
    return Restoration(others | differing, tuple(path for path in differing if path in sides.since), kept)


def _restored(path: str, sides: Sides, scope: Scope, blobs: Blobs) -> str | None:
    """Return a file as it is restored by itself; None where a later change prevents it."""
    before, left, tip = sides.at(path)
    if tip in (left, before):
        return before
    modes = {entry.split()[0] for entry in (before, left, tip)}
    if not modes <= set(_FILES) or (path != scope.lock and scope.writes(path)):
        return None
    mode = tip.split()[0]
    contents = [blobs.content(entry) for entry in (left, tip, before)]
    if path == scope.lock:
        text = _lock_merged(scope, *(content.decode(errors="replace") for content in contents))
        return None if text is None else blobs.entry_of(mode, text.encode())
    lines = blobs.lines_merged(*contents)
    return None if lines is None else blobs.entry_of(mode, lines)


def _lock_merged(scope: Scope, left: str, tip: str, released: str) -> str | None:
    """Return the tip's lock with the stages of the release; None where a stage changed again, or an output is lost."""
    try:
        both = merged(left, tip, released)
    except LeverframeError:
        return None
    return both.text if not both.dropped and scope.same(both.text, released) else None


def _records(lock: str, outputs: Sequence[str]) -> dict[str, Recorded]:
    known = {path: record for entry in _entries(lock).values() for path, record in entry.outputs.items()}
    return {path: known[path] for path in outputs if path in known}


def _entries(lock: str) -> Mapping[str, Locked]:
    try:
        return entries(lock, LOCK)
    except LeverframeError:  # a lock that nobody can read describes nothing
        return {}


def _text(blobs: Blobs, entry: str) -> str:
    return blobs.content(entry).decode(errors="replace") if entry else ""


def _within(path: str, places: frozenset[str]) -> bool:
    parts = path.split("/")
    return any("/".join(parts[: count + 1]) in places for count in range(len(parts)))


def described(restoration: Restoration, reverted: Sequence[Commit], later: Sequence[Commit]) -> str:
    """Return what merging the restored files does, in Markdown: what goes back, what is lost, what stays.

    ``reverted`` are the commits that go back, ``later`` those whose work is lost with ``undone``.
    """
    parts = [
        "### What merging does\n\nThese files are as in that release again:",
        _listed(map(_code, restoration.files)),
    ]
    if reverted:
        parts += ["That takes these commits back:", _listed(map(_commit, reverted))]
    if restoration.undone:
        names = " ".join(commit.name[:12] for commit in reversed(later[:_SHOWN]))
        parts += [
            "### Later work that this undoes\n\n**So this is a draft.** These files changed again since, and "
            f"`{LOCK}` describes them together, so none of them can go back alone:",
            _listed(map(_code, restoration.undone)),
            *(["The later commits:", _listed(map(_commit, later))] if later else []),
            "To keep that work, merge this, then on a new branch run "
            f"{code(f'git cherry-pick --no-commit {names}', 400)}, `dvc repro`, and open a pull request. Or close "
            "this, and let the next release fix the cause.",
        ]
    if restoration.kept:
        reasons = [f"{_code(path)}: {plain(why, 200)}" for path, why in restoration.kept.items()]
        parts += ["### What stays as it is\n\nLook whether it should go back, too:", _listed(reasons)]
    return "\n\n".join(parts)


def _listed(lines: Iterable[str]) -> str:
    every = list(lines)
    return "\n".join([*(f"- {line}" for line in every[:_SHOWN]), *and_more(len(every) - _SHOWN)])


def _code(path: str) -> str:
    return code(path, 200)


def _commit(commit: Commit) -> str:
    return f"{code(commit.name[:12], 12)} {plain(commit.subject, 200)}"
