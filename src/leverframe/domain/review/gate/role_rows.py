"""Rows of a pipeline of one's own as hold-outs: labels, predictions, blocks and slices by the roles of columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.features.training_set import Label
from leverframe.domain.model.evaluate.holdout import Holdout, local_days, numbered, sliced, with_classes
from leverframe.domain.model.evaluate.ranking import Floats
from leverframe.domain.model.table import Column, Table, texts
from leverframe.domain.model.train import checked_labels
from leverframe.domain.pipeline.role_columns import features_among, has_value, numbers
from leverframe.domain.review.gate.blocks import Blocks
from leverframe.domain.review.gate.row_matching import Ints
from leverframe.errors import SettingsError, SourceError, nearest
from leverframe.settings import LEVERS
from leverframe.settings.pipeline import RowsRole

_MOST_GROUPS = 1000  # of rows that nothing groups: more give no sharper bound, and cost their square root
_TIMES = frozenset({"hour", "day", "date", "week", "month", "quarter", "year"})
_MORE = "let the pipeline predict more rows, or improve the model"


@dataclass(frozen=True)
class Predicted:
    """Rows with what a model predicted for them: shape (rows,), of many classes (rows, classes).

    ``function`` is the import path of that of the repository which predicted them, empty where none did.
    """

    table: Table
    predictions: Floats
    classes: tuple[str, ...]
    function: str = ""


@dataclass(frozen=True)
class Roles:
    """What the columns of a file are: the section of the settings that says so, its label, and the slices wanted."""

    section: str
    role: RowsRole
    label: Label
    slices: tuple[str, ...] = ()

    def column(self, table: Table, name: str, what: str) -> Column:
        """Return a column; raises ``SettingsError`` where the file has none of that name."""
        if name not in table.columns:
            raise SettingsError(
                f"{self.role.path} has no column `{name}`",
                why=f"`{self.section}.{what}` in {LEVERS} names it",
                next=nearest(name, table.columns),
            )
        column: Column = table.get_column(name)
        return column

    def features(self, table: Table) -> list[str]:
        """Return the columns that the model sees; raises ``SettingsError`` for a pattern that names none."""
        others = {self.label.name, self.role.time, self.role.block or "", *self.role.key}
        role = self.role
        return features_among(table.columns, role.features, others, section=self.section, path=role.path)

    def labels(self, table: Table) -> Column:
        """Return the column with the labels."""
        return self.column(table, self.label.name, "label")

    def with_label(self, table: Table) -> Ints:
        """Return the positions of the rows that have a label; raises ``SourceError`` where none has one."""
        positions = np.flatnonzero(has_value(self.labels(table))).astype(np.int64)
        if not len(positions):
            raise SourceError(
                f"{self.role.path} has no row with a label",
                why=f"`{self.label.name}` is empty in each of its {table.height:,} rows",
                next=f"name the column with the label as `{self.section}.label` in {LEVERS}",
            )
        return positions


def holdout_of(roles: Roles, rows: Table, predicted: Predicted) -> Holdout:
    """Return ``rows``, which all have a label, with predictions for them in the same order."""
    kind, given = roles.label.kind, checked_labels(roles.labels(rows), roles.label)
    predictions, classes = _checked(roles, predicted.predictions), predicted.classes
    labels: Floats = given.astype(np.float64) if kind != "multiclass" else np.zeros(0)
    if kind == "multiclass":
        classes, labels, predictions = with_classes(given, predictions, classes)
    days, _ = blocks_of(roles, rows)
    return Holdout(kind, classes, labels, predictions, days, _slices(roles, rows))


def blocks_of(roles: Roles, rows: Table) -> tuple[Ints, Blocks]:
    """Return the number of the block that each row is in, from 0 in order, and what blocks are called."""
    role = roles.role
    if role.block is not None:
        column = roles.column(rows, role.block, "block")
        values = _ordered(column)
        named = Blocks(f"values of `{role.block}`", _MORE, timed=_is_time(role.block, column))
        return np.unique(values, return_inverse=True)[1].astype(np.int64), named
    if role.time in rows.columns:
        times = rows.get_column(role.time).to_numpy()
        if times.dtype.kind == "M" and not np.isnat(times).any():
            days = local_days(times.astype("datetime64[us]"), role.timezone)
            return numbered(days), Blocks("days", _MORE)
    count = min(rows.height, _MOST_GROUPS)
    groups = np.arange(rows.height, dtype=np.int64) * count // max(1, rows.height)
    return groups, Blocks("rows" if count == rows.height else "groups of rows", _MORE, timed=False)


def _is_time(name: str, values: Column) -> bool:
    """Tell whether values follow each other in time: by their type, or by their name."""
    return bool(values.dtype.is_temporal()) or bool(_TIMES & set(re.findall(r"[a-z]+", name.lower())))


def _ordered(column: Column) -> NDArray[Any]:
    """Return the values in a form that sorts as people read it: numbers and times as such, else texts."""
    if column.null_count() or not (column.dtype.is_numeric() or column.dtype.is_temporal()):
        return texts(column)
    return column.to_numpy()


def _slices(roles: Roles, rows: Table) -> dict[str, NDArray[np.str_]]:
    names = [name for name in roles.slices if name in rows.columns]
    return sliced(rows, names, np.zeros(rows.height, "datetime64[D]"))


def _checked(roles: Roles, predictions: Floats) -> Floats:
    wrong = ~np.isfinite(predictions)
    if roles.label.kind != "regression":
        wrong |= (predictions < 0) | (predictions > 1)
    if wrong.any():
        what = "finite numbers" if roles.label.kind == "regression" else "probabilities from 0 to 1"
        rows = int(wrong.reshape(len(predictions), -1).any(axis=1).sum())
        raise SourceError(
            f"{rows:,} of {len(predictions):,} predictions are no {what}",
            why=f"the first of them is {predictions[wrong][0]}; the label is declared as {roles.label.kind}",
            next=f"correct what predicts, or `kind` and `score` of `{roles.section}` in {LEVERS}",
        )
    return predictions


def predictions_of(roles: Roles, table: Table, values: Floats, known: tuple[str, ...]) -> Predicted:
    """Return what a model said to the rows of a table; ``known`` are the classes that its file names.

    Raises ``SettingsError`` where nobody names as many classes as it tells apart.
    """
    wide = roles.label.kind == "multiclass"
    if wide is not (values.ndim > 1):
        raise SettingsError(
            f"the model gives {values.shape[1] if values.ndim > 1 else 1} figures for a row",
            why=f"`{roles.section}` in {LEVERS} says that the label is {roles.label.kind}",
            next="correct its `kind`, or let the model give probabilities",
        )
    classes = known or tuple(roles.role.classes)
    if wide and len(classes) != values.shape[1]:
        raise SettingsError(
            f"the model tells {values.shape[1]} classes apart, and {len(classes)} are named",
            why="its file does not name them all",
            next=f"name them as `{roles.section}.classes` in {LEVERS}, in the order of its probabilities",
        )
    return Predicted(table, values, classes if wide else ("0", "1"))


def columns_predicted(roles: Roles, table: Table, score: str) -> Predicted:
    """Return the predictions that stand in columns of a file: ``score``, or the prefix of a column for each class."""
    if roles.label.kind != "multiclass":
        return Predicted(table, numbers(roles.column(table, score, "score")), ("0", "1"))
    classes = tuple(roles.role.classes) or _classes(table, score)
    if not classes:
        raise SettingsError(
            f"{roles.role.path} has no column that begins with `{score}`",
            why=f"a multiclass label needs a column for each class, and `{roles.section}.score` is their prefix",
            next=f"name the prefix in {LEVERS}, and the `classes` where their columns do not end in their names",
        )
    columns = [numbers(roles.column(table, f"{score}{name}", "classes")) for name in classes]
    return Predicted(table, np.stack(columns, axis=1), classes)


def _classes(table: Table, prefix: str) -> tuple[str, ...]:
    names: Sequence[str] = [name for name in table.columns if name.startswith(prefix) and name != prefix]
    return tuple(name.removeprefix(prefix) for name in names)
