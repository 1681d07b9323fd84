"""How the hold-out of a change differs from that of its base: rows by key, labels, and the declared period.

Both models are judged on the candidate's hold-out, so a change that rewrites labels or drops rows chooses its own
judge. Rows that only the declared period explains are no such change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from leverframe.domain import layout
from leverframe.domain.features.plan import Plan
from leverframe.domain.features.training_set import AS_OF, LABEL, LabelKind
from leverframe.domain.model.table import Table, column
from leverframe.domain.partition import Partition, Partitions
from leverframe.domain.review.gate.row_matching import (
    Columns,
    Flags,
    Ints,
    SameRows,
    alike_values,
    matched,
    numbered,
    paired_numbers,
)
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import SourceError
from leverframe.settings.params import Params, PartitionRange

Span = tuple[int, int]


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
        sentence = f"{counts}, {100 * self.share:.2f} % of the {self.rows:,} rows of the base"
        if self.before is not None and self.after is not None and self.before != self.after:
            sentence += f"; {self.rate} {self.before:.4g} to {self.after:.4g}"
        if self.moved_in or self.moved_out:
            sentence += f". Because of the declared period: {self.moved_in:,} added, {self.moved_out:,} removed"
        if self.repeated:
            sentence += f". Rows that share their key with another: {self.repeated:,}"
        return sentence + (f". {self.because[:1].upper()}{self.because[1:]}" if self.because else "")

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
    same = matched([times, *names], _label_values(candidate, base) if labels else None)
    few = 2 * len(same.candidate) < min(len(times[0]), len(times[1]))
    return replace(same, because=_why_few(candidate, base, key, names) if few else "")


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
    columns = [column(table, name, file=layout.HOLDOUT) for table in (one, other)]
    return alike_values(*columns, numbers=columns[0].dtype != columns[1].dtype)


def _label_values(one: Table, other: Table) -> Columns:
    return alike_values(*(column(table, LABEL, file=layout.HOLDOUT) for table in (one, other)), numbers=True)


def _why_few(candidate: Table, base: Table, key: Sequence[str], names: Sequence[Columns]) -> str:
    """Return what made most keys differ, as far as the columns tell; empty where they do not."""
    for name in key:
        ours, theirs = (column(table, name, file=layout.HOLDOUT).dtype for table in (candidate, base))
        if ours != theirs:
            return f"the key `{name}` was of type {theirs} and is of type {ours}"
    if names:
        ids = numbered(names)
        if 2 * len(paired_numbers(*ids)[0]) >= min(map(len, ids)):
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
    moved = [np.zeros(holdout.height, np.bool_) for holdout in tables]
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
        np.bincount(side, minlength=len(classes)) / len(side) for side in np.split(places.reshape(-1), [len(theirs)])
    )
    most = int(np.argmax(np.abs(after - before)))
    return f"share of `{str(classes[most])[:60]}`", float(before[most]), float(after[most])
