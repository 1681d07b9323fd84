"""How much a model relies on each column: by how much it gets worse where the column's values are shuffled.

Breiman (2001), as scikit-learn's ``permutation_importance`` has it, with negative drops counted as none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.evaluate.metrics import METRICS, measured
from leverframe.domain.model.table import Table
from leverframe.domain.monitoring.batch import Floats

ROWS = 2000
_SEED = 0

Predict = Callable[[Table], Floats]  # of a table with the features: shape (rows,), or (rows, classes)


def importances(
    kind: LabelKind, table: Table, labels: Floats, predict: Predict, features: Sequence[str]
) -> dict[str, float]:
    """Return the share of each feature in the drops of the first metric of the kind, together 1; all 0 without a drop.

    At most ``ROWS`` rows are looked at, drawn by a fixed seed.
    """
    draw = np.random.default_rng(_SEED)
    chosen = np.sort(draw.permutation(table.height)[:ROWS])
    frame: Any = table  # frames take rows by number and columns by name
    rows, known = frame[chosen], labels[chosen]
    sign = -1.0 if METRICS[kind][0].better == "lower" else 1.0
    before = _first(kind, known, predict(rows))
    drops = {}
    for name in features:
        shuffled = rows.with_columns(rows.get_column(name)[draw.permutation(len(chosen))].alias(name))
        drops[name] = max(0.0, sign * (before - _first(kind, known, predict(shuffled))))
    total = sum(drops.values())
    return {name: (drop / total if total else 0.0) for name, drop in drops.items()}


def _first(kind: LabelKind, labels: Floats, predictions: Floats) -> float:
    value = float(measured(kind, labels, predictions).values[0])
    return value if np.isfinite(value) else 0.0
