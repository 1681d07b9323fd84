"""The section of a card about the judge: what it ran, what it leaves to owners, and what the run itself claims."""

from __future__ import annotations

from collections.abc import Sequence

from leverframe.domain.review.gate.gate_result import change_of
from leverframe.domain.review.judge.judged import Judged, OwnerReview
from leverframe.domain.review.report.card import Card
from leverframe.domain.verdict import word
from leverframe.inert.markdown import code, plain, sentence

_ROOM = 12  # stages or paths that are shown, the rest is counted


def judge_section(judged: Judged) -> str:
    """Return what was run with the code of which commit, what an owner has to approve, and what differs."""
    base = f"{code(judged.base, 80)} at {code(judged.tip[:12], 12)}" if judged.base else code(judged.tip[:12], 12)
    ran = f"It ran {_some(judged.ran)}." if judged.ran else "It had no stage to run."
    lines = ["### Judge", "", f"Judged by the code of {base}, from nothing that code of this change wrote. {ran}"]
    if judged.owed:
        lines += ["", *_owed(judged.owed)]
    notes = [f"- {sentence(note)}" for note in judged.notes[:_ROOM]]
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def _owed(owed: OwnerReview) -> list[str]:
    who = ", ".join(code(owner, 60) for owner in owed.owners) or "a code owner"
    lines = [f"Not judged, as it is or may become code: {_some(owed.paths, owed.count)}."]
    if owed.missing:
        lines.append(f"Missing: the approval of {who} for this commit.")
    if owed.approved_by:
        lines.append(f"Approved by {', '.join(code(login, 60) for login in owed.approved_by)}.")
    return lines


def _some(names: Sequence[str], count: int = 0) -> str:
    more = max(count, len(names)) - _ROOM
    shown = ", ".join(code(name, 120) for name in names[:_ROOM])
    return f"{shown} and {more:,} more" if more > 0 else shown


def unverified(claim: Card) -> str:
    """Return, folded, what the run of the pull request says of itself: nobody has verified it."""
    gated = claim.gated
    metrics = [metric for metric in gated.metrics if metric.rule] if gated else []
    lines = [f"- {plain(change_of(metric), 160)}" for metric in metrics[:_ROOM]]
    lines += [
        f"- {code(violation.reason.value, 40)} {sentence(violation.what)}" for violation in claim.violations[:_ROOM]
    ]
    verdict = f"Its verdict for {code(claim.head[:12], 12)}: {word(claim.verdict)}."
    return "\n".join(
        [
            "<details>",
            "<summary>Unverified: what the run of the pull request says of itself</summary>",
            "",
            f"Code of the change ran there, so that nothing of it decides. {verdict}",
            *(["", *lines] if lines else []),
            "",
            "</details>",
        ]
    )
