"""Which values a model takes: missing ones and unseen ones are asked of the model itself, for its type does not tell.

An estimator without an imputer raises for a missing value, a strict encoder for a category that it was not fitted to.
A server has to refuse such a row with its name instead of failing with it, so the schema of the bundle says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.features.training_set import Feature
from leverframe.domain.model.bundle.conversion import UNSEEN, Columns
from leverframe.domain.model.bundle.schema import LONGEST, Accepted
from leverframe.errors import EstimatorError

_ROWS = 4  # of each question
_MOST = 10_000  # values that a strict encoder may list; more of them are no categories

Predict = Callable[[Columns], NDArray[np.float64]]
Learnt = Callable[[], Columns]


def accepted(predict: Predict, columns: Columns, features: Sequence[Feature], learnt: Learnt) -> dict[str, Accepted]:
    """Return what the model takes in each feature where that is not everything.

    ``columns`` are rows that it predicts, ``learnt`` gives those of training. A missing value is asked of every
    feature, and of all together, and so is a value that no row has; only the values of training are accepted where the
    model raises for another. Long texts are given room.
    """
    takes = _asked(predict, columns, features, learnt)
    for feature in features:
        longest = room(columns[feature.name]) if feature.kind == "categorical" else None
        if longest is not None:
            takes[feature.name] = replace(takes.get(feature.name, Accepted()), longest=longest)
    return takes


def room(texts: NDArray[Any]) -> int | None:
    """Return how long a text may be where some are long: at least twice as long as the longest; None for usual ones."""
    longest = max((len(text) for text in np.ma.getdata(texts).tolist() if isinstance(text, str)), default=0)
    return None if 2 * longest <= LONGEST else 1 << (2 * longest - 1).bit_length()


def _asked(predict: Predict, columns: Columns, features: Sequence[Feature], learnt: Learnt) -> dict[str, Accepted]:
    few = {feature.name: columns[feature.name][:_ROWS] for feature in features}
    missing: dict[str, Any] = {feature.name: None if feature.kind == "categorical" else np.nan for feature in features}
    strange: dict[str, Any] = {feature.name: _strange(feature, columns[feature.name]) for feature in features}

    def takes(*changes: Mapping[str, Any]) -> bool:
        return _takes(predict, _changed(few, changes))

    if takes(missing, *({name: value} for values in (missing, strange) for name, value in values.items())):
        return {}
    trained, together, limited = learnt(), dict[str, Any](), {}
    for name in few:
        more = together | {name: missing[name]}
        nullable = takes({name: missing[name]}, more)
        together = more if nullable else together
        values = None if takes({name: strange[name]}) else _values(trained[name])
        if not nullable or values is not None:
            limited[name] = Accepted(nullable, values)
    return limited


def _strange(feature: Feature, values: NDArray[Any]) -> Any:
    """Return a value that no row has; of a boolean the one that hardly any row has."""
    if feature.kind == "categorical":
        return UNSEEN
    known = values[np.isfinite(values)]
    if feature.kind == "boolean":
        return float(2 * known.sum() <= len(known))
    return float(np.abs(known).max(initial=0.0)) + 0.4375  # no category has this fraction


def _changed(few: Columns, changes: Sequence[Mapping[str, Any]]) -> dict[str, NDArray[Any]]:
    """Return the rows once for each change of them."""
    return {
        name: np.concatenate([np.full_like(values, change[name]) if name in change else values for change in changes])
        for name, values in few.items()
    }


def _takes(predict: Predict, rows: Columns) -> bool:
    try:
        return bool(np.isfinite(predict(rows)).all())
    except EstimatorError:
        return False


def _values(trained: NDArray[Any]) -> tuple[str | float, ...] | None:
    """Return the values of training, None where they are too many to be categories."""
    if trained.dtype == object:
        known = sorted({value for value in trained.tolist() if value is not None})
    else:
        known = np.unique(trained[np.isfinite(trained)]).tolist()
    return tuple(known) if len(known) <= _MOST else None
