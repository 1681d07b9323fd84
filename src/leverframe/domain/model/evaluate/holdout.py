"""The rows of the hold-out with labels, predictions, days and slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from leverframe.domain import layout
from leverframe.domain.features.reserved import MONTH, in_predictions
from leverframe.domain.features.training_set import AS_OF, LABEL, Label, LabelKind
from leverframe.domain.model.evaluate.metrics import Measured, measured
from leverframe.domain.model.evaluate.ranking import Floats
from leverframe.domain.model.table import Table, column, texts
from leverframe.errors import DefinitionError, EstimatorError, LabelError, nearest

MOST_VALUES = 200  # of a slice column: more would be a list, not an overview


@dataclass(frozen=True)
class Holdout:
    """Rows in file order.

    ``labels`` are 0/1, numbers, or positions in ``classes``, shape (rows,); ``predictions`` the score
    or number of each row, shape (rows,), or the probability of each class, shape (rows, classes).
    ``days`` numbers the local day of each row from 0 in order of time; ``slices`` holds the value
    of each row by slice column.
    """

    kind: LabelKind
    classes: tuple[str, ...]
    labels: Floats
    predictions: Floats
    days: NDArray[np.int64]
    slices: Mapping[str, NDArray[np.str_]]

    @property
    def number_of_days(self) -> int:
        """The number of days that have rows."""
        return int(self.days.max()) + 1 if len(self.days) else 0

    def measured(self, rows: NDArray[np.int64] | slice = slice(None)) -> Measured:
        """Return the metrics of some rows, or of all."""
        return measured(self.kind, self.labels[rows], self.predictions[rows])


def sliced(table: Table, names: Sequence[str], days: NDArray[np.datetime64]) -> dict[str, NDArray[np.str_]]:
    """Return the value of each row by slice column, nulls as ``(missing)``.

    ``days`` is the local day of each row, from which the slice ``month`` is made. Raises
    ``DefinitionError`` for a column that is not there, or of too many values for a slice.
    """
    values: dict[str, NDArray[np.str_]] = {}
    for name in dict.fromkeys(names):
        if name == MONTH:
            values[name] = days.astype("datetime64[M]").astype(np.str_)
            continue
        if in_predictions(name) or name not in table.columns:
            taken = name in table.columns and name not in (AS_OF, LABEL)
            raise DefinitionError(
                f"`{name}` in evaluate.slices is not a column to slice by",
                why=f"{layout.PREDICTIONS} has a column of its own under that name"
                if taken
                else f"{layout.HOLDOUT} keeps the key, the spine's columns and the features; `{MONTH}` always works",
                next=f"rename `{name}` in the transform of its source, or slice by another column"
                if taken
                else nearest(name, [other for other in [*table.columns, MONTH] if not in_predictions(other)]),
            )
        values[name] = texts(column(table, name, file=layout.HOLDOUT))
        count = len(np.unique(values[name]))
        if count > MOST_VALUES:
            raise DefinitionError(
                f"`{name}` in evaluate.slices has {count} values",
                why=f"a slice column of more than {MOST_VALUES} values shows nothing at a glance",
                next="slice by a column of fewer values",
            )
    return values


def days_of(table: Table, timezone: str) -> NDArray[np.datetime64]:
    """Return the local day of each row; raises ``SourceError`` for a file without timestamps."""
    return local_days(column(table, AS_OF, file=layout.HOLDOUT).to_numpy(), timezone)


def numbered(days: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Return the position of each row's day among the days that occur, in order of time."""
    return np.unique(days, return_inverse=True)[1].astype(np.int64)


def local_days(as_of: NDArray[np.datetime64], timezone: str) -> NDArray[np.datetime64]:
    """Return the calendar day in ``timezone`` of each timestamp in UTC, both of shape (rows,)."""
    minutes, where = np.unique(as_of.astype("datetime64[m]"), return_inverse=True)
    zone = ZoneInfo(timezone)
    timestamps = (
        datetime.fromtimestamp(int(minute), UTC) for minute in minutes.astype("datetime64[s]").astype(np.int64)
    )
    shifts = np.array([_shift(timestamp, zone) for timestamp in timestamps], dtype=np.int64)
    days: NDArray[np.datetime64] = (minutes + shifts * np.timedelta64(1, "m")).astype("datetime64[D]")[where]
    return days


def _shift(timestamp: datetime, zone: ZoneInfo) -> int:
    offset = timestamp.astimezone(zone).utcoffset()
    return round(offset.total_seconds() / 60) if offset else 0


def with_classes(
    labels: NDArray[np.int64] | NDArray[np.str_], predictions: Floats, known: Sequence[str]
) -> tuple[tuple[str, ...], Floats, Floats]:
    """Return the classes, the position of each label among them, and probabilities of that many columns.

    Classes of the hold-out that the model never saw follow its own, with probability 0.
    """
    written = labels.astype(np.str_)
    new = sorted(set(written.tolist()) - set(known))
    classes = (*known, *new)
    position = {name: number for number, name in enumerate(classes)}
    padded = np.concatenate([predictions, np.zeros((len(predictions), len(new)))], axis=1)
    return classes, np.array([position[label] for label in written.tolist()], dtype=np.float64), padded


def checked_predictions(predictions: Floats, shape: tuple[int, ...], label: Label) -> Floats:
    """Return the predictions; raises ``EstimatorError`` for another shape or for impossible values."""
    if predictions.shape != shape:
        raise EstimatorError(
            f"the predictions have the shape {predictions.shape}, not {shape}",
            why=f"a {label.kind} label needs one prediction per row" + (" and class" if len(shape) > 1 else ""),
            next="train again with `dvc repro train`, or fix the estimator",
        )
    wrong = ~np.isfinite(predictions)
    if label.kind != "regression":
        wrong |= (predictions < 0) | (predictions > 1)
    if wrong.any():
        raise EstimatorError(
            f"{int(wrong.reshape(len(predictions), -1).any(axis=1).sum())} of {len(predictions)} predictions "
            + ("are not finite numbers" if label.kind == "regression" else "are no probabilities"),
            why=f"the first of them is {predictions[wrong][0]}",
            next="look for a division by zero or missing values in the estimator, then train again",
        )
    return predictions


def positive_column(classes: Sequence[str], label: Label) -> int:
    """Return which probability is that of 1; raises ``LabelError`` when the model knows other classes."""
    if set(classes) != {"0", "1"}:
        raise LabelError(
            f"the model of `{label.name}` knows the classes {', '.join(classes)}",
            why="a binary label is 0 or 1",
            next="train again with `dvc repro train`",
        )
    return list(classes).index("1")
