"""A feature that alone predicts the label: copies are found however they are written, noise never is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from leverframe.domain.features.training_set import Feature, FeatureKind, LabelKind
from leverframe.domain.review.gate.leak_suspects import Labels, Suspect, suspects
from tests.profiles import examples

KINDS: tuple[LabelKind, ...] = ("binary", "multiclass", "regression")
Draw = np.random.Generator
Values = NDArray[Any]


def labels_of(kind: LabelKind, rows: int, draw: Draw, share: float = 0.3) -> Values:
    if kind == "binary":
        return np.asarray(draw.random(rows) < share, dtype=float)
    if kind == "multiclass":
        return np.asarray(draw.choice(4, rows, p=[0.55, 0.25, 0.12, 0.08]), dtype=float)
    return np.asarray(np.exp(draw.normal(size=rows)))


def found(kind: LabelKind, labels: Values, days: Values, values: Values) -> list[Suspect]:
    text = values.dtype.kind in "OU"
    feature_kind: FeatureKind = "categorical" if text else "numeric"
    judged = Labels.of(kind, labels, days)
    column = pl.Series("feature", values.tolist() if text else values)
    return suspects(judged, [(Feature("feature", feature_kind), column)]) if judged else []


NOISE: dict[str, Callable[[int, Draw], Values]] = {
    "numbers": lambda rows, draw: draw.normal(size=rows),
    "heavy tails": lambda rows, draw: draw.standard_cauchy(rows) * 1e300,
    "numbers with nulls": lambda rows, draw: np.where(draw.random(rows) < 0.4, np.nan, draw.normal(size=rows)),
    "identifiers": lambda rows, _: np.arange(rows),
    "texts as identifiers": lambda rows, _: np.array([f"row {number}" for number in range(rows)]),
    "one value": lambda rows, _: np.ones(rows),
    "no value": lambda rows, _: np.full(rows, np.nan),
    "two values": lambda rows, draw: draw.integers(0, 2, rows),
    "forty numbers": lambda rows, draw: draw.integers(0, 40, rows),
    "many numbers": lambda rows, draw: draw.integers(0, max(2, rows // 3), rows),
    "five texts": lambda rows, draw: draw.choice(list("abcde"), rows),
    "texts of a few rows": lambda rows, _: np.array([str(number // 7) for number in range(rows)]),
    "texts with nulls": lambda rows, draw: np.array([None, "a", "b"], dtype=object)[draw.integers(0, 3, rows)],
    "infinities": lambda rows, draw: draw.choice([-np.inf, np.inf, 0.0], rows),
}
COPIES: dict[str, Callable[[Values, Draw], Values]] = {
    "as it is": lambda labels, _: labels,
    "shifted and scaled": lambda labels, _: 7 * labels + 1000,
    "inverted": lambda labels, _: -labels,
    "another scale": lambda labels, _: np.exp(-labels / 3),
    "as text": lambda labels, _: np.array([f"state {label:.1f}" for label in labels]),
    "noise of 1 %": lambda labels, draw: labels + 0.01 * labels.std() * draw.normal(size=len(labels)),
    "1 % of the rows wrong": lambda labels, draw: np.where(
        draw.random(len(labels)) < 0.01, draw.permutation(labels), labels
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=examples(0.5))
@given(st.integers(0, 2**32), st.sampled_from([20, 60, 200, 900, 3000]), st.sampled_from([1, 3, 40]))
def test_noise_is_never_suspected(kind: LabelKind, seed: int, rows: int, days: int) -> None:
    """Of any number of values, rows and days, with rare labels, and with labels that are alike within a day."""
    draw = np.random.default_rng(seed)
    day = np.sort(draw.integers(0, days, rows))
    day = np.unique(day, return_inverse=True)[1]
    for labels in (labels_of(kind, rows, draw), labels_of(kind, rows, draw, 0.02), labels_of(kind, days, draw)[day]):
        for name, made in NOISE.items():
            assert found(kind, labels, day, made(rows, draw)) == [], (name, rows, days)
        assert found(kind, labels, day, draw.normal(size=days)[day]) == [], "a number a day"


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=examples(0.3))
@given(st.integers(0, 2**32), st.sampled_from([1500, 6000, 30000]), st.sampled_from([1, 40]))
def test_a_copy_is_found_however_it_is_written(kind: LabelKind, seed: int, rows: int, days: int) -> None:
    draw = np.random.default_rng(seed)
    day = np.sort(draw.integers(0, days, rows))
    for name, copied in COPIES.items():
        rare = "wrong" not in name and draw.random() < 0.5
        labels = labels_of(kind, rows, draw, 0.02 if rare else 0.4)
        if (kind, name) == ("regression", "as text"):
            continue  # each text stands alone then
        (suspect,) = found(kind, labels, np.unique(day, return_inverse=True)[1], copied(labels, draw))
        assert suspect.power >= 0.98, name


def test_what_tells_by_being_there_or_by_a_band_is_found() -> None:
    """A value that only positive rows have, a number that is apart on both sides, classes in another order."""
    draw = np.random.default_rng(1)
    labels, day = labels_of("binary", 4000, draw), np.arange(4000) // 100
    assert found("binary", labels, day, np.where(labels > 0, draw.normal(size=4000), np.nan))
    apart = np.where(labels > 0, draw.choice([-9, 9], 4000), 0) + draw.normal(size=4000)
    assert found("binary", labels, day, apart)
    classes = labels_of("multiclass", 4000, draw)
    assert found("multiclass", classes, day, np.array([2.0, 0.0, 3.0, 1.0])[classes.astype(int)])
    assert found("multiclass", classes, day, classes + draw.normal(size=4000) / 20)


def test_a_strong_feature_is_no_copy() -> None:
    """What predicts well, as yesterday's value does, is what a model is made of."""
    draw = np.random.default_rng(2)
    labels, day = labels_of("binary", 8000, draw), np.arange(8000) // 200
    assert found("binary", labels, day, 2.5 * labels + draw.normal(size=8000)) == []
    numbers = labels_of("regression", 8000, draw)
    assert found("regression", numbers, day, np.log(numbers) + 0.14 * draw.normal(size=8000)) == []


def test_few_rows_tell_nothing() -> None:
    """Ten of a class at least, on four days; a perfect split of fewer is chance."""
    day = np.arange(60) // 2
    assert found("binary", np.r_[np.ones(9), np.zeros(51)], day, np.r_[np.ones(9), np.zeros(51)]) == []
    assert found("binary", np.r_[np.ones(10), np.zeros(39)], day[:49], np.r_[np.ones(10), np.zeros(39)]) == []
    both = np.tile([1.0, 0.0], 30)
    assert found("binary", both, np.where(both > 0, 0, np.arange(60)), both) == []
    assert found("binary", np.repeat([1.0, 0.0], 30), day, np.repeat([1.0, 0.0], 30)) == []  # a day is one row
    assert found("binary", both, day, both)
    assert found("regression", np.ones(500), np.arange(500) // 10, np.arange(500)) == []
    assert found("multiclass", np.ones(500), np.arange(500) // 10, np.arange(500)) == []
