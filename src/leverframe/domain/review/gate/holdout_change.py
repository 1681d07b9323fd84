"""How the hold-out of a change differs from that of its base: rows by key, labels, and the declared period.

Both models are judged on the candidate's hold-out, so a change that rewrites labels or drops rows chooses its own
judge. Rows that only the declared period explains are no such change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.domain import layout
from leverframe.domain.features.plan import Plan
from leverframe.domain.features.training_set import AS_OF, LABEL, LabelKind
from leverframe.domain.model.table import Column, Table, column, texts
from leverframe.domain.partition import Partition, Partitions
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import SourceError
from leverframe.settings.params import Params, PartitionRange

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Span = tuple[int, int]
Columns = tuple[NDArray[Any], NDArray[Any]]  # of the candidate's table and of the base's

_SAME_DIGITS = 1e-6  # relative: labels that are sums may differ in the last digits between machines


@dataclass(frozen=True)
class Declared:
    """What a revision declares: the spine's key, and where the timestamps of training and hold-out lie.

    Spans are microseconds since the epoch, their end excluded.
    """

    key: tuple[str, ...]
    train: Span
    holdout: Span


@dataclass(frozen=True)
class HoldoutChange:
    """How the hold-out changed; no row in it.

    ``rows`` are those of the base in the period that both declare. ``added``, ``removed`` and ``relabelled``
    lie in that period, ``moved_in`` and ``moved_out`` outside of it. ``repeated`` counts rows of either side
    that share their key with an earlier one. ``rate`` names a mean of labels, ``before`` and ``after`` are its
    values, None without rows. ``because`` says what made the keys differ, where that is known.
    """

    rows: int
    added: int
    removed: int
    relabelled: int
    moved_in: int
    moved_out: int
    repeated: int
    rate: str
    before: float | None
    after: float | None
    maximum: float
    because: str = ""

    @property
    def changed(self) -> int:
        """The rows that the declared period does not explain."""
        return self.added + self.removed + self.relabelled

    @property
    def share(self) -> float:
        """``changed`` as a share of ``rows``; at most 1."""
        return min(1.0, self.changed / max(1, self.rows))

    @property
    def differs(self) -> bool:
        """Tell whether the hold-outs differ at all."""
        return bool(self.changed or self.moved_in or self.moved_out)

    def line(self) -> str:
        """Return the change in one sentence without its stop."""
        counts = f"{self.added:,} added, {self.removed:,} removed, {self.relabelled:,} relabelled"
        said = f"{counts}, {100 * self.share:.2f} % of the {self.rows:,} rows of the base"
        if self.before is not None and self.after is not None and self.before != self.after:
            said += f"; {self.rate} {self.before:.4g} to {self.after:.4g}"
        if self.moved_in or self.moved_out:
            said += f". Because of the declared period: {self.moved_in:,} added, {self.moved_out:,} removed"
        if self.repeated:
            said += f". Rows that share their key with another: {self.repeated:,}"
        return said + (f". {self.because[:1].upper()}{self.because[1:]}" if self.because else "")

    def violations(self) -> list[Violation]:
        """Return the violation where more changed than is allowed."""
        if self.changed <= self.maximum * self.rows or self.maximum >= 1:
            return []
        return [
            Violation(
                Reason.HOLDOUT_CHANGED,
                f"the hold-out changed within its period: {self.line()}. Allowed: {100 * self.maximum:g} %.",
                "restore these rows and labels; if the change is meant, first raise "
                "`gate.maximum_holdout_change` in a pull request of its own",
            )
        ]


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


def declared(params: Params, plan: Plan) -> Declared:
    """Return what the settings and the plan of a revision declare."""
    partitions = Partitions.of(params.data)

    def start(partition: Partition) -> int:
        return _microseconds(partition.start(params.data.timezone) - plan.lead_time)

    def span(split: PartitionRange) -> Span:
        first, last = (Partition.of(key, partitions.first.period) for key in (split.first, split.last))
        return start(first), start(last.plus(1))

    return Declared(plan.spine_key, span(params.features.train), span(params.features.holdout))


def _microseconds(timestamp: datetime) -> int:
    return int(np.datetime64(timestamp.astimezone(UTC).replace(tzinfo=None), "us").astype(np.int64))


def same_rows(candidate: Table, base: Table, key: Sequence[str], *, labels: bool = True) -> SameRows:
    """Return which rows of two hold-outs are the same by timestamp and ``key``; without ``labels`` none is relabelled.

    Rows that share a key are paired by equal label first, then in the order of the file.
    Raises ``SourceError`` for a file without timestamps or labels.
    """
    missing = [name for name in key if name not in candidate.columns or name not in base.columns]
    if missing:
        side = "this change" if missing[0] not in candidate.columns else "the base"
        because = f"the key of a row is `{', '.join(key)}`, and the hold-out of {side} has no column `{missing[0]}`"
        return SameRows(*(np.empty(0, np.int64),) * 2, np.empty(0, np.bool_), because=because)
    times = timestamps(candidate), timestamps(base)
    names = [_alike(candidate, base, name) for name in key]
    keys = _numbered([times, *names])
    values: Columns = _label_values(candidate, base) if labels else times
    first = _paired(*_numbered([keys, values]))
    left = [np.setdiff1d(np.arange(len(ids)), pairs) for ids, pairs in zip(keys, first, strict=True)]
    then = _paired(keys[0][left[0]], keys[1][left[1]])
    ours, theirs = (np.concatenate([a, b[c]]) for a, b, c in zip(first, left, then, strict=True))
    relabelled = _differ(values[0][ours], values[1][theirs]) if labels else np.zeros(len(ours), np.bool_)
    repeated = sum(len(each) - len(np.unique(each)) for each in keys)
    few = 2 * len(ours) < min(len(times[0]), len(times[1]))
    because = _why_few(candidate, base, key, names) if few else ""
    return SameRows(ours, theirs, relabelled, repeated, because)


def timestamps(table: Table) -> Ints:
    """Return ``as_of`` in microseconds since the epoch; raises ``SourceError`` for a column of another type."""
    values = column(table, AS_OF, file=layout.HOLDOUT).to_numpy()
    if values.dtype.kind != "M":
        raise SourceError(
            f"`{AS_OF}` of {layout.HOLDOUT} holds no timestamps",
            why=f"its type is {values.dtype}",
            next="run `dvc repro`, which writes the file again",
        )
    return values.astype("datetime64[us]").astype(np.int64)


def _alike(one: Table, other: Table, name: str) -> Columns:
    """Return a column of both tables in a form in which equal values are equal, whatever their types."""
    columns = [column(each, name, file=layout.HOLDOUT) for each in (one, other)]
    return _values(*columns, numbers=columns[0].dtype != columns[1].dtype)


def _values(one: Column, other: Column, *, numbers: bool) -> Columns:
    """Return two columns as numbers where both are and ``numbers`` are wanted, else as texts, which lose no digit."""
    if numbers and _is_number(one) and _is_number(other):
        return one.to_numpy().astype(np.float64), other.to_numpy().astype(np.float64)
    return texts(one), texts(other)


def _is_number(found: Column) -> bool:
    return bool(found.dtype.is_numeric()) or str(found.dtype) == "Boolean"


def _label_values(one: Table, other: Table) -> Columns:
    return _values(*(column(each, LABEL, file=layout.HOLDOUT) for each in (one, other)), numbers=True)


def _numbered(columns: Sequence[Columns]) -> tuple[Ints, Ints]:
    """Return a number for each row of two tables, the same for rows that are equal in all columns."""
    count = len(columns[0][0])
    numbers = np.zeros(count + len(columns[0][1]), np.int64)
    for pair in columns:
        part = np.unique(np.concatenate(pair), return_inverse=True)[1].reshape(-1)
        numbers = np.unique(numbers * (len(numbers) + 1) + part, return_inverse=True)[1].reshape(-1)
    return numbers[:count], numbers[count:]


def _paired(ours: Ints, theirs: Ints) -> tuple[Ints, Ints]:
    """Return the positions of equal numbers, the first with the first, the second with the second, and so on."""
    most = len(ours) + len(theirs) + 1
    one, other = (each * most + _occurrence(each) for each in (ours, theirs))
    _, first, second = np.intersect1d(one, other, assume_unique=True, return_indices=True)
    return first.astype(np.int64), second.astype(np.int64)


def _occurrence(numbers: Ints) -> Ints:
    """Return how often each number stood earlier."""
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    place = np.arange(len(numbers))
    begins = np.maximum.accumulate(np.where(np.diff(ordered, prepend=-1) != 0, place, 0))
    found = np.empty(len(numbers), np.int64)
    found[order] = place - begins
    return found


def _differ(ours: NDArray[Any], theirs: NDArray[Any]) -> Flags:
    if ours.dtype.kind != "f":
        return np.asarray(ours != theirs, np.bool_)
    known = np.abs(theirs[np.isfinite(theirs)])
    nearly = _SAME_DIGITS * 1e-3 * float(np.median(known)) if len(known) else 0.0
    same: Flags = np.isclose(ours, theirs, rtol=_SAME_DIGITS, atol=nearly, equal_nan=True)
    return ~same


def _why_few(candidate: Table, base: Table, key: Sequence[str], names: Sequence[Columns]) -> str:
    """Return what made most keys differ, as far as the columns tell; empty where they do not."""
    for name in key:
        ours, theirs = (column(each, name, file=layout.HOLDOUT).dtype for each in (candidate, base))
        if ours != theirs:
            return f"the key `{name}` was of type {theirs} and is of type {ours}"
    if names:
        ids = _numbered(names)
        if 2 * len(_paired(*ids)[0]) >= min(map(len, ids)):
            return "the same keys have other timestamps: the lead time or the time of the spine changed"
    return ""


def compared(
    tables: tuple[Table, Table],
    rows: SameRows,
    sides: tuple[Declared, Declared | None],
    kind: LabelKind,
    maximum: float,
) -> HoldoutChange:
    """Return the counts of a change; of both tuples the candidate's comes first.

    Where the base's declaration is unknown, no row is explained by its period.
    """
    ours, theirs = sides
    moved = [np.zeros(each.height, np.bool_) for each in tables]
    if theirs is not None:
        spans = (ours.holdout, theirs.holdout)
        for number, table in enumerate(tables):
            times = timestamps(table)
            moved[number] = _inside(times, spans[number]) & ~_inside(times, spans[1 - number])
    pairs = (rows.candidate, rows.base)
    for flags, paired in zip(moved, pairs, strict=True):
        flags[paired] = False
    kept = [int((~flags).sum()) for flags in moved]
    rate, before, after = _rate(tables, moved, kind)
    return HoldoutChange(
        rows=kept[1],
        added=kept[0] - len(pairs[0]),
        removed=kept[1] - len(pairs[1]),
        relabelled=int(rows.relabelled.sum()),
        moved_in=int(moved[0].sum()),
        moved_out=int(moved[1].sum()),
        repeated=rows.repeated,
        rate=rate,
        before=before,
        after=after,
        maximum=maximum,
        because=rows.because,
    )


def _inside(times: Ints, span: Span) -> Flags:
    return (times >= span[0]) & (times < span[1])


def outside(table: Table, span: Span | None) -> Ints:
    """Return the rows whose timestamp lies outside of a span; all rows without one."""
    times = timestamps(table)
    return np.arange(len(times)) if span is None else np.flatnonzero(~_inside(times, span))


def _rate(
    tables: tuple[Table, Table], moved: Sequence[Flags], kind: LabelKind
) -> tuple[str, float | None, float | None]:
    """Return the mean label of base and candidate, or the share of the class whose share changed most."""
    ours, theirs = (values[~flags] for values, flags in zip(_label_values(*tables), moved, strict=True))
    if ours.dtype.kind == "f":
        ours, theirs = ours[np.isfinite(ours)], theirs[np.isfinite(theirs)]
    if not len(ours) or not len(theirs):
        return "", None, None
    if kind != "multiclass" and ours.dtype.kind == "f":
        return (
            "share of positive labels" if kind == "binary" else "mean label",
            float(theirs.mean()),
            float(ours.mean()),
        )
    classes, places = np.unique(np.concatenate([theirs, ours]), return_inverse=True)
    before, after = (
        np.bincount(each, minlength=len(classes)) / len(each) for each in np.split(places.reshape(-1), [len(theirs)])
    )
    most = int(np.argmax(np.abs(after - before)))
    return f"share of `{str(classes[most])[:60]}`", float(before[most]), float(after[most])
