"""What is monitored and against what: columns, the reference without rows, weeks, tables, history."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from leverframe.application.weekly import is_due
from leverframe.documents import parsed, plain
from leverframe.domain.features.training_set import Feature, Label, LabelKind
from leverframe.domain.model.bundle.schema import Field
from leverframe.domain.monitoring.engine import BuiltinEngine
from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from leverframe.domain.monitoring.history import added_to, lines_of, read_history
from leverframe.domain.monitoring.importance import importances
from leverframe.domain.monitoring.monitor_result import Performance, PerformancePoint, Range
from leverframe.domain.monitoring.performance import performance_reference, window_performance
from leverframe.domain.monitoring.performance_findings import MEAN_OF, performance_facts
from leverframe.domain.monitoring.reference import Reference, made, spans_between
from leverframe.domain.monitoring.reference_rows import ReferenceTable, labelled, reference_batch
from leverframe.domain.monitoring.subject import Subject, as_text_where_all_differ, features_of, monitored_columns
from leverframe.domain.monitoring.upstream_tables import upstream_tables
from leverframe.domain.monitoring.weekly import Weeks
from leverframe.errors import SettingsError, SourceError
from leverframe.settings.monitor import ColumnSettings, MonitorSettings, ReferenceSettings
from leverframe.settings.pipeline import PredictionsRole
from tests.fakes.monitored import quiet
from tests.unit.test_monitor_performance import rows_of

FIRST = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
FEATURES = (Feature("amount", "numeric"), Feature("plan", "categorical"), Feature("early", "boolean"))


def table(days: int = 30, rows: int = 50, seed: int = 0) -> pl.DataFrame:
    """Return rows of a reference, some without a plan."""
    draw = np.random.default_rng(seed)
    count = days * rows
    score = expit(draw.normal(size=count))
    plans = draw.choice(["a", "b", "c"], count).tolist()
    return pl.DataFrame({
        "at": [FIRST + timedelta(days=row // rows, minutes=row % rows) for row in range(count)],
        "amount": draw.normal(50, 10, count),
        "plan": [None if row % 97 == 0 else plan for row, plan in enumerate(plans)],
        "early": draw.random(count) < 0.5,
        "score": score,
        "label": (draw.random(count) < score).astype(int),
    })  # fmt: skip


def reference(frame: pl.DataFrame, settings: MonitorSettings | None = None) -> Reference:
    """Return the reference of some rows."""
    label = Label("label", "binary")
    subject = Subject("m", label, ("0", "1"), monitored_columns(FEATURES, {}, {}), "UTC")
    rows = ReferenceTable(frame, "at", "score", "label", ("0", "1"), "rows")
    batch = reference_batch(rows, subject.columns, label)
    return made(subject, batch, labelled(rows, batch.at, label), settings or MonitorSettings(), BuiltinEngine(), "x")


def test_a_reference_has_every_window_and_survives_json() -> None:
    """Thirty days are thirty windows, with their rows, metrics and a value of each column; no row is stored."""
    baseline = reference(table())
    assert (len(baseline.profile.windows), baseline.profile.rows) == (30, 1500)
    assert len(baseline.performance.windows) == 30
    assert {column.column.name for column in baseline.profile.columns} == {"amount", "plan", "early", "prediction"}
    text = json.dumps(plain(baseline))
    assert parsed(Reference, text) == baseline
    assert len(text) < 60_000


@pytest.mark.parametrize("edge", [1.7976931348623157e308, -1.7976931348623157e308, 5e-324, 1e160])
@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_a_reference_holds_numbers_at_the_edge(edge: float, kind: LabelKind) -> None:
    """Of a feature, a label and a prediction: what is written down is finite, or said to be unknown."""
    third = pl.int_range(pl.len()) % 3 == 0
    names = ["amount", "label", "score"] if kind == "regression" else ["amount"]
    frame = table(8).with_columns(pl.col(names).cast(float))
    frame = frame.with_columns(pl.when(third).then(edge).otherwise(pl.col(name)).alias(name) for name in names)
    label, classes = Label("label", kind), ("0", "1") if kind == "binary" else ()
    subject = Subject("m", label, classes, monitored_columns(FEATURES, {}, {}), "UTC")
    rows = ReferenceTable(frame, "at", "score", "label", classes, "rows")
    batch = reference_batch(rows, subject.columns, label)
    baseline = made(subject, batch, labelled(rows, batch.at, label), MonitorSettings(), BuiltinEngine(), "x")
    assert parsed(Reference, json.dumps(plain(baseline), allow_nan=False)).consistent
    known = [statistic for statistic in baseline.profile.columns[0].statistics if statistic is not None]
    assert all(statistic >= 0 for statistic in known)


def test_the_reference_can_be_cut_to_days_and_must_have_rows() -> None:
    """`first` and `last` are days, both included; nothing between them is an error that names the settings."""
    cut = MonitorSettings(reference=ReferenceSettings(first="2026-03-05", last="2026-03-08"))
    assert [window.name for window in reference(table(), cut).profile.windows] == [
        f"2026-03-0{day}" for day in range(5, 9)
    ]
    with pytest.raises(SourceError, match="no rows"):
        reference(table(), MonitorSettings(reference=ReferenceSettings(first="2027-01-01")))


def test_a_column_of_another_type_as_time_is_refused() -> None:
    """Texts are no timestamps; the error names the column and the file."""
    frame = table(3).with_columns(pl.col("at").cast(pl.String))
    with pytest.raises(SourceError, match="`at` in rows holds no timestamps"):
        reference(frame)


def test_rows_without_a_prediction_are_no_reference() -> None:
    """Their place among the scores would be made up; the monitor says how many there are."""
    for none in (None, float("nan"), 1.5):
        score = pl.when(pl.int_range(pl.len()) < 7).then(pl.lit(none)).otherwise(pl.col("score"))
        with pytest.raises(SourceError, match=r"7 of 150 rows in rows have no .* in `score`"):
            reference(table(3).with_columns(score=score))


def test_rows_without_a_label_are_no_part_of_performance() -> None:
    """They count for drift, and for no metric."""
    frame = table(10).with_columns(pl.when(pl.col("amount") > 50).then(None).otherwise(pl.col("label")).alias("label"))
    baseline = reference(frame)
    assert baseline.profile.rows == 500
    assert len(baseline.performance.windows) == 10


def test_settings_and_contracts_say_what_columns_are() -> None:
    """A kind is overridden, limits come from the contract, `ignore` leaves out, an unknown name is refused."""
    constraints = {"amount": Field("amount", "number", nullable=False, minimum=0, below=99)}
    columns = monitored_columns(
        FEATURES, constraints, {"plan": ColumnSettings(kind="text"), "early": ColumnSettings(kind="ignore")}
    )
    assert [(column.name, column.kind) for column in columns] == [("amount", "numeric"), ("plan", "text")]
    assert (columns[0].minimum, columns[0].maximum, columns[0].nullable) == (0, 99, False)
    assert monitored_columns(FEATURES, constraints, {"amount": ColumnSettings(maximum=10)})[0].maximum == 10
    with pytest.raises(SettingsError, match=r"`monitor\.features\.amuont`"):
        monitored_columns(FEATURES, {}, {"amuont": ColumnSettings()})


def test_a_column_of_ids_is_text_unless_settings_say_otherwise() -> None:
    """Values that hardly ever come again cannot be compared."""
    frame = pl.DataFrame({"plan": [f"id-{row}" for row in range(2000)]})
    columns = monitored_columns((FEATURES[1],), {}, {})
    assert as_text_where_all_differ(columns, frame, {})[0].kind == "text"
    assert (
        as_text_where_all_differ(columns, frame, {"plan": ColumnSettings(kind="categorical")})[0].kind == "categorical"
    )


def test_features_of_a_file_are_its_columns_without_roles() -> None:
    """Patterns choose, roles are no features, and a pattern that fits nothing is refused."""
    role = PredictionsRole(path="x.parquet", kind="binary", label="label", features=["am*", "early"])
    assert [(f.name, f.kind) for f in features_of(table(1), role, "x")] == [("amount", "numeric"), ("early", "boolean")]
    everything = features_of(table(1), PredictionsRole(path="x", kind="binary", label="label"), "x")
    assert [feature.name for feature in everything] == ["amount", "plan", "early"]
    with pytest.raises(SettingsError, match="names `amuont`"):
        features_of(table(1), PredictionsRole(path="x", kind="binary", features=["amuont"]), "x")


def test_what_the_model_uses_is_important_and_the_rest_is_not() -> None:
    """Shuffling the only column that predicts takes all of the AUC; shares are 1 together."""
    frame = table(20)
    labels = (frame["amount"] > 50).to_numpy().astype(float)
    shares = importances("binary", frame, labels, lambda rows: rows.get_column("amount").to_numpy(), ["amount", "plan"])
    assert shares == {"amount": 1.0, "plan": 0.0}
    assert importances("binary", frame, labels, lambda rows: np.zeros(rows.height), ["amount"]) == {"amount": 0.0}


def test_weeks_are_those_of_the_time_zone_and_only_those_that_are_over() -> None:
    """Rows of a Monday morning in Tokyo belong to its new week, which in UTC has not begun."""
    known = reference(table(28))
    settings = MonitorSettings()
    rows = ReferenceTable(table(10), "at", "score", "label", ("0", "1"), "rows")
    weeks = Weeks.of(known, settings)
    weeks.add(reference_batch(rows, known.columns, known.label))
    assert list(weeks.over(FIRST + timedelta(days=8))) == ["2026-W10"]
    late = Weeks.of(replace(known, timezone="Asia/Tokyo"), settings)
    late.add(reference_batch(rows, known.columns, known.label))
    assert "2026-W10" in late.over(FIRST + timedelta(days=6, hours=16))


@pytest.mark.parametrize(
    ("before", "after", "due"),
    [
        ("2026-03-08T05:00+00:00", "2026-03-09T05:00+00:00", True),
        ("2026-03-09T05:00+00:00", "2026-03-15T05:00+00:00", False),
    ],
)
def test_the_classifier_runs_once_a_week(before: str, after: str, due: bool) -> None:
    """The first run of a week does; without a run before, every one does."""
    assert is_due(MonitorSettings(), "UTC", before, datetime.fromisoformat(after)) is due
    assert is_due(MonitorSettings(), "UTC", "", datetime.fromisoformat(after))


def report(verdict: str, checks: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a contract report of one table."""
    return {"partition": "2026-03", "tables": {"orders": {"verdict": verdict, "rows": 10, "checks": checks}}}


def test_a_broken_table_names_check_column_and_features() -> None:
    """Only the newest partition counts; a warning is shown and no finding; a damaged report is said."""
    broken = {
        "check": "in_range(0, 9)",
        "column": "amount",
        "severity": "error",
        "verdict": "failed",
        "count": 3,
        "share": 0.3,
    }
    mild = {"check": "usual", "severity": "warn", "verdict": "failed"}
    reports = {"2026-02": report("failed", [broken]), "2026-03": report("passed", [mild])}
    tables, findings = upstream_tables(reports, {"orders": ("mean",)})
    assert (tables[0].verdict, tables[0].warned, findings) == ("passed", ("usual",), ())
    tables, findings = upstream_tables({"2026-03": report("failed", [broken, mild])}, {"orders": ("mean", "last")})
    assert findings[0].severity is Severity.CRITICAL
    assert all(word in findings[0].what for word in ("`orders`", "`amount`", "3 rows (30.0%)", "2 features"))
    with pytest.raises(ValueError, match="has no tables"):
        upstream_tables({"2026-03": []}, {})


def test_a_history_line_comes_once_and_a_second_one_when_labels_are_known() -> None:
    """Lines of traffic and of labels each come once; what cannot be read stays where it is."""
    monitored = quiet()
    text = added_to("", lines_of(monitored))
    assert added_to(text, lines_of(monitored)) == text
    window = next(window for window in monitored.windows if window.whole)
    point = PerformancePoint(window.name, Range(0.8), 0.79, 1.0, judged=True, beyond=False)
    known = replace(monitored, performance=(Performance("auc", "AUC", "higher", Range(0.8), (point,)),))
    more = added_to("garbage\n" + text, lines_of(known))
    assert more.startswith("garbage\n" + text)
    assert {line.part for line in read_history(more) if line.window == window.name} == {"traffic", "performance"}


@given(cut=st.integers(0, 4000))
def test_a_history_that_was_cut_anywhere_is_completed(cut: int) -> None:
    """A writer that was killed within a line: the next run has every line, each once."""
    lines = lines_of(quiet())
    whole = added_to("", lines)
    history = read_history(added_to(whole[: min(cut, len(whole))], lines))
    assert sorted(line.key for line in history) == sorted(line.key for line in lines)


def test_findings_stand_in_the_lines_of_their_windows() -> None:
    """From the first window of a run to the newest."""
    monitored = quiet()
    whole = [window.name for window in monitored.windows if window.whole]
    finding = Finding(Kind.DRIFT, "amount", Severity.WARNING, whole[-1], whole[-2], "moved", "look")
    lines = [line for line in lines_of(replace(monitored, findings=(finding,))) if line.part == "traffic"]
    assert [line.window for line in lines if line.findings] == whole[-2:]


def test_spans_have_no_gap_where_clocks_change() -> None:
    """The night of the change has one day of 23 hours."""
    spans = spans_between(FIRST, FIRST + timedelta(days=10), "day", "America/New_York")
    assert all(one.end == other.start for one, other in pairwise(spans))
    assert timedelta(hours=23) in {span.end.astimezone(UTC) - span.start.astimezone(UTC) for span in spans}


def decayed(by: float, days: int = 40, seed: int = 0) -> dict[str, Any]:
    """Return labelled windows whose labels follow the scores less."""
    draw = np.random.default_rng(seed)
    windows = {}
    for day in range(days):
        odds = draw.normal(-1, 1.5, 300)
        labels = (draw.random(300) < expit((1 - by) * odds + draw.normal(0, 0.3))).astype(float)
        windows[f"2026-{day:03d}"] = rows_of(labels, expit(odds))
    return windows


def test_a_slow_decay_is_found_by_the_mean_of_many_windows() -> None:
    """No single window is beyond its band, and the mean of 28 is; without a decay neither is."""
    settings = MonitorSettings()
    known = performance_reference("binary", decayed(0.0, seed=1), ["auc"])
    for by, expected in ((0.0, False), (0.3, True)):
        windows = {
            name: window_performance("binary", rows, None, known.calibrator)
            for name, rows in decayed(by, MEAN_OF, seed=2).items()
        }
        listed, findings = performance_facts(known, windows, settings)
        dropped = [finding for finding in findings if finding.kind is Kind.PERFORMANCE and finding.subject == "auc"]
        assert bool(dropped) is expected
        if expected and not any(point.beyond for point in listed[0].points):
            assert "on average over 28 windows" in dropped[0].what
    few = dict(list(decayed(0.0, 5, seed=1).items()))
    short = performance_reference("binary", few, ["auc"])
    _, findings = performance_facts(short, windows, settings)
    assert all(finding.severity is Severity.INFO for finding in findings)
