"""Every metric equals the one of scikit-learn, ties and weights included, and is undefined without a crash."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.evaluate.calibration import Calibration, bin_starts
from leverframe.domain.model.evaluate.metrics import METRICS, judge
from leverframe.domain.model.evaluate.ranking import Ranking
from leverframe.domain.model.evaluate.weighing import ByRow
from tests.profiles import examples

SCORES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0]) | st.floats(0, 1)  # ties are likely
WEIGHTS = st.sampled_from([1.0, 2.0, 3.0]) | st.floats(0.01, 10)


def measured(kind: LabelKind, labels: Any, answers: Any, weights: Any) -> dict[str, float]:
    """Return the metrics of a kind by name, warnings being errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        judged = judge(kind, np.asarray(labels, dtype=np.float64), np.asarray(answers, dtype=np.float64))
        values = judged.measure(ByRow(np.asarray([weights], dtype=np.float64)))[0]
    return dict(zip([each.name for each in METRICS[kind]], values, strict=True))


def close(found: float, expected: float) -> None:
    """Fail unless two figures agree to nine digits."""
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(st.lists(st.tuples(st.sampled_from([0, 1]), SCORES, WEIGHTS), min_size=2, max_size=60))
def test_binary_metrics_are_those_of_scikit_learn(rows: list[tuple[int, float, float]]) -> None:
    """Area, average precision, Brier score and log loss, with ties and weights."""
    labels, scores, weights = (np.array(each) for each in zip(*rows, (0, 0.3, 1.0), (1, 0.3, 1.0), strict=True))
    found = measured("binary", labels, scores, weights)
    close(found["auc"], reference.roc_auc_score(labels, scores, sample_weight=weights))
    close(found["average_precision"], reference.average_precision_score(labels, scores, sample_weight=weights))
    close(found["brier"], reference.brier_score_loss(labels, scores, sample_weight=weights))
    close(found["log_loss"], reference.log_loss(labels, np.stack([1 - scores, scores], 1), sample_weight=weights))
    close(found["base_rate"], np.average(labels, weights=weights))
    close(found["mean_score"], np.average(scores, weights=weights))


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 1, 2]), st.tuples(*[st.floats(0.001, 1)] * 3), WEIGHTS), min_size=1, max_size=60
    )
)
def test_multiclass_metrics_are_those_of_scikit_learn(rows: list[tuple[int, tuple[float, ...], float]]) -> None:
    """Accuracy, balanced accuracy, macro F1, log loss and area of one class against the rest."""
    every = [(each, (0.2, 0.3, 0.5), 1.0) for each in (0, 1, 2)]
    labels, raw, weights = (np.array(each) for each in zip(*rows, *every, strict=True))
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    said = probabilities.argmax(axis=1)
    found = measured("multiclass", labels, probabilities, weights)
    close(found["accuracy"], reference.accuracy_score(labels, said, sample_weight=weights))
    close(found["balanced_accuracy"], reference.balanced_accuracy_score(labels, said, sample_weight=weights))
    close(found["macro_f1"], reference.f1_score(labels, said, average="macro", sample_weight=weights))
    close(found["log_loss"], reference.log_loss(labels, probabilities, sample_weight=weights))
    areas = [
        reference.roc_auc_score(labels == each, probabilities[:, each], sample_weight=weights) for each in range(3)
    ]
    close(found["auc"], float(np.mean(areas)))


@given(
    st.lists(
        st.tuples(st.integers(-50, 50), st.integers(-50, 50), st.sampled_from([1.0, 2.0, 5.0])), min_size=2, max_size=60
    )
)
def test_regression_metrics_are_those_of_scikit_learn(rows: list[tuple[int, int, float]]) -> None:
    """Absolute, squared and median errors, explained variance and bias."""
    labels, said, weights = (np.array(each, dtype=np.float64) for each in zip(*rows, (90, 89, 1), strict=True))
    found = measured("regression", labels, said, weights)
    close(found["mae"], reference.mean_absolute_error(labels, said, sample_weight=weights))
    close(found["rmse"], reference.root_mean_squared_error(labels, said, sample_weight=weights))
    close(found["median_ae"], reference.median_absolute_error(labels, said, sample_weight=weights))
    close(found["r2"], reference.r2_score(labels, said, sample_weight=weights))
    close(found["bias"], np.average(said - labels, weights=weights))


@given(st.lists(st.tuples(st.sampled_from([0, 1]), SCORES), min_size=1, max_size=40), st.integers(0, 3))
@settings(max_examples=examples(0.5))
@example(rows=[(0, 0.0), (0, 0.0), (1, 0.0), (0, 0.0), (0, 0.0)], seed=2)  # the only 1 has no weight
def test_whole_weights_are_repeated_rows(rows: list[tuple[int, float]], seed: int) -> None:
    """A row of weight 3 counts as three rows, one of weight 0 as none: the property the bootstrap needs."""
    labels, scores = (np.array(each, dtype=np.float64) for each in zip(*rows, strict=True))
    weights = np.random.default_rng(seed).integers(0, 4, len(rows))
    for kind in ("binary", "regression"):
        names = [each.name for each in METRICS[kind] if each.name != "calibration_error"]  # its bins are fixed before
        weighed = measured(kind, labels, scores, weights)
        repeated = measured(kind, labels.repeat(weights), scores.repeat(weights), np.ones(weights.sum()))
        for name in names:
            assert weighed[name] == pytest.approx(repeated[name], rel=1e-9, abs=1e-12, nan_ok=True), name


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_nothing_is_defined_without_rows_or_weight(kind: LabelKind) -> None:
    """No crash, no warning, only NaN."""
    answers: NDArray[Any] = np.zeros((0, 3)) if kind == "multiclass" else np.zeros(0)
    assert np.isnan(list(measured(kind, [], answers, []).values())).all()
    answers = np.full((2, 3), 1 / 3) if kind == "multiclass" else np.full(2, 0.5)
    assert np.isnan(list(measured(kind, [0, 1], answers, [0, 0]).values())).all()


def test_a_class_that_is_missing_leaves_the_rest_defined() -> None:
    """With one class there is no ranking, but a Brier score."""
    for label in (0, 1):
        found = measured("binary", [label] * 3, [0.2, 0.4, 0.9], [0.3, 0.7, 1.1])
        assert np.isnan(found["auc"])
        assert found["brier"] > 0
    assert np.isnan(measured("binary", [0, 0], [0.2, 0.4], [1, 1])["average_precision"])
    found = measured("multiclass", [0, 1], [[0.6, 0.3, 0.1]] * 2, [1, 1])
    assert np.isnan(found["auc"])
    assert found["accuracy"] == 0.5
    assert np.isnan(measured("regression", [3, 3], [1, 2], [1, 1])["r2"])


@given(st.lists(SCORES, min_size=1, max_size=80), st.integers(1, 12))
def test_bins_are_of_about_equal_count_and_keep_ties_together(scores: list[float], bins: int) -> None:
    """No score lies in two bins, and without ties no bin has more than one row too many."""
    ranked = np.sort(np.array(scores))
    starts = bin_starts(ranked, bins)
    assert starts[0] == 0
    assert len(starts) <= bins
    parts = np.split(ranked, starts[1:])
    assert all(len(part) for part in parts)
    assert all(before[-1] < after[0] for before, after in itertools.pairwise(parts))
    if len(set(scores)) == len(scores) and len(scores) >= bins:
        assert max(map(len, parts)) <= len(scores) / bins + 1


def test_calibration_error_is_the_mean_distance_of_the_bins() -> None:
    """Against a count by hand."""
    scores = np.arange(20) / 20
    outcomes = (np.arange(20) % 3 == 0).astype(float)
    expected = np.mean([abs(scores[i : i + 2].mean() - outcomes[i : i + 2].mean()) for i in range(0, 20, 2)])
    close(float(Calibration(scores, outcomes).error(ByRow(np.ones((1, 20))))[0]), float(expected))


@given(st.lists(st.tuples(st.booleans(), SCORES), min_size=1, max_size=40))
def test_counts_are_those_of_each_threshold(rows: list[tuple[bool, float]]) -> None:
    """Each distinct score, descending, with the rows that reach it."""
    positive, scores = (np.array(each) for each in zip(*rows, strict=True))
    thresholds, hits, misses = Ranking(scores, positive).counts()
    assert thresholds.tolist() == sorted(set(scores.tolist()), reverse=True)
    for threshold, hit, miss in zip(thresholds, hits, misses, strict=True):
        assert hit == (positive & (scores >= threshold)).sum()
        assert miss == (~positive & (scores >= threshold)).sum()
