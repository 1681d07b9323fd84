"""Rows of two runs of a pipeline of one's own: paired by what they are, whatever their order, or refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.features.training_set import Label, LabelKind
from leverframe.domain.monitoring.reference_rows import ReferenceTable
from leverframe.domain.retraining.candidate_comparison import compared
from leverframe.domain.retraining.own_rows import paired, within
from leverframe.domain.review.gate.rules import BASE, LAST, Rules
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import SourceError
from leverframe.settings.levers import GateSettings, MetricRule, SliceRule
from leverframe.settings.retrain import RetrainSettings

START = datetime(2026, 4, 1, tzinfo=UTC)
BINARY = Label("y", "binary")


def table(rows: int = 960, **columns: Any) -> pl.DataFrame:
    """Return rows of forty days, two an hour, whose label follows ``x``."""
    draw = np.random.default_rng(1)
    x = draw.normal(size=rows)
    at = pl.Series([START + timedelta(hours=row // 2) for row in range(rows)], dtype=pl.Datetime("us", "UTC"))
    known = {"at": at, "x": x, "place": ["A", "B", "C", "A"] * (rows // 4), "y": (x + draw.normal(size=rows) > 0) * 1}
    return pl.DataFrame({**known, "p": 1 / (1 + np.exp(-x)), **columns})


def rows_of(
    frame: pl.DataFrame, *, label: str = "y", classes: tuple[str, ...] = ("0", "1"), prediction: str = "p"
) -> ReferenceTable:
    return ReferenceTable(frame, "at", prediction, label, classes, "predictions.csv")


@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_the_files_does_not_matter(seed: int) -> None:
    """Rows of one timestamp are told apart by their features; so predictions meet those of their own row."""
    frame = table(96)
    draw = np.random.default_rng(seed)
    noise = frame.with_columns(p=1 - frame["p"])
    ours, theirs = (side[draw.permutation(96)] for side in (frame, noise))
    pair = paired(rows_of(ours), rows_of(theirs), BINARY, "UTC", ["place"])
    assert pair.champion is not None
    np.testing.assert_allclose(pair.candidate.predictions, 1 - pair.champion.predictions)
    np.testing.assert_array_equal(pair.candidate.labels, pair.champion.labels)
    assert pair.candidate.number_of_days == 2
    assert set(pair.candidate.slices["place"]) == {"A", "B", "C"}


def test_rows_without_a_label_are_left_out_of_both() -> None:
    """Labels that are not known yet say nothing."""
    frame = table()
    late = frame.with_columns(y=pl.when(pl.int_range(pl.len()) < 900).then(pl.col("y")))
    pair = paired(rows_of(late), rows_of(late), BINARY, "UTC", ["place"])
    assert len(pair.candidate.labels) == 900


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frame: frame[:-1], "has 960 and 959 in the new hold-out"),
        (lambda frame: frame.with_columns(y=1 - pl.col("y")), "and their `y` differs"),
        (lambda frame: frame.with_columns(at=pl.col("at") + timedelta(minutes=1)), "and their `at` differs"),
    ],
)
def test_other_rows_are_refused(change: Any, words: str) -> None:
    """A row fewer, other labels, other times."""
    frame = table()
    with pytest.raises(SourceError) as caught:
        paired(rows_of(frame), rows_of(change(frame)), BINARY, "UTC", ["place"])
    assert words in caught.value.what


def dated(seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of two models, told apart by no time, with outputs of the models before and after the features.

    ``rank`` has another value in each row of a day, ``scaled`` the same in no row.
    """
    draw = np.random.default_rng(seed)
    frame = table(96).with_columns(pl.col("at").dt.truncate("1d"))
    sides = []
    for score in (frame["p"], 1 - frame["p"]):
        side = frame.with_columns(p=score, scaled=score * 3, note=pl.Series([[1.0, value] for value in score]))
        side = side.with_columns(said=(pl.col("p") > 0.5) * 1, rank=pl.col("p").rank().over("at"))
        side = side.select("at", "said", "rank", "scaled", "note", "place", "x", "y", "p")
        sides.append(side[draw.permutation(96)])
    return sides[0], sides[1]


@given(seed=st.integers(0, 2**32 - 1))
def test_outputs_of_the_models_pair_no_rows(seed: int) -> None:
    """Columns in which the files differ tell no rows apart, wherever they stand: those of the same features do."""
    ours, theirs = dated(seed)
    pair = paired(rows_of(ours), rows_of(theirs), BINARY, "UTC", ["place"])
    assert pair.champion is not None
    np.testing.assert_allclose(pair.candidate.predictions, 1 - pair.champion.predictions)
    np.testing.assert_array_equal(pair.candidate.slices["place"], pair.champion.slices["place"])


@given(seed=st.integers(0, 2**32 - 1))
def test_a_day_keeps_its_rows_where_no_column_is_the_same(seed: int) -> None:
    """Features that each run scales by its own rows: days are drawn as a whole, and each has its rows."""
    ours, theirs = (side.drop("x", "place") for side in dated(seed))
    pair = paired(rows_of(ours), rows_of(theirs), BINARY, "UTC", [])
    assert pair.champion is not None
    np.testing.assert_array_equal(pair.candidate.labels, pair.champion.labels)
    np.testing.assert_array_equal(pair.candidate.days, pair.champion.days)


NOT_WRITTEN: list[tuple[Any, str]] = [
    (None, "number"), (float("nan"), "number"), (float("inf"), "number"), (-float("inf"), "number"),
    (1.01, "probability from 0 to 1"), (-0.5, "probability from 0 to 1"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "words"), NOT_WRITTEN)
@pytest.mark.parametrize("side", ["candidate", "champion"])
def test_a_prediction_that_is_none_is_no_score(value: Any, words: str, side: str) -> None:
    """However few of them: a figure would be made up of how they sort. Side, count and column are told."""
    frame = table()
    broken = frame.with_columns(p=pl.when(pl.int_range(pl.len()) % 80 == 0).then(pl.lit(value)).otherwise("p"))
    sides = {"candidate": rows_of(frame), "champion": rows_of(frame)} | {side: rows_of(broken)}
    with pytest.raises(SourceError) as caught:
        paired(sides["candidate"], sides["champion"], BINARY, "UTC", ["place"])
    assert caught.value.what == f"12 of 960 rows in predictions.csv of the {side} have no {words} in `p`"


def test_a_column_of_texts_holds_no_predictions() -> None:
    """One `n/a` makes a column of a CSV file text: not one row has a number then. Many classes are told by column."""
    frame = table().with_columns(p=pl.col("p").cast(str))
    with pytest.raises(SourceError, match=r"960 of 960 rows .* have no number in `p`") as caught:
        paired(rows_of(frame), rows_of(frame), BINARY, "UTC", [])
    assert "the column is String" in caught.value.why
    frame = table().with_columns(y=pl.col("y").cast(str), p_0=pl.lit(0.5), p_1=pl.lit(None, pl.Float64))
    with pytest.raises(SourceError, match="in `p_1`"):
        paired(rows_of(frame, prediction="p_"), rows_of(frame, prediction="p_"), Label("y", "multiclass"), "UTC", [])


def test_numbers_of_a_regression_may_be_any() -> None:
    """Only those that are not finite are none."""
    frame = table().with_columns(y=pl.col("x") * 9, p=pl.col("x") * -7)
    paired(rows_of(frame), rows_of(frame), Label("y", "regression"), "UTC", [])
    broken = frame.with_columns(p=pl.when(pl.col("place") == "B").then(float("inf")).otherwise("p"))
    with pytest.raises(SourceError, match="240 of 960 rows"):
        paired(rows_of(broken), rows_of(frame), Label("y", "regression"), "UTC", [])


def test_rows_without_a_label_need_no_prediction() -> None:
    """Nobody looks at them."""
    early = pl.when(pl.int_range(pl.len()) < 900)
    frame = table().with_columns(y=early.then(pl.col("y")), p=early.then(pl.col("p")))
    assert len(paired(rows_of(frame), rows_of(frame), BINARY, "UTC", []).candidate.labels) == 900


def test_without_labels_there_is_nothing_to_compare() -> None:
    """The setting is named."""
    with pytest.raises(SourceError) as caught:
        paired(rows_of(table(), label=""), rows_of(table(), label=""), BINARY, "UTC", ["place"])
    assert "pipeline.predictions.label" in caught.value.why


def test_a_period_holds_the_rows_from_its_start_to_before_its_end() -> None:
    """Days are those of the zone of the pipeline."""
    rows = rows_of(table())
    held = within(rows, START + timedelta(days=1), START + timedelta(days=3))
    at = held.table.get_column("at")
    assert (at.min(), at.max()) == (START + timedelta(days=1), START + timedelta(days=3) - timedelta(hours=1))
    assert held.table.height == 96


@pytest.mark.parametrize("kind", ["binary", "regression", "multiclass"])
def test_each_kind_of_label_is_compared(kind: LabelKind) -> None:
    """By the first metric that the gate judges, with a confidence of its own; slices that got worse come first."""
    frame, classes = table(), ["0", "1"]
    worse = frame["p"] * 0.5 + 0.25
    if kind == "regression":
        frame, classes = frame.with_columns(y=pl.col("x") * 2.0, p=pl.col("x") * 1.9), []
        worse = frame["x"] * 1.2
    if kind == "multiclass":
        frame = frame.with_columns(y=pl.col("y").cast(str), p_0=1 - pl.col("p"), p_1=pl.col("p"))
    other = frame.with_columns(p=worse)
    if kind == "multiclass":
        other = other.with_columns(p_0=1 - pl.col("p"), p_1=pl.col("p"))
    label = Label("y", kind)
    how: Any = {"classes": tuple(classes), "prediction": "p_" if kind == "multiclass" else "p"}
    pair = paired(rows_of(frame, **how), rows_of(other, **how), label, "UTC", ["place"])
    metric = {"binary": "brier", "regression": "mae", "multiclass": "log_loss"}[kind]
    gate = GateSettings(
        metrics={metric: MetricRule(maximum_drop=0.01)},
        slices=[SliceRule(columns=["place"], maximum_drop=0.01, minimum_rows=10)],
    )
    comparison, missed = compared(pair, Rules(gate, BASE), (RetrainSettings(), 0.999), old="not compared")
    assert (comparison.metric, comparison.confidence, comparison.labelled, comparison.days) == (metric, 0.999, 960, 20)
    deciding = next(one for one in comparison.metrics if one.metric == metric)
    assert deciding.gain is not None
    assert deciding.low is not None
    assert deciding.low < deciding.gain
    assert deciding.gain > 0
    narrow, _ = compared(pair, Rules(gate, BASE), (RetrainSettings(), 0.8))
    bound = next(one for one in narrow.metrics if one.metric == metric).low
    assert bound is not None
    assert bound > deciding.low
    gains = [one.gain for one in comparison.slices if one.gain is not None]
    assert gains == sorted(gains)
    assert len(gains) == 3
    assert comparison.old_how == "not compared"
    assert tuple(violation.what for violation in missed) == comparison.violations
    lost = Violation(Reason.GATE_MISSING, "`gate` is gone", "restore it")  # as a base branch that lost its rules has it
    outcome, violations = compared(pair, Rules(gate, LAST, violations=(lost,)), (RetrainSettings(), 0.8))
    assert violations[-1] == lost
    assert outcome.violations[-1] == "`gate` is gone"
