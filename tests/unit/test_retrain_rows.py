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
from leverframe.errors import SourceError
from leverframe.settings.levers import GateSettings, MetricRule, SliceRule
from leverframe.settings.retrain import RetrainSettings

START = datetime(2026, 4, 1, tzinfo=UTC)
BINARY = Label("y", "binary")
WHERE = ("UTC", ["x", "place"], ["place"])


def table(rows: int = 960, **columns: Any) -> pl.DataFrame:
    """Return rows of forty days, two an hour, whose label follows ``x``."""
    draw = np.random.default_rng(1)
    x = draw.normal(size=rows)
    at = pl.Series([START + timedelta(hours=row // 2) for row in range(rows)], dtype=pl.Datetime("us", "UTC"))
    known = {"at": at, "x": x, "place": ["A", "B", "C", "A"] * (rows // 4), "y": (x + draw.normal(size=rows) > 0) * 1}
    return pl.DataFrame({**known, "p": 1 / (1 + np.exp(-x)), **columns})


def rows_of(frame: pl.DataFrame, *, label: str = "y", classes: tuple[str, ...] = ("0", "1")) -> ReferenceTable:
    return ReferenceTable(frame, "at", "p", label, classes, "predictions.csv")


@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_the_files_does_not_matter(seed: int) -> None:
    """Rows of one timestamp are told apart by their features; so predictions meet those of their own row."""
    frame = table(96)
    draw = np.random.default_rng(seed)
    noise = frame.with_columns(p=1 - frame["p"])
    ours, theirs = (side[draw.permutation(96)] for side in (frame, noise))
    pair = paired(rows_of(ours), rows_of(theirs), BINARY, WHERE)
    assert pair.champion is not None
    np.testing.assert_allclose(pair.candidate.predictions, 1 - pair.champion.predictions)
    np.testing.assert_array_equal(pair.candidate.labels, pair.champion.labels)
    assert pair.candidate.number_of_days == 2
    assert set(pair.candidate.slices["place"]) == {"A", "B", "C"}


def test_rows_without_a_label_are_left_out_of_both() -> None:
    """Labels that are not known yet say nothing."""
    frame = table()
    late = frame.with_columns(y=pl.when(pl.int_range(pl.len()) < 900).then(pl.col("y")))
    pair = paired(rows_of(late), rows_of(late), BINARY, WHERE)
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
    with pytest.raises(SourceError) as found:
        paired(rows_of(frame), rows_of(change(frame)), BINARY, WHERE)
    assert words in found.value.what


def test_without_labels_there_is_nothing_to_compare() -> None:
    """The setting is named."""
    with pytest.raises(SourceError) as found:
        paired(rows_of(table(), label=""), rows_of(table(), label=""), BINARY, WHERE)
    assert "pipeline.predictions.label" in found.value.why


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
        frame = frame.with_columns(y=pl.col("y").cast(str), probability_0=1 - pl.col("p"), probability_1=pl.col("p"))
    other = frame.with_columns(p=worse)
    if kind == "multiclass":
        other = other.with_columns(probability_0=1 - pl.col("p"), probability_1=pl.col("p"))
    label = Label("y", kind)
    pair = paired(rows_of(frame, classes=tuple(classes)), rows_of(other, classes=tuple(classes)), label, WHERE)
    metric = {"binary": "brier", "regression": "mae", "multiclass": "log_loss"}[kind]
    gate = GateSettings(
        metrics={metric: MetricRule(maximum_drop=0.01)},
        slices=[SliceRule(columns=["place"], maximum_drop=0.01, minimum_rows=10)],
    )
    comparison, missed = compared(pair, gate, (RetrainSettings(), 0.999), old="not compared")
    assert (comparison.metric, comparison.confidence, comparison.labelled, comparison.days) == (metric, 0.999, 960, 20)
    deciding = next(one for one in comparison.metrics if one.metric == metric)
    assert deciding.gain is not None
    assert deciding.low is not None
    assert deciding.low < deciding.gain
    assert deciding.gain > 0
    narrow, _ = compared(pair, gate, (RetrainSettings(), 0.8))
    bound = next(one for one in narrow.metrics if one.metric == metric).low
    assert bound is not None
    assert bound > deciding.low
    gains = [one.gain for one in comparison.slices if one.gain is not None]
    assert gains == sorted(gains)
    assert len(gains) == 3
    assert comparison.old_how == "not compared"
    assert tuple(violation.what for violation in missed) == comparison.violations
