"""The branch and the pull request of a model as they stand on the forge."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

BRANCH = "leverframe/retrain-{model}"
REVERT = "leverframe/revert-retrain-{model}"
_REFUSED = re.compile(r"[^a-z0-9_-]+")


def branch_of(form: str, model: str) -> str:
    """Return the branch of a model, ``form`` is ``BRANCH`` or ``REVERT``; a name that no branch has gets a hash."""
    word = _REFUSED.sub("-", model.lower()).strip("-")[:60]
    return form.format(model=word if word == model else f"{word}-{hashlib.sha256(model.encode()).hexdigest()[:8]}")


@dataclass(frozen=True)
class StandingPull:
    """A pull request on the forge; ``evidence`` is the digest in our part of its body, empty where there is none.

    ``made`` is when the evidence was gathered, ``merged_at`` when it was merged, both ISO 8601. ``author`` is the login
    that opened it, ``target`` the branch that it goes to.
    """

    number: int
    url: str
    open: bool
    merged: bool
    draft: bool
    title: str
    body: str
    head: str
    author: str
    evidence: str
    made: str
    auto_merge: bool = False
    merge_commit: str = ""
    merged_at: str = ""
    labels: tuple[str, ...] = ()
    target: str = ""


@dataclass(frozen=True)
class StandingBranch:
    """The branch of a model: its head, empty where it is not there, and whether only our commit stands on it.

    ``base`` is the tip of the branch that pull requests go to, by name ``target``. ``pulls`` are all of the branch
    that go there, newest first, ``elsewhere`` the open ones that somebody lets go to another branch. ``evidence`` is
    the digest that the commit of ours on the branch was made from. ``rewritten`` tells that the base does not have the
    commit that ours stands on any more.
    """

    name: str
    target: str
    base: str
    head: str
    ours: bool
    pulls: tuple[StandingPull, ...] = ()
    evidence: str = ""
    elsewhere: tuple[StandingPull, ...] = ()
    rewritten: bool = False

    @property
    def open(self) -> StandingPull | None:
        """The open pull request; None where there is none."""
        return next((pull for pull in self.pulls if pull.open), None)
