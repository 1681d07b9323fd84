"""How a table enters: which source it is read from, when its rows happened and became known.

A case declares ``SOURCES`` in its ``sources.py``: a ``Source`` a table. A table with
``event_time`` is cut into partitions, of which a file holds a group; one without is a static lookup
table. Ingesting a group again, after late or corrected data, simply rewrites its file.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from leverframe.domain import layout
from leverframe.domain.data.column_types import differ_in_case, same_but_case
from leverframe.domain.data.placeholders import finest, has_placeholder, path_of
from leverframe.domain.data.readers import Csv, Function, Parquet, Query, Reader, check_reader
from leverframe.domain.data.times import EVENT_TIME, KNOWN_AT, refuse_untimed
from leverframe.domain.partition import Partition, Partitions
from leverframe.errors import DefinitionError, SourceError, guide_page, nearest
from leverframe.settings.periods import Period
from leverframe.words import first_line

TIMES = (EVENT_TIME, KNOWN_AT)  # the columns with the times of a row, whatever the source calls them

_EVER = datetime(1, 1, 1, tzinfo=UTC)
_TABLE = re.compile(r"[A-Za-z0-9_-]{1,100}")

Frame = Any  # of polars; only the adapter and the case know


@dataclass(frozen=True)
class Source:
    """Where a table comes from, how it is shaped, and the two times of each row.

    ``transform`` takes the raw frame, and the raw frames of the sources in ``uses`` by name, and
    returns the shaped frame. ``event_time`` names the column that tells when a row happened and
    puts it into a partition; ``known_at`` the column that tells when the row arrived, before which
    nothing of it counts: what its columns say later is told by the facts of the star. Both have a
    time zone, and a table with one needs the other. A date is given its time of day in ``transform``.
    A table without a row, or a partition of one, is an error unless it ``may_be_empty``.
    """

    read: Reader
    transform: Callable[..., Frame] | None = None
    uses: tuple[str, ...] = ()
    event_time: str | None = None
    known_at: str | None = None
    may_be_empty: bool = False

    @property
    def static(self) -> bool:
        """Tell whether the table has no partitions."""
        return self.event_time is None


@dataclass(frozen=True)
class Ingested:
    """One file that was written; ``later`` rows of its source happened after the last partition, and are left out."""

    table: str
    path: Path
    rows: int
    later: int = 0


class Frames(Protocol):
    """Reads sources as frames, cuts stretches of time out of them and writes them as Parquet."""

    def read(self, reader: Reader, partition: Partition | None) -> Frame:
        """Return the raw frame; raises ``SourceError`` when it is missing or damaged."""

    def columns(self, name: str, frame: Frame) -> Mapping[str, str]:
        """Return the columns with their kinds as ``times`` calls them; of others the type's own name."""

    def in_microseconds(self, name: str, frame: Frame) -> Frame:
        """Return the frame with its timestamps that have a zone in microseconds of UTC, where that loses nothing."""

    def cut(self, frame: Frame, times: tuple[str, str], start: datetime, end: datetime) -> Frame:
        """Return the rows that happened in ``[start, end)`` or at no known time, ordered by event time.

        ``times`` names the columns of event and knowledge; the result has them, in UTC, as
        ``event_time`` and ``known_at``, the latter never before the former. Ties keep their order.
        """

    def outside(self, name: str, frame: Frame, times: tuple[str, str], start: datetime, end: datetime) -> int:
        """Return how many rows happened at a known time outside of ``[start, end)``."""

    def without_value(self, frame: Frame) -> list[str]:
        """Return the columns without any value, and without the type that one would tell."""

    def joined(self, name: str, frames: Sequence[Frame]) -> Frame:
        """Return the rows of all frames, one after another; raises ``SourceError`` where their columns differ."""

    def collect(self, name: str, frame: Frame) -> tuple[Frame, int, dict[str, int]]:
        """Return the frame in memory, its rows, and the nulls of its time columns; ``name`` is for errors."""

    def write(self, frame: Frame, path: Path) -> None:
        """Replace the Parquet file with a collected frame."""


def run(
    sources: Mapping[str, Source],
    group: Partition | None,
    partitions: Partitions,
    frames: Frames,
    root: Path,
    data_end: datetime | None = None,
) -> list[Ingested]:
    """Ingest every table of one group of partitions, or every static table when ``group`` is None.

    Nothing is written unless every table can be. Rows of the same sources from ``data_end`` on are counted.
    Raises ``SourceError`` for a table that is missing, empty or of the wrong form, and ``DefinitionError`` for
    a declaration that is.
    """
    check_sources(sources)
    key = str(group) if group else layout.STATIC
    reading = _Reading(sources, partitions, frames, data_end)
    collected = {
        name: reading.static(name) if group is None else reading.timed(name, group)
        for name, source in sources.items()
        if source.static == (group is None)
    }
    for name, (frame, _) in collected.items():
        _check_names(name, frames.columns(name, frame))
    for name, (frame, _) in collected.items():
        frames.write(frame, root / layout.raw(name, key))
    later = reading.later
    return [Ingested(name, layout.raw(name, key), rows, later.get(name, 0)) for name, (_, rows) in collected.items()]


def available(
    sources: Mapping[str, Source],
    wanted: Mapping[str, Sequence[Partition]],
    partitions: Partitions,
    frames: Frames,
    root: Path,
) -> tuple[list[Ingested], dict[str, list[Partition]]]:
    """Ingest groups of some tables, one file each, and return what was written and the groups without a row.

    A static table is wanted for no group. Raises ``SourceError`` for what is there and cannot be read.
    """  # fmt: skip
    check_sources(sources)
    reading = _Reading(sources, partitions, frames)
    written: list[Ingested] = []
    absent: dict[str, list[Partition]] = {}
    for name, groups in wanted.items():
        for group in groups or (None,):
            try:
                frame, rows = reading.timed(name, group) if group else reading.static(name)
            except SourceError as error:
                if group is None or not error.absent:
                    raise
                absent.setdefault(name, []).append(group)
                continue
            _check_names(name, frames.columns(name, frame))
            path = layout.raw(name, str(group) if group else layout.STATIC)
            frames.write(frame, root / path)
            written.append(Ingested(name, path, rows))
    return written, absent


def inputs(sources: Mapping[str, Source], *, static: bool, placed: bool) -> list[str]:
    """Return the files and folders of this repository that the static, or the other, tables are read from.

    A glob stands for the folder it looks into; placeholders are kept where they are ``placed``, and stand
    for any elsewhere. Raises ``DefinitionError`` for a glob in the root, which would stand for the whole repository.
    """
    tables = [source for source in sources.values() if source.static == static]
    used = [sources[name] for source in tables for name in source.uses if name in sources]
    patterns = [pattern for source in (*tables, *used) for pattern in _patterns(source.read)]
    if not placed:
        patterns = [path_of(pattern, None) for pattern in patterns]
    return list(dict.fromkeys(_without_glob(pattern) for pattern in patterns))


def _paths(reader: Reader) -> list[str]:
    """Return the paths that a reader names, as they are declared."""
    match reader:
        case Csv(path) | Parquet(path):
            return [path]
        case Query(_, database):
            return [database] if database else []
        case Function(_, reads):
            return list(reads)


def _patterns(reader: Reader) -> list[str]:
    """Return the paths of a reader that lie in this repository."""
    if isinstance(reader, Csv) and reader.package:
        return []
    return [path for path in _paths(reader) if not PurePosixPath(path).is_absolute()]


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


def may_be_empty(sources: Mapping[str, Source]) -> frozenset[str]:
    """Return the tables that may have no row."""
    return frozenset(name for name, source in sources.items() if source.may_be_empty)


def check_sources(sources: Mapping[str, Source]) -> None:
    """Raise ``DefinitionError`` for the first declaration that cannot work."""
    twice = same_but_case(sources)
    for name, source in sources.items():
        check_reader(name, source.read)
        if not _TABLE.fullmatch(name) or name == layout.FEATURE_TABLE or name in (twice or ()):
            raise DefinitionError(
                f"a source cannot be called `{name[:120]}`",
                why=f"files, reports and SQL name tables so, and `{layout.FEATURE_TABLE}` are those that a build makes",
                next="choose up to 100 letters, digits, `_` and `-`, which differ from other names not in case only",
            )
        if (source.event_time is None) != (source.known_at is None):
            raise DefinitionError(
                f"source `{name}` declares only one of event_time and known_at",
                why="a row that happened at a timestamp also became known at one, and features need both",
                next="declare both columns, or neither for a static lookup table",
            )
        for used in source.uses:
            if used not in sources:
                raise DefinitionError(
                    f"source `{name}` uses `{used}`, which is not declared",
                    why="only declared sources can be handed to a transform",
                    next=nearest(used, sources),
                )


@dataclass(frozen=True)
class _Reading:
    """How tables become frames: what is declared, which partitions there are, and who reads."""

    sources: Mapping[str, Source]
    partitions: Partitions
    frames: Frames
    data_end: datetime | None = None
    later: dict[str, int] = field(default_factory=dict)  # rows from there on, by table

    def static(self, name: str) -> tuple[Frame, int]:
        """Return a static table in memory, and its rows."""
        collected, rows, nulls = self.frames.collect(name, self._shaped(name, None))
        self._check_rows(name, None, rows, nulls)
        return collected, rows

    def timed(self, name: str, group: Partition) -> tuple[Frame, int]:
        """Return the rows of a group in memory, and their number."""
        start, end = self.partitions.bounds(group)
        parts = [self._cut(name, unit, start, end) for unit in self._units(name, group)]
        whole = parts[0] if len(parts) == 1 else self.frames.joined(name, parts)
        collected, rows, nulls = self.frames.collect(name, whole)
        self._check_rows(name, group, rows, nulls)
        return collected, rows

    def _units(self, name: str, group: Partition) -> list[Partition | None]:
        """Return what a table is read for, one after another: partitions that have files, or None for all at once."""
        period = self._period(name)
        if period is None:
            return [None]
        return list(dict.fromkeys(part.within(period) for part in self.partitions.parts(group)))

    def _period(self, name: str) -> Period | None:
        period, readers = self.partitions.period, [self.sources[key].read for key in (name, *self.sources[name].uses)]
        if period == "none":
            return None
        if any(isinstance(reader, Function) for reader in readers):
            return period
        return finest([path for reader in readers for path in _paths(reader)], period)

    def _cut(self, name: str, unit: Partition | None, start: datetime, end: datetime) -> Frame:
        """Return the rows of ``[start, end)`` in what is read for ``unit``."""
        source = self.sources[name]
        times = (str(source.event_time), str(source.known_at))
        whole = self._shaped(name, unit)
        _check_times(name, times, self.frames.columns(name, whole), self.partitions.timezone)
        if self.data_end is not None:
            self.later[name] = self.frames.outside(name, whole, times, _EVER, self.data_end)
        if unit is not None:  # what is read for one may hold rows of others, which are read for those
            around = self.partitions.whole(unit)
            if any(map(has_placeholder, _paths(source.read))):
                _check_file(name, unit, around.start, self.frames.outside(name, whole, times, around.start, around.end))
            start = max(start.astimezone(UTC), around.start.astimezone(UTC))
            end = min(end.astimezone(UTC), around.end.astimezone(UTC))
        return self.frames.cut(whole, times, start, end)

    def _shaped(self, name: str, unit: Partition | None) -> Frame:
        source = self.sources[name]
        raw = self.frames.read(source.read, unit)
        if source.transform is None:
            return self.frames.in_microseconds(name, raw)
        used = {use: self.frames.read(self.sources[use].read, unit) for use in source.uses}
        try:
            return self.frames.in_microseconds(name, _transformed(name, source, raw, used))
        except (SourceError, DefinitionError) as error:
            untyped = self.frames.without_value(raw)
            raise _with_hint(error, untyped) if untyped else error from error

    def _check_rows(self, name: str, group: Partition | None, rows: int, nulls: Mapping[str, int]) -> None:
        if rows == 0 and not self.sources[name].may_be_empty:
            raise SourceError(
                f"table `{name}` has no rows" + (f" in {group}" if group else ""),
                why="the source was read, and nothing in it belongs here",
                next="check the source, or `data.first` and `data.last` in params.yaml; "
                "`Source(..., may_be_empty=True)` allows it",
                absent=True,
            )
        for column, count in nulls.items():
            if count:
                raise SourceError(
                    f"{count} of {rows} rows of table `{name}` have no {column}",
                    why="a row without its times could be used before it was known, or never be counted",
                    next="fill the column in the transform of the source, or filter such rows there on purpose; a "
                    f"local time that clocks skipped has none: {guide_page('time.md#types-of-times')}",
                )


def _with_hint(error: SourceError | DefinitionError, untyped: Sequence[str]) -> SourceError | DefinitionError:
    """Return the error with the way to give columns a type that no value tells here."""
    names = ", ".join(f"`{name}`" for name in untyped[:5]) + (" and more" if len(untyped) > 5 else "")
    return type(error)(
        error.what,
        why=f"{error.why}; {names} {'has' if len(untyped) == 1 else 'have'} no value here, which would tell a type",
        next=f'give them one in sources.py, as in `types={{"{untyped[0]}": pl.Int64}}` of the reader; or {error.next}',
    )


def _transformed(name: str, source: Source, frame: Frame, used: Mapping[str, Frame]) -> Frame:
    """Return what the case's own function makes of a frame; raises ``DefinitionError`` when it fails."""
    assert source.transform is not None  # noqa: S101 - the caller asked
    try:
        shaped = source.transform(frame, **used)
    except Exception as error:  # whatever a person's function raises is theirs to fix
        raise DefinitionError(
            f"the transform of source `{name}` failed",
            why=f"{type(error).__name__}: {first_line(error)[:200]}",
            next=f"fix `{getattr(source.transform, '__name__', 'the function')}` in sources.py",
        ) from error
    if shaped is None:
        raise DefinitionError(
            f"the transform of source `{name}` returned nothing",
            why="a transform takes a frame and returns the shaped one",
            next=f"end `{getattr(source.transform, '__name__', 'the function')}` in sources.py with a return",
        )
    return shaped


def _check_file(name: str, unit: Partition, start: datetime, outside: int) -> None:
    """Raise ``SourceError`` for rows of a partition's own file that lie in another: no other reads them."""
    if outside:
        raise SourceError(
            f"{outside} rows in the file of {unit} for table `{name}` lie outside of it",
            why=f"{unit} begins at {start.isoformat()}; no other partition looks into this file",
            next="put a glob in place of the placeholder, or set data.timezone to the zone in which the files are cut",
        )


def _check_times(name: str, times: tuple[str, str], columns: Mapping[str, str], zone: str) -> None:
    for column, own in zip(times, TIMES, strict=True):
        if column != own and own in columns:
            raise SourceError(
                f"table `{name}` has a column `{own}` of its own, and `{column}` is to be called so",
                why=f"every table has its times in {' and '.join(TIMES)}: one of the two would be lost",
                next=f"rename `{own}` in the transform of the source, or declare it in place of `{column}`",
            )
        if column not in columns:
            raise SourceError(
                f"table `{name}` has no column `{column}`",
                why="event_time and known_at must name columns of the shaped table",
                next=nearest(column, columns),
            )
        refuse_untimed(name, column, columns[column], zone)


def _check_names(name: str, columns: Iterable[str]) -> None:
    twice = same_but_case(columns)
    if twice:
        raise differ_in_case(twice, f"table `{name}`")
