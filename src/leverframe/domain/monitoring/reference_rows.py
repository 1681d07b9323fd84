"""The rows of the reference, read from a table: the hold-out with its predictions, or files that settings name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.features.training_set import Label
from leverframe.domain.model.evaluate.holdout import with_classes
from leverframe.domain.model.table import Column, Table
from leverframe.domain.model.train import checked_labels
from leverframe.domain.monitoring.batch import NO_TIME, Batch, Floats, Ints, LabelledRows, Levels, Numbers, Values
from leverframe.domain.monitoring.monitored_column import MonitoredColumn
from leverframe.domain.pipeline.role_columns import has_value, numbers
from leverframe.errors import SettingsError, SourceError, nearest


@dataclass(frozen=True)
class ReferenceTable:
    """A table of rows that the model did not learn from, and which columns have which role.

    ``prediction`` is a column, for many classes the text before the name of each. ``label`` is empty where there are no
    labels; ``classes`` are those of the model, empty for a regression.
    """

    table: Table
    time: str
    prediction: str
    label: str
    classes: tuple[str, ...]
    file: str

    def column(self, name: str) -> Column:
        """Return a column; raises ``SettingsError`` where the table has none of that name."""
        if name not in self.table.columns:
            raise SettingsError(
                f"{self.file} has no column `{name}`",
                why="the monitor compares live traffic with it",
                next=f"`dvc repro`; of an own pipeline, correct `pipeline.predictions` in leverframe.yaml: "
                f"{nearest(name, self.table.columns)}",
            )
        column: Column = self.table.get_column(name)
        return column


def reference_batch(rows: ReferenceTable, columns: Sequence[MonitoredColumn], label: Label) -> Batch:
    """Return the rows as if they were live traffic of the model; a column that the table lacks is left out."""
    table = rows.table
    at = timestamps(rows.column(rows.time), rows.time, rows.file)
    count = table.height
    return Batch(
        at=at,
        row=np.zeros(count, np.uint64),
        columns={
            column.name: values(table.get_column(column.name), column)
            for column in columns
            if column.name in table.columns
        },
        predictions=predictions(rows, label),
        release=Levels(np.zeros(count, np.int32), ("reference",)),
        milliseconds=np.full(count, np.nan),
        snapshot=np.full(count, NO_TIME),
    )


def labelled(rows: ReferenceTable, at: Ints, label: Label) -> LabelledRows | None:
    """Return the rows that have a label; None where the table has no labels."""
    if not rows.label:
        return None
    there = has_value(rows.column(rows.label))
    frame: Any = rows.table
    kept = frame if there.all() else frame.filter(there)
    labels = checked_labels(kept.get_column(rows.label), label)
    predicted = predictions(rows, label)[there]
    if label.kind == "multiclass":
        _, coded, predicted = with_classes(labels, predicted, rows.classes)
        return LabelledRows(at[there], coded, predicted, np.full(len(coded), np.nan))
    return LabelledRows(at[there], labels.astype(np.float64), predicted, np.full(len(labels), np.nan))


def predictions(rows: ReferenceTable, label: Label) -> Floats:
    """Return the predictions: shape (rows, classes) of probabilities for many classes, else (rows,).

    Raises ``SourceError`` where a row has none, or one that cannot be: metrics would be made up of it.
    """
    if label.kind != "multiclass":
        return _checked(rows, rows.prediction, label)
    return np.stack([_checked(rows, f"{rows.prediction}{name}", label) for name in rows.classes], axis=1)


def _checked(rows: ReferenceTable, name: str, label: Label) -> Floats:
    column = rows.column(name)
    predicted = numbers(column)
    finite = np.isfinite(predicted)
    wrong = ~finite if label.kind == "regression" else ~(finite & (predicted >= 0) & (predicted <= 1))
    if wrong.any():
        what = "number" if label.kind == "regression" or not finite.all() else "probability from 0 to 1"
        first = column.cast(str).to_numpy()[wrong][0]
        given = "nothing" if first is None else f"`{first[:60]}`"
        raise SourceError(
            f"{int(wrong.sum()):,} of {len(predicted):,} rows in {rows.file} have no {what} in `{name}`",
            why=f"the first of them has {given}; the column is {column.dtype}",
            next="let the pipeline predict every row, or leave rows without a prediction out of the file; another "
            "column is named by `pipeline.predictions.score` in leverframe.yaml",
        )
    return predicted


def values(column: Column, monitored: MonitoredColumn) -> Values:
    """Return a column as the monitor looks at it: numbers, or texts as codes."""
    if monitored.kind in ("numeric", "discrete"):
        return Numbers(numbers(column))
    return levels(column.cast(str).to_numpy())


def levels(texts: NDArray[np.object_]) -> Levels:
    """Return texts as codes; None and NaN are missing."""
    missing = np.array([text is None or text != text for text in texts.tolist()], bool)  # noqa: PLR0124
    known = np.where(missing, "", texts).astype(str)
    names, codes = np.unique(known[~missing], return_inverse=True)
    coded = np.full(len(texts), -1, np.int32)
    coded[~missing] = codes
    return Levels(coded, tuple(names.tolist()))


def timestamps(column: Column, name: str, file: str) -> Ints:
    """Return timestamps as microseconds since the epoch; raises ``SourceError`` for a column of another type."""
    given = column.to_numpy()
    if given.dtype.kind != "M":
        raise SourceError(
            f"`{name}` in {file} holds no timestamps but {column.dtype}",
            why="rows of the reference are told apart by when they were predicted",
            next="store it as timestamps, or name another column as `pipeline.predictions.time` in leverframe.yaml",
        )
    microseconds: Ints = given.astype("datetime64[us]").astype(np.int64)
    return microseconds  # that of a missing timestamp is NO_TIME
