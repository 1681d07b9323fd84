"""Predictions of two runs of a pipeline of one's own, paired row by row on a new hold-out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.features.training_set import Label
from leverframe.domain.model.evaluate.holdout import Holdout, local_days, numbered, sliced
from leverframe.domain.model.table import texts
from leverframe.domain.monitoring.reference_rows import ReferenceTable, labelled, timestamps
from leverframe.domain.review.gate.paired import Pair
from leverframe.errors import SourceError

Ints = NDArray[np.int64]


def paired(
    candidate: ReferenceTable, champion: ReferenceTable, label: Label, where: tuple[str, Sequence[str], Sequence[str]]
) -> Pair:
    """Return both sides on the same rows that have a label.

    ``where`` is the zone in which a day begins, the columns that tell rows of one timestamp apart, and those to slice
    by. Raises ``SourceError`` where the two files have other rows.
    """
    timezone, columns, slices = where
    ours, theirs = (_in_order(_with_label(side), columns) for side in (candidate, champion))
    for name in (candidate.time, candidate.label):
        one, other = texts(ours.column(name)), texts(theirs.column(name))
        if not np.array_equal(one, other):
            counts = f"{len(one):,} and {len(other):,} in the new hold-out"
            raise SourceError(
                f"the two runs predicted other rows: {candidate.file} has {counts}"
                + ("" if len(one) != len(other) else f", and their `{name}` differs"),
                why="champion and candidate are compared row by row, on the same rows",
                next="let the pipeline predict every row of the hold-out, whatever rows it learns from",
            )
    return Pair(_holdout(ours, label, timezone, slices), _holdout(theirs, label, timezone, slices))


def within(rows: ReferenceTable, start: datetime, end: datetime) -> ReferenceTable:
    """Return the rows of a period, its end excluded."""
    at = timestamps(rows.column(rows.time), rows.time, rows.file)
    first, last = (int(np.datetime64(_utc(each), "us").astype(np.int64)) for each in (start, end))
    return _taken(rows, np.flatnonzero((at >= first) & (at < last)))


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)


def _taken(rows: ReferenceTable, places: Ints) -> ReferenceTable:
    frame: Any = rows.table
    return ReferenceTable(frame[places], rows.time, rows.prediction, rows.label, rows.classes, rows.file)


def _with_label(rows: ReferenceTable) -> ReferenceTable:
    if not rows.label:
        raise SourceError(
            f"{rows.file} has no labels",
            why="`pipeline.predictions.label` in leverframe.yaml is not set, and models are compared on labels",
            next="name the column with the label",
        )
    given = rows.column(rows.label).to_numpy().tolist()
    there = [value is not None and value == value for value in given]  # noqa: PLR0124 - NaN is no label
    return _taken(rows, np.flatnonzero(np.array(there, bool)))


def _in_order(rows: ReferenceTable, columns: Sequence[str]) -> ReferenceTable:
    """Return the rows in order of time, those of one time by their columns and label."""
    at = timestamps(rows.column(rows.time), rows.time, rows.file)
    keys = [texts(rows.column(name)) for name in reversed([*columns, rows.label])]
    return _taken(rows, np.lexsort([*keys, at]).astype(np.int64))


def _holdout(rows: ReferenceTable, label: Label, timezone: str, slices: Sequence[str]) -> Holdout:
    known = labelled(rows, timestamps(rows.column(rows.time), rows.time, rows.file), label)
    assert known is not None  # noqa: S101 - whoever pairs rows has labels
    days = local_days(known.at.astype("datetime64[us]"), timezone)
    found = sliced(rows.table, [name for name in slices if name in rows.table.columns], days)
    return Holdout(label.kind, rows.classes, known.labels, known.predictions, numbered(days), found)
