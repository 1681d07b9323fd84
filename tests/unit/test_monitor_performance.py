"""Performance by window: realised, estimated without labels, and the band in which both are expected."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from leverframe.documents import parsed, plain
from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.monitoring.batch import Floats, LabelledRows
from leverframe.domain.monitoring.estimate import Calibrator, estimated
from leverframe.domain.monitoring.finding import Severity
from leverframe.domain.monitoring.performance import (
    GAP,
    PerformanceReference,
    performance_reference,
    window_performance,
)
from leverframe.domain.monitoring.performance_findings import performance_facts
from leverframe.domain.monitoring.score_histogram import BINS, middles, score_bins, score_counts
from leverframe.domain.monitoring.value_band import Value, ValueBand
from leverframe.settings.monitor import MonitorSettings
from tests.profiles import by_day


def world(seed: int, rows: int, *, tilt: float = 1.0, base: float = -2.0) -> tuple[Floats, Floats]:
    """Return labels and scores; a ``tilt`` of 1 makes the scores true probabilities."""
    draw = np.random.default_rng(seed)
    odds = draw.normal(base, 1.2, rows)
    return (draw.random(rows) < expit(tilt * odds)).astype(float), expit(odds)


def rows_of(labels: Floats, predictions: Floats) -> LabelledRows:
    """Return labelled rows of one time."""
    return LabelledRows(np.zeros(len(labels), np.int64), labels, predictions, np.full(len(labels), np.nan))


def test_bins_of_scores_keep_their_order_and_hold_every_probability() -> None:
    """The middle of each bin lies in that bin; 0, 1 and what is missing have a place."""
    assert score_bins(middles()).tolist() == list(range(BINS))
    ends = np.array([0.0, 1e-300, 0.5, 1 - 1e-16, 1.0])
    assert (np.diff(score_bins(ends)) >= 0).all()
    assert score_counts(np.array([0.0, 1.0, np.nan, np.inf])).sum() == 2


@pytest.mark.parametrize(("seed", "base"), [(1, -2.0), (2, 0.0), (3, -5.0)])
def test_an_estimate_equals_the_expectation_under_an_isotonic_regression_of_rows(seed: int, base: float) -> None:
    """As row by row with scikit-learn's isotonic regression, to the third digit: bins lose nothing that matters."""
    labels, scores = world(seed, 20_000, tilt=0.8, base=base)
    _, live = world(seed + 100, 5_000, base=base)
    curve = IsotonicRegression(out_of_bounds="clip").fit(scores, labels)
    chance = curve.predict(live)
    order = np.argsort(live)
    below = np.cumsum((1 - chance)[order]) - (1 - chance)[order] / 2
    area = float(chance[order] @ below) / float(chance.sum() * (1 - chance).sum())
    values = estimated("binary", score_counts(live), Calibrator.fitted(scores, labels))
    assert values["auc"] == pytest.approx(area, abs=2e-3)
    assert values["brier"] == pytest.approx(float((chance * (1 - live) ** 2 + (1 - chance) * live**2).mean()), abs=5e-4)
    surprise = -(chance * np.log(live) + (1 - chance) * np.log1p(-live)).mean()
    assert values["log_loss"] == pytest.approx(float(surprise), abs=2e-3)


def test_an_estimate_is_what_happens_where_the_relation_stays_and_blind_where_it_changes() -> None:
    """Other rows with the same relation: the estimate is right. Another relation: it is wrong, and the gap says so."""
    labels, scores = world(7, 40_000)
    calibrator = Calibrator.fitted(scores, labels)
    for base in (-3.0, -1.0):
        now, there = world(11, 40_000, base=base)
        values = estimated("binary", score_counts(there), calibrator)
        assert values["auc"] == pytest.approx(roc_auc_score(now, there), abs=0.01)
        assert values["average_precision"] == pytest.approx(average_precision_score(now, there), abs=0.02)
        assert values["brier"] == pytest.approx(brier_score_loss(now, there), abs=0.005)
        assert values["log_loss"] == pytest.approx(log_loss(now, there), abs=0.01)
    other, scores = world(13, 40_000, tilt=0.2)
    changed = window_performance("binary", rows_of(other, scores), None, calibrator)
    assert changed.gaps["auc"].value < -0.1
    assert abs(changed.gaps["auc"].value) > 10 * changed.gaps["auc"].error


def test_many_classes_are_estimated_by_the_accuracy_of_the_predicted_one() -> None:
    """The accuracy of a calibrated model is the mean of its certainty; a regression is not estimated."""
    draw = np.random.default_rng(5)
    chances = draw.dirichlet((2, 1, 1), 20_000)
    classes = np.array([draw.choice(3, p=row) for row in chances], float)
    reference = performance_reference("multiclass", {"a": rows_of(classes, chances)})
    window = window_performance(
        "multiclass", rows_of(classes, chances), score_counts(chances.max(axis=1)), reference.calibrator
    )
    assert window.estimated["accuracy"] == pytest.approx(window.realised["accuracy"].value, abs=0.002)
    numbers = draw.normal(size=50)
    assert window_performance("regression", rows_of(numbers, numbers), None, Calibrator(())).estimated == {}


@given(
    kind=st.sampled_from(["binary", "regression", "multiclass"]),
    rows=st.integers(0, 30),
    constant=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_a_window_of_any_rows_has_figures_or_none(kind: LabelKind, rows: int, constant: bool, seed: int) -> None:
    """No row, one class, equal scores: figures are NaN or there, never an error, and the reference survives JSON."""
    draw = np.random.default_rng(seed)
    shape = (rows, 3) if kind == "multiclass" else (rows,)
    predictions = np.full(shape, 0.5) if constant else draw.random(shape)
    labels = np.zeros(rows) if constant else draw.integers(0, 2, rows).astype(float)
    window = window_performance(kind, rows_of(labels, predictions), None, Calibrator(()), rows * 2)
    assert window.coverage == (0.5 if rows else 0.0)
    assert set(window.realised) >= set(window.gaps)
    reference = performance_reference(kind, {"a": rows_of(labels, predictions)} if rows else {})
    assert parsed(PerformanceReference, json.dumps(plain(reference))) == reference


@pytest.mark.parametrize("scale", ["share", "positive", "real"])
@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_a_band_holds_windows_as_often_as_it_says(scale: str, spread: float) -> None:
    """Windows that vary as those of the reference are below a level of 5 % in about 5 % of trials, and never often."""
    draw = np.random.default_rng(17)
    beyond, trials = 0, 4000
    for _ in range(trials):
        odds = draw.normal(-1, spread, 21) + draw.normal(0, 0.2, 21)
        scaled = {"share": expit(odds), "positive": np.exp(odds), "real": odds}[scale]
        slope = {"share": scaled * (1 - scaled), "positive": scaled, "real": np.ones(21)}[scale]
        values = [Value(float(value), 0.2 * float(s)) for value, s in zip(scaled, slope, strict=True)]
        beyond += ValueBand.of(values[:20], scale).tail(values[20], "lower") < 0.05
    assert 0.03 < beyond / trials < 0.065


def test_a_band_is_wider_for_a_window_of_few_rows_and_never_leaves_what_is_possible() -> None:
    """The noise of a window's own rows belongs to its band; a share stays between 0 and 1."""
    band = ValueBand.of([Value(0.9 + 0.01 * (number % 3), 0.01) for number in range(20)], "share")
    narrow, wide = band.ends(0.001, 0.05), band.ends(0.2, 0.05)
    assert wide[0] < narrow[0] < band.ends(0.001, 0.5)[0] < narrow[1] < wide[1] <= 1
    assert band.tail(Value(0.7, 0.001), "lower") < 1e-6 < band.tail(Value(0.7, 0.2), "lower")
    assert band.tail(Value(math.nan, 0.1), "lower") == 1.0
    assert band.tail(Value(0.99, 0.001), "lower") > 0.5 > band.tail(Value(0.99, 0.001), "both")


def test_a_model_that_is_too_sure_shows_in_the_mean_of_its_labels() -> None:
    """Labels minus predictions is the calibration at large, with the error of its mean."""
    labels, scores = world(3, 5_000)
    window = window_performance("binary", rows_of(labels, np.clip(scores + 0.1, 0, 1)), None, Calibrator(()))
    assert window.realised[GAP].value == pytest.approx(-0.1, abs=4 * window.realised[GAP].error)


@pytest.mark.parametrize(
    ("base", "rows"), by_day([(-6.0, 300), (-6.0, 2500), (-4.0, 1000), (-2.0, 300)], (-6.0, 300), (-4.0, 1000))
)
def test_rare_labels_raise_no_alarm_without_a_change(base: float, rows: int) -> None:
    """Days with two or twenty positives are far from normal: they are not judged, or not by what they make noisy."""
    alarms = 0
    for seed in range(8):
        days = [world(100 * seed + day, rows, base=base) for day in range(68)]
        known = performance_reference("binary", {f"r{day:03}": rows_of(*days[day]) for day in range(40)})
        live = {
            f"w{day:03}": window_performance("binary", rows_of(*days[day]), None, known.calibrator)
            for day in range(40, 68)
        }
        _, findings = performance_facts(known, live, MonitorSettings())
        alarms += any(finding.severity is not Severity.INFO for finding in findings)
    assert alarms <= 1


def test_a_window_with_few_rows_of_a_class_has_no_metric_but_may_be_off_at_large() -> None:
    """Labels that all came false are a gap where ten were expected, although no metric can be told."""
    _, scores = world(1, 2000)
    window = window_performance("binary", rows_of(np.zeros(2000), scores), None, Calibrator(()))
    assert set(window.realised) == {GAP}
    assert window.realised[GAP].value < -10 * window.realised[GAP].error
    rare = window_performance("binary", rows_of(np.zeros(100), np.full(100, 0.01)), None, Calibrator(()))
    assert rare.realised == {}
