"""How a table enters: which source it is read from, when its rows happened and became known.

A case declares ``SOURCES`` in its ``sources.py``: a ``Source`` a table. A table with
``event_time`` is cut into months; one without is a static lookup table. Ingesting a partition
again, after late or corrected data, simply rewrites its file.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from leverframe.domain import layout
from leverframe.domain.partition import Month
from leverframe.errors import DefinitionError, SourceError, nearest

Frame = Any  # of polars; only the adapter and the case know


@dataclass(frozen=True)
class Csv:
    """A CSV file, a zip of one, or a glob of files; in the folder of an installed package if named.

    ``{month}`` in the path stands for the month that is ingested, and for any in a static table.
    ``types`` gives columns a polars type; others get one from their values, so that an identifier
    of digits would become a number, and lose its leading zeros, in a file where all are digits.
    """

    path: str
    package: str | None = None
    null: str = ""
    types: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Parquet:
    """A Parquet file or a glob of files; ``{month}`` as in ``Csv``."""

    path: str


@dataclass(frozen=True)
class Query:
    """A SELECT, or the name of a table, that DuckDB can read; attached read-only to ``database`` if named."""

    sql: str
    database: str | None = None


@dataclass(frozen=True)
class Function:
    """A Python function from the month (None for a static table) to any frame that polars can take.

    ``reads`` names the files of this repository that it reads, as in ``Csv``: `dvc repro` calls it
    again when they change, and cannot know of others.
    """

    call: Callable[[Month | None], Any]
    reads: tuple[str, ...] = ()


Reader = Csv | Parquet | Query | Function


@dataclass(frozen=True)
class Source:
    """Where a table comes from, how it is shaped, and the two times of each row.

    ``transform`` takes the raw frame, and the raw frames of the sources in ``uses`` by name, and
    returns the shaped frame. ``event_time`` names the column that tells when a row happened and
    puts it into a month; ``known_at`` the column that tells when the row was complete. Both are
    columns with a time zone, and a table with one needs the other.
    """

    read: Reader
    transform: Callable[..., Frame] | None = None
    uses: tuple[str, ...] = ()
    event_time: str | None = None
    known_at: str | None = None

    @property
    def static(self) -> bool:
        """Tell whether the table has no months."""
        return self.event_time is None


@dataclass(frozen=True)
class Ingested:
    """One file that was written."""

    table: str
    path: Path
    rows: int


class Frames(Protocol):
    """Reads sources as frames, cuts months out of them and writes them as Parquet."""

    def read(self, reader: Reader, month: Month | None) -> Frame:
        """Return the raw frame; raises ``SourceError`` when it is missing or damaged."""

    def columns(self, name: str, frame: Frame) -> Mapping[str, str]:
        """Return the columns with their types: ``moment`` for one with a time zone, else the type's own name."""

    def cut(self, frame: Frame, times: tuple[str, str], start: datetime, end: datetime) -> Frame:
        """Return the rows that happened in ``[start, end)`` or at no known time, ordered by event time.

        ``times`` names the columns of event and knowledge; the result has them, in UTC, as
        ``event_time`` and ``known_at``, the latter never before the former. Ties keep their order.
        """

    def collect(self, name: str, frame: Frame) -> tuple[Frame, int, dict[str, int]]:
        """Return the frame in memory, its rows, and the nulls of its time columns; ``name`` is for errors."""

    def write(self, frame: Frame, path: Path) -> None:
        """Replace the Parquet file with a collected frame."""


def run(
    sources: Mapping[str, Source], month: Month | None, timezone: str, frames: Frames, root: Path
) -> list[Ingested]:
    """Ingest every table of one month, or every static table when ``month`` is None.

    Nothing is written unless every table can be. Raises ``SourceError`` for a table that is
    missing, empty or of the wrong form, and ``DefinitionError`` for a declaration that is.
    """
    check_sources(sources)
    partition = str(month) if month else layout.STATIC
    collected = {
        name: _collected(name, sources, month, timezone, frames)
        for name, source in sources.items()
        if source.static == (month is None)
    }
    for name, (frame, _) in collected.items():
        frames.write(frame, root / layout.raw(name, partition))
    return [Ingested(name, layout.raw(name, partition), rows) for name, (_, rows) in collected.items()]


def inputs(sources: Mapping[str, Source], *, static: bool) -> list[str]:
    """Return the files and folders of this repository that the static, or the other, tables are read from.

    A glob stands for the folder it looks into; ``{month}`` is kept in the path of a table with months.
    Raises ``DefinitionError`` for a glob in the root, which would stand for the whole repository.
    """
    tables = [source for source in sources.values() if source.static == static]
    used = [sources[name] for source in tables for name in source.uses if name in sources]
    patterns = [pattern for source in (*tables, *used) for pattern in _patterns(source.read)]
    if static:
        patterns = [of_month(pattern, None) for pattern in patterns]
    return list(dict.fromkeys(_without_glob(pattern) for pattern in patterns))


def of_month(pattern: str, month: Month | None) -> str:
    """Return a path with ``{month}`` replaced by the month, or by any where there is none."""
    return pattern.replace("{month}", str(month) if month else "*")


def _patterns(reader: Reader) -> list[str]:
    match reader:
        case Csv(path, package):
            found = [] if package else [path]
        case Parquet(path):
            found = [path]
        case Query(_, database):
            found = [database] if database else []
        case Function(_, reads):
            found = list(reads)
    return [each for each in found if not PurePosixPath(each).is_absolute()]


def _without_glob(pattern: str) -> str:
    parts = PurePosixPath(pattern).parts
    fixed = list(itertools.takewhile(lambda part: not set("*?[") & set(part), parts))
    if not fixed:
        raise DefinitionError(
            f"the source `{pattern}` looks through the whole repository",
            why="the stage that reads it would depend on its own outputs",
            next="put the files into a folder of their own and name it in sources.py",
        )
    return str(PurePosixPath(*fixed))


def check_sources(sources: Mapping[str, Source]) -> None:
    """Raise ``DefinitionError`` for the first declaration that cannot work."""
    for name, source in sources.items():
        if (source.event_time is None) != (source.known_at is None):
            raise DefinitionError(
                f"source `{name}` declares only one of event_time and known_at",
                why="a row that happened at a moment also became known at one, and features need both",
                next="declare both columns, or neither for a static lookup table",
            )
        for used in source.uses:
            if used not in sources:
                raise DefinitionError(
                    f"source `{name}` uses `{used}`, which is not declared",
                    why="only declared sources can be handed to a transform",
                    next=nearest(used, sources),
                )


def _collected(
    name: str, sources: Mapping[str, Source], month: Month | None, timezone: str, frames: Frames
) -> tuple[Frame, int]:
    source = sources[name]
    frame = frames.read(source.read, month)
    if source.transform is not None:
        frame = _transformed(
            name, source, frame, {each: frames.read(sources[each].read, month) for each in source.uses}
        )
    if source.event_time is not None and source.known_at is not None and month is not None:
        _check_times(name, (source.event_time, source.known_at), frames.columns(name, frame))
        times, end = (source.event_time, source.known_at), month.plus(1)
        whole = frame
        frame = frames.cut(frame, times, month.start(timezone), end.start(timezone))
        collected, rows, nulls = frames.collect(name, frame)
        if any("{month}" in pattern for pattern in _patterns(source.read)):
            _check_month_file(name, month, timezone, frames.collect(name, whole)[1] - rows)
    else:
        collected, rows, nulls = frames.collect(name, frame)
    _check_rows(name, month, rows, nulls)
    return collected, rows


def _transformed(name: str, source: Source, frame: Frame, used: Mapping[str, Frame]) -> Frame:
    """Return what the case's own function makes of a frame; raises ``DefinitionError`` when it fails."""
    assert source.transform is not None  # noqa: S101 - the caller asked
    try:
        shaped = source.transform(frame, **used)
    except Exception as error:  # whatever a person's function raises is theirs to mend
        raise DefinitionError(
            f"the transform of source `{name}` failed",
            why=f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}",
            next=f"mend `{getattr(source.transform, '__name__', 'the function')}` in sources.py",
        ) from error
    if shaped is None:
        raise DefinitionError(
            f"the transform of source `{name}` returned nothing",
            why="a transform takes a frame and returns the shaped one",
            next=f"end `{getattr(source.transform, '__name__', 'the function')}` in sources.py with a return",
        )
    return shaped


def _check_month_file(name: str, month: Month, timezone: str, outside: int) -> None:
    """Raise ``SourceError`` for rows of a month's own file that lie in another month: no other reads them."""
    if outside:
        raise SourceError(
            f"{outside} rows in the file of {month} for table `{name}` lie outside of that month",
            why=f"the month begins at {month.start(timezone).isoformat()}; another month would not look into this file",
            next="put a glob in place of {month}, or set data.timezone to the zone in which the files are cut",
        )


def _check_times(name: str, times: tuple[str, str], columns: Mapping[str, str]) -> None:
    for column in times:
        if column not in columns:
            raise SourceError(
                f"table `{name}` has no column `{column}`",
                why="event_time and known_at must name columns of the shaped table",
                next=nearest(column, columns),
            )
        if columns[column] != "moment":
            raise SourceError(
                f"column `{column}` of table `{name}` is not a moment",
                why=f"its type is {columns[column]}; without a time zone a local hour would be read as UTC",
                next="give the column a time zone in the transform of the source",
            )


def _check_rows(name: str, month: Month | None, rows: int, nulls: Mapping[str, int]) -> None:
    if rows == 0:
        raise SourceError(
            f"table `{name}` has no rows" + (f" in {month}" if month else ""),
            why="the source was read, and nothing in it belongs here",
            next="check the source, or `data.first` and `data.last` in params.yaml",
        )
    for column, count in nulls.items():
        if count:
            raise SourceError(
                f"{count} of {rows} rows of table `{name}` have no {column}",
                why="a row without its times could be used before it was known, or never be counted",
                next="fill the column in the transform of the source, or filter such rows there on purpose",
            )
