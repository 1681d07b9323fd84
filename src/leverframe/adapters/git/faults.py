"""Why git does not read a repository at all: its own words, and what to do about them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from leverframe.errors import RepositoryError

_TRUST = re.compile(r"^\s*(git config --global --add safe\.directory .+)$", re.MULTILINE)
_FATAL = re.compile(r"^(?:fatal|error): ", re.MULTILINE)


@dataclass(frozen=True)
class _Fault:
    """A state in which no question to git has an answer; ``next`` may name ``{lock}``."""

    words: re.Pattern[str]
    what: str
    next: str


_OTHER_OWNER = _Fault(
    re.compile(r"dubious ownership|unsafe repository"),
    "git does not read this repository: it belongs to another user",
    "run git as its owner, or trust it: `git config --global --add safe.directory '*'`",
)
_NO_REPOSITORY = _Fault(
    re.compile(r"not a git repository"),
    "this folder is not in a git repository",
    "go to the folder of the repository; or make one by `git init`, and commit",
)
NO_WORK_TREE = _Fault(
    re.compile(r"must be run in a work tree|outside working tree"),
    "this repository has no working tree: it is bare, or this is the inside of `.git`",
    "go to the working tree, or make one by `git clone`",
)
_NO_COMMIT = _Fault(
    re.compile(r"does not have any commits yet"),
    "this repository has no commit yet",
    "commit something first: `git add -A && git commit`",
)
_LOCKED = _Fault(
    re.compile(r"\.lock': File exists|could not lock config file"),
    "another git process works in this repository, or one that died left its lock",
    "wait until it has ended; where none runs, remove {lock}, then run the same command again",
)
DAMAGED = _Fault(
    re.compile(
        r"is corrupt|object file .* is empty|inflate: |unable to (?:read|unpack|parse)|appears to be broken|bad object"
        r"|packfile .* (?:cannot|does not|is )|garbage at end|hash mismatch|missing (?:blob|tree|commit|object)"
        r"|not a tree object"
    ),
    "this repository is damaged: git cannot read an object of it",
    "`git fsck --full` lists what is damaged; a fresh clone, or `git fetch --refetch`, brings it back",
)
_PARTIAL = _Fault(
    re.compile(r"could not fetch \S+ from promisor remote"),
    "this clone is partial, and the remote that has the rest did not bring it",
    "`git fetch` says why; a clone without `--filter` has everything",
)
_INDEX = _Fault(
    re.compile(r"index file (?:corrupt|smaller)|bad (?:index|signature)"),
    "the index of this repository is damaged",
    "remove `.git/index`, then `git reset`: nothing of the working tree is lost",
)
_CONFIGURATION = _Fault(
    re.compile(r"bad config |unexpected line in \S*packed-refs|bad numeric config"),
    "git cannot read the files of this repository in `.git`",
    "correct or restore the file that git names",
)
_TOO_NEW = _Fault(
    re.compile(r"Expected git repo version|unknown repository (?:extension|format)"),
    "this git is too old for this repository",
    "install a later git",
)
_FAULTS = (
    _OTHER_OWNER, _PARTIAL, _NO_REPOSITORY, NO_WORK_TREE, _NO_COMMIT, _LOCKED, _INDEX, _CONFIGURATION, _TOO_NEW,
    DAMAGED,
)  # fmt: skip


def fault(stderr: str) -> RepositoryError | None:
    """Return the error that what git printed stands for; None where it is the answer to a question."""
    known = next((kind for kind in _FAULTS if kind.words.search(stderr)), None)
    return None if known is None else error_of(known, stderr)


def error_of(kind: _Fault, words: str) -> RepositoryError:
    """Return a fault as an error, with the words of git as its reason and git's own remedy where it has one."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    telling = next((line for line in lines if kind.words.search(line) and _FATAL.match(line)), None)
    reason = _FATAL.sub("", telling or (lines or ["git gave no reason"])[0])[:300]
    remedy = _TRUST.search(words)
    lock = re.search(r"'([^']+\.lock)'|config file (\S+?):", words)
    name = "the lock" if lock is None else Path(lock[1] or f"{lock[2]}.lock").name
    place = f"`{name}` in `.git`" if lock else name
    following = f"`{remedy[1]}`, if you trust its owner" if remedy else kind.next.replace("{lock}", place)
    return RepositoryError(kind.what, why=reason, next=following)


def last_line(stderr: bytes, otherwise: str = "no word") -> str:
    """Return the last line of what git printed, ``otherwise`` where it printed nothing."""
    return (stderr.decode(errors="replace").strip().splitlines() or [otherwise])[-1]


def no_program(root: Path) -> RepositoryError:
    """Return the error for git that could not be started in a folder."""
    if not root.is_dir():
        return RepositoryError(
            f"the folder {root} is not there", why="it was moved or removed", next="go to the repository"
        )
    return RepositoryError(
        "git was not found", why="there is no program `git` on PATH", next="install git, or put it on PATH"
    )
