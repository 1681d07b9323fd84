"""Features that alone predict the label almost perfectly: such a feature mostly reveals the label.

Each feature predicts the hold-out by itself, every row from other rows: a value that many rows have by the labels of
those in other folds, which are whole days, a number that few rows have by the rows with the nearest other values. So an
identifier, which says nothing of other rows, predicts nothing, whatever its number of values. A number is also taken as
it is, in both directions, for labels of two classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.domain import layout
from leverframe.domain.features.training_set import LABEL, Feature, LabelKind
from leverframe.domain.model.evaluate.holdout import days_of, numbered
from leverframe.domain.model.evaluate.ranking import Floats, Ranking
from leverframe.domain.model.table import Column, column
from leverframe.domain.model.train import checked_labels
from leverframe.domain.review.gate.pairing import Side
from leverframe.domain.verdict import Reason, Violation
from leverframe.settings.levers import GateSettings

Ints = NDArray[np.int64]

_THRESHOLDS: dict[LabelKind, float] = {"binary": 0.98, "multiclass": 0.98, "regression": 0.995}
_TITLES: dict[LabelKind, str] = {
    "binary": "AUC",
    "multiclass": "balanced accuracy",
    "regression": "R² of ranks, 2.5 % of the rows left out",
}
_LEAST_ROWS, _LEAST_OF_CLASS = 50, 10  # fewer are predicted well by chance
_LEAST_DAYS = 4  # on which a class occurs, where there are as many
_MOST_ROWS = 20_000  # that are looked at; of classes equally many
_WITHIN = 0.05  # of the variance of labels that must be within days
_FOLDS = 5
_MANY = 6  # rows with one value, from which the others of them predict one
_NEAREST = (-3, -2, -1, 1, 2, 3)
_LEFT_OUT = 0.025  # of the rows, the worst predicted ones: a copy may have errors


@dataclass(frozen=True)
class Labels:
    """The rows that are looked at: their places in the hold-out, labels as columns of numbers, and folds."""

    kind: LabelKind
    rows: Ints
    targets: Floats
    folds: Ints

    @classmethod
    def of(cls, kind: LabelKind, labels: Floats, days: Ints) -> Labels | None:
        """Return them for labels as ``Holdout`` has them; None where there are too few to tell anything.

        ``days`` is the day of each row, numbered from 0, shape (rows,) as ``labels``.
        """
        draw = np.random.default_rng(0)  # the same rows each time
        order = draw.permutation(len(labels)).astype(np.int64)
        if _told_by_day(labels, days):  # then whatever tells the day tells the label: a day is one row
            order = order[np.unique(days[order], return_index=True)[1]]
        if kind == "regression":
            rows = order[:_MOST_ROWS]
            targets = _ranks(labels[rows])[:, None]
        else:
            known = _judged_classes(labels[order], days[order])
            if len(known) < 2:
                return None
            most = max(_LEAST_OF_CLASS, _MOST_ROWS // len(known))
            rows = np.concatenate([order[labels[order] == value][:most] for value in known])
            targets = (labels[rows][:, None] == known[None, :]).astype(np.float64)
            targets = targets[:, 1:] if kind == "binary" else targets
        if len(rows) < _LEAST_ROWS or not np.ptp(targets):
            return None
        enough = len(np.unique(days[rows])) >= 2 * _FOLDS
        return cls(kind, rows, targets, (days[rows] if enough else np.arange(len(rows))) % _FOLDS)


def _told_by_day(labels: Floats, days: Ints) -> bool:
    """Tell whether nearly all of the variance of the labels is between days."""
    count = np.maximum(np.bincount(days), 1)
    within = labels - (np.bincount(days, weights=labels) / count)[days]
    return bool(np.var(within) < _WITHIN * np.var(labels))


def _judged_classes(labels: Floats, days: Ints) -> Floats:
    """Return the classes that have enough rows, on enough days."""
    least = min(_LEAST_DAYS, len(np.unique(days)))
    of_class = ((value, labels == value) for value in np.unique(labels))
    known = [value for value, here in of_class if here.sum() >= _LEAST_OF_CLASS and len(np.unique(days[here])) >= least]
    return np.array(known, dtype=np.float64)


def _ranks(values: Floats) -> Floats:
    """Return the mean rank of each value, between 0 and 1."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: Floats = ((ends - (counts - 1) / 2) / len(values))[place]
    return ranks


@dataclass(frozen=True)
class Suspect:
    """A feature that alone predicts the label, and how well."""

    feature: str
    power: float
    kind: LabelKind

    def __str__(self) -> str:
        return f"{_TITLES[self.kind]} {self.power:.4f}"


def suspects(labels: Labels, columns: Iterable[tuple[Feature, Column]]) -> list[Suspect]:
    """Return the features that predict the labels almost perfectly, the best first."""
    powers = [(feature.name, power(labels, feature, values)) for feature, values in columns]
    above = [Suspect(name, value, labels.kind) for name, value in powers if value >= _THRESHOLDS[labels.kind]]
    return sorted(above, key=lambda suspect: (-suspect.power, suspect.feature))


def power(labels: Labels, feature: Feature, values: Column) -> float:
    """Return how well a feature alone predicts: AUC, balanced accuracy, or the share of the variance of ranks."""
    if feature.kind == "categorical":
        texts = values.cast(str).to_numpy()[labels.rows]
        known = np.array(["\0" if text is None else text for text in texts.tolist()], dtype=np.str_)
        return _measured(labels, _predicted(labels, *_groups(known), ordered=False))
    numbers = values.cast(float).to_numpy()[labels.rows].astype(np.float64)
    numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    by_value = _measured(labels, _predicted(labels, *_groups(numbers), ordered=True))
    return max(by_value, *_as_it_is(labels, numbers)) if labels.kind == "binary" else by_value


def _groups(values: NDArray[Any]) -> tuple[Ints, int]:
    """Return the place of each row's value among the sorted values, and how many of them are numbers or texts."""
    distinct, codes = np.unique(values, return_inverse=True, equal_nan=True)
    missing = distinct.dtype.kind == "f" and len(distinct) and np.isnan(distinct[-1])
    return codes.astype(np.int64).ravel(), len(distinct) - int(missing)


def _predicted(labels: Labels, codes: Ints, known: int, *, ordered: bool) -> Floats:
    """Return what other rows say of the targets of each row, shape (rows, targets)."""
    count = int(codes.max()) + 1
    rows, sums = _sums(codes, labels.targets, count)
    predicted: Floats = np.tile(labels.targets.mean(axis=0), (len(codes), 1))
    for fold in range(_FOLDS):
        here = np.flatnonzero(labels.folds == fold)
        part_rows, part = _sums(codes[here], labels.targets[here], count)
        others = rows - part_rows
        tells = here[(rows[codes[here]] >= _MANY) & (others[codes[here]] > 0)]
        predicted[tells] = (sums - part)[codes[tells]] / others[codes[tells], None]
    few = np.flatnonzero((rows[codes] < _MANY) & (codes < known))
    if ordered and known > 2 * len(_NEAREST) and len(few):
        predicted[few] = _nearest(labels.kind, sums[:known] / rows[:known, None], codes[few])
    return predicted


def _sums(codes: Ints, targets: Floats, count: int) -> tuple[Ints, Floats]:
    sums = [np.bincount(codes, weights=target, minlength=count) for target in targets.T]
    return np.bincount(codes, minlength=count), np.stack(sums, axis=1)


def _nearest(kind: LabelKind, means: Floats, codes: Ints) -> Floats:
    """Return what the nearest other values say; at an end, more of the one side."""
    last = len(means) - 1
    places = codes[:, None] + np.array(_NEAREST)
    outside = (places < 0) | (places > last)
    places = np.where(outside, codes[:, None] - 2 * np.array(_NEAREST), places)
    neighbours = means[np.clip(places, 0, last)]
    estimates: Floats = np.median(neighbours, axis=1) if kind == "regression" else neighbours.mean(axis=1)
    return estimates


def _measured(labels: Labels, predicted: Floats) -> float:
    if labels.kind == "binary":
        return _area(predicted[:, 0], labels.targets[:, 0] > 0)
    if labels.kind == "multiclass":
        right = predicted.argmax(axis=1) == labels.targets.argmax(axis=1)
        return float(((right[:, None] * labels.targets).sum(axis=0) / labels.targets.sum(axis=0)).mean())
    errors = np.square(predicted - labels.targets)[:, 0]
    kept = np.argsort(errors)[: int(np.ceil(len(errors) * (1 - _LEFT_OUT)))]
    spread = np.square(labels.targets[kept, 0] - labels.targets[kept, 0].mean()).sum()
    return float(1 - errors[kept].sum() / spread) if spread else 0.0


def _as_it_is(labels: Labels, numbers: Floats) -> Sequence[float]:
    """Return how a number ranks the rows in either direction, missing ones at either end."""
    positive = labels.targets[:, 0] > 0
    ends = {-np.inf, np.inf} if np.isnan(numbers).any() else {0.0}
    areas = [_area(np.where(np.isnan(numbers), end, numbers), positive) for end in sorted(ends)]
    return [value for area in areas for value in (area, 1 - area)]


def _area(scores: Floats, positive: NDArray[np.bool_]) -> float:
    most = np.finfo(np.float64).max
    return Ranking(np.clip(scores, -most, most), positive).area()[0]


def judged_predictors(
    sides: tuple[Side, Side | None], settings: GateSettings, timezone: str
) -> tuple[list[Violation], tuple[str, ...]]:
    """Return a violation for each feature of the candidate, ``sides[0]``, that may reveal the label, and notes.

    One that the champion has as well, and that the rules allow, is only noted: it was merged before.
    """
    candidate, champion = sides
    leaks = _of_side(candidate, timezone, [feature.name for feature in candidate.model.features])
    judged = [suspect for suspect in leaks if suspect.feature not in settings.allowed_predictors]
    asked = [suspect.feature for suspect in judged]
    before = {suspect.feature for suspect in _of_side(champion, timezone, asked)} if champion and asked else set()
    notes = tuple(
        f"`{suspect.feature}` alone predicts the label almost perfectly ({suspect}), as on the base branch."
        for suspect in judged
        if suspect.feature in before
    )
    return [_violation(suspect) for suspect in judged if suspect.feature not in before], notes


def _of_side(side: Side, timezone: str, names: Sequence[str]) -> list[Suspect]:
    model, table = side.model, side.holdout
    values = checked_labels(column(table, LABEL, file=layout.HOLDOUT), model.label)
    numbers = np.unique(values, return_inverse=True)[1] if model.label.kind == "multiclass" else values
    labels = Labels.of(model.label.kind, numbers.astype(np.float64), numbered(days_of(table, timezone)))
    features = [feature for feature in model.features if feature.name in names]
    pairs = ((feature, column(table, feature.name, file=layout.HOLDOUT)) for feature in features)
    return suspects(labels, pairs) if labels else []


def _violation(suspect: Suspect) -> Violation:
    name = suspect.feature
    return Violation(
        Reason.LEAK_SUSPECTED,
        f"`{name}` alone predicts the label almost perfectly ({suspect}), as few features do that are known in time",
        f"take it out of the features, and write `reveals: [{name}]` in `star.yaml` at the fact that makes it known; "
        f"or, where it is known by then, first merge `gate: {{allowed_predictors: [{name}]}}` in `leverframe.yaml`",
    )
