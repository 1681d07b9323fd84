"""Parquet files without Spark: their columns, their damage, and the one file that a build writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from leverframe.errors import SourceError

Types = dict[str, pa.DataType]

MOMENT = pa.timestamp("us", "UTC")
_ROW_GROUP = 200_000
_INTEGERS = (pa.int8(), pa.int16(), pa.int32(), pa.int64())


def types_of(file: Path) -> Types:
    """Return the columns of a file with the type of their values; raises ``SourceError`` for a damaged file."""
    try:
        schema = pq.read_schema(file)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from error
    return {field.name: _plain(field.type) for field in schema}


def types_together(files: Sequence[Path]) -> Types:
    """Return the columns of files that are read as one table, each in a type that holds the values of all."""
    found: Types = {}
    for file in files:
        for name, dtype in types_of(file).items():
            found[name] = common(found[name], dtype) if name in found else dtype
    return found


def common(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return a type in which values of both can be compared."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if pa.types.is_integer(one) and pa.types.is_integer(other):
        bits = [2 * each.bit_width if pa.types.is_unsigned_integer(each) else each.bit_width for each in (one, other)]
        both = pa.types.is_unsigned_integer(one) and pa.types.is_unsigned_integer(other)
        wider = one if one.bit_width > other.bit_width else other
        return wider if both else next((each for each in _INTEGERS if each.bit_width >= max(bits)), pa.int64())
    if pa.types.is_float32(one) != pa.types.is_float32(other) and not {one, other} & {pa.float64()}:
        return pa.float32()
    return pa.float64()


def kind_of(dtype: pa.DataType) -> str:
    """Return what a type is to a star schema: number, text, boolean, moment or other."""
    if pa.types.is_integer(dtype) or pa.types.is_floating(dtype) or pa.types.is_decimal(dtype):
        return "number"
    if pa.types.is_timestamp(dtype) and dtype.tz is not None:
        return "moment"
    return "text" if pa.types.is_string(dtype) else "boolean" if pa.types.is_boolean(dtype) else "other"


def rows_of(files: Iterable[Path]) -> int:
    """Return the number of rows in the files, as their footers tell it."""
    return sum(pq.read_metadata(file).num_rows for file in files)


def damage(files: Iterable[Path]) -> SourceError | None:
    """Return the error that names the first file that cannot be read to its end; None when all can."""
    for file in files:
        try:
            with pq.ParquetFile(file) as opened:
                for _ in opened.iter_batches():  # decodes every page
                    pass
        except (pa.ArrowException, OSError) as error:
            return _damaged(file, error)
    return None


def write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], spec: str) -> int:
    """Write batches as one file, a row group at a time, and return the number of rows."""
    rows, waiting, held = 0, list[pa.RecordBatch](), 0
    with pq.ParquetWriter(path, schema, compression="zstd", store_schema=False) as writer:
        for batch in batches:
            waiting.append(batch)
            held += batch.num_rows
            if held >= _ROW_GROUP:
                table = pa.Table.from_batches(waiting, schema)
                whole = held - held % _ROW_GROUP
                writer.write_table(table.slice(0, whole), row_group_size=_ROW_GROUP)
                rest = table.slice(whole)
                waiting, held, rows = rest.to_batches(), rest.num_rows, rows + whole
        writer.write_table(pa.Table.from_batches(waiting, schema), row_group_size=_ROW_GROUP)
        writer.add_key_value_metadata({"spec": spec})
    return rows + held


def _plain(dtype: pa.DataType) -> pa.DataType:
    """Return the type of the values, whatever way the writer packed them."""
    if pa.types.is_dictionary(dtype):
        dtype = dtype.value_type
    if pa.types.is_large_string(dtype) or pa.types.is_string_view(dtype):
        return pa.string()
    if pa.types.is_duration(dtype):
        return pa.int64()
    if pa.types.is_timestamp(dtype) and dtype.tz is not None and dtype.unit != "ns":
        return MOMENT
    return dtype


def _damaged(file: Path, error: Exception) -> SourceError:
    return SourceError(
        f"cannot read {file}",
        why=f"the file is damaged: {str(error).splitlines()[0][:200]}",
        next="`dvc pull` fetches a good copy, `dvc repro` makes it again",
    )
