"""The result of a run: ``retrain.json``, from which the terminal, the dashboard and the pull request are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from leverframe.domain.retraining.attempt import PROPOSED, Attempt, Evidence, Outcome
from leverframe.domain.retraining.trigger import NotTriggered
from leverframe.domain.verdict import Failed, Passed, Reason, Skipped, Verdict

VERSION = 1

_REASONS = {
    Outcome.WORSE: Reason.RETRAIN_UNHELPFUL,
    Outcome.UNDECIDED: Reason.METRIC_UNCERTAIN,
    Outcome.TOO_FEW_LABELS: Reason.LABELS_MISSING,
    Outcome.BROKEN_DATA: Reason.CONTRACT_BROKEN,
    Outcome.FAILED: Reason.STAGE_FAILED,
}


@dataclass(frozen=True)
class Proposal:
    """The pull request as it stands after the run; empty address where there is none.

    ``revert`` tells the one that reverts a merged retraining from the one that proposes a candidate.
    """

    url: str = ""
    number: int = 0
    state: Literal["ready", "draft", "closed", "none"] = "none"
    revert: bool = False
    why: str = ""  # why it was closed or left alone


@dataclass(frozen=True)
class Retrained:
    """What a run did: the attempt, or why there was none, the steps in words, and the pull requests.

    ``causes`` are why an attempt is due that a dry run did not make.
    """

    model: str
    environment: str
    at: str
    attempt: Attempt | None
    waiting: NotTriggered | None
    proposals: tuple[Proposal, ...] = ()
    steps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    causes: tuple[Evidence, ...] = ()
    version: int = VERSION

    @property
    def verdict(self) -> Verdict:
        """Passed where a pull request proposes a candidate, failed where an attempt did not help, else skipped."""
        if self.attempt is None:
            return Skipped(self.waiting.why if self.waiting else "nothing was to do")
        if self.attempt.outcome in PROPOSED:
            return Passed()
        return Failed((_REASONS[self.attempt.outcome],))
