"""How names, texts and files are written in SQL, and what an error of DuckDB means."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import duckdb

from leverframe.errors import LeverframeError, SourceError
from leverframe.files import disk_error, replaced

FLOATS = ("FLOAT", "DOUBLE")
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_TEMPORARY = re.compile(r'"([^"\\]+\.part)\\?"')  # the quoted name, in words or in the JSON that DuckDB puts into them
_KINDS = {"VARCHAR": "text", "BOOLEAN": "boolean", "TIMESTAMP WITH TIME ZONE": "moment"}


def kind_of(dtype: str) -> str:
    """Return what a DuckDB type is to a star schema: number, text, boolean, moment or other."""
    if dtype in _INTEGERS or dtype in FLOATS or dtype.startswith("DECIMAL"):
        return "number"
    return _KINDS.get(dtype, "text" if dtype.startswith("ENUM") else "other")


def column(name: str) -> str:
    """Return a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """Return a quoted text."""
    return "'" + value.replace("'", "''") + "'"


def parquet(files: Sequence[Path]) -> str:
    """Return the table function that reads Parquet files as one table, columns matched by name."""
    return f"read_parquet([{', '.join(text(str(file)) for file in files)}], union_by_name = true)"


def microseconds(length: timedelta) -> int:
    """Return a length of time in whole microseconds."""
    return length // timedelta(microseconds=1)


def files_error(error: duckdb.Error, files: Sequence[Path]) -> LeverframeError | None:
    """Return the error that names the file that cannot be written, or is damaged; None when it is neither."""
    temporary = _TEMPORARY.search(str(error))
    if temporary:
        number = next((each for each in errno.errorcode if os.strerror(each) in str(error)), errno.EIO)
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
        return str(error).splitlines()[0][:200]
    return None
