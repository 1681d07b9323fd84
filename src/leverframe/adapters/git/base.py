"""What a change is compared with: the commit where it left the main branch, also where an event names another."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from leverframe.adapters.git.branches import Branches
from leverframe.errors import RepositoryError

_NAMES = ("main", "master")  # what main branches are called where nothing tells
_WHOLE = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # as an event names a commit; people write names and few digits
_DEEPER = "in CI check out with `fetch-depth: 0`"


@dataclass(frozen=True)
class Base:
    """The commit where a change left a branch, and the ``tip`` of that branch.

    ``note`` says why this is not what was asked for; empty where it is. ``partial`` tells that the change may have more
    commits than are compared, as after a force push to the main branch.
    """

    commit: str
    tip: str
    note: str = ""
    partial: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """The note for a result that has a list of them."""
        return (self.note,) if self.note else ()


class Commits(Protocol):
    """The questions to git by which a base is told."""

    def commit_of(self, revision: str) -> str | None:
        """Return the full name of a commit; None where a revision names none."""

    def named(self, revision: str) -> str:
        """Return the full name of a commit; raises ``RepositoryError`` where a revision names none."""

    def merge_base(self, one: str, other: str) -> str | None:
        """Return the last commit that two have in common; None where there is none here."""

    def shallow(self) -> str:
        """Return in words that this clone has only the newest commits; empty where it has all."""


@dataclass(frozen=True)
class Bases:
    """Finds what changes are compared with.

    ``named`` returns the default branch as the event of a run has it, ``target`` where its pull request goes.
    """

    git: Commits
    branches: Branches
    named: Callable[[], str]
    target: Callable[[], str] = str

    def default_branch(self) -> str | None:
        """Return the main branch of this repository, by name; None where nothing tells which one it is.

        `origin/HEAD` tells, else the event of the run, else its usual names, else that there is no other.
        """
        remote, names = self.branches.remote(), [name for name in (self.named(), *_NAMES) if name]
        places = [place for name in names for place in ([f"{remote}/{name}"] if remote else []) + [name]]
        known = next((name for name in (self.branches.head(), *places) if name and self.git.commit_of(name)), None)
        if known:
            return known
        branches = self.branches.names()
        return branches[0] if len(branches) == 1 and "/" not in branches[0] else None

    def tip(self, main: str | None = None) -> str:
        """Return the newest commit of ``main``, by default of the main branch of this repository.

        Raises ``RepositoryError`` where there is no such branch.
        """
        name = main or self.default_branch()
        if name is None:
            raise self._no_main()
        return self.git.named(name)

    def base(self, wanted: str | None, revision: str = "HEAD") -> Base:
        """Return where a revision left ``wanted``: by default the branch of the pull request, else the main branch.

        A whole name of a commit that is not here, as an event has it of a new branch or after a force push, stands for
        the main branch; on the main branch itself, for the commit before. Raises ``RepositoryError`` for any
        other revision that is not here, and where there is nothing in common.
        """
        head, wanted = self.git.named(revision), wanted or self._target()
        gone = self._gone(wanted, head) if wanted and _WHOLE.fullmatch(wanted) else ""
        if gone:
            return self._instead(head, f"`{(wanted or '')[:12]}` {gone}")
        tip = self.tip(wanted)
        common = self.git.merge_base(tip, head)
        if common is None:
            raise RepositoryError(
                f"`{revision}` and `{wanted or self.default_branch()}` have no commit in common",
                why=self.git.shallow() or "they began apart",
                next=f"name a revision with --base; {_DEEPER}",
            )
        return Base(common, tip)

    def _target(self) -> str | None:
        """Return the branch that the pull request of a run goes to; None where there is none, or it is not here."""
        name = f"origin/{self.target()}"
        return name if name != "origin/" and self.git.commit_of(name) else None

    def _gone(self, wanted: str, head: str) -> str:
        """Return why a whole name of a commit cannot be compared with; empty where it can, or where more may tell."""
        if not wanted.strip("0"):
            return "stands for no commit, as for a new branch"
        if self.git.shallow():
            return ""
        if self.git.commit_of(wanted) is None:
            return "is in this repository no more, as after a force push"
        return "" if self.git.merge_base(wanted, head) else "has no commit in common with this one"

    def _instead(self, head: str, gone: str) -> Base:
        main = self.default_branch()
        tip = self.git.named(main) if main else head
        common = self.git.merge_base(tip, head)
        if common not in (None, head):
            assert common is not None  # noqa: S101 - of the line above
            return Base(common, tip, f"{gone}: compared with {common[:12]}, where this left `{main}`")
        parent = self.git.commit_of(f"{head}^1")
        if parent:
            return Base(
                parent, parent, f"{gone}: compared with {parent[:12]}, the commit before this one", partial=True
            )
        if self.git.shallow():
            raise RepositoryError(f"{gone}, and no other base is here", why=self.git.shallow(), next=_DEEPER)
        return Base(head, head, f"{gone}, and this is the first commit: compared with itself", partial=True)

    def _no_main(self) -> RepositoryError:
        self.git.named("HEAD")  # without a commit there is no branch either
        here = ", ".join(f"`{name}`" for name in self.branches.names()[:6]) or "none"
        remote = self.branches.remote()
        heads = f"neither `{remote}/HEAD` nor a name tells" if remote else "no name tells"
        ask = f", or let git tell: `git remote set-head {remote} --auto`" if remote else ""
        return RepositoryError(
            "there is no main branch to compare with",
            why=self.git.shallow() or f"{heads} which branch it is; branches: {here}",
            next=f"name it with --base{ask}; {_DEEPER}",
        )
