"""Cards of changes that the judge could not go through with, and what it says of paths for owners."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb

from leverframe.adapters.git.trees import Merged
from leverframe.domain.review.check import Checked
from leverframe.domain.review.gate.gate_result import Gated
from leverframe.domain.review.judge.judged import Judged, OwnerReview
from leverframe.domain.review.judge.judged_paths import ProjectPaths, Sorted
from leverframe.domain.review.report.card import Card
from leverframe.domain.review.reproduce import Reproduced
from leverframe.domain.verdict import Reason, Violation

_MOST = 3_000  # paths for owners: every one is on the card, as who may approve is looked up for each


@dataclass(frozen=True)
class JudgedChange:
    """A change as git has it: the tip of the base, its head, the tree of both, and what to do with each path."""

    tip: str
    head: str
    merged: Merged
    sorted_paths: Sorted
    paths: ProjectPaths


def conflicting(change: JudgedChange) -> Card:
    """Return the card of a change that does not merge."""
    names = ", ".join(f"`{_named(path)}`" for path in change.merged.conflicts[:3])
    violation = Violation(
        Reason.MERGE_CONFLICT,
        f"the change does not merge into the tip of its base: {names}",
        "merge the base branch into this one; `leverframe merge` resolves locks and reports",
    )
    return card_of(change, Judged("", change.tip, change.head, found=(violation,)), "it does not merge")


def card_of(change: JudgedChange, judged: Judged, because: str = "") -> Card:
    """Return a card on which the judge alone has a word; ``because`` says why the gate has none."""
    head = change.head
    return Card(
        change.tip, head, Checked(head), Reproduced(head), Gated(change.tip, head, because=because), judged=judged
    )


def owed_by(owed: Mapping[str, str]) -> OwnerReview | None:
    """Return what owners have to approve of paths; None where there is none."""
    paths = tuple(sorted(map(_named, owed)))
    return OwnerReview(len(paths), paths[:_MOST], paths[:_MOST]) if paths else None


def _named(path: str) -> str:
    """Return a path as text that can be written: bytes that are no UTF-8 as escapes, which no owner's line fits."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def beyond(owed: Mapping[str, str]) -> tuple[Violation, ...]:
    """Return what is said of more paths than a card holds: nobody could tell whose they are."""
    if len(owed) <= _MOST:
        return ()
    what = f"the change edits {len(owed):,} paths that owners have to approve, and a card holds {_MOST:,}"
    return (Violation(Reason.NOT_JUDGED, what, "split the change into several pull requests"),)


def where_of(error: BaseException) -> str:
    """Return the function of ours that an error comes from, by its module and line."""
    ours = [frame for frame in extract_tb(error.__traceback__) if f"{os.sep}leverframe{os.sep}" in frame.filename]
    return f"{Path(ours[-1].filename).stem}:{ours[-1].lineno}" if ours else "the judge"
