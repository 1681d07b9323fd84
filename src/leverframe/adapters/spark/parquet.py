"""Parquet files without Spark: their columns, their damage, and the one file that a build writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from leverframe.domain.data.column_types import NOTHING, differ_in_case, same_but_case, two_types
from leverframe.domain.data.column_types import common as common_type
from leverframe.errors import SourceError
from leverframe.words import first_line

Types = dict[str, pa.DataType]

TIMESTAMP = pa.timestamp("us", "UTC")
_ROW_GROUP = 200_000
_TYPES = {
    **{str(dtype): dtype for dtype in (pa.int8(), pa.int16(), pa.int32(), pa.int64())},
    **{str(dtype): dtype for dtype in (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())},
    "float32": pa.float32(), "float64": pa.float64(), "text": pa.string(), "boolean": pa.bool_(),
    "timestamp": TIMESTAMP, "date": pa.date32(), NOTHING: pa.null(), "bytes": pa.binary(),
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in _TYPES.items()}


def types_of(file: Path) -> Types:
    """Return the columns of a file with the type of their values; raises ``SourceError`` for a damaged file."""
    try:
        schema = pq.read_schema(file)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from error
    return {field.name: _plain(field.type) for field in schema}


def has_rows(files: Sequence[Path]) -> bool:
    """Tell whether any file has a row."""
    return any(pq.read_metadata(file).num_rows for file in files)


def types_together(files: Sequence[Path]) -> Types:
    """Return the columns of files that are read as one table, each in a type that holds the values of all.

    Raises ``SourceError`` for columns that differ in case only, or have no type in common. A column
    without any value has no type of its own.
    """
    held = {file: types_of(file) for file in files}
    names = dict.fromkeys(name for types in held.values() for name in types)
    twice = same_but_case(names)
    if twice:
        raise differ_in_case(twice, _where(files[0]))
    return {
        name: _together(name, {file: types[name] for file, types in held.items() if name in types}) for name in names
    }


def _together(name: str, held: Mapping[Path, pa.DataType]) -> pa.DataType:
    several = len(set(held.values())) > 1
    if several or (held and {*held.values()} == {pa.string()}):
        filled = {file: held_type for file, held_type in held.items() if not _is_empty(file, name)}
        held = filled or {file: pa.null() for file in held}
    first, *others = held
    dtype = held[first]
    for file in others:
        wider = common(dtype, held[file])
        if wider is None:
            raise two_types(name, *((type_of(held[source]), _where(source)) for source in (first, file)))
        dtype = wider
    return dtype


def _is_empty(file: Path, name: str) -> bool:
    """Tell whether a column has no value, from the footer if that tells."""
    footer = pq.read_metadata(file)
    place = footer.schema.to_arrow_schema().names.index(name)
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    if footer.num_columns == len(footer.schema.to_arrow_schema()):
        counts = [group.column(place).statistics for group in groups]
        if all(count is not None and count.has_null_count for count in counts):
            return bool(sum(count.null_count for count in counts) == footer.num_rows)
    return bool(pq.read_table(file, columns=[name])[name].null_count == footer.num_rows)


def common(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return a type that holds the values of both, None where there is none that Spark has."""
    if one == other:
        return one
    return _TYPES.get(common_type(type_of(one), type_of(other)) or "")


def type_of(dtype: pa.DataType) -> str:
    """Return a type in the words of ``column_types``."""
    if dtype in _NAMES:
        return _NAMES[dtype]
    if pa.types.is_decimal128(dtype):
        return f"decimal({dtype.precision},{dtype.scale})"
    if pa.types.is_timestamp(dtype):
        return "local time" if dtype.tz is None else "nanoseconds"
    if pa.types.is_time(dtype):
        return "time of day"
    return f"nested {dtype}" if pa.types.is_nested(dtype) else f"other {dtype}"


def _where(file: Path) -> str:
    return f"{file.name} of {file.parent.name}"


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
    if pa.types.is_duration(dtype):
        return pa.int64()
    if pa.types.is_large_string(dtype) or pa.types.is_string_view(dtype):
        return pa.string()
    if pa.types.is_timestamp(dtype) and dtype.tz is not None and dtype.unit != "ns":
        return TIMESTAMP
    return dtype


def _damaged(file: Path, error: Exception) -> SourceError:
    return SourceError(
        f"cannot read {file}",
        why=f"the file is damaged: {first_line(error)[:200]}",
        next="`dvc pull` fetches a good copy, `dvc repro` makes it again",
    )
