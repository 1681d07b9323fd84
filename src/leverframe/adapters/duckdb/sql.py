"""How names, texts and files are written in SQL, and what an error of DuckDB means."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from leverframe.domain.data.column_types import NOTHING, kind
from leverframe.domain.features.snapshot.store import Decimals
from leverframe.domain.features.values import refuse_wide
from leverframe.errors import LeverframeError, SourceError
from leverframe.files import disk_error, replaced
from leverframe.words import first_line

FLOATS = ("FLOAT", "DOUBLE")
_TYPES = {
    "TINYINT": "int8", "SMALLINT": "int16", "INTEGER": "int32", "BIGINT": "int64", "HUGEINT": "int128",
    "UTINYINT": "uint8", "USMALLINT": "uint16", "UINTEGER": "uint32", "UBIGINT": "uint64",
    "FLOAT": "float32", "DOUBLE": "float64", "VARCHAR": "text", "BOOLEAN": "boolean", '"NULL"': NOTHING,
    "TIMESTAMP WITH TIME ZONE": "timestamp", "TIMESTAMP": "local time", "TIMESTAMP_S": "local time",
    "TIMESTAMP_MS": "local time", "TIMESTAMP_NS": "local time", "TIMESTAMPTZ_NS": "nanoseconds",
    "DATE": "date", "TIME": "time of day", "TIME_NS": "time of day", "BLOB": "bytes",
}  # fmt: skip
_SQL_TYPES = {word: name for name, word in reversed(_TYPES.items())}
_TEMPORARY = re.compile(r'"([^"\\]+\.part)\\?"')  # the quoted name, in words or in the JSON that DuckDB puts into them


def type_of(dtype: str) -> str:
    """Return a type of DuckDB in the words of ``column_types``; what it has no word for is ``other``, or nested."""
    if dtype.endswith("]") or dtype.startswith(("STRUCT", "MAP", "UNION")):
        return f"nested {dtype}"
    if dtype.startswith("DECIMAL"):
        return dtype.lower()
    return _TYPES.get(dtype, "text" if dtype.startswith("ENUM") else f"other {dtype}")


def sql_type(name: str) -> str:
    """Return a type of ``column_types`` as DuckDB calls it."""
    return _SQL_TYPES.get(name, name.removeprefix("nested ").removeprefix("other "))


def kind_of(dtype: str) -> str:
    """Return what a DuckDB type is to a star schema: number, text, boolean, timestamp or another word."""
    return kind(type_of(dtype))


def column(name: str) -> str:
    """Return a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """Return a quoted text."""
    return "'" + value.replace("'", "''") + "'"


def parquet(files: Sequence[Path]) -> str:
    """Return the table function that reads Parquet files as one table, columns matched by name."""
    listed = ", ".join(text(str(file)) for file in files)
    return f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"


def stored(name: str, dtype: str, table: str = "") -> str:
    """Return a column of a DuckDB type as windows read it.

    What is no number, text or boolean is a text that is equal where values are; a decimal is the text of a
    whole number of its last digit. ``table`` is an alias with its dot.
    """
    value = f"{table}{column(name)}"
    if scale_of(dtype) is not None:
        return f"replace({value}::VARCHAR, '.', '')"
    return value if kind_of(dtype) in ("number", "text", "boolean") else f"{value}::VARCHAR"


def scale_of(dtype: str) -> int | None:
    """Return how many digits of a decimal stand after the point, None for another type."""
    return int(dtype[:-1].split(",")[1]) if dtype.startswith("DECIMAL") else None


def fetched(name: str, values: Any, dtype: str) -> Any:
    """Return what was read of a column as ``stored``; raises ``SourceError`` for decimals of too many digits."""
    scale = scale_of(dtype)
    if scale is None:
        return values
    missing = np.ma.getmaskarray(values)
    units = [0 if gone else int(value) for value, gone in zip(np.ma.getdata(values).tolist(), missing, strict=True)]
    refuse_wide(name, max(map(abs, units), default=0), scale)
    whole: Any = np.ma.masked_array(np.array(units, np.int64), mask=missing)
    return Decimals(whole, scale) if scale else whole


def microseconds(length: timedelta) -> int:
    """Return a length of time in whole microseconds."""
    return length // timedelta(microseconds=1)


def files_error(error: duckdb.Error, files: Sequence[Path]) -> LeverframeError | None:
    """Return the error that names the file that cannot be written, or is damaged; None when it is neither."""
    temporary = _TEMPORARY.search(str(error))
    if temporary:
        number = next((code for code in errno.errorcode if os.strerror(code) in str(error)), errno.EIO)
        return disk_error(replaced(Path(temporary[1])), OSError(number, os.strerror(number)))
    for file in files:
        damage = _damage(file)
        if damage:
            return SourceError(
                f"cannot read {file}",
                why=f"the file is damaged: {damage}",
                next="`dvc pull` fetches a good copy, `dvc repro` makes it again",
            )
    return None


def _damage(file: Path) -> str | None:
    try:
        duckdb.execute(f"SELECT sum(hash(COLUMNS(*))) FROM {parquet([file])}").fetchall()  # decodes every page
    except duckdb.Error as error:
        return first_line(error)[:200]
    return None
