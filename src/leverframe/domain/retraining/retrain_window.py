"""Which rows a candidate learns from and is judged on: the newest whole partitions with labels are its hold-out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from leverframe.domain.partition import Partition
from leverframe.domain.retraining.attempt import Evidence, RetrainWindow
from leverframe.domain.retraining.trigger import NotTriggered, Standstill
from leverframe.settings.periods import Arrival, period_of, unit
from leverframe.settings.retrain import RetrainSettings

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
    ``holdout_days``; the champion learnt from none of them, and the candidate from a newer row than the champion.
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
    days = days_of_range(begin, last)
    if days < settings.window.minimum_days:
        why = (
            f"rows from {begin} to {last} cover {days:.0f} days; a candidate learns from {settings.window.minimum_days}"
        )
        return NotTriggered(Standstill.NOTHING_NEW, why)
    return RetrainWindow(str(begin), str(last), str(holdout), str(newest))


def days_of_range(first: Partition, last: Partition) -> float:
    """Return how many days partitions cover, both ends included, by the calendar."""
    return (last.plus(1).begins - first.begins) / _DAY


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
        known = [Partition.of(one.since) for one in evidence if period_of(one.since) not in (None, "none")]
        begins = min((partition.begins for partition in known), default=None)
        return first if begins is None else max(first, Partition.at(begins, last.period))
    return first
