"""Which rows of two tables are the same row, told by what identifies them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.model.table import Column, texts
from leverframe.domain.pipeline.role_columns import holds_numbers

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Columns = tuple[NDArray[Any], NDArray[Any]]  # of the candidate's table and of the base's

_SAME_DIGITS = 1e-6  # relative: labels that are sums may differ in the last digits between machines


@dataclass(frozen=True)
class SameRows:
    """The rows of two hold-outs that have the same key: row ``candidate[i]`` of one is ``base[i]`` of the other.

    ``relabelled`` tells for each pair whether the labels differ. ``repeated`` and ``because`` as in ``HoldoutChange``.
    """

    candidate: Ints
    base: Ints
    relabelled: Flags
    repeated: int = 0
    because: str = ""


def matched(keys: Sequence[Columns], labels: Columns | None) -> SameRows:
    """Return which rows of two tables are the same by ``keys``; without ``labels`` none is relabelled.

    Rows that share a key are paired by equal label first, then in the order of the file.
    """
    ids = numbered(keys)
    first = paired_numbers(*(numbered([ids, labels]) if labels is not None else ids))
    left = [np.setdiff1d(np.arange(len(side)), pairs) for side, pairs in zip(ids, first, strict=True)]
    then = paired_numbers(ids[0][left[0]], ids[1][left[1]])
    ours, theirs = (np.concatenate([a, b[c]]) for a, b, c in zip(first, left, then, strict=True))
    relabelled = np.zeros(len(ours), np.bool_) if labels is None else differ(labels[0][ours], labels[1][theirs])
    return SameRows(ours, theirs, relabelled, sum(len(side) - len(np.unique(side)) for side in ids))


def alike_values(one: Column, other: Column, *, numbers: bool) -> Columns:
    """Return two columns as numbers where both are and ``numbers`` are wanted, else as texts, which lose no digit."""
    if numbers and holds_numbers(one) and holds_numbers(other):
        return one.to_numpy().astype(np.float64), other.to_numpy().astype(np.float64)
    return texts(one), texts(other)


def numbered(columns: Sequence[Columns]) -> tuple[Ints, Ints]:
    """Return a number for each row of two tables, the same for rows that are equal in all columns."""
    count = len(columns[0][0])
    numbers = np.zeros(count + len(columns[0][1]), np.int64)
    for pair in columns:
        part = np.unique(np.concatenate(pair), return_inverse=True)[1].reshape(-1)
        numbers = np.unique(numbers * (len(numbers) + 1) + part, return_inverse=True)[1].reshape(-1)
    return numbers[:count], numbers[count:]


def paired_numbers(ours: Ints, theirs: Ints) -> tuple[Ints, Ints]:
    """Return the positions of equal numbers, the first with the first, the second with the second, and so on."""
    most = len(ours) + len(theirs) + 1
    one, other = (numbers * most + _occurrence(numbers) for numbers in (ours, theirs))
    _, first, second = np.intersect1d(one, other, assume_unique=True, return_indices=True)
    return first.astype(np.int64), second.astype(np.int64)


def _occurrence(numbers: Ints) -> Ints:
    """Return how often each number stood earlier."""
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    place = np.arange(len(numbers))
    begins = np.maximum.accumulate(np.where(np.diff(ordered, prepend=-1) != 0, place, 0))
    counts = np.empty(len(numbers), np.int64)
    counts[order] = place - begins
    return counts


def differ(ours: NDArray[Any], theirs: NDArray[Any]) -> Flags:
    if ours.dtype.kind != "f":
        return np.asarray(ours != theirs, np.bool_)
    known = np.abs(theirs[np.isfinite(theirs)])
    nearly = _SAME_DIGITS * 1e-3 * float(np.median(known)) if len(known) else 0.0
    same: Flags = np.isclose(ours, theirs, rtol=_SAME_DIGITS, atol=nearly, equal_nan=True)
    return ~same
