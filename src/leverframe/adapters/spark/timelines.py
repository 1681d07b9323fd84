"""Windows and as-of lookups on a cluster: rows and events meet by bucket of time and by part of the keys.

A row lies in one bucket. An event is copied to each bucket from whose rows it can be seen: two
as a rule, since a bucket is at least as long as the longest window. So even events without a key
are spread over the cluster, and no worker holds more than the events of two windows. What
happens in a bucket is the kernel that the other engine runs on the whole file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name that every reader of Spark knows
from pyspark.sql.types import StructField, StructType

from leverframe.adapters.spark.tables import ROW, spark_type
from leverframe.adapters.spark.versions import FIRST, KNOWN, UNTIL
from leverframe.domain.features.intervals import FOREVER, OwnGroups, Versions, over_versions
from leverframe.domain.features.plan import Aggregate
from leverframe.domain.features.values import numbers
from leverframe.domain.features.windows import Column, Floats, Ints, Timeline, Timestamps, over_events

Work = Callable[[pa.Table, pa.Table], pa.Table]  # rows and events in, features of the rows out

AT = "__at"  # the timestamp of a row in microseconds
_BUCKET, _PART = "__bucket", "__part"
_EVENTS = 500_000  # that many events of one bucket are split by key, where there is one


@dataclass(frozen=True)
class EventJoin:
    """Rows and events with columns of one name: ``keys``, ``own``, place and timestamp; values of events besides."""

    rows: DataFrame
    events: DataFrame
    keys: tuple[str, ...]
    own: tuple[str, ...]
    back: timedelta
    span: tuple[int, int]  # the timestamps of the first and the last row
    count: int  # events in all, as far as the footers tell

    def apply(self, work: Work, schema: pa.Schema) -> DataFrame:
        """Return what ``work`` makes of the rows and events of each bucket and part."""
        slots = 2 * self.rows.sparkSession.sparkContext.defaultParallelism
        first, last = self.span
        longest = self.back // timedelta(microseconds=1)
        length = max(longest, -(-(last - first + 1) // slots), 1)
        buckets = (last - first) // length + 1
        parts = -(-max(slots, self.count // _EVENTS) // buckets) if self.keys else 1
        part = F.pmod(F.xxhash64(*self.keys), F.lit(parts)) if self.keys else F.lit(0).cast("bigint")
        rows = self.rows.withColumns({_BUCKET: _div(F.col(AT) - first, length), _PART: part})
        known = self.events.where((F.col(AT) >= first - longest) & (F.col(AT) < last)).dropna(subset=list(self.keys))
        from_, to = F.col(AT) + 1 - first, F.col(AT) + longest - first
        reached = F.sequence(_div(F.greatest(from_, F.lit(0)), length), F.least(_div(to, length), F.lit(buckets - 1)))
        events = known.withColumns({_BUCKET: F.explode(reached), _PART: part})
        meet = rows.groupBy(_BUCKET, _PART).cogroup(events.groupBy(_BUCKET, _PART))
        stored = StructType([StructField(field.name, spark_type(field.type)) for field in schema])

        def work_on(ours: pa.Table, theirs: pa.Table) -> pa.Table:
            made = work(ours, theirs)
            return made.cast(pa.schema([(field.name, _carried(field.type)) for field in schema]))

        return meet.applyInArrow(work_on, stored)


def newest(tolerance: timedelta, outputs: Sequence[str], keys: Sequence[str]) -> Work:
    """Return the work that finds for each row the newest event within the tolerance."""

    def work(rows: pa.Table, events: pa.Table) -> pa.Table:
        events, timeline = _timeline(rows, events, keys)
        high, low = timeline.before(), timeline.before(tolerance)
        indices = pa.array(high - 1, mask=high <= low)
        return pa.table({ROW: rows[ROW], **{name: events[name].take(indices) for name in outputs}})

    return work


def aggregated(asked: Sequence[Aggregate], keys: Sequence[str]) -> Work:
    """Return the work that makes the features of a window step."""

    def work(rows: pa.Table, events: pa.Table) -> pa.Table:
        ours, theirs = _shared_codes(rows, events, keys)
        at = events[AT].to_numpy()
        order = np.lexsort((events[ROW].to_numpy(), at, theirs))
        values = _values(asked, events := events.take(pa.array(order)))
        results = over_events(
            asked, values, Timestamps(theirs[order], at[order]), Timestamps(ours, rows[AT].to_numpy())
        )
        return _features(rows, events, asked, results)

    return work


def aggregated_versions(asked: Sequence[Aggregate], keys: Sequence[str], own: Sequence[str]) -> Work:
    """Return the work that makes the features of a window step over versions of events.

    ``AT`` is the place of their event, besides the columns of ``versions``. Those that are equal in
    the columns ``own`` do not count for a row.
    """

    def work(rows: pa.Table, events: pa.Table) -> pa.Table:
        ours, theirs = _shared_codes(rows, events, keys)
        at, first, known = (events[name].to_numpy() for name in (AT, FIRST, KNOWN))
        order = np.lexsort((events[ROW].to_numpy(), known, first, at))
        until = pc.fill_null(events[UNTIL], FOREVER).to_numpy()
        values = _values(asked, events := events.take(pa.array(order)))
        laid_out = Versions(theirs[order], known[order], until[order], at[order])
        left_out = OwnGroups(*_shared_codes(rows, events, own)) if own else None
        results = over_versions(asked, values, laid_out, Timestamps(ours, rows[AT].to_numpy()), left_out)
        return _features(rows, events, asked, results)

    return work


def _values(asked: Sequence[Aggregate], events: pa.Table) -> dict[str, Column]:
    """Return the columns that the kernel reads."""
    return {name: numbers(events[name]) for name in {aggregate.column for aggregate in asked}}


def _features(rows: pa.Table, events: pa.Table, asked: Sequence[Aggregate], results: Mapping[str, Floats]) -> pa.Table:
    """Return what the kernel made, in the types that the features have in the output."""
    made = {
        aggregate.name: _feature(aggregate, events[aggregate.column], results[aggregate.name]) for aggregate in asked
    }
    return pa.table({ROW: rows[ROW], **made})


def _feature(aggregate: Aggregate, column: pa.ChunkedArray, made: Floats) -> pa.Array | pa.ChunkedArray:
    if aggregate.function in ("count", "distinct"):
        return pa.array(made.astype(np.int64))
    if aggregate.function == "last":
        missing = np.isnan(made)
        return column.take(pa.array(np.where(missing, 0, made).astype(np.int64), mask=missing))
    return pa.array(made, from_pandas=True)


def _timeline(rows: pa.Table, events: pa.Table, keys: Sequence[str]) -> tuple[pa.Table, Timeline]:
    """Return the events by key, timestamp and row, and the timeline that answers the rows."""
    ours, theirs = _shared_codes(rows, events, keys)
    at = events[AT].to_numpy()
    order = np.lexsort((events[ROW].to_numpy(), at, theirs))
    sorted_events = Timestamps(theirs[order], at[order])
    return events.take(pa.array(order)), Timeline(sorted_events, Timestamps(ours, rows[AT].to_numpy()))


def _shared_codes(rows: pa.Table, events: pa.Table, keys: Sequence[str]) -> tuple[Ints, Ints]:
    """Return the keys of rows and events as numbers, equal where the keys are."""
    both = _codes([pa.chunked_array([*rows[key].chunks, *events[key].chunks], rows[key].type) for key in keys])
    if not keys:
        both = np.zeros(rows.num_rows + events.num_rows, np.int64)
    return both[: rows.num_rows], both[rows.num_rows :]


def _codes(keys: Sequence[pa.ChunkedArray]) -> Ints:
    """Return a number for each distinct key; -1 where a part of the key is null."""
    code, missing = np.zeros(0, np.int64), np.zeros(0, np.bool_)
    for number, key in enumerate(keys):
        codes = pc.fill_null(pa.concat_arrays(key.chunks or [pa.array([], key.type)]).dictionary_encode().indices, -1)
        part = codes.to_numpy(zero_copy_only=False).astype(np.int64)
        missing = part < 0 if number == 0 else missing | (part < 0)
        code = part if number == 0 else np.unique(code * (int(part.max(initial=0)) + 2) + part, return_inverse=True)[1]
    return np.where(missing, -1, code)


def _carried(dtype: pa.DataType) -> pa.DataType:
    """Return the type in which Spark carries values: it has no unsigned numbers."""
    return {pa.uint8(): pa.int16(), pa.uint16(): pa.int32(), pa.uint32(): pa.int64()}.get(dtype, dtype)


def _div(number: SparkColumn, length: int) -> SparkColumn:
    return F.call_function("div", number, F.lit(length))
