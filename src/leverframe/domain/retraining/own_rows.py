"""Predictions of two runs of a pipeline of one's own, paired row by row on a new hold-out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.features.training_set import Label
from leverframe.domain.model.evaluate.holdout import Holdout, local_days, numbered, sliced
from leverframe.domain.model.table import Column, texts
from leverframe.domain.monitoring.reference_rows import ReferenceTable, labelled, timestamps
from leverframe.domain.pipeline.role_columns import has_value, holds_numbers, numbers
from leverframe.domain.review.gate.paired import Pair
from leverframe.errors import SourceError

Ints = NDArray[np.int64]


def paired(
    candidate: ReferenceTable, champion: ReferenceTable, label: Label, timezone: str, slices: Sequence[str]
) -> Pair:
    """Return both sides on the same rows that have a label.

    ``timezone`` is that in which a day begins, ``slices`` are columns to slice by. Rows of one time and label are told
    apart by every column that both files agree on, and so not by outputs of the models. Raises ``SourceError`` where
    the two have other rows, or rows without a prediction.
    """
    ours, theirs = (_with_label(side) for side in (candidate, champion))
    first, second = _orders(ours, theirs)
    ours = replace(_taken(ours, first), file=f"{candidate.file} of the candidate")
    theirs = replace(_taken(theirs, second), file=f"{champion.file} of the champion")
    return Pair(_holdout(ours, label, timezone, slices), _holdout(theirs, label, timezone, slices))


def _orders(ours: ReferenceTable, theirs: ReferenceTable) -> tuple[Ints, Ints]:
    """Return the order of the rows of both files in which they are the same rows."""
    size = ours.table.height
    if size != theirs.table.height:
        raise _other_rows(ours, f"has {size:,} and {theirs.table.height:,} in the new hold-out")
    known = np.zeros(2 * size, np.int64)  # what tells rows apart so far, of the one file and then of the other
    for name in (ours.time, ours.label):
        known = _told_apart(known, _codes(ours.column(name), theirs.column(name)))
        if not _agree(known):
            raise _other_rows(ours, f"has {size:,} and {size:,} in the new hold-out, and their `{name}` differs")
    for codes in _of_columns(ours, theirs):
        finer = _told_apart(known, codes)
        known = finer if _agree(finer) else known
    first, second = (np.argsort(side, kind="stable").astype(np.int64) for side in np.split(known, 2))
    return first, second


def _of_columns(ours: ReferenceTable, theirs: ReferenceTable) -> list[Ints]:
    """Return the codes of the columns of both files, those of most values first: few outputs of a model are as rare."""
    roles = {ours.time, ours.label, *(f"{ours.prediction}{name}" for name in ("", *ours.classes))}
    both = [name for name in ours.table.columns if name in theirs.table.columns and name not in roles]
    plain = [name for name in both if not ours.column(name).dtype.is_nested()]
    coded = [_codes(ours.column(name), theirs.column(name)) for name in plain]
    return sorted(coded, key=lambda codes: -int(codes.max(initial=0)))


def _codes(one: Column, other: Column) -> Ints:
    """Return both columns as numbers, the same for the same value."""
    if holds_numbers(one) and holds_numbers(other):
        values: Any = np.concatenate([numbers(one), numbers(other)])
    elif one.dtype.is_temporal() and other.dtype.is_temporal():
        values = np.concatenate([side.to_numpy().astype("datetime64[us]").astype(np.int64) for side in (one, other)])
    else:
        values = np.concatenate([texts(one), texts(other)])
    return _ranked(values)


def _told_apart(known: Ints, codes: Ints) -> Ints:
    return _ranked(known * (int(codes.max(initial=0)) + 1) + codes)


def _ranked(values: Any) -> Ints:
    ranks: Ints = np.unique(values, return_inverse=True)[1].astype(np.int64)
    return ranks


def _agree(known: Ints) -> bool:
    one, other = np.split(known, 2)
    return np.array_equal(np.sort(one), np.sort(other))


def _other_rows(rows: ReferenceTable, how: str) -> SourceError:
    return SourceError(
        f"the two runs predicted other rows: {rows.file} {how}",
        why="champion and candidate are compared row by row, on the same rows",
        next="let the pipeline predict every row of the hold-out, whatever rows it learns from",
    )


def within(rows: ReferenceTable, start: datetime, end: datetime) -> ReferenceTable:
    """Return the rows of a period, its end excluded."""
    at = timestamps(rows.column(rows.time), rows.time, rows.file)
    first, last = (int(np.datetime64(_utc(timestamp), "us").astype(np.int64)) for timestamp in (start, end))
    return _taken(rows, np.flatnonzero((at >= first) & (at < last)))


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)


def _taken(rows: ReferenceTable, places: Ints) -> ReferenceTable:
    frame: Any = rows.table
    return replace(rows, table=frame[places])


def _with_label(rows: ReferenceTable) -> ReferenceTable:
    if not rows.label:
        raise SourceError(
            f"{rows.file} has no labels",
            why="`pipeline.predictions.label` in leverframe.yaml is not set, and models are compared on labels",
            next="name the column with the label",
        )
    return _taken(rows, np.flatnonzero(has_value(rows.column(rows.label))))


def _holdout(rows: ReferenceTable, label: Label, timezone: str, slices: Sequence[str]) -> Holdout:
    known = labelled(rows, timestamps(rows.column(rows.time), rows.time, rows.file), label)
    assert known is not None  # noqa: S101 - whoever pairs rows has labels
    days = local_days(known.at.astype("datetime64[us]"), timezone)
    slice_values = sliced(rows.table, [name for name in slices if name in rows.table.columns], days)
    return Holdout(label.kind, rows.classes, known.labels, known.predictions, numbered(days), slice_values)
