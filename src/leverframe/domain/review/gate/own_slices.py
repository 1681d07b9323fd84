"""Both models within slices that no rule names, as a pipeline of one's own asks for them: shown, never judged."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from leverframe.domain.model.evaluate.holdout import Holdout
from leverframe.domain.model.evaluate.metrics import METRICS
from leverframe.domain.model.evaluate.scores import plain
from leverframe.domain.review.gate.gate_result import SliceCompared
from leverframe.domain.review.gate.paired import Pair
from leverframe.domain.review.gate.row_matching import Ints

_MOST = 50  # slices, the largest first


def shown_slices(pair: Pair, judged: Collection[str]) -> list[SliceCompared]:
    """Return the first metric of the label's kind within each value of the columns that are not ``judged``."""
    side = pair.candidate
    slices = [
        _compared(pair, name, value, np.flatnonzero(values == value).astype(np.int64))
        for name, values in side.slices.items()
        if name not in judged
        for value in np.unique(values).tolist()
    ]
    return sorted(slices, key=lambda part: -part.rows)[:_MOST]


def _compared(pair: Pair, column: str, value: str, rows: Ints) -> SliceCompared:
    metric = METRICS[pair.candidate.kind][0]
    after = _value(pair.candidate, rows)
    before = None if pair.champion is None else _value(pair.champion, rows)
    gain = None if before is None or after is None else metric.merit(after) - metric.merit(before)
    return SliceCompared(column, value, metric.name, len(rows), before, after, gain, None, None)


def _value(side: Holdout, rows: Ints) -> float | None:
    return plain(float(side.measured(rows).values[0]))
