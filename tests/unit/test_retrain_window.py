"""Windows of a candidate for every period: whole hold-outs that nobody learnt from, in order of time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.partition import Partition
from leverframe.domain.retraining.attempt import Cause, Evidence, RetrainWindow
from leverframe.domain.retraining.retrain_window import advice, days_of_range, newest_labelled, window
from leverframe.domain.retraining.trigger import NotTriggered, Standstill
from leverframe.settings.periods import Arrival, Period
from leverframe.settings.retrain import Policy, RetrainSettings, WindowSettings

PERIODS: tuple[Period, ...] = ("hour", "day", "week", "month", "year")
ZONES = ["UTC", "America/New_York", "Australia/Sydney", "America/Sao_Paulo"]
SPAN = datetime(1990, 1, 1), datetime(2050, 12, 31)  # noqa: DTZ001 - local, as clocks show it
MONTHS = RetrainWindow("2013-01", "2013-08", "2013-09", "2013-12")


def policy(name: Policy, **others: Any) -> RetrainSettings:
    return RetrainSettings(window=WindowSettings(policy=name, **others))


def since(text: str, cause: Cause = Cause.CONCEPT) -> Evidence:
    return Evidence(cause, "auc", text, text, "a sentence")


@dataclass(frozen=True)
class Case:
    """A champion and a newest partition, with settings and evidence."""

    current: RetrainWindow
    data_first: str
    newest: Partition
    evidence: tuple[Evidence, ...]
    settings: RetrainSettings

    def window(self, later: int = 0) -> RetrainWindow | NotTriggered:
        return window(self.current, self.data_first, self.newest.plus(later), self.evidence, self.settings)

    def parts(self, window: RetrainWindow) -> tuple[Partition, Partition, Partition, Partition]:
        first, last, begins, ends = (
            Partition.of(key, self.newest.period)
            for key in (window.train_first, window.train_last, window.holdout_first, window.holdout_last)
        )
        return first, last, begins, ends


@st.composite
def cases(draw: Any) -> Case:
    period = draw(st.sampled_from(PERIODS))
    per_year = {"hour": 24 * 90, "day": 120, "week": 50, "month": 14, "year": 4}[period]
    count = st.integers(0, per_year)
    first = Partition.at(draw(st.datetimes(*SPAN)), period)
    train_first = first.plus(draw(count))
    train_last = train_first.plus(draw(count))
    holdout_first = train_last.plus(1 + draw(st.integers(0, 2)))
    holdout_last = holdout_first.plus(draw(count))
    name = draw(st.sampled_from(get_args(Policy)))
    days = draw(st.none() | st.integers(1, 200)) if name == "sliding" else None
    windows = WindowSettings(policy=name, days=days, minimum_days=draw(st.integers(1, 60)))
    settings = RetrainSettings(window=windows, holdout_days=draw(st.integers(14, 90)))
    monitored = draw(st.sampled_from(PERIODS[:4]))
    at = Partition.at(train_first.plus(draw(st.integers(0, 3 * per_year))).begins, monitored)
    evidence = (since(str(at)), since("", Cause.AGE)) if draw(st.booleans()) else ()
    newest = holdout_last.plus(draw(st.integers(-3, per_year)))
    current = RetrainWindow(str(train_first), str(train_last), str(holdout_first), str(holdout_last))
    return Case(current, str(first), newest, evidence, settings)


@given(cases())
def test_a_window_is_in_order_whole_and_unseen(case: Case) -> None:
    result = case.window()
    if isinstance(result, NotTriggered):
        assert result.standstill is Standstill.NOTHING_NEW
        assert result.why
        return
    first, last, begins, ends = case.parts(result)
    learnt = Partition.of(case.current.train_last, case.newest.period)
    assert Partition.of(case.data_first) <= first <= last
    assert begins == last.plus(1) <= ends == case.newest
    assert days_of_range(begins, ends) >= case.settings.holdout_days
    assert begins == ends or days_of_range(begins.plus(1), ends) < case.settings.holdout_days
    assert learnt < last  # so the hold-out is later than all that the champion learnt from
    assert days_of_range(first, last) >= case.settings.window.minimum_days
    assert ends > Partition.of(case.current.holdout_last)


@given(cases(), st.integers(1, 40))
def test_later_data_never_move_a_window_back(case: Case, later: int) -> None:
    before, after = case.window(), case.window(later)
    if isinstance(before, RetrainWindow):
        assert isinstance(after, RetrainWindow)
        assert all(one <= other for one, other in zip(case.parts(before), case.parts(after), strict=True))


@given(cases())
def test_there_is_a_window_as_soon_as_the_data_are_long_enough(case: Case) -> None:
    long = {"hour": 24 * 300, "day": 300, "week": 60, "month": 12, "year": 3}[case.newest.period]
    short = case.settings.window.policy == "sliding" and case.settings.window.days is None
    learnt = days_of_range(Partition.of(case.current.train_first), Partition.of(case.current.train_last))
    result = Case(case.current, case.data_first, case.newest.plus(long), (), case.settings).window(4)
    # A sliding window is as long as that of the champion, or a day or two shorter with its months.
    least = case.settings.window.days or (learnt - 3 if short else 10_000)
    assert isinstance(result, RetrainWindow) or least < case.settings.window.minimum_days


def test_monthly_data_are_judged_on_the_newest_month() -> None:
    newest = Partition.of("2014-01")
    assert window(MONTHS, "2013-01", newest, (), RetrainSettings()) == RetrainWindow(
        "2013-01", "2013-12", "2014-01", "2014-01"
    )
    longer = window(MONTHS, "2013-01", newest, (), RetrainSettings(holdout_days=60))
    assert longer == RetrainWindow("2013-01", "2013-11", "2013-12", "2014-01")
    sliding = window(MONTHS, "2013-01", newest, (), policy("sliding"))
    assert sliding == RetrainWindow("2013-05", "2013-12", "2014-01", "2014-01")
    days = window(MONTHS, "2013-01", newest, (), policy("sliding", days=61))
    assert days == RetrainWindow("2013-11", "2013-12", "2014-01", "2014-01")


@pytest.mark.parametrize(
    ("of", "first"),
    [("2013-11-20", "2013-11"), ("2013-W45", "2013-11"), ("2013-10", "2013-10"), ("2013-12-01T05", "2013-12"),
     ("", "2013-01"), ("soon", "2013-01"), ("all", "2013-01"), ("2012-03-01", "2013-01")],
)  # fmt: skip
def test_since_change_begins_where_the_monitor_saw_it(of: str, first: str) -> None:
    evidence = (
        (since(of), since("2013-12-25"), since("2013-02-03", Cause.DRIFT), since("", Cause.AGE))
        if first != "2013-01"
        else (since(of),)
    )
    result = window(MONTHS, "2013-01", Partition.of("2014-01"), evidence, policy("since-change"))
    assert result == RetrainWindow(first, "2013-12", "2014-01", "2014-01")


def test_since_change_waits_for_enough_days() -> None:
    current = RetrainWindow("2013-01-01", "2013-06-30", "2013-07-01", "2013-07-28")
    changed = (since("2013-08-01"),)
    result = window(current, "2013-01-01", Partition.of("2013-09-24"), changed, policy("since-change"))
    assert isinstance(result, NotTriggered)
    assert "2013-08-01 to 2013-08-27 cover 27 days; a candidate learns from 28" in result.why
    result = window(current, "2013-01-01", Partition.of("2013-09-25"), changed, policy("since-change"))
    assert result == RetrainWindow("2013-08-01", "2013-08-28", "2013-08-29", "2013-09-25")


def test_every_policy_waits_for_two_weeks_of_what_has_changed() -> None:
    current = RetrainWindow("2013-01-01", "2013-06-30", "2013-07-01", "2013-07-28")
    changed = (since("2013-08-01"), since("2013-07-01", Cause.DRIFT), since("2013-08-05"))
    for name in ("expanding", "sliding"):
        result = window(current, "2013-01-01", Partition.of("2013-09-10"), changed, policy(name))
        assert isinstance(result, NotTriggered)
        assert "learn from 13 days since the change of 2013-08-01" in result.why
        result = window(current, "2013-01-01", Partition.of("2013-09-11"), changed, policy(name))
        assert isinstance(result, RetrainWindow)
        assert result.train_last == "2013-08-14"
    undated = (since("", Cause.AGE),)
    assert isinstance(
        window(current, "2013-01-01", Partition.of("2013-08-01"), undated, RetrainSettings()), RetrainWindow
    )


def test_a_champion_that_missed_a_quarter_does_not_wait() -> None:
    """Rows from before a change may help a model that has not seen them."""
    changed = (since("2013-09-20"),)
    for learnt, due in (("2013-06-10", True), ("2013-06-12", False)):
        current = RetrainWindow("2013-01-01", learnt, "2013-06-20", "2013-07-17")
        result = window(current, "2013-01-01", Partition.of("2013-09-30"), changed, RetrainSettings())
        assert isinstance(result, RetrainWindow) is due, result


@pytest.mark.parametrize(("newest", "says"), [("2013-12", "was judged until"), ("2013-09", "was judged until")])
def test_nothing_is_new_before_the_next_partition_has_labels(newest: str, says: str) -> None:
    result = window(MONTHS, "2013-01", Partition.of(newest), (), RetrainSettings())
    assert isinstance(result, NotTriggered)
    assert says in result.why


def test_nothing_is_new_where_the_hold_out_needs_all_that_the_champion_did_not_learn_from() -> None:
    current = RetrainWindow("2013-01", "2013-08", "2013-09", "2013-09")
    result = window(current, "2013-01", Partition.of("2013-11"), (), RetrainSettings(holdout_days=90))
    assert isinstance(result, NotTriggered)
    assert "learn from nothing newer" in result.why


@given(
    st.sampled_from(get_args(Arrival)), st.sampled_from(ZONES), st.integers(0, 40),
    st.datetimes(*SPAN, timezones=st.just(UTC)),
)  # fmt: skip
def test_labels_of_the_newest_partition_are_due_and_those_of_the_next_are_not(
    period: Arrival, zone: str, delay: int, now: datetime
) -> None:
    newest, due = newest_labelled(now, period, zone, delay), now - timedelta(days=delay)
    assert newest.period == ("day" if period == "none" else period)
    assert newest.plus(1).start(zone).astimezone(UTC) <= due < newest.plus(2).start(zone).astimezone(UTC)


@pytest.mark.parametrize(
    ("since", "policy", "first", "advised"),
    [("2024-06-03", "expanding", "2024-01-08", True), ("2024-06-03", "sliding", "2024-01-08", True),
     ("2024-06-03", "since-change", "2024-06-03", False), ("2024-02-01", "expanding", "2024-01-08", False),
     ("2024-06-03", "expanding", "", False), ("", "expanding", "2024-01-08", False)],
)  # fmt: skip
def test_a_window_of_rows_from_before_a_change_of_the_labels_is_told(
    since: str, policy: Any, first: str, advised: bool
) -> None:
    """The monitor says that rows from before do not help; so says the attempt, with the setting for that."""
    chosen = RetrainWindow(first, "2024-06-18", "2024-06-19", "2024-07-02")
    settings = RetrainSettings(window=WindowSettings(policy=policy))
    for cause in (Cause.CONCEPT, Cause.PERFORMANCE):
        sentence = advice(chosen, (Evidence(cause, "auc", "2024-07-02", since, "x"),), settings)
        assert ("163 days, of which 16 are from after the change of 2024-06-03" in sentence) is (
            advised and cause is Cause.CONCEPT
        )
        assert bool(sentence) is (advised and cause is Cause.CONCEPT)
