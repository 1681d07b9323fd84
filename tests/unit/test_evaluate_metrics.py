"""Every metric equals the one of scikit-learn, ties included, and so does what each row contributes to it."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.evaluate import metrics
from leverframe.domain.model.evaluate.calibration import Calibration, bin_starts
from leverframe.domain.model.evaluate.metrics import METRICS
from leverframe.domain.model.evaluate.ranking import Floats, Ranking
from tests.profiles import examples

SCORES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0]) | st.floats(0, 1)  # ties are likely


def measured(kind: LabelKind, labels: Any, answers: Any) -> dict[str, float]:
    """Return the metrics of a kind by name, warnings being errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = metrics.measured(kind, np.asarray(labels, dtype=np.float64), np.asarray(answers, dtype=np.float64))
    assert result.influence.shape == (len(labels), len(METRICS[kind]))
    np.testing.assert_allclose(result.influence.sum(axis=0), 0, atol=1e-9)
    return dict(zip([metric.name for metric in METRICS[kind]], result.values.tolist(), strict=True))


def close(figure: float, expected: float) -> None:
    """Fail unless two figures agree to nine digits."""
    assert figure == pytest.approx(expected, rel=1e-9, abs=1e-12)


def slopes(figure: Callable[[Floats], float], rows: int) -> Floats:
    """Return how a weighted figure changes with the weight of each row, shape (rows,)."""
    step, derivatives = 1e-5, []
    for row in range(rows):
        more, less = np.ones(rows), np.ones(rows)
        more[row], less[row] = 1 + step, 1 - step
        derivatives.append((figure(more) - figure(less)) / (2 * step))
    return np.array(derivatives)


def agree(kind: LabelKind, labels: Floats, answers: Floats, weighed: dict[str, Callable[[Floats], float]]) -> None:
    """Fail unless values and influences are those of weighted functions of scikit-learn."""
    values = measured(kind, labels, answers)
    influence = metrics.measured(kind, labels, answers).influence
    for number, metric in enumerate(METRICS[kind]):
        if metric.name in weighed:
            close(values[metric.name], weighed[metric.name](np.ones(len(labels))))
            expected = slopes(weighed[metric.name], len(labels))
            np.testing.assert_allclose(influence[:, number], expected, rtol=1e-4, atol=1e-7, err_msg=metric.name)


@given(st.lists(st.tuples(st.sampled_from([0, 1]), SCORES), min_size=2, max_size=30))
@settings(max_examples=examples(0.3))
def test_binary_metrics_are_those_of_scikit_learn(rows: list[tuple[int, float]]) -> None:
    """Area, average precision, Brier score and log loss, with ties; what a row contributes is what its weight does."""
    labels, scores = (np.array(column, dtype=np.float64) for column in zip(*rows, (0, 0.3), (1, 0.3), strict=True))
    both = np.stack([1 - scores, scores], 1)
    agree("binary", labels, scores, {
        "auc": lambda weights: reference.roc_auc_score(labels, scores, sample_weight=weights),
        "average_precision": lambda weights: reference.average_precision_score(labels, scores, sample_weight=weights),
        "brier": lambda weights: reference.brier_score_loss(labels, scores, sample_weight=weights),
        "log_loss": lambda weights: reference.log_loss(labels, both, sample_weight=weights),
        "base_rate": lambda weights: float(np.average(labels, weights=weights)),
        "mean_score": lambda weights: float(np.average(scores, weights=weights)),
    })  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.tuples(*[st.floats(0.001, 1)] * 3)), min_size=1, max_size=20))
@settings(max_examples=examples(0.2))
def test_multiclass_metrics_are_those_of_scikit_learn(rows: list[tuple[int, tuple[float, ...]]]) -> None:
    """Accuracy, balanced accuracy, macro F1, log loss and area of one class against the rest."""
    every = [(label, (0.2, 0.3, 0.5)) for label in (0, 1, 2)]
    labels, raw = (np.array(column, dtype=np.float64) for column in zip(*rows, *every, strict=True))
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    classes = probabilities.argmax(axis=1)
    agree("multiclass", labels, probabilities, {
        "accuracy": lambda weights: reference.accuracy_score(labels, classes, sample_weight=weights),
        "balanced_accuracy": lambda weights: reference.balanced_accuracy_score(labels, classes, sample_weight=weights),
        "macro_f1": lambda weights: reference.f1_score(labels, classes, average="macro", sample_weight=weights),
        "log_loss": lambda weights: reference.log_loss(labels, probabilities, sample_weight=weights),
        "auc": lambda weights: float(np.mean([
            reference.roc_auc_score(labels == cls, probabilities[:, cls], sample_weight=weights) for cls in range(3)
        ])),
    })  # fmt: skip


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=2, max_size=30))
@settings(max_examples=examples(0.3))
def test_regression_metrics_are_those_of_scikit_learn(rows: list[tuple[int, int]]) -> None:
    """Absolute and squared errors, explained variance and bias; the median has a value only, as it is a step."""
    labels, predicted = (np.array(column, dtype=np.float64) for column in zip(*rows, (90, 89), strict=True))
    agree("regression", labels, predicted, {
        "mae": lambda weights: reference.mean_absolute_error(labels, predicted, sample_weight=weights),
        "rmse": lambda weights: reference.root_mean_squared_error(labels, predicted, sample_weight=weights),
        "r2": lambda weights: reference.r2_score(labels, predicted, sample_weight=weights),
        "bias": lambda weights: float(np.average(predicted - labels, weights=weights)),
    })  # fmt: skip
    close(measured("regression", labels, predicted)["median_ae"], reference.median_absolute_error(labels, predicted))


def test_the_influences_on_a_median_give_its_variance() -> None:
    """Against 400 drawn medians of exponential errors; the standard error of a median of n rows is 1 / sqrt(n)."""
    draw = np.random.default_rng(3)
    result = metrics.measured("regression", np.zeros(900), draw.exponential(size=900))
    number = [metric.name for metric in result.metrics].index("median_ae")
    assert np.sqrt((result.influence[:, number] ** 2).sum()) == pytest.approx(1 / 30, rel=0.2)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_nothing_is_defined_without_rows(kind: LabelKind) -> None:
    """No crash, no warning, only NaN."""
    answers: NDArray[Any] = np.zeros((0, 3)) if kind == "multiclass" else np.zeros(0)
    assert np.isnan(list(measured(kind, [], answers).values())).all()


def test_a_class_that_is_missing_leaves_the_rest_defined() -> None:
    """With one class there is no ranking, but a Brier score."""
    for label in (0, 1):
        figures = measured("binary", [label] * 3, [0.2, 0.4, 0.9])
        assert np.isnan(figures["auc"])
        assert figures["brier"] > 0
    assert np.isnan(measured("binary", [0, 0], [0.2, 0.4])["average_precision"])
    figures = measured("multiclass", [0, 1], [[0.6, 0.3, 0.1]] * 2)
    assert np.isnan(figures["auc"])
    assert figures["accuracy"] == 0.5
    assert np.isnan(measured("regression", [3, 3], [1, 2])["r2"])
    assert measured("regression", [1e9, 1e9 + 1, 1e9 + 2], [1e9, 1e9, 1e9])["r2"] == pytest.approx(-1.5)


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
    close(float(Calibration(scores, outcomes).error()[0]), float(expected))


@given(st.lists(st.tuples(st.booleans(), SCORES), min_size=1, max_size=40))
def test_counts_are_those_of_each_threshold(rows: list[tuple[bool, float]]) -> None:
    """Each distinct score, descending, with the rows that reach it."""
    positive, scores = (np.array(column) for column in zip(*rows, strict=True))
    thresholds, hits, misses = Ranking(scores, positive).counts()
    assert thresholds.tolist() == sorted(set(scores.tolist()), reverse=True)
    for threshold, hit, miss in zip(thresholds, hits, misses, strict=True):
        assert hit == (positive & (scores >= threshold)).sum()
        assert miss == (~positive & (scores >= threshold)).sum()
