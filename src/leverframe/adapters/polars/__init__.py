"""Polars: reads sources as frames, cuts stretches of time out of them and writes Parquet."""

from __future__ import annotations

import errno
import importlib.util
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from leverframe.adapters.polars.csv_file import read_csv, refuse_unknown
from leverframe.domain import layout
from leverframe.domain.data.column_types import EXACT, two_types
from leverframe.domain.data.placeholders import path_of
from leverframe.domain.data.readers import Csv, Function, Parquet, Query, Reader, Types
from leverframe.domain.data.times import DATE, EVENT_TIME, KNOWN_AT, LOCAL, NANOSECONDS, TIMESTAMP
from leverframe.domain.model.table import column as table_column
from leverframe.domain.partition import Partition
from leverframe.errors import SourceError, guide_page
from leverframe.files import replacing
from leverframe.words import first_line

_ROW_GROUP = 200_000  # rows: small enough to skip by time, large enough to compress
_KEPT = 128_000_000  # bytes of CSV files that stay in memory, for the next table or partition that reads them
_WIDE = (pl.Int128, pl.UInt128)
_UTC = pl.Datetime("us", "UTC")
_FIX_SOURCE = "look at the source, and at its transform in sources.py"
_SAME_TYPES = "give the columns one type in sources.py; `Csv(types=...)` does for all files, as in every reader"
_SKIPPED = 'clocks skip that time; `non_existent="null"` beside `ambiguous` makes it null, and the guide fills it'
_MAKE_AGAIN = "`dvc pull` fetches a missing or damaged file; `dvc repro` makes it again"
_UNREADABLE = (pl.exceptions.PolarsError, OSError, zipfile.BadZipFile)


class PolarsFrames:
    """The ``Frames`` port; ``query`` answers a SELECT, given a database file or None, as an Arrow table.

    A CSV file that several partitions or tables read is parsed once, while it is small and does not change.
    """

    def __init__(self, root: Path, query: Callable[[str, str | None], Any]) -> None:
        self._root = root
        self._query = query
        self._kept: dict[tuple[object, ...], pl.DataFrame] = {}

    def read(self, reader: Reader, partition: Partition | None) -> pl.LazyFrame:
        """Return the raw frame; raises ``SourceError`` when it is missing or damaged."""
        try:
            if isinstance(reader, Csv):
                files = self._files(path_of(reader.path, partition), reader.package)
                return _together([self._csv(file, reader) for file in files]).lazy()
            return _retyped(_shown(reader), self._untyped(reader, partition), reader.types)
        except _UNREADABLE as error:
            raise _unreadable(_shown(reader), error, _fix(error)) from error

    def _untyped(self, reader: Parquet | Query | Function, partition: Partition | None) -> pl.LazyFrame:
        match reader:
            case Parquet():
                return _scanned(self._files(path_of(reader.path, partition), None))
            case Query():
                database = path_of(reader.database, partition) if reader.database else None
                return pl.DataFrame(self._query(reader.sql, database)).lazy()
            case Function():
                return _called(reader, partition)

    def without_value(self, frame: pl.LazyFrame) -> list[str]:
        """Return the columns without any value, and without the type that one would tell."""
        held = frame.collect()
        texts = [name for name, dtype in held.schema.items() if dtype in (pl.String, pl.Null)]
        return [name for name in texts if held[name].null_count() == held.height]

    def columns(self, name: str, frame: pl.LazyFrame) -> Mapping[str, str]:
        """Return the columns with their kinds as ``times`` calls them; of others the type's own name."""
        try:
            kinds = {column: _kind(dtype) for column, dtype in frame.collect_schema().items()}
        except Exception as error:  # what runs here is the case's, and Polars passes on what it raises
            raise _failed(name, error) from error
        if "" in kinds:
            raise SourceError(
                f"table `{name}` has a column without a name",
                why="nothing could refer to it; pandas writes its index so",
                next="write the file with `index=False`, or drop or rename the column in the transform of the source",
            )
        return kinds

    def in_microseconds(self, name: str, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the frame with its timestamps that have a zone in microseconds of UTC, where that loses nothing."""
        frame = _shaped(name, frame)
        kinds = self.columns(name, frame)
        try:
            finer = [column for column, kind in kinds.items() if kind == NANOSECONDS]
            lost = frame.select((pl.col(finer).dt.nanosecond() % 1000 != 0).any()).collect().row(0) if finer else ()
        except Exception as error:  # as above
            raise _failed(name, error) from error
        kept = {column for column, digits in zip(finer, lost, strict=True) if digits}
        # A timestamp too far away for microseconds is null: never.
        zoned = [column for column, kind in kinds.items() if kind in (TIMESTAMP, NANOSECONDS) and column not in kept]
        return frame.with_columns(pl.col(zoned).cast(_UTC, strict=False))

    def cut(self, frame: pl.LazyFrame, times: tuple[str, str], start: datetime, end: datetime) -> pl.LazyFrame:
        """Return the rows of ``[start, end)``, and those of no known time, ordered by event time."""
        happened, known = (pl.col(time).cast(_UTC) for time in times)
        # Null stays null: a row that never became known is counted and refused, not guessed.
        no_earlier = pl.when(known.is_not_null()).then(pl.max_horizontal(happened, known))
        timed = frame.with_columns(happened.alias(EVENT_TIME), no_earlier.alias(KNOWN_AT))
        timestamp = pl.col(EVENT_TIME)
        return timed.filter(timestamp.is_null() | _inside(timestamp, start, end)).sort(EVENT_TIME, maintain_order=True)

    def outside(self, name: str, frame: pl.LazyFrame, times: tuple[str, str], start: datetime, end: datetime) -> int:
        """Return how many rows happened at a known time outside of ``[start, end)``."""
        return self.collect(name, frame.filter(~_inside(pl.col(times[0]).cast(_UTC), start, end)))[1]

    def joined(self, name: str, frames: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        """Return the rows of all frames, one after another; a column without any value takes the type of the others.

        Raises ``SourceError`` where the columns differ.
        """
        parts = [self.collect(name, frame)[0] for frame in frames]
        try:
            return _together(parts).lazy()
        except _UNREADABLE as error:
            raise _unreadable(f"the partitions of table `{name}` as one", error, _SAME_TYPES) from error

    def collect(self, name: str, frame: pl.LazyFrame) -> tuple[pl.DataFrame, int, dict[str, int]]:
        """Return the frame in memory, its rows, and the nulls of its time columns; ``name`` is for errors."""
        try:
            collected = frame.collect()
        except Exception as error:  # as above
            raise _failed(name, error) from error
        collected = _narrowed(name, collected)
        times = [name for name in (EVENT_TIME, KNOWN_AT) if name in collected.columns]
        return collected, collected.height, {name: collected[name].null_count() for name in times}

    def write(self, frame: pl.DataFrame, path: Path) -> None:
        """Replace the Parquet file with a collected frame."""
        _write(frame, path)

    def _csv(self, file: str, reader: Csv) -> pl.DataFrame:
        status = Path(file).stat()
        key = (file, status.st_size, status.st_mtime_ns, status.st_ino, repr(reader))
        if key in self._kept:
            return self._kept[key]
        frame = read_csv(file, reader)
        if frame.estimated_size() + sum(other.estimated_size() for other in self._kept.values()) <= _KEPT:
            self._kept[key] = frame
        return frame

    def _files(self, pattern: str, package: str | None) -> list[str]:
        folder = _package_folder(package) if package else self._root
        files = sorted(map(str, folder.glob(pattern))) if not Path(pattern).is_absolute() else [pattern]
        if not files:
            raise SourceError(
                f"no file matches `{pattern}`",
                why=f"looked in the package {package}" if package else f"looked in {self._root}",
                next="check the path in sources.py; data under DVC come with `dvc pull`",
                absent=True,
            )
        return files


class PolarsTables:
    """The ``Tables`` port: whole Parquet files in memory, paths relative to ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: Path) -> pl.DataFrame:
        """Return the whole table; raises ``SourceError`` when it is missing or damaged."""
        try:
            return pl.read_parquet(self._root / path)
        except _UNREADABLE as error:
            raise _unreadable(str(path), error, _MAKE_AGAIN) from error

    def arrays(self, group: Partition, columns: Sequence[str]) -> dict[str, Any]:
        """Return columns of a built group as arrays, nulls masked; timestamps as microseconds since the epoch."""
        return self.masked(layout.features(str(group)), columns)

    def masked(self, path: Path, columns: Sequence[str]) -> dict[str, Any]:
        """Return columns of a file as arrays, nulls masked; timestamps as microseconds since the epoch."""
        table = self.read(path)
        return {name: _array(table_column(table, name, file=path)) for name in columns}

    def frame(self, columns: Mapping[str, Any]) -> pl.DataFrame:
        """Return a table of columns of equal length; arrays of objects hold texts, or None."""
        return pl.DataFrame(
            {
                name: pl.Series(name, column.tolist(), dtype=pl.String)
                if column.dtype == object
                else pl.Series(name, column)
                for name, column in columns.items()
            }
        )

    def write(self, path: Path, columns: Mapping[str, Any]) -> None:
        """Replace the file with columns of equal length: arrays of numpy, or columns of a table."""
        _write(pl.DataFrame(dict(columns)), self._root / path)


def _inside(timestamp: pl.Expr, start: datetime, end: datetime) -> pl.Expr:
    return (timestamp >= start.astimezone(UTC)) & (timestamp < end.astimezone(UTC))


def _narrowed(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with types that files hold and readers agree on; raises ``SourceError`` where one has no such.

    Whole numbers have at most 64 bits. A duration, which readers take for its number, is one of microseconds.
    """
    for column, dtype in frame.schema.items():
        if isinstance(dtype, pl.Duration) and dtype.time_unit != "us":
            frame = frame.with_columns(pl.col(column).cast(pl.Duration("us")))
        if dtype in _WIDE:
            try:
                frame = frame.with_columns(pl.col(column).cast(pl.UInt64 if (frame[column] >= 0).all() else pl.Int64))
            except pl.exceptions.PolarsError as error:
                raise SourceError(
                    f"the column `{column}` of table `{name}` holds whole numbers of more than 64 bits",
                    why=first_line(error)[:200],
                    next="store it as text: `Csv(..., types={...})`, or in the transform of the source",
                ) from error
    return frame


def _together(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of all parts; a column without any value takes the type of the others.

    Raises ``SourceError`` for whole and other numbers that no type holds: values of one file tell its
    types, and it may have whole ones by chance.
    """
    types = {column: _common(parts, column) for column in parts[0].columns}
    return pl.concat([part.cast({c: t for c, t in types.items() if t and c in part.columns}) for part in parts])


def _common(parts: Sequence[pl.DataFrame], column: str) -> pl.DataType | None:
    """Return the type of a column in those parts that have a value in it, None where they do not agree."""
    filled = [part[column] for part in parts if column in part.columns and part[column].null_count() < part.height]
    types = {series.dtype for series in filled}
    if types != {pl.Int64, pl.Float64}:
        return types.pop() if len(types) == 1 else None
    whole, doubles = ([series for series in filled if series.dtype == dtype] for dtype in (pl.Int64, pl.Float64))
    if not any(bool((series.abs() > EXACT).any()) for series in whole):
        return pl.Float64()
    if not any(bool(((double != double.floor()) | (double.abs() > EXACT)).any()) for double in doubles):
        return pl.Int64()
    raise two_types(column, ("int64", "one file"), ("float64", "another"))


def _array(values: Any) -> Any:
    series: pl.Series = values
    if isinstance(series.dtype, pl.Datetime):
        series = series.dt.epoch("us")
    elif isinstance(series.dtype, pl.Date | pl.Decimal):  # a date is asked for as text, a decimal learnt as a double
        series = series.cast(pl.String if isinstance(series.dtype, pl.Date) else pl.Float64)
    null = series.is_null().to_numpy()
    if series.dtype == pl.String:
        return np.ma.masked_array(np.array(series.to_list(), object), mask=null)
    filled = series.fill_null(False if series.dtype == pl.Boolean else 0)
    return np.ma.masked_array(filled.to_numpy(), mask=null)


def _scanned(files: Sequence[str]) -> pl.LazyFrame:
    """Return Parquet files as one frame; files whose types differ are read, and agree as those of CSV files do."""
    first, *others = (tuple(pl.read_parquet_schema(file).items()) for file in files)
    if all(first == other for other in others):
        return pl.scan_parquet(list(files))
    return _together([pl.read_parquet(file) for file in files]).lazy()


def _retyped(what: str, frame: pl.LazyFrame, types: Types) -> pl.LazyFrame:
    """Return the frame with the declared types; raises ``SourceError`` where a value has none in one of them."""
    if not types:
        return frame
    held = frame.collect()
    refuse_unknown(f"the `types` of {what}", dict(types), held.columns)
    return held.with_columns(_cast(what, held[name], dtype) for name, dtype in types.items()).lazy()


def _cast(what: str, series: pl.Series, dtype: Any) -> pl.Series:
    missing = series.fill_nan(None) if series.dtype.is_float() else series
    try:
        made = missing.cast(dtype)
        whole = made.dtype.is_integer() or series.dtype.is_integer()
        lost = whole and series.dtype.is_numeric() and made.dtype.is_numeric()
        why = "a digit would be lost" if lost and not made.cast(series.dtype).equals(missing) else ""
    except pl.exceptions.PolarsError as error:
        why = first_line(error)[:200]
    if why:
        raise SourceError(
            f"the column `{series.name}` of {what} cannot be {dtype}",
            why=why,
            next="give it a type that holds every value: `types` of the reader in sources.py",
        )
    return made


def _called(reader: Function, partition: Partition | None) -> pl.LazyFrame:
    name = getattr(reader.call, "__name__", "the function")
    try:
        return _lazy(reader.call(partition))
    except Exception as error:  # whatever a person's function raises is theirs to fix
        raise SourceError(
            f"the function `{name}` of a source failed for {partition or 'the whole table'}",
            why=f"{type(error).__name__}: {first_line(error)[:200]}",
            next="fix it in sources.py; it returns any frame that polars can take",
        ) from error


def _lazy(given: Any) -> pl.LazyFrame:
    return given if isinstance(given, pl.LazyFrame) else pl.DataFrame(given).lazy()


def _kind(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Datetime):
        return LOCAL if dtype.time_zone is None else NANOSECONDS if dtype.time_unit == "ns" else TIMESTAMP
    return DATE if dtype == pl.Date else "text" if dtype == pl.String else str(dtype)


def _package_folder(package: str) -> Path:
    # The package is found, not imported: importing may do anything, and reads all its data here.
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SourceError(
            f"the package `{package}` is not installed",
            why="a source in sources.py reads a file of that package",
            next=f"install it, for example with `uv pip install {package}`",
        )
    return Path(spec.submodule_search_locations[0])


def _write(frame: pl.DataFrame, path: Path) -> None:
    with replacing(path) as temporary:
        try:
            frame.write_parquet(temporary, compression="zstd", row_group_size=_ROW_GROUP)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise _refused(error) or error from error


def _refused(error: Exception) -> OSError | None:
    """Return what the system said to a write, which polars hides in words; None where it said nothing."""
    number = re.search(r"os error (\d+)", str(error))
    if number:
        return OSError(int(number[1]), str(error))
    return OSError(errno.EIO, "the system refused to write more") if "transport error" in str(error) else None


def _fix(error: Exception) -> str:
    if isinstance(error, pl.exceptions.SchemaError | pl.exceptions.ShapeError):
        return _SAME_TYPES
    if "CSV malformed" in str(error):
        return "close the quote that a field begins, or write `Csv(..., quote=None)` where quotes enclose nothing"
    return _FIX_SOURCE


def _shown(reader: Reader) -> str:
    return f"`{reader.path}`" if isinstance(reader, Csv | Parquet) else "the source"


def _shaped(name: str, frame: Any) -> pl.LazyFrame:
    """Return what a transform gave as a lazy frame; raises ``SourceError`` for what is none of Polars."""
    if isinstance(frame, pl.DataFrame | pl.LazyFrame):
        return frame.lazy()
    raise SourceError(
        f"the transform of source `{name}` returned {type(frame).__module__.partition('.')[0]}.{type(frame).__name__}",
        why="tables are frames of Polars",
        next="return a polars.LazyFrame; `pl.from_pandas(frame).lazy()` makes one",
    )


def _failed(name: str, error: Exception) -> SourceError:
    """Return the error for a table whose file, or whose transform when it runs, fails."""
    words = first_line(error)[:200]
    why = f"reading or transforming it failed: {type(error).__name__}: {words}"
    fix = f"{_SKIPPED}: {guide_page('time.md#types-of-times')}" if "non-existent in time zone" in words else _FIX_SOURCE
    return SourceError(f"cannot read table `{name}`", why=why, next=fix)


def _unreadable(what: str, error: Exception, fix: str) -> SourceError:
    missing = isinstance(error, FileNotFoundError)
    words = (first_line(error) or type(error).__name__)[:200]
    why = "there is no such file" if missing else f"it is damaged or of another form: {words}"
    return SourceError(f"cannot read {what}", why=why, next=fix)
