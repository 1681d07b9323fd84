"""Data quality of live traffic: what is broken is named with its figures, and ordinary days are left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.features.online import microseconds_of
from leverframe.domain.monitoring.batch import Batch, Levels, LogFacts, Values
from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from leverframe.domain.monitoring.inhibition import inhibited
from leverframe.domain.monitoring.label_join import LabelFacts
from leverframe.domain.monitoring.label_quality import label_findings
from leverframe.domain.monitoring.new_levels import new_by_window
from leverframe.domain.monitoring.quality_shares import Share, ShareRule, at_least
from leverframe.domain.monitoring.quality_traffic import release_findings
from leverframe.domain.monitoring.quality_volume import volume_findings
from leverframe.domain.monitoring.window_summary import WindowSpan
from leverframe.domain.partition import Partition
from leverframe.settings.monitor import MonitorSettings, PerformanceSettings, QualitySettings
from tests.fakes.traffic import LIVE, ROWS, batch, day, levels, looked_at, numbers, profile, summed, unreadable

KNOWN = profile()
LAST = 9


def changed(name: str, make: Any, rows: int = ROWS, number: int = LAST) -> Batch:
    """Return a live day in which one column is what ``make`` makes of it."""

    def change(columns: dict[str, Values], draw: np.random.Generator) -> None:
        columns[name] = make(columns[name], draw)

    return batch(day(LIVE, number), rows, 5000 + number, change)


def without(name: str, rows: int = ROWS, number: int = LAST) -> Batch:
    """Return a live day whose log lacks a column."""

    def change(columns: dict[str, Values], _: np.random.Generator) -> None:
        del columns[name]

    return batch(day(LIVE, number), rows, 6000 + number, change)


def only(findings: tuple[Finding, ...]) -> Finding:
    """Return the one finding."""
    assert len(findings) == 1, findings
    return findings[0]


def test_ordinary_days_have_no_finding() -> None:
    """Neither of this shape nor with fewer or more rows."""
    assert looked_at(KNOWN, {}, LAST) == ()
    assert looked_at(KNOWN, {number: batch(day(LIVE, number), 40 * ROWS, number) for number in range(10)}, LAST) == ()


def missing(share: float) -> Any:
    """Return what takes away a share of the values of a column."""
    return lambda values, draw: replace(values, values=np.where(draw.random(ROWS) < share, np.nan, values.values))


@pytest.mark.parametrize(
    ("live", "kind", "subject", "severity", "words"),
    [
        (without("amount"), Kind.SCHEMA, "amount", Severity.CRITICAL, "`amount` vanished: none of 500 rows"),
        (without("plan"), Kind.SCHEMA, "plan", Severity.CRITICAL, "vanished"),
        (changed("amount", lambda *_: unreadable(ROWS)), Kind.SCHEMA, "amount", Severity.CRITICAL,
         "type of `amount` changed: all 500 rows are something else where the reference has numbers"),
        (changed("plan", lambda _, draw: levels(draw.integers(0, 9, ROWS))), Kind.SCHEMA, "plan", Severity.CRITICAL,
         "are numbers where the reference has texts"),
        (changed("amount", missing(1)), Kind.MISSING, "amount", Severity.CRITICAL, "missing in all 500"),
        (changed("constant", missing(0.1)), Kind.MISSING, "constant", Severity.WARNING, "0.0% in the reference"),
        (changed("amount", missing(0.2)), Kind.MISSING, "amount", Severity.WARNING, "2.0% in the reference"),
        (changed("plan", lambda values, _: replace(values, codes=np.full(ROWS, -1, np.int32))), Kind.MISSING, "plan",
         Severity.CRITICAL, "in all"),
        (changed("plan", lambda _, draw: levels(draw.choice(["basic", "gold"], ROWS, p=[0.9, 0.1]))),
         Kind.NEW_CATEGORY, "plan", Severity.WARNING, "`gold` ("),
        (changed("few", lambda _, draw: numbers(draw.integers(0, 8, ROWS))), Kind.NEW_CATEGORY, "few",
         Severity.WARNING, "the reference does not have"),
        (changed("amount", lambda values, _: replace(values, values=values.values * 60)), Kind.OUT_OF_RANGE, "amount",
         Severity.WARNING, "allowed is 0 to 1000"),
        (changed("amount", lambda values, _: replace(values, values=-values.values)), Kind.OUT_OF_RANGE, "amount",
         Severity.WARNING, "impossible"),
    ],
)  # fmt: skip
def test_what_is_broken_in_a_column_is_named(
    live: Batch, kind: Kind, subject: str, severity: Severity, words: str
) -> None:
    """With its figures, in the window in which it is; what is behind it is explained by it."""
    findings = inhibited(looked_at(KNOWN, {LAST: live}, LAST))
    cause = only(tuple(finding for finding in findings if not finding.explained_by))
    assert (cause.kind, cause.subject, cause.severity) == (kind, subject, severity)
    assert words in cause.what
    assert (cause.window, cause.since) == ("2026-03-11", "2026-03-11")
    assert cause.next


def test_a_value_that_is_not_allowed_is_impossible() -> None:
    """A truth that is neither true nor false is also new."""
    live = changed("early", lambda _, draw: levels(draw.choice(["true", "false", "maybe"], ROWS)))
    findings = looked_at(KNOWN, {LAST: live}, LAST)
    assert [(finding.kind, finding.subject) for finding in findings] == [
        (Kind.NEW_CATEGORY, "early"), (Kind.OUT_OF_RANGE, "early"),
    ]  # fmt: skip


def test_a_prediction_that_is_missing_is_named() -> None:
    """As a column of its own."""
    live = batch(day(LIVE, LAST), ROWS, 1, predictions=np.full(ROWS, np.nan))
    finding = only(looked_at(KNOWN, {LAST: live}, LAST))
    assert (finding.kind, finding.subject, finding.severity) == (Kind.MISSING, "prediction", Severity.CRITICAL)


@pytest.mark.parametrize("rows", [1, 5, 20])
def test_few_rows_are_judged_by_what_chance_gives(rows: int) -> None:
    """Five rows are reported as few; only what cannot be chance is a finding of a column."""
    findings = looked_at(KNOWN, {LAST: batch(day(LIVE, LAST), rows, 3)}, LAST)
    volume = only(findings)
    assert (volume.kind, volume.subject) == (Kind.VOLUME, "")
    assert f"{rows:,} rows" in volume.what
    gone = looked_at(KNOWN, {LAST: without("amount", rows)}, LAST)
    assert [(finding.kind, finding.subject) for finding in gone] == [(Kind.SCHEMA, "amount"), (Kind.VOLUME, "")]


def test_constant_columns_and_texts_are_no_finding() -> None:
    """Another constant is drift, not bad data; of texts that hardly repeat nearly all are new, as in the reference."""
    live = changed("constant", lambda *_: numbers(np.full(ROWS, 8.0)))
    assert [finding for finding in looked_at(KNOWN, {LAST: live}, LAST) if finding.subject != "constant"] == []


def test_levels_that_every_window_brings_anew_are_usual() -> None:
    """Such as campaigns: the reference knows all of its own, but each of its windows had one that the others lack."""

    def campaign(columns: dict[str, Values], draw: np.random.Generator) -> None:
        share = max(0.0, 0.05 + 0.03 * draw.standard_normal())
        name = f"campaign {draw.integers(0, 10**9)}"
        columns["plan"] = levels(np.where(draw.random(ROWS) < share, name, draw.choice(["basic", "plus"], ROWS)))

    known = profile(change=campaign)
    days = {number: batch(day(LIVE, number), ROWS, 300 + number, campaign) for number in range(10)}
    assert looked_at(known, days, LAST) == ()

    def more(columns: dict[str, Values], draw: np.random.Generator) -> None:
        columns["plan"] = levels(np.where(draw.random(ROWS) < 0.5, "campaign", draw.choice(["basic", "plus"], ROWS)))

    finding = only(looked_at(known, days | {LAST: batch(day(LIVE, LAST), ROWS, 400, more)}, LAST))
    assert (finding.kind, finding.subject) == (Kind.NEW_CATEGORY, "plan")


def test_new_levels_of_a_window_are_those_that_the_others_do_not_name() -> None:
    """A level needs ten rows in the others; one that is missing is none."""
    texts = ["a"] * 12 + ["b"] * 12 + ["c"] * 5 + [""] * 3
    window = np.array([0] * 6 + [1] * 6 + [0] * 12 + [1] * 5 + [0] * 3)
    counts = new_by_window(levels(np.array(texts), np.array(texts) == ""), window, 2, ("a", "b"))
    assert counts.tolist() == [6 + 12, 6 + 5]  # of `a` six rows stand in either, of `b` none in the other


def test_an_unbroken_run_has_one_finding_since_its_first_window() -> None:
    """An empty window in between does not break it, a good one does."""
    broken = {number: without("plan", number=number) for number in (1, 4, 6, 7, 9)}
    findings = looked_at(KNOWN, {**broken, 8: None}, LAST)
    assert [(finding.since, finding.window) for finding in findings if finding.kind is Kind.SCHEMA] == [
        ("2026-03-08", "2026-03-11")
    ]
    assert looked_at(KNOWN, {1: without("plan", number=1)}, LAST) == ()


def test_volume_is_compared_with_earlier_windows() -> None:
    """Ten times and a tenth are named, an empty window and no traffic at all are critical."""
    for factor, words in ((10, "10.0 times"), (0.1, "0.10 times"), (2, "2.0 times")):
        volume = only(looked_at(KNOWN, {LAST: batch(day(LIVE, LAST), int(factor * ROWS), 7)}, LAST, QUIET))
        assert (volume.kind, volume.severity) == (Kind.VOLUME, Severity.WARNING)
        assert words in volume.what
    volume = only(looked_at(KNOWN, {LAST: None}, LAST))
    assert (volume.kind, volume.severity) == (Kind.VOLUME, Severity.CRITICAL)
    assert "2026-03-11 is empty" in volume.what
    nothing = looked_at(KNOWN, dict.fromkeys(range(10)), LAST)
    assert [(finding.kind, finding.severity) for finding in nothing] == [(Kind.VOLUME, Severity.CRITICAL)]
    assert "no traffic at all" in nothing[0].what


QUIET = MonitorSettings(minimum_rows=1)


def test_young_traffic_is_compared_with_the_reference() -> None:
    """Which may be a sample: only what is far off is more than shown."""
    tenfold = {number: batch(day(LIVE, number), 10 * ROWS, number) for number in range(2)}
    finding = only(looked_at(KNOWN, tenfold, 1))
    assert (finding.kind, finding.severity) == (Kind.VOLUME, Severity.WARNING)
    assert "may be a sample" in finding.what
    double = {number: batch(day(LIVE, number), 2 * ROWS, number) for number in range(2)}
    assert only(looked_at(KNOWN, double, 1)).severity is Severity.INFO
    grown = {number: batch(day(LIVE, number), 10 * ROWS, number) for number in range(7)}
    assert "may be a sample" in only(looked_at(KNOWN, grown, 5)).what
    assert looked_at(KNOWN, grown, 6) == ()  # six windows before it say what is usual


def test_a_day_that_never_has_traffic_is_only_shown() -> None:
    """Sundays of an office."""
    sundays = dict.fromkeys((6, 13, 20))
    finding = only(looked_at(KNOWN, sundays, 20))
    assert finding.severity is Severity.INFO
    assert "No window of that weekday or hour had any" in finding.what
    young = only(looked_at(KNOWN, dict.fromkeys((0, 1, 2, 3, 4, 5, 6, 13)), 13, QUIET))  # it began after last Sunday
    assert young.severity is Severity.CRITICAL


def test_an_hour_that_never_has_traffic_is_only_shown() -> None:
    """The nights of an office, of which a day has many; an hour in which there was some yesterday is critical."""
    hours = [WindowSpan.of(Partition.of("2026-03-02T00").plus(number), "UTC") for number in range(30)]
    hourly = MonitorSettings(window="hour", minimum_rows=1)

    def found(empty: set[int]) -> Finding:
        given = [batch(span, 100, number) for number, span in enumerate(hours) if number not in empty]
        return only(volume_findings(KNOWN[0], summed(hours, given, KNOWN[1]), hourly, 1e-6))

    assert found({3, 4, 5, 27, 28, 29}).severity is Severity.INFO
    assert found({29}).severity is Severity.CRITICAL


def test_repeated_rows_lookups_and_old_features_are_named() -> None:
    """Each with its own setting."""
    span = day(LIVE, LAST)
    rows = np.arange(1, ROWS + 1).astype(np.uint64)
    rows[:50] = 7
    ago = np.full(ROWS, microseconds_of(span.start - timedelta(hours=50)))
    flags = np.arange(ROWS) % 2 == 0
    live = batch(span, ROWS, 1, row=rows, snapshot=ago, missed={"dimension plane": flags})
    settings = MonitorSettings(quality=QualitySettings(maximum_feature_age_hours=48))
    findings = looked_at(KNOWN, {LAST: live}, LAST, settings)
    assert [(finding.kind, finding.subject) for finding in findings] == [
        (Kind.FRESHNESS, "features"), (Kind.DUPLICATES, ""), (Kind.LOOKUP, "dimension plane"),
    ]  # fmt: skip
    assert "250 of 500 rows (50.0%)" in findings[2].what
    assert looked_at(KNOWN, {LAST: batch(span, ROWS, 1, snapshot=ago)}, LAST) == ()


def test_a_server_that_is_slow_or_fails_is_named() -> None:
    """Requests of the hours of a window that failed or were refused, as shares of all; response times by a setting."""
    hour = microseconds_of(day(LIVE, LAST).start) + 5 * 3_600_000_000
    facts = LogFacts(files=1, refused={hour: 300}, failed={hour: 50})
    settings = MonitorSettings(quality=QualitySettings(maximum_latency_ms=5))
    findings = looked_at(KNOWN, {}, LAST, settings, facts)
    assert [(finding.kind, finding.subject) for finding in findings] == [
        (Kind.SERVER, "failed"), (Kind.SERVER, "latency"), (Kind.SERVER, "refused"),
    ]  # fmt: skip
    assert "50 of 850 requests failed (5.9%)" in findings[0].what
    assert looked_at(KNOWN, {}, LAST, None, LogFacts(files=1, failed={hour: 5, hour - 10**12: 10**6})) == ()


def test_what_is_wrong_with_the_log_is_named() -> None:
    """Files, lines, clocks, rows of others: each by its name, and a whole log that is broken is critical."""
    facts = LogFacts(
        files=9, malformed={"a.jsonl": 400, "b.jsonl": 2}, unreadable={"c.jsonl": "permission denied"},
        other_models={"other": 5}, untimed=3, later=2, earlier=1, unexpected={"Amount": 1},
    )  # fmt: skip
    findings = {finding.subject: finding for finding in looked_at(KNOWN, {}, LAST, None, facts)}
    assert set(findings) == {
        "malformed-lines",
        "unreadable-files",
        "other-models",
        "untimed",
        "clock",
        "unexpected-columns",
    }
    assert "`Amount`" in findings["unexpected-columns"].what
    assert "402 lines" in findings["malformed-lines"].what
    assert "`a.jsonl` (400)" in findings["malformed-lines"].what
    assert findings["malformed-lines"].severity is Severity.WARNING
    assert "`c.jsonl` (permission denied)" in findings["unreadable-files"].what
    assert findings["clock"].severity is Severity.INFO
    assert f"of {10 * ROWS + 2 + 1:,} rows 2 are of the future and 1 are older" in findings["clock"].what
    every = LogFacts(files=1, unreadable={"c.jsonl": "it is no file"})
    broken = inhibited(looked_at(KNOWN, dict.fromkeys(range(10)), LAST, None, every))
    assert [(finding.kind, finding.explained_by) for finding in broken] == [
        (Kind.LOG, ""), (Kind.VOLUME, "log:unreadable-files"),
    ]  # fmt: skip


def test_rows_of_the_future_are_clock_skew() -> None:
    """Of after the clock of the monitor, within a window that is not over."""
    span = day(LIVE, LAST)
    late = batch(span, ROWS, 1, at=np.full(ROWS, microseconds_of(datetime(2027, 6, 1, tzinfo=UTC))))
    assert looked_at(KNOWN, {LAST: late}, LAST)[0].kind is Kind.VOLUME  # they are in no window, so it is empty


def test_an_old_release_that_still_serves_is_named() -> None:
    """More than an hour after a newer one began; a clean switch is none."""
    half = np.arange(ROWS) >= ROWS // 2

    def two(codes: Any, number: int) -> Batch:
        return batch(day(LIVE, number), ROWS, number, release=Levels(codes.astype(np.int32), ("old", "new")))

    clean = {number: two(np.zeros(ROWS), number) for number in range(9)} | {9: two(half, 9)}
    assert looked_at(KNOWN, clean, LAST) == ()
    mixed = clean | {9: two(np.arange(ROWS) % 2, 9)}
    finding = only(looked_at(KNOWN, mixed, LAST))
    assert (finding.kind, finding.subject) == (Kind.LOG, "old-release")
    assert "`old` (" in finding.what
    assert "`new` has served since" in finding.what


def test_another_release_than_that_of_the_reference_is_shown() -> None:
    """Where it is known which one that is; as long as the deployment is under way it is no alarm."""
    spans = [day(LIVE, number) for number in range(LAST + 1)]
    windows = summed(spans, [batch(span, ROWS, number) for number, span in enumerate(spans)], KNOWN[1])
    (shown,) = release_findings(windows, "r2")
    assert (shown.kind, shown.subject, shown.severity) == (Kind.LOG, "other-release", Severity.INFO)
    assert "`r2`: `r1` (until 2026-03-11" in shown.what
    assert list(release_findings(windows, "r1")) == []
    assert list(release_findings(windows, "")) == []
    assert list(release_findings(summed(spans, [], KNOWN[1]), "r1")) == []


SPANS = [day(LIVE, number) for number in range(5)]
NOW = SPANS[-1].end + timedelta(hours=1)


def test_overdue_labels_are_named_since_they_are() -> None:
    """Since the first window whose labels should have come; they are missing in the newest one, too."""
    coverage = {"2026-03-02": 1.0, "2026-03-03": 0.9, "2026-03-04": 0.1, "2026-03-05": 0.0, "2026-03-06": None}
    finding = only(label_findings(coverage, SPANS, LabelFacts(files=1, labels=9), MonitorSettings(), NOW))
    assert (finding.kind, finding.subject, finding.since, finding.window) == (
        Kind.FRESHNESS, "labels", "2026-03-04", "2026-03-06",
    )  # fmt: skip
    later = MonitorSettings(performance=PerformanceSettings(label_delay_days=3))
    assert label_findings(coverage, SPANS, LabelFacts(files=1, labels=9), later, NOW) == ()


def test_labels_that_are_odd_are_named() -> None:
    """Those that nobody knows, that fit nothing, contradict, or came before the prediction."""
    facts = LabelFacts(
        files=2, unreadable={"a.csv": "it has no column `id`"}, malformed={"b.csv": 3}, labels=100, strange=50,
        keyless=1, contradicting=9, repeated=2, early=4,
    )  # fmt: skip
    findings = label_findings({}, SPANS, facts, MonitorSettings(), NOW)
    assert [(finding.kind, finding.subject) for finding in findings] == [
        (Kind.LOG, "unreadable-labels"), (Kind.LOG, "labels"), (Kind.DUPLICATES, "labels"), (Kind.LOG, "label-clock"),
    ]  # fmt: skip
    nothing = label_findings({}, SPANS, LabelFacts(files=1, labels=10, unmatched=10), MonitorSettings(), NOW)
    assert "none of 10 labels belongs to a logged request" in only(nothing).what


def finding(kind: Kind, subject: str = "", severity: Severity = Severity.WARNING) -> Finding:
    """Return a finding."""
    return Finding(kind, subject, severity, "w", "w", "what", "next")


def test_a_broken_source_explains_the_drift_behind_it() -> None:
    """A table that of its features, a column that of its own, either that of predictions; others open alerts."""
    findings = (
        finding(Kind.TABLE, "weather", Severity.CRITICAL),
        finding(Kind.MISSING, "temp"),
        finding(Kind.OUT_OF_RANGE, "amount"),
        finding(Kind.DRIFT, "temp"),
        finding(Kind.DRIFT, "amount"),
        finding(Kind.DRIFT, "plan"),
        finding(Kind.PREDICTION_DRIFT, "prediction"),
        finding(Kind.PERFORMANCE, "roc_auc"),
    )
    explained = {result.key: result.explained_by for result in inhibited(findings, {"weather": ("temp",)})}
    assert explained == {
        "table:weather": "", "missing:temp": "table:weather", "out-of-range:amount": "", "drift:temp": "table:weather",
        "drift:amount": "out-of-range:amount", "drift:plan": "", "prediction-drift:prediction": "table:weather",
        "performance:roc_auc": "table:weather",
    }  # fmt: skip


def test_what_is_only_shown_explains_nothing() -> None:
    """And a lookup that finds nothing is explained by its table only."""
    shown = (finding(Kind.MISSING, "temp", Severity.INFO), finding(Kind.DRIFT, "temp"))
    assert [result.explained_by for result in inhibited(shown)] == ["", ""]
    lookup = (finding(Kind.LOOKUP, "dimension plane"), finding(Kind.TABLE, "planes"), finding(Kind.MISSING, "seats"))
    built = {"dimension plane": ("seats",), "planes": ("seats", "year")}
    assert [result.explained_by for result in inhibited(lookup, built)] == ["table:planes", "", "table:planes"]


KINDS = st.sampled_from(list(Kind))
SUBJECTS = st.sampled_from(["", "a", "b", "t", "dimension t"])


@given(st.lists(st.tuples(KINDS, SUBJECTS, st.sampled_from(list(Severity))), max_size=12, unique_by=lambda e: e[:2]))
def test_every_explanation_is_itself_unexplained(given_findings: list[tuple[Kind, str, Severity]]) -> None:
    """So that no two findings silence one another, and every silenced one has an alert that tells of its cause."""
    findings = tuple(finding(*fields) for fields in given_findings)
    explained = inhibited(findings, {"t": ("a",), "dimension t": ("a",)})
    roots = {result.key for result in explained if not result.explained_by}
    assert all(result.explained_by in roots for result in explained if result.explained_by)
    assert len(explained) == len(findings)


@given(st.integers(0, 200), st.integers(1, 200), st.floats(0.001, 0.999))
def test_the_tail_of_few_rows_is_exact(count: int, rows: int, expected: float) -> None:
    """As summed up term by term."""
    count = min(count, rows)
    terms = [np.exp(_log_choose(rows, k) + k * np.log(expected) + (rows - k) * np.log1p(-expected))
             for k in range(count, rows + 1)]  # fmt: skip
    assert at_least(Share(count, rows), expected) == pytest.approx(min(1.0, sum(terms)), rel=1e-6, abs=1e-12)


def _log_choose(n: int, k: int) -> float:
    steps = np.arange(1, k + 1)
    return float(np.log((n - k + steps) / steps).sum())


@pytest.mark.parametrize("base", [0.0, 0.02, 0.3])
@pytest.mark.parametrize("noise", [0.0, 0.005, 0.05])
def test_shares_that_vary_as_those_of_the_reference_are_hardly_ever_too_large(base: float, noise: float) -> None:
    """At a level of 0.01 no more than twice as many of 20 x 500 windows, though half of them may have none at all."""
    draw = np.random.default_rng(3)

    def windows(number: int) -> list[Share]:
        chance = np.clip(base + noise * draw.standard_normal(number), 0, 1)
        return [Share(int(count), 1000) for count in draw.binomial(1000, chance)]

    rates = []
    for _ in range(20):
        rule = ShareRule.of(windows(60), 0.01, 0.0)
        rates.append(np.mean([rule.exceeded(share) for share in windows(500)]))
    assert np.mean(rates) <= 0.02


def test_a_share_that_everyone_sees_is_too_large() -> None:
    """Far beyond what the windows vary by, whatever their number; the floor and the reference's own share are not."""
    rule = ShareRule.of([Share(count, 1000) for count in (18, 22, 20, 25, 15) * 6], 0.001, 0.01)
    assert rule.exceeded(Share(200, 1000))
    assert not rule.exceeded(Share(26, 1000))
    assert not rule.exceeded(Share(0, 1000))
    never = ShareRule.of([Share(0, 1000)] * 30, 0.001, 0.01)
    assert never.exceeded(Share(20, 1000))
    assert not never.exceeded(Share(10, 1000))
    assert not never.exceeded(Share(0, 0))
