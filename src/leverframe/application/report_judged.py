"""The card of the judge: held to its pull request, completed by the reviews of owners, and posted as the verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from leverframe.application.infra_plans import judged_again
from leverframe.application.report import ReportOptions, project_of, read_card, report_settings, shown
from leverframe.application.report_standing import PullState, standing
from leverframe.application.workspace import Workspace
from leverframe.domain.infrastructure.infra_changed import untrusted
from leverframe.domain.review.check import Checked
from leverframe.domain.review.gate.gate_result import Gated
from leverframe.domain.review.judge.judged import Judged
from leverframe.domain.review.judge.owners import ReviewContext, resolved
from leverframe.domain.review.report.card import Card
from leverframe.domain.review.report.judge_section import unverified
from leverframe.domain.review.report.publish import Published, branch_word
from leverframe.domain.review.reproduce import Reproduced
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import LeverframeError, PublishError
from leverframe.inert.markdown import folded

_TIMED_OUT, _BROKE = ("timed out", "timeout", "too long"), ("broke", "crash")
_LEFT = "left alone"

Tell = Callable[[str], None]


def report_judged(workspace: Workspace, asked: ReportOptions, path: Path, summary: Tell) -> Published:
    """Post a card of the judge as the verdict on the pull request that its run was started for."""
    card, stand = read_card(path), _standing(workspace, asked)
    judged = card.judged
    if judged is None or judged.head != card.head:
        raise PublishError(
            f"{path} is no card of the judge",
            why="a run of the pull request made it" if judged is None else "it speaks of two commits",
            next="let `leverframe judge` make it, with the code of the base branch",
        )
    gone = _gone(stand, card)
    if gone:
        return Published(card.verdict, stand.place.asked, str(path), _LEFT, (gone,))
    claim, unread = _claim(asked.unverified, card)
    card = replace(card, target=stand.place.base, project=stand.place.project.folder, infra=card.infra or claim.infra)
    waits = _waits(judged, stand)
    card = card if waits else replace(card, judged=_reviewed(judged, stand, own=_own_approval(workspace)))
    if not stand.place.trusted:
        card = replace(card, infra=tuple(map(untrusted, card.infra)))
    card = replace(card, infra=judged_again(workspace, card.infra, asked.base, stand.place.labels))
    below = _below(claim, unread) if asked.unverified else ""
    return shown(workspace, asked, (card, replace(stand.place, pending=waits), None), summary, below)


def report_unjudged(workspace: Workspace, asked: ReportOptions, summary: Tell) -> Published:
    """Post that there is no verdict, and why: the check fails."""
    stand, words = _standing(workspace, asked), asked.unjudged
    head, tip = stand.head, stand.tip
    violation = Violation(_reason(words), f"no verdict: {words}", "read the log of the judge, then run its job again")
    judged = Judged(stand.place.base, tip, head, found=(violation,))
    gated = Gated(tip, head, because="the judge left nothing")
    card = Card(tip, head, Checked(head), Reproduced(head), gated, judged=judged, target=stand.place.base)
    card = replace(card, project=stand.place.project.folder)
    gone = _gone(stand, card)
    if gone:
        return Published(card.verdict, stand.place.asked, "", _LEFT, (gone,))
    return shown(workspace, asked, (card, stand.place, None), summary)


def _standing(workspace: Workspace, asked: ReportOptions) -> PullState:
    publisher = asked.publisher or report_settings(workspace).publisher
    return standing(asked.pull, publisher, project_of(workspace, anywhere=True))


def _own_approval(workspace: Workspace) -> bool:
    """Tell whether an owner who wrote the change may approve it: `judge.own_approval` of the branch that posts."""
    try:
        return workspace.levers.judge.own_approval
    except LeverframeError:  # settings that cannot be read allow nothing
        return False


def _gone(stand: PullState, card: Card) -> str:
    """Return why nothing is to be posted: what came since has a judge run of its own."""
    number = stand.pull.number
    if not stand.pull.open:
        return f"#{number} is closed"
    if card.head != stand.head:
        return f"the card is of {card.head[:12]}, and #{number} is at {stand.head[:12]} by now: its own run judges that"
    return ""


def _waits(judged: Judged, stand: PullState) -> str:
    """Return what the verdict still waits for: that of another base, or of an older tip of it, is none."""
    base = branch_word(stand.place.base)
    if judged.base and judged.base != stand.place.base:
        return f"it was judged for {branch_word(judged.base)}, and goes into {base} by now: it is judged again"
    if judged.tip != stand.tip:
        return f"{base} moved from {judged.tip[:7]} to {stand.tip[:7]} meanwhile: it is judged again"
    return ""


def _reviewed(judged: Judged, stand: PullState, *, own: bool) -> Judged:
    """Return what the judge found with the approvals of this commit; without anything owed, nobody is asked."""
    reviews = stand.reviews
    if judged.owed is None:
        return judged
    looked = ReviewContext(stand.pull.head, stand.pull.author, reviews.rules(judged.tip), reviews, own)
    owed = replace(judged.owed, missing=judged.owed.paths, approved_by=())  # what a file says of reviews is no review
    review, notes = resolved(owed, reviews.reviews(stand.pull.number), looked)
    return replace(judged, owed=review, notes=(*judged.notes, *notes))


def _claim(path: Path | None, card: Card) -> tuple[Card, str]:
    """Return what the run of the pull request claimed, or an empty card and why it cannot be read."""
    empty = Card(card.base, card.head)
    if path is None:
        return empty, ""
    try:
        claim = read_card(path)
    except LeverframeError as error:
        return empty, error.what
    if claim.head != card.head:
        return empty, "it speaks of another commit"
    return replace(claim, judged=None), ""


def _below(claim: Card, unread: str) -> str:
    """Return the section with the claim, which nobody has verified."""
    return (
        folded("Unverified", "what the run of the pull request says cannot be read", "")
        if unread
        else unverified(claim)
    )


def _reason(words: str) -> Reason:
    if any(sign in words for sign in _TIMED_OUT):
        return Reason.JUDGE_TIMEOUT
    return Reason.TOOL_BROKE if any(sign in words for sign in _BROKE) else Reason.NOT_JUDGED
