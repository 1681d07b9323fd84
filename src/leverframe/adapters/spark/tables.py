"""How a table's files become one frame: rows numbered, NaN and infinity as null, calendar columns added."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name that every reader of Spark knows
from pyspark.sql.types import DataType, StructField, StructType, _parse_datatype_string

from leverframe.adapters.spark.parquet import TIMESTAMP, Types, common, types_of, types_together
from leverframe.domain.data.column_types import EXACT, LARGE_KEY, inexact_key
from leverframe.domain.data.times import EVENT_TIME, KNOWN_AT
from leverframe.domain.features.build import Inputs
from leverframe.domain.features.plan import AsOfLookup, Plan, Windows
from leverframe.errors import DefinitionError

ROW = "__row"  # place of a row in its table: the tie-breaker, and the order of the spine
ARRIVED = "__arrived"  # microseconds: the later of event_time and known_at, null where either is
_FILE = 2**36  # rows that a file may have before its numbers run into those of the next
_GLOB = re.compile(r"([\[\]{}*?\\])")

_CALENDAR = {
    "hour": F.hour,
    "weekday": F.weekday,
    "day": F.dayofmonth,
    "day_of_year": F.dayofyear,
    "month": F.month,
}
# How a type is called in Spark. What is absent here Spark would give back as something else.
_NAMES = {
    pa.bool_(): "boolean",
    pa.int8(): "tinyint",
    pa.int16(): "smallint",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.uint8(): "smallint",
    pa.uint16(): "int",
    pa.uint32(): "bigint",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.string(): "string",
    pa.date32(): "date",
    TIMESTAMP: "timestamp",
}


@dataclass(frozen=True)
class Table:
    """A frame and the types of its columns as the output must show them."""

    frame: DataFrame
    types: Types

    def compared(self, column: str, other: pa.DataType) -> Column:
        """Return a key column in the type in which it is compared with one of type ``other``."""
        own = self.types[column]
        if pa.types.is_floating(own) and pa.types.is_integer(other):  # as a double, a whole number could be another
            whole = (named(column) == F.floor(named(column))) & (F.abs(named(column)) < F.lit(float(EXACT)))
            return F.when(whole, named(column).cast("bigint"))
        if pa.types.is_integer(own) and pa.types.is_floating(other):
            return named(column).cast("bigint")
        dtype = common(own, other)
        value = named(column).cast(spark_name(dtype))
        return value + F.lit(0.0) if pa.types.is_floating(dtype) else value  # -0.0 is 0.0


def named(name: str) -> Column:
    """Return the column of that very name, whatever signs are in it."""
    return F.col("`" + name.replace("`", "``") + "`")


def spark_name(dtype: pa.DataType) -> str:
    """Return the name of a type in Spark."""
    return _NAMES[dtype]


def spark_type(dtype: pa.DataType) -> DataType:
    """Return the type of Spark itself."""
    return _parse_datatype_string(_NAMES[dtype])


def need_zone(spark: SparkSession, zone: str | None) -> None:
    """Raise ``DefinitionError`` for a time zone that Java does not know."""
    jvm: Any = spark._jvm  # the only door to Java
    if zone and not jvm.java.time.ZoneId.getAvailableZoneIds().contains(zone):
        raise DefinitionError(
            f"the engine `spark` cannot run this plan: Java does not know the time zone `{zone}`",
            why="the calendar of the spine is that of this zone",
            next="write the zone's current name in star.yaml, install a newer Java, or set `features.engine: duckdb`",
        )


def read_table(spark: SparkSession, plan: Plan, table: str, files: Sequence[Path], types: Types) -> Table:
    """Return files as one table with the columns ``types``, rows numbered in the order of the files."""
    frames = [_read_file(spark, file, number, types) for number, file in enumerate(files)]
    frame = reduce(DataFrame.unionByName, frames)
    for name in sorted(plan.keys_of(table) & types.keys()):
        if pa.types.is_floating(types[name]) and _has(frame, F.abs(_finite(name, types[name])) >= F.lit(float(EXACT))):
            raise inexact_key(name, table, str(types[name]), LARGE_KEY)
    shown = {name: _finite(name, dtype) for name, dtype in types.items()}
    known = dict(types)
    if EVENT_TIME in types and plan.timezone:
        local = F.from_utc_timestamp(named(EVENT_TIME), plan.timezone)
        for part in plan.calendar:
            if part not in types:
                shown[part], known[part] = _CALENDAR[part](local).cast("bigint"), pa.int64()
    if EVENT_TIME in types and KNOWN_AT in types:  # `greatest` would skip a null
        both = [F.unix_micros(named(time)) for time in (EVENT_TIME, KNOWN_AT)]
        there = both[0].isNotNull() & both[1].isNotNull()
        shown[ARRIVED] = F.when(there, F.greatest(*both))
    return Table(frame.select(*(value.alias(name) for name, value in shown.items()), ROW), known)


def since(known_at: str) -> Column:
    """Return since when a row counts, in microseconds: the latest of event, arrival and the fact's column.

    Null without the fact's column.
    """
    time = named(known_at)
    both = time.isNotNull() & F.col(ARRIVED).isNotNull()
    return F.when(both, F.greatest(F.unix_micros(time), F.col(ARRIVED)))


def in_time(step: AsOfLookup) -> Column:
    """Return whether a row arrived while it could still be used."""
    return F.col(ARRIVED) - F.unix_micros(named(EVENT_TIME)) <= F.lit(step.tolerance // timedelta(microseconds=1))


def needed_types(plan: Plan, inputs: Inputs) -> dict[str, Types]:
    """Return for each table the columns that the plan reads and their types.

    Raises ``DefinitionError`` for a type that Spark would not give back as it is: a decimal, an
    unsigned number of 64 bits, a timestamp without a zone or finer than microseconds, a time of
    day, bytes, anything nested, and a column that is called as one of Spark's own.
    """
    schemas, times = {}, plan.times()
    for table, wanted in _used(plan).items():
        types = types_together([*inputs.tables[table], *inputs.labels.get(table, ())])
        # A column without a value has no type: Spark gets a text, or of a time that no row has yet a timestamp.
        none = {name: TIMESTAMP if name in times.get(table, ()) else pa.string() for name in types}
        shown = {name: none[name] if pa.types.is_null(dtype) else dtype for name, dtype in types.items()}
        schemas[table] = {name: dtype for name, dtype in shown.items() if name in wanted}
        for name, dtype in schemas[table].items():
            if dtype not in _NAMES or name.casefold() == "_metadata":
                raise _refused(table, name, "Spark's own" if dtype in _NAMES else str(dtype))
    return schemas


def _used(plan: Plan) -> dict[str, set[str]]:
    times = plan.times()
    used: dict[str, set[str]] = {table: {EVENT_TIME, *times.get(table, ())} for table in plan.tables()}
    used[plan.spine] |= {*plan.spine_key, *plan.keys, *plan.spine_features}
    for step in plan.steps:
        used[step.table] |= {*step.key.table, *(step.reads() if isinstance(step, Windows) else step.columns)}
    for label in plan.labels:
        used[label.table] |= {*label.key.table, label.column}
    for table, corrected in plan.corrections().items():
        used[table] |= {*corrected.key}
    return used


def _read_file(spark: SparkSession, file: Path, number: int, types: Types) -> DataFrame:
    # Told the columns, Spark need not open the file to plan; a column that is all null has no type at all.
    held = {name: dtype for name, dtype in types_of(file).items() if name in types and dtype in _NAMES}
    stored = StructType([StructField(name, spark_type(dtype)) for name, dtype in held.items()])
    frame = spark.read.schema(stored).parquet("file://" + _GLOB.sub(r"\\\1", str(file.resolve())))
    columns = [
        (named(name) if name in held else F.lit(None)).cast(spark_name(dtype)).alias(name)
        for name, dtype in types.items()
    ]
    place = (F.lit(number * _FILE) + F.col("_metadata.row_index")).alias(ROW)
    return frame.select(*columns, place)


def _has(frame: DataFrame, condition: Column) -> bool:
    return bool(frame.where(condition).limit(1).count())


def _finite(name: str, dtype: pa.DataType) -> Column:
    if not pa.types.is_floating(dtype):
        return named(name)
    infinite = F.abs(named(name)) == F.lit(float("inf"))
    return F.when(~F.isnan(named(name)) & ~infinite, named(name))


def _refused(table: str, column: str, dtype: str) -> DefinitionError:
    return DefinitionError(
        f"the engine `spark` cannot run this plan: `{column}` of `{table}` is {dtype}",
        why="Spark would give it back as another type than the other engines do",
        next="set `features.engine: duckdb`, or give the column another type in sources.py",
    )
