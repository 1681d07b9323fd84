"""The one commit of a candidate: its message carries what tells it from a commit of a person.

The trailer ``Leverframe-Retrain`` is the digest of the tree and the parent. Whoever amends the commit, or adds one,
gets a branch that is not ours any more, and nothing is pushed over it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Protocol

from leverframe.inert.letters import title

_OURS = re.compile(r"^Leverframe-Retrain: ([0-9a-f]{32})$", re.MULTILINE)
_EVIDENCE = re.compile(r"^Leverframe-Evidence: ([0-9a-f]{8,64})$", re.MULTILINE)
AUTHOR = ("leverframe", "leverframe@users.noreply.github.com")


@dataclass(frozen=True)
class CommitFacts:
    """A commit: its tree, its parents and its message."""

    tree: str
    parents: tuple[str, ...]
    message: str


class History(Protocol):
    """What a branch is looked at with."""

    def commit_facts(self, commit: str) -> CommitFacts:
        """Return a commit."""

    def merged_tree(self, ours: str, theirs: str) -> str:
        """Return the tree of a merge without conflict; empty where there is one."""

    def contains(self, tip: str, commit: str) -> bool:
        """Tell whether a commit is the tip or before it."""


def own(history: History, head: str, base: str) -> tuple[bool, str]:
    """Tell whether a branch has our commit alone, and the evidence of that; ``base`` is the tip it goes to.

    Merges of the base on top, as the button "Update branch" makes them, change nothing of that, unless somebody
    changed something within the merge.
    """
    commit = _below_merges(history, head, base)
    if commit is None or len(commit.parents) != 1:
        return False, ""
    if not is_ours(commit.message, tree=commit.tree, parent=commit.parents[0]):
        return False, ""
    return True, evidence_of(commit.message)


def rewritten(history: History, head: str, base: str) -> bool:
    """Tell whether the base lacks what our commit stands on: the branch holds what was removed from the base."""
    commit = _below_merges(history, head, base)
    return commit is None or not all(history.contains(base, parent) for parent in commit.parents)


def _below_merges(history: History, head: str, base: str) -> CommitFacts | None:
    """Return the commit below merges of the base; None where somebody changed something within one."""
    commit = history.commit_facts(head)
    while len(commit.parents) == 2:
        first, second = commit.parents
        if not history.contains(base, second) or history.merged_tree(first, second) != commit.tree:
            return None
        commit = history.commit_facts(first)
    return commit


def signed(subject: str, body: str, *, tree: str, parent: str, evidence: str) -> str:
    """Return the message of a commit of ours: subject, body, and the trailers with the digests."""
    lines = [title(line, 1000) for line in body.strip().split("\n")]
    words = "\n".join([title(subject), "", *([*lines, ""] if body.strip() else []), ""])
    return f"{words}Leverframe-Evidence: {evidence}\nLeverframe-Retrain: {_digest(tree, parent)}\n"


def is_ours(message: str, *, tree: str, parent: str) -> bool:
    """Tell whether a commit is the one that we made: of this tree, on this parent."""
    return _OURS.findall(message) == [_digest(tree, parent)]


def evidence_of(message: str) -> str:
    """Return the digest of the evidence that a commit of ours was made from; empty where there is none."""
    digests = _EVIDENCE.findall(message)
    return digests[-1] if digests else ""


def _digest(tree: str, parent: str) -> str:
    return hashlib.sha256(f"{tree}\n{parent}".encode()).hexdigest()[:32]
