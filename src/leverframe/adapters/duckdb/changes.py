"""The rows of the keys that changed, read with DuckDB: of which keys rows came, went, or began to count.

A key changed where one of its rows became known since the base, where a file of its table has rows that the base's
had not, no longer has them, or has them in another order; for events that are corrected also where another version of
the same event changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from leverframe.adapters.duckdb.checks import refuse_late
from leverframe.adapters.duckdb.connection import connect
from leverframe.adapters.duckdb.online import step_keys, step_rows
from leverframe.adapters.duckdb.sql import column, files_error, microseconds
from leverframe.adapters.duckdb.versions import version_known
from leverframe.adapters.duckdb.views import ARRIVED, ROW, create_view, known
from leverframe.domain.data.times import EVENT_TIME
from leverframe.domain.features.build import Files
from leverframe.domain.features.online import Span, microseconds_of
from leverframe.domain.features.plan import Plan, Step, Windows
from leverframe.domain.features.snapshot.store import Keys, Table

_CHANGED, _KEYS, _EVENTS = "__changed", "__keys", "__events"


@dataclass(frozen=True)
class ChangedFiles:
    """Files of a table whose rows are others than those of the base: as they are, and as they were."""

    now: tuple[Path, ...]
    before: tuple[Path, ...]


@dataclass(frozen=True)
class ChangedRows:
    """All rows in reach of the keys of a step that changed, and these keys, one sequence a key column."""

    rows: Table
    keys: Keys


class DuckDBChanges:
    """The tables of one generation, read as a whole or for the keys that changed since ``base``, in microseconds."""

    def __init__(
        self, sql: duckdb.DuckDBPyConnection, span: Span, base: int, files: Mapping[str, ChangedFiles]
    ) -> None:
        self._sql, self._span, self._base, self._files = sql, span, base, files

    def whole(self, step: Step) -> Table:
        """Return all rows of a step in reach."""
        return step_rows(self._sql, step, self._span, _view(step))

    def refuse_late(self, step: Windows) -> None:
        """Raise ``SourceError`` for events that became known later than the star says, in files that are new."""
        if not self._files:
            refuse_late(self._sql, step)
        elif self._files[step.table].now:
            refuse_late(self._sql, step, column(f"now_{step.table}"))

    def changed(self, step: Step) -> ChangedRows | None:
        """Return the rows of the keys that changed, None where none did."""
        sql, view, event = self._sql, _view(step), _event(step)
        noted = ", ".join(map(column, _noted(step))) or "1 AS __one"
        parts = [f"SELECT {noted} FROM {view} WHERE {self._began(step)}", *self._others(step)]
        sql.execute(f"CREATE OR REPLACE TEMP TABLE {_CHANGED} AS {' UNION ALL '.join(parts)}")
        if sql.execute(f"SELECT count(*) FROM {_CHANGED}").fetchone() == (0,):
            return None
        if not step.key.table:
            return ChangedRows(self.whole(step), [])
        keys = ", ".join(map(column, step.key.table))
        known = " AND ".join(f"{column(name)} IS NOT NULL" for name in step.key.table)
        source = f"SELECT {keys} FROM {_CHANGED}"
        if event:  # a version that came moves those before it, whatever their keys
            beside = f"{view} SEMI JOIN (SELECT {event} FROM {_CHANGED}) c USING ({event})"
            source += f" UNION ALL SELECT {keys} FROM {beside}"
        sql.execute(f"CREATE OR REPLACE TEMP TABLE {_KEYS} AS SELECT DISTINCT {keys} FROM ({source}) WHERE {known}")
        if event:
            view = self._events(step, keys, event)
        return ChangedRows(step_rows(sql, step, self._span, view, _KEYS), step_keys(sql, step, _view(step), _KEYS))

    def _began(self, step: Step) -> str:
        """Return which rows began to count since the base."""
        at = ARRIVED
        if isinstance(step, Windows):
            at = version_known(step.corrected, step.known_at) if step.by_version else known(step.known_at)
        until = microseconds_of(self._span.until)
        began = f"{at} >= {self._base} AND {at} < {until}"
        late = step.max_lag if isinstance(step, Windows) and not step.corrected else getattr(step, "tolerance", None)
        if late is None:  # a version may come however long after its event
            return began
        # What counts now cannot have happened long ago: Parquet knows of each file when its rows did.
        return f"{began} AND {EVENT_TIME} >= make_timestamptz({self._base - microseconds(late)})"

    def _others(self, step: Step) -> Iterator[str]:
        """Yield a SELECT of the rows that the changed files have more, or less, than those of the base."""
        files = self._files.get(step.table, ChangedFiles((), ()))
        now, before = column(f"now_{step.table}"), column(f"before_{step.table}")
        types = dict(self._described(_view(step)))
        noted = ", ".join(f"TRY_CAST({column(name)} AS {types[name]}) AS {column(name)}" for name in _noted(step))
        noted = noted or "1 AS __one"
        if files.now and not files.before:
            yield f"SELECT {noted} FROM {now}"
        elif files.before:
            shown = self._described(now)
            if shown != self._described(before):  # a column more, or of another type: every row is another
                yield f"SELECT {noted} FROM {now}"
                yield f"SELECT {noted} FROM {before}"
                return
            every = ", ".join([*(column(name) for name, _ in shown if name != ROW), *_places(step)])
            for ours, theirs in ((now, before), (before, now)):
                yield f"SELECT {noted} FROM (SELECT {every} FROM {ours} EXCEPT ALL SELECT {every} FROM {theirs})"

    def _described(self, view: str) -> list[tuple[str, str]]:
        return [(name, dtype) for name, dtype, *_ in self._sql.execute(f"DESCRIBE {view}").fetchall()]

    def _events(self, step: Step, keys: str, event: str) -> str:
        """Return a view of every version of the events of which a version has one of the keys."""
        view = _view(step)
        theirs = f"SELECT {event} FROM {view} SEMI JOIN {_KEYS} USING ({keys})"
        alone = " OR ".join(f"{name} IS NULL" for name in event.split(", "))
        self._sql.execute(
            f"CREATE OR REPLACE TEMP VIEW {_EVENTS} AS SELECT * FROM {view} SEMI JOIN ({theirs}) c USING ({event}) "
            f"UNION ALL SELECT * FROM {view} WHERE {alone}"
        )
        return _EVENTS


@contextmanager
def changes(
    plan: Plan, files: Files, span: Span, base: int, changed: Mapping[str, ChangedFiles]
) -> Iterator[DuckDBChanges]:
    """Yield the tables over ``files``; raises ``SourceError`` for a damaged one."""
    sql = connect(finite=True)
    every = [path for paths in files.values() for path in paths]
    try:
        for table, paths in files.items():
            create_view(sql, plan, f"t_{table}", table, paths)
        for table, other in changed.items():
            for name, paths in (("now", other.now), ("before", other.before)):
                if paths:
                    create_view(sql, plan, f"{name}_{table}", table, paths)
        yield DuckDBChanges(sql, span, base, changed)
    except duckdb.Error as error:
        raise (files_error(error, every) or error) from error
    finally:
        sql.close()


def _view(step: Step) -> str:
    return column(f"t_{step.table}")


def _corrected(step: Step) -> tuple[str, ...]:
    return step.corrected.key if isinstance(step, Windows) and step.corrected else ()


def _event(step: Step) -> str:
    """Return the columns that tell events apart that are corrected, empty where they are not."""
    return ", ".join(map(column, _corrected(step)))


def _places(step: Step) -> Iterator[str]:
    """Yield the place of a row among those of its key, and of its event: the later of two at one time is the newer."""
    for number, names in enumerate((step.key.table, _corrected(step))):
        if names or not number:
            of = f"PARTITION BY {', '.join(map(column, names))} " if names else ""
            yield f"row_number() OVER ({of}ORDER BY {ROW}) AS __place_{number}"


def _noted(step: Step) -> list[str]:
    """Return the columns that are noted of a changed row: its key, and the event that it is a version of."""
    return list(dict.fromkeys([*step.key.table, *_corrected(step)]))
