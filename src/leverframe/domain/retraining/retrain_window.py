"""Which rows a candidate learns from and is judged on: the newest whole partitions with labels are its hold-out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from leverframe.domain.partition import Partition
from leverframe.domain.retraining.attempt import Cause, Evidence, RetrainWindow
from leverframe.domain.retraining.evidence import STRENGTH
from leverframe.domain.retraining.trigger import NotTriggered, Standstill
from leverframe.settings.periods import Arrival, period_of, unit
from leverframe.settings.retrain import RetrainSettings

AFTER_CHANGE = 14  # days since a change that a candidate learns from at least; with fewer an attempt is wasted
STALE = 84  # days of rows from before a change that the champion has not seen; with as many those alone may help
_TIMELESS = (None, "none")
_DAY = timedelta(days=1)


def newest_labelled(now: datetime, period: Arrival, timezone: str, label_delay_days: float) -> Partition:
    """Return the newest partition that is over and whose labels are due at ``now``, a time with its zone."""
    due = now - timedelta(days=label_delay_days)
    local = due.astimezone(ZoneInfo(timezone)).replace(tzinfo=None)
    at = Partition.at(local, unit(period)).plus(1)
    while at.plus(1).start(timezone) > due:
        at = at.plus(-1)
    return at


def window(
    current: RetrainWindow,
    data_first: str,
    newest: Partition,
    evidence: Sequence[Evidence],
    settings: RetrainSettings,
) -> RetrainWindow | NotTriggered:
    """Return the window of a candidate, or why there is none yet.

    ``current`` is that of the champion, ``data_first`` the first partition of the data, all keys of the period of
    ``newest``, the newest whole partition with labels. The hold-out is of the newest partitions that cover
    ``holdout_days``; the champion learnt from none of them, and the candidate from newer rows than the champion: where
    the evidence says since when, from two weeks of what has changed, or from a quarter that the champion has not seen.
    """
    period = newest.period
    first, learnt, judged = (
        Partition.of(key, period) for key in (data_first, current.train_last, current.holdout_last)
    )
    if newest <= judged:
        why = f"the newest partition with labels is {newest}, and the champion was judged until {judged}"
        return NotTriggered(Standstill.NOTHING_NEW, why)
    holdout = _covering(newest, settings.holdout_days)
    last = holdout.plus(-1)
    if last <= learnt:
        why = (
            f"a hold-out of {settings.holdout_days} days begins in {holdout}, and the champion learnt from rows until "
            f"{learnt}: a candidate would learn from nothing newer"
        )
        return NotTriggered(Standstill.NOTHING_NEW, why)
    begin = max(first, min(last, _train_first(current, last, evidence, settings)))
    few = _too_short((learnt, begin, last), change_of(evidence), settings)
    if few:
        return NotTriggered(Standstill.NOTHING_NEW, few)
    return RetrainWindow(str(begin), str(last), str(holdout), str(newest))


def days_of_range(first: Partition, last: Partition) -> float:
    """Return how many days partitions cover, both ends included, by the calendar."""
    return (last.plus(1).begins - first.begins) / _DAY


def change_of(evidence: Sequence[Evidence]) -> Partition | None:
    """Return the first window of the strongest evidence that says since when; weaker evidence may be of another cause.

    None where none says.
    """
    dated = [one for one in evidence if period_of(one.since) not in _TIMELESS]
    known = [(STRENGTH[one.cause], Partition.of(one.since)) for one in dated]
    strongest = min((strength for strength, _ in known), default=None)
    since = [partition for strength, partition in known if strength == strongest]
    return min(since, key=lambda partition: partition.begins, default=None)


def learns_change(chosen: RetrainWindow, evidence: Sequence[Evidence]) -> bool:
    """Tell whether a candidate learns from two weeks of what has changed; so it does where no evidence says since when.

    A champion that has missed a quarter is retrained without, and such an attempt says nothing of the change.
    """
    return _days_after(change_of(evidence), Partition.of(chosen.train_last)) >= AFTER_CHANGE


def advice(chosen: RetrainWindow, evidence: Sequence[Evidence], settings: RetrainSettings) -> str:
    """Return in a sentence that most of the rows are from before a change of the labels, empty where they are not."""
    change = change_of([one for one in evidence if one.cause is Cause.CONCEPT])
    if change is None or not chosen.train_first or settings.window.policy == "since-change":
        return ""
    first, last = (Partition.of(key) for key in (chosen.train_first, chosen.train_last))
    days, after = days_of_range(first, last), max(0.0, _days_after(change, last))
    if after > days / 2:
        return ""
    return (
        f"It learnt from {days:.0f} days, of which {after:.0f} are from after the change of {change} that the monitor "
        "found in what labels follow; `retrain.window.policy: since-change` leaves the others out."
    )


def _days_after(change: Partition | None, last: Partition) -> float:
    return AFTER_CHANGE if change is None else (last.plus(1).begins - change.begins) / _DAY


def _too_short(
    rows: tuple[Partition, Partition, Partition], change: Partition | None, settings: RetrainSettings
) -> str:
    """Return why a candidate would learn too little, empty where it would not: of rows, or of what has changed.

    ``rows`` are the last partition that the champion learnt from, and the first and last of the candidate.
    """
    learnt, begin, last = rows
    days, least = days_of_range(begin, last), settings.window.minimum_days
    if days < least:
        return f"rows from {begin} to {last} cover {days:.0f} days; a candidate learns from {least} at least"
    after = _days_after(change, last)
    if after >= AFTER_CHANGE or days_of_range(learnt.plus(1), last) >= STALE:
        return ""
    return (
        f"a candidate would learn from {max(0.0, after):.0f} days since the change of {change}, and be judged on those "
        f"after; {AFTER_CHANGE} are needed to tell whether that helps"
    )


def _covering(last: Partition, days: float) -> Partition:
    """Return the latest partition from which whole partitions up to ``last`` cover so many days."""
    first = Partition.at(last.plus(1).begins - timedelta(days=days), last.period)
    return first if first <= last else last


def _train_first(
    current: RetrainWindow, last: Partition, evidence: Sequence[Evidence], settings: RetrainSettings
) -> Partition:
    """Return where a policy begins; `since-change` begins as `expanding` does where no evidence says since when."""
    first, policy = Partition.of(current.train_first, last.period), settings.window.policy
    if policy == "sliding":
        if settings.window.days is not None:
            return _covering(last, settings.window.days)
        return last.plus(first.ordinal - Partition.of(current.train_last, last.period).ordinal)
    if policy == "since-change":
        change = change_of(evidence)
        return first if change is None else max(first, Partition.at(change.begins, last.period))
    return first
