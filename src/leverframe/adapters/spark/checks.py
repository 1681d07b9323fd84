"""The checks that the tables must pass before a feature is made of them, run on the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812 - the name that every reader of Spark knows

from leverframe.adapters.spark.tables import Table, named
from leverframe.adapters.spark.versions import PLACE, versions
from leverframe.domain.data.times import EVENT_TIME
from leverframe.domain.features.build import duplicate_key, known_too_late
from leverframe.domain.features.plan import Corrected, LabelStep, Windows
from leverframe.errors import LabelError, SourceError


def refuse_duplicates(table: Table, key: Sequence[str], what: str) -> None:
    """Raise ``SourceError`` for a key that stands more than once."""
    duplicate = _first(table, key, F.count("*"))
    if duplicate:
        raise duplicate_key(what, key, duplicate)


def refuse_moved(table: Table, name: str, corrected: Corrected) -> None:
    """Raise ``SourceError`` for versions of one row that happened at two timestamps: they may lie in two partitions."""
    moved = _first(table, corrected.key, F.countDistinct(EVENT_TIME))
    if moved:
        raise SourceError(
            f"versions of one row of `{name}` differ in event_time",
            why=f"({_quoted(corrected.key)}) = {moved[:-1]} has {moved[-1]}; versions in two partitions do not meet",
            next="keep the event_time of the first version in sources.py, or give the row another key",
        )


def refuse_late(step: Windows, table: Table) -> None:
    """Raise ``SourceError`` for events that became known more than ``max_lag`` after they happened."""
    # Only the first version has to come in time: the others add no event.
    frame = versions(table.frame, step.corrected, step.known_at)
    lag = F.col(PLACE) - F.unix_micros(named(EVENT_TIME))
    late = frame.select(lag.alias("lag")).where(F.col("lag") > step.max_lag // timedelta(microseconds=1))
    row = late.agg(F.count("*").alias("rows"), F.max("lag").alias("worst")).first()
    if row and row["rows"]:
        raise known_too_late(step, row["rows"], row["worst"])


def refuse_orphans(label: LabelStep, table: Table, spine: Table, name: str) -> None:
    """Raise ``LabelError`` for labels that belong to no row of the spine."""
    ours, theirs = ([f"__{side}{number}" for number in range(len(label.key.table))] for side in "st")
    rows = spine.frame.select(
        *(
            spine.compared(one, table.types[other]).alias(alias)
            for one, other, alias in zip(label.key.spine, label.key.table, ours, strict=True)
        )
    )
    labels = table.frame.select(
        *(
            table.compared(other, spine.types[one]).alias(alias)
            for one, other, alias in zip(label.key.spine, label.key.table, theirs, strict=True)
        )
    )
    equal = [F.col(one) == F.col(other) for one, other in zip(ours, theirs, strict=True)]
    orphans = labels.join(rows, equal, "left_anti")
    count = orphans.count()
    if count:
        example = tuple(orphans.orderBy(*(F.asc_nulls_last(column) for column in theirs)).first() or ())
        raise LabelError(
            f"{count} rows of label `{label.name}` belong to no row of `{name}`",
            why=f"for example ({_quoted(label.key.table)}) = {example}: the label's table and the spine do not agree",
            next="fix the key in sources.py; event_time of a label must lie in the partition of its row",
        )


def _first(table: Table, key: Sequence[str], count: Column) -> tuple[Any, ...] | None:
    """Return the first key without a null of which there are several, and how many."""
    names = [f"__k{number}" for number in range(len(key))]
    keys = [named(column).alias(name) for column, name in zip(key, names, strict=True)]
    several = table.frame.select("*", *keys).dropna(subset=names).groupBy(*names).agg(count.alias("__n"))
    row = several.where("__n > 1").orderBy(*names).first()
    return tuple(row) if row else None


def _quoted(names: Sequence[str]) -> str:
    return ", ".join('"' + name.replace('"', '""') + '"' for name in names)
