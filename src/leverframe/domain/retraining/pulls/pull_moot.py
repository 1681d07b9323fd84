"""When an open pull request of a candidate is moot, by rule: it is closed then with the reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from leverframe.domain.retraining.attempt import Attempt, Cause, Outcome
from leverframe.domain.retraining.pulls.pull_record import PullRecord
from leverframe.domain.retraining.retrain_result import Retrained
from leverframe.domain.retraining.trigger import Standstill

_FOUND = frozenset({Cause.PERFORMANCE, Cause.CONCEPT, Cause.CALIBRATION, Cause.DRIFT})  # by the monitor, and may pass
REWRITTEN = "the base branch was rewritten, and the branch still holds what was removed from it"


def moot(record: PullRecord, retrained: Retrained, champion: str, close_after_days: float) -> str:
    """Return why the pull request of a record is moot after a run, in a sentence; empty where it is not.

    ``champion`` is the digest of the model at the tip of the base branch, empty where that is not known.
    """
    attempt, waiting = retrained.attempt, retrained.waiting
    if attempt and attempt.outcome is Outcome.WORSE:
        return f"a later attempt, {attempt.at[:10]}, gave a model that is worse: {attempt.why}"
    if champion and record.champion and champion != record.champion:
        return "the base branch has another model now, so the comparison speaks of one that is gone"
    age = _time(retrained.at) - _time(record.made)
    if age > timedelta(days=close_after_days):
        return f"its evidence is {age.days} days old, and {close_after_days:g} are allowed (`retrain.close_after_days`)"
    quiet = waiting is not None and waiting.standstill is Standstill.QUIET
    if quiet and waiting and record.causes and _FOUND.issuperset(record.causes):
        return f"what triggered it is over: {waiting.why}"
    return ""


def proposes(attempt: Attempt | None) -> bool:
    """Tell whether an attempt ends in a pull request."""
    return attempt is not None and attempt.outcome in (Outcome.BETTER, Outcome.NOT_WORSE)


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)
