"""When an attempt is due: evidence, broken data, cooldown with back-off, and whose attempts count."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.application.monitor_results import Results
from leverframe.application.retrain_records import ATTEMPTS, RetrainRecords
from leverframe.documents import plain
from leverframe.domain.monitoring.finding import DRIFT, QUALITY, Finding, Kind, Severity
from leverframe.domain.monitoring.history import HistoryLine
from leverframe.domain.monitoring.monitor_result import Monitored
from leverframe.domain.retraining.attempt import (
    PROPOSED,
    UNHELPFUL,
    Attempt,
    Cause,
    Evidence,
    Outcome,
    RetrainWindow,
    read_attempts,
    with_attempts,
)
from leverframe.domain.retraining.evidence import (
    evidence_digest,
    found_evidence,
    importance_of,
    onset,
    same_grounds,
)
from leverframe.domain.retraining.trigger import NotTriggered, Standstill, Trigger, Triggered
from leverframe.domain.retraining.trigger_rule import ModelFacts, cooldown, needs_human, trigger
from leverframe.settings.retrain import RetrainSettings
from tests.fakes.attempts import NOW, attempt
from tests.fakes.monitored import broken, dropped, quiet

FACTS = ModelFacts("flights-late30", "production", "old", 24.0, NOW - timedelta(days=100), 4000)
SETTINGS = RetrainSettings()


def finding(kind: Kind, subject: str = "", severity: Severity = Severity.WARNING, **others: str) -> Finding:
    return Finding(kind, subject, severity, "2013-12-30", "2013-12-28", f"{subject} is odd", "look", **others)


def with_findings(*findings: Finding) -> Monitored:
    columns = [replace(column, importance=None) for column in quiet().columns if column.role == "prediction"]
    shares = {"wind_speed": 0.5, "carrier": 0.3, "distance": 0.15, "seats": 0.05}
    of_name = {column.name: column for column in quiet().columns}
    columns += [replace(of_name[name], importance=share) for name, share in shares.items()]
    return replace(quiet(), columns=tuple(columns), findings=findings)


def judged(
    *findings: Finding, attempts: Sequence[Attempt] = (), forced: bool = False, settings: RetrainSettings = SETTINGS
) -> Trigger:
    return trigger(with_findings(*findings), attempts, settings, FACTS, NOW, forced=forced)


def standstill(decision: Trigger) -> Standstill:
    assert isinstance(decision, NotTriggered)
    assert decision.why
    return decision.standstill


def causes(decision: Trigger) -> list[tuple[Cause, str]]:
    assert isinstance(decision, Triggered), decision
    return [(one.cause, one.subject) for one in decision.evidence]


PERFORMANCE = finding(Kind.PERFORMANCE, "auc", Severity.CRITICAL)


def test_realised_findings_speak_for_an_attempt_strongest_first() -> None:
    decision = judged(
        finding(Kind.DRIFT, "wind_speed"), finding(Kind.CALIBRATION, "calibration_gap"),
        finding(Kind.PERFORMANCE, "estimated auc"), finding(Kind.CONCEPT, "auc"), PERFORMANCE,
    )  # fmt: skip
    assert causes(decision) == [
        (Cause.PERFORMANCE, "auc"), (Cause.CONCEPT, "auc"), (Cause.CALIBRATION, "calibration_gap"),
        (Cause.DRIFT, "estimated auc"), (Cause.DRIFT, "wind_speed"),
    ]  # fmt: skip


def test_a_result_of_the_monitor_gives_its_sentences_as_evidence() -> None:
    decision = trigger(dropped(), (), SETTINGS, FACTS, NOW)
    assert isinstance(decision, Triggered)
    assert decision.evidence[0].what == dropped().findings[0].what
    assert decision.evidence[0].since == "2013-12-24"


@pytest.mark.parametrize(
    ("columns", "due"),
    [(["wind_speed"], True), (["distance"], False), (["distance", "seats"], True), (["seats", "unheard of"], False)],
)
def test_drift_counts_by_the_importance_of_its_columns_together(columns: list[str], *, due: bool) -> None:
    decision = judged(*(finding(Kind.DRIFT, column) for column in columns))
    assert isinstance(decision, Triggered) is due
    if not due:
        assert standstill(decision) is Standstill.QUIET


def test_columns_without_known_importance_hold_equal_shares() -> None:
    known = with_findings()
    unknown = replace(known, columns=tuple(replace(column, importance=None) for column in known.columns))
    assert importance_of({"seats", "prediction"}, unknown) == 0.25
    assert importance_of({"seats", "prediction"}, known) == 0.05
    assert importance_of({"seats"}, replace(known, columns=())) == 0.0


@pytest.mark.parametrize("kind", [Kind.PREDICTION_DRIFT, Kind.MULTIVARIATE_DRIFT, Kind.SERVER])
def test_other_kinds_alone_say_nothing_of_the_model(kind: Kind) -> None:
    assert standstill(judged(finding(kind, "wind_speed", Severity.CRITICAL))) is Standstill.QUIET


@pytest.mark.parametrize("kind", [Kind.PERFORMANCE, Kind.CONCEPT, Kind.CALIBRATION, *sorted(DRIFT)])
def test_explained_and_shown_findings_never_count(kind: Kind) -> None:
    explained = finding(kind, "wind_speed", Severity.CRITICAL, explained_by="missing:wind_speed")
    shown = finding(kind, "wind_speed", Severity.INFO)
    assert standstill(judged(explained, shown)) is Standstill.QUIET


@pytest.mark.parametrize("kind", sorted(QUALITY))
def test_broken_data_forbid_an_attempt_and_a_person_may_force_it(kind: Kind) -> None:
    bad = finding(kind, "wind_speed", Severity.CRITICAL)
    decision = judged(PERFORMANCE, bad)
    assert standstill(decision) is Standstill.BROKEN_DATA
    assert isinstance(decision, NotTriggered)
    assert bad.what in decision.why
    assert causes(judged(PERFORMANCE, bad, forced=True)) == [
        (Cause.PERFORMANCE, "auc"), (Cause.REQUESTED, "flights-late30"),
    ]  # fmt: skip


def test_a_warning_or_an_explained_finding_of_data_forbids_nothing() -> None:
    warning = finding(Kind.MISSING, "seats")
    explained = finding(Kind.LOOKUP, "seats", Severity.CRITICAL, explained_by="table:planes")
    assert causes(judged(PERFORMANCE, warning, explained)) == [(Cause.PERFORMANCE, "auc")]


def test_a_unit_bug_forbids_an_attempt_however_old_the_model_is() -> None:
    settings = RetrainSettings(maximum_age_days=30)
    assert standstill(trigger(broken(), (), settings, FACTS, NOW)) is Standstill.BROKEN_DATA
    stale = replace(broken(), at="2013-11-30T06:00:00+00:00")
    assert standstill(trigger(stale, (), settings, FACTS, NOW)) is Standstill.BROKEN_DATA


@pytest.mark.parametrize(
    "monitored",
    [None, replace(dropped(), at="2013-12-29T06:00:00+00:00"), replace(dropped(), model="another"),
     replace(dropped(), environment="staging")],
    ids=["none", "old", "another model", "another environment"],
)  # fmt: skip
def test_without_a_fresh_result_only_age_and_rows_count(monitored: Monitored | None) -> None:
    assert standstill(trigger(monitored, (), SETTINGS, FACTS, NOW)) is Standstill.UNMONITORED
    settings = RetrainSettings(maximum_age_days=90, new_rows=4000)
    decision = trigger(monitored, (), settings, FACTS, NOW)
    assert causes(decision) == [(Cause.AGE, "flights-late30"), (Cause.NEW_ROWS, "flights-late30")]


@pytest.mark.parametrize(("days", "rows", "due"), [(101, 4001, False), (100, 4001, True), (101, 4000, True)])
def test_age_and_new_rows_have_limits(days: float, rows: int, *, due: bool) -> None:
    decision = judged(settings=RetrainSettings(maximum_age_days=days, new_rows=rows))
    assert isinstance(decision, Triggered) is due
    unknown = replace(FACTS, trained_until=None, new_rows=None)
    nothing = trigger(quiet(), (), RetrainSettings(maximum_age_days=1, new_rows=1), unknown, NOW)
    assert standstill(nothing) is Standstill.QUIET


def test_the_cooldown_doubles_after_each_in_a_row_that_did_not_help_up_to_four_times() -> None:
    row: list[Attempt] = []
    waits = []
    for number in range(4):
        row.append(attempt(Outcome.WORSE, 200 - number))
        waits.append(cooldown(row, SETTINGS).days)
    assert waits == [14, 28, 28, 28]
    assert cooldown([*row, attempt(Outcome.NOT_WORSE, 3)], SETTINGS).days == 7
    assert cooldown([row[0], attempt(Outcome.UNDECIDED, 3), row[1]], SETTINGS).days == 28


@pytest.mark.parametrize(("days_ago", "due"), [(6.9, False), (7.0, True)])
def test_an_attempt_waits_for_the_cooldown_and_a_person_need_not(days_ago: float, *, due: bool) -> None:
    attempts = [attempt(Outcome.UNDECIDED, days_ago)]
    decision = judged(PERFORMANCE, attempts=attempts)
    assert isinstance(decision, Triggered) is due
    if isinstance(decision, NotTriggered):
        assert decision.standstill is Standstill.COOLING_DOWN
        assert decision.until == (NOW + timedelta(days=0.1)).isoformat()
        assert "undecided" in decision.why
    assert isinstance(judged(PERFORMANCE, attempts=attempts, forced=True), Triggered)


def test_attempts_on_a_model_that_was_replaced_do_not_count() -> None:
    old = [attempt(Outcome.WORSE, days, champion="older") for days in (9, 6, 3)]
    assert isinstance(judged(PERFORMANCE, attempts=old), Triggered)
    assert not needs_human(old, FACTS, NOW)
    merged = attempt(Outcome.BETTER, 2, champion="older", candidate="old")
    assert standstill(judged(PERFORMANCE, attempts=[*old, merged])) is Standstill.COOLING_DOWN
    assert cooldown([merged], SETTINGS).days == 7
    nameless = [attempt(Outcome.WORSE, days, champion="") for days in (9, 6, 3)]
    assert needs_human(nameless, FACTS, NOW)


@pytest.mark.parametrize("change", [{"environment": "staging"}, {"model": "another"}, {"days_ago": -1}])
def test_attempts_of_elsewhere_or_later_do_not_count(change: dict[str, object]) -> None:
    others = {"days_ago": 1, **change}
    assert isinstance(judged(PERFORMANCE, attempts=[attempt(Outcome.WORSE, **others)]), Triggered)  # type: ignore[arg-type]


@given(st.lists(st.sampled_from(Outcome), max_size=8))
def test_a_person_is_asked_after_three_in_a_row_that_did_not_help(outcomes: list[Outcome]) -> None:
    attempts = [attempt(outcome, 100.0 - number) for number, outcome in enumerate(outcomes)]
    since = max((number + 1 for number, outcome in enumerate(outcomes) if outcome in PROPOSED), default=0)
    unhelpful = sum(outcome in UNHELPFUL for outcome in outcomes[since:])
    assert needs_human(attempts, FACTS, NOW) is (unhelpful >= 3)
    assert cooldown(attempts, SETTINGS) == timedelta(days=7 * [1, 2, 4][min(2, unhelpful)])


WINDOW = RetrainWindow("2013-01", "2013-10", "2013-11", "2013-12")
SPEAKING = [Evidence(cause, "auc", "2013-12", "2013-11", "a sentence") for cause in Cause]


@given(st.permutations(SPEAKING), st.text(max_size=9), st.text(max_size=9))
def test_the_digest_holds_under_order_and_figures(evidence: list[Evidence], what: str, since: str) -> None:
    moved = [replace(one, what=what, since=since, window=since) for one in evidence]
    files = {"dvc.lock": "1", "params.yaml": "2"}
    again = evidence_digest(WINDOW, [*moved, moved[0]], dict(reversed(files.items())))
    assert again == evidence_digest(WINDOW, SPEAKING, files)


def test_the_digest_changes_with_window_causes_and_files() -> None:
    files = {"dvc.lock": "1"}
    digests = {
        evidence_digest(WINDOW, SPEAKING, files),
        evidence_digest(replace(WINDOW, holdout_last="2014-01"), SPEAKING, files),
        evidence_digest(None, SPEAKING, files),
        evidence_digest(WINDOW, SPEAKING[:-1], files),
        evidence_digest(WINDOW, [*SPEAKING, replace(SPEAKING[0], subject="brier")], files),
        evidence_digest(WINDOW, SPEAKING, {"dvc.lock": "2"}),
        evidence_digest(WINDOW, SPEAKING, {}),
    }
    assert len(digests) == 7
    assert all(len(digest) == 64 for digest in digests)


def test_the_newest_attempt_on_the_same_grounds_is_known() -> None:
    attempts = [attempt(Outcome.WORSE, days, evidence=digest) for days, digest in ((9, "a"), (6, "b"), (3, "a"))]
    assert same_grounds("a", attempts) is attempts[2]
    assert same_grounds("c", attempts) is None


def test_evidence_names_every_column_that_matters_once() -> None:
    twice = [finding(Kind.DRIFT, name) for name in ("wind_speed", "carrier", "wind_speed")]
    assert [one.subject for one in found_evidence(with_findings(*twice), SETTINGS)] == ["carrier", "wind_speed"]


def line(window: str, *keys: str, part: str = "traffic", reference: str = "sha256:77ab02") -> HistoryLine:
    findings = dict.fromkeys(keys, "warning")
    return HistoryLine(
        "flights-late30", "production", window, window, part, reference, 100, 100, None, None, findings, {}, ()  # type: ignore[arg-type]
    )  # fmt: skip


def days(first: str, count: int) -> list[str]:
    return [str(date.fromisoformat(first) + timedelta(days=number)) for number in range(count)]


def test_the_history_says_since_when() -> None:
    drift = finding(Kind.DRIFT, "wind_speed")  # since 2013-12-28, as far as the run looks back
    lines = [line(day, drift.key) for day in days("2013-10-01", 30)]
    silent = [line(day) for day in days("2013-10-31", 20)]
    again = [line(day, drift.key) for day in days("2013-11-20", 10)]
    gap = [line(day) for day in days("2013-11-30", 7)]
    last = [line(day, drift.key) for day in days("2013-12-07", 21)]
    assert onset(drift, [*last, *gap, *again, *silent, *lines]) == "2013-11-20"
    assert onset(drift, [*last, *gap, line("2013-11-29"), *lines]) == "2013-12-07"
    assert onset(drift, []) == "2013-12-28"
    assert onset(drift, [line("2013-12-27", "drift:carrier")]) == "2013-12-28"
    decision = trigger(with_findings(drift), (), SETTINGS, replace(FACTS, history=tuple(last)), NOW)
    assert isinstance(decision, Triggered)
    assert decision.evidence[0].since == "2013-12-07"
    other = tuple(replace(one, reference="of another model") for one in last)
    decision = trigger(with_findings(drift), (), SETTINGS, replace(FACTS, history=other), NOW)
    assert isinstance(decision, Triggered)
    assert decision.evidence[0].since == "2013-12-28"


def test_a_window_counts_where_either_of_its_lines_has_the_finding() -> None:
    concept = finding(Kind.CONCEPT, "auc")
    lines = [line(day) for day in days("2013-12-01", 27)]
    lines += [line(day, concept.key, part="performance") for day in days("2013-12-10", 18)]
    assert onset(concept, lines) == "2013-12-10"
    assert onset(concept, lines[::-1]) == "2013-12-10"


@pytest.mark.parametrize(
    ("windows", "since"), [(["2013-09", "2013-11"], "2013-09"), (["2013-08", "2013-11"], "2013-11"),
                           (["2013-W40", "2013-W42"], "2013-W40"), (["2013-W39", "2013-W42"], "2013-W42")],
)  # fmt: skip
def test_of_longer_windows_one_may_lack_the_finding(windows: list[str], since: str) -> None:
    first = {"2013-11": "2013-12", "2013-W42": "2013-W43"}[windows[-1]]
    drift = replace(finding(Kind.DRIFT, "wind_speed"), since=first)
    form = "2013-{:02d}" if "W" not in first else "2013-W{:02d}"
    number = int(first[-2:])
    lines = [line(name, *([drift.key] if name in windows else [])) for name in map(form.format, range(1, number))]
    assert onset(drift, lines) == since


@pytest.mark.parametrize("ahead", [timedelta(hours=25), timedelta(days=400), timedelta(days=365 * 5000)])
def test_a_result_of_the_future_is_no_result(ahead: timedelta) -> None:
    """Of a clock that was wrong: it would never grow old. A clock that is a little ahead does no harm."""
    later = replace(with_findings(PERFORMANCE), at=(NOW + ahead).isoformat())
    decision = trigger(later, (), SETTINGS, FACTS, NOW)
    assert standstill(decision) is Standstill.UNMONITORED
    assert "a clock was wrong" in decision.why  # type: ignore[union-attr]
    soon = replace(later, at=(NOW + timedelta(hours=1)).isoformat())
    assert isinstance(trigger(soon, (), SETTINGS, FACTS, NOW), Triggered)


def test_without_labels_nobody_says_that_performance_is_fine() -> None:
    """It was not judged, and the sentence says so."""
    for monitored in (replace(quiet(), performance=()), quiet()):
        decision = trigger(monitored, (), SETTINGS, FACTS, NOW)
        assert standstill(decision) is Standstill.QUIET
        judged = any(point.judged for metric in monitored.performance for point in metric.points)
        assert ("performance was not judged" in decision.why) is not judged  # type: ignore[union-attr]
        assert ("no finding of performance" in decision.why) is judged  # type: ignore[union-attr]


BAD_TIMES = ["yesterday", "", "9999-12-31T00:00:00+00:00", "0001-01-01T00:00:00+14:00", "2026-13-01", "1e400"]


@pytest.mark.parametrize("time", BAD_TIMES)
def test_a_line_whose_time_is_none_does_not_count(tmp_path: Path, time: str) -> None:
    """It cannot be read, as garbage cannot; it is counted, and stays where it is."""
    good, bad = attempt(Outcome.WORSE, 3), attempt(Outcome.BETTER, 1, at=time)
    lines = [json.dumps(plain(one)) for one in (good, bad)]
    records = RetrainRecords(tmp_path)
    (tmp_path / ATTEMPTS).write_text("\n".join(lines) + "\n")
    assert (records.attempts(), records.unreadable()) == ([good], 1)
    facts = records.facts(SETTINGS, good.model, good.environment)
    assert [one.at for one in facts.tried] == [good.at]
    (tmp_path / "monitor.json").write_text(json.dumps(plain(replace(quiet(), at=time))))
    assert Results(tmp_path).previous() is None


def test_the_same_time_may_be_asked_for_again() -> None:
    """With another end, or on another base, it is another attempt; the same one has one line."""
    first = attempt(Outcome.BROKEN_DATA, 3)
    others = [replace(first, outcome=Outcome.FAILED), replace(first, base="other"), replace(first, candidate="other")]
    text = ""
    for one in (first, *others, first):
        text = with_attempts(text, [one])
    assert read_attempts(text) == [first, *others]


@pytest.mark.parametrize(("days", "due"), [(-30, True), (-2, True), (0, False), (9, False)])
@pytest.mark.parametrize("kind", [Kind.PERFORMANCE, Kind.CONCEPT, Kind.CALIBRATION, Kind.DRIFT])
def test_what_the_model_before_did_speaks_for_nothing(kind: Kind, days: int, *, due: bool) -> None:
    """After the merge of a retraining, windows that ended before it are about a model that is gone."""
    facts = replace(FACTS, serves_since=datetime(2013, 12, 31, tzinfo=UTC) + timedelta(days=days))
    for old_finding in (
        finding(kind, "wind_speed", Severity.CRITICAL),
        replace(finding(kind, "wind_speed"), window="2013-12"),
    ):
        judged_then = trigger(with_findings(old_finding), (), SETTINGS, facts, NOW + timedelta(hours=1))
        ended = old_finding.window == "2013-12-30" or days > 0
        assert isinstance(judged_then, Triggered) is (due or not ended)
