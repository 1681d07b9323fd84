"""How a star schema becomes a plan: a short list of steps that every engine can run.

Four verbs do all the work: a lookup, an as-of lookup, windows over events, and a label. A plan
names columns, never SQL; engines translate it and must agree to the last value.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from datetime import timedelta

from leverframe.domain.data.times import EVENT_TIME, KNOWN_AT
from leverframe.domain.features.reserved import KNOWN_AT as LABEL_KNOWN_AT
from leverframe.domain.features.reserved import VERSIONS, refuse_outputs
from leverframe.domain.features.star import Dimension, LabelSpec, Measure, ShareAbove, Star, duration
from leverframe.domain.features.training_set import LabelKind
from leverframe.errors import DefinitionError, nearest


@dataclass(frozen=True)
class Key:
    """Columns that must be equal: ``spine`` on the rows that get features, ``table`` on the other side."""

    spine: tuple[str, ...]
    table: tuple[str, ...]


@dataclass(frozen=True)
class Corrected:
    """How rows of a table come again: rows with an equal ``key`` are versions of one, in order of ``recorded_at``.

    A version counts from the latest of its row's times and ``recorded_at``, until the next one
    does. A version that the fact's column gives no time takes back what the ones before it said.
    """

    key: tuple[str, ...]
    recorded_at: str


@dataclass(frozen=True)
class Lookup:
    """Take ``columns`` of the one row of ``table`` with the key; null where there is none."""

    name: str
    table: str
    key: Key
    columns: tuple[str, ...]

    def outputs(self) -> list[str]:
        """Return the names of the features this step makes."""
        return [f"{self.name}_{column}" for column in self.columns]


@dataclass(frozen=True)
class AsOfLookup(Lookup):
    """Take ``columns`` of the newest row with ``as_of - tolerance <= known + lag < as_of``.

    ``known`` is the later of its event_time and known_at; a row that arrived more than ``tolerance``
    after its event was too old from the start. Null where there is none. Among rows known at the
    same time the one that stands last in its file counts. ``own_may_show`` tells that a row may see one
    that belongs to itself, or that none can be known before it.
    """

    lag: timedelta
    tolerance: timedelta
    own_may_show: bool = False


@dataclass(frozen=True)
class Aggregate:
    """One feature of a window step: ``function`` of the known values of ``column`` in the window."""

    name: str
    column: str
    function: str  # mean, sum, count, min, max, last, distinct or share_above
    window: timedelta
    threshold: float | None = None


@dataclass(frozen=True)
class Windows:
    """Aggregate the events of one fact with the key and ``as_of - window <= known < as_of``.

    ``known`` is the latest of the row's event_time, its ``known_at`` of the fact and its arrival; without
    the fact's time it never is. No event in the window: a count is 0, all else is null. A null in the
    key matches nothing. Of an event that was ``corrected`` the first version that happened gives its
    place in time, and the newest known before as_of gives its key and values. Events whose columns
    ``own`` equal those of the row of the spine are its own and do not count for it; None where the
    star does not say, which a build refuses for a table that has these columns.
    """

    name: str
    table: str
    known_at: str
    max_lag: timedelta
    key: Key
    aggregates: tuple[Aggregate, ...]
    corrected: Corrected | None = None
    own: tuple[str, ...] | None = ()

    @property
    def timing(self) -> tuple[str, str, timedelta, Corrected | None]:
        """Return what decides whether its events came in time: one look serves all measures of a fact."""
        return self.table, self.known_at, self.max_lag, self.corrected

    @property
    def by_version(self) -> bool:
        """Tell whether rows see events one by one: those that were corrected, or not those of their own."""
        return self.corrected is not None or bool(self.own)

    def outputs(self) -> list[str]:
        """Return the names of the features this step makes."""
        return [aggregate.name for aggregate in self.aggregates]

    def reads(self) -> tuple[str, ...]:
        """Return the columns that are read of each event beside its key and times, once."""
        return tuple(dict.fromkeys([*(aggregate.column for aggregate in self.aggregates), *(self.own or ())]))

    def longest(self) -> timedelta:
        """Return the longest window."""
        return max(aggregate.window for aggregate in self.aggregates)


@dataclass(frozen=True)
class LabelStep:
    """Take the label of each row and since when row and label are known; null where the label never was.

    Of a label that was ``corrected`` the newest version counts, and all are kept beside it: what a
    training set may know of it depends on the timestamp of training.
    """

    name: str
    table: str
    column: str
    known_at: str
    kind: LabelKind
    at_least: float | None
    key: Key
    corrected: Corrected | None = None

    def outputs(self) -> list[str]:
        """Return the names of the columns this step makes."""
        versions = [f"{self.name}{VERSIONS}"] if self.corrected else []
        return [self.name, f"{self.name}{LABEL_KNOWN_AT}", *versions]


Step = Lookup | AsOfLookup | Windows


@dataclass(frozen=True)
class Plan:
    """All that an engine needs to turn tables into features.

    ``spine_features`` and ``calendar`` are columns of the spine itself, ``keys`` further columns
    of it that only name things. ``revealed`` are pairs of table and column that a fact declares to
    reveal. Of a spine whose rows were ``corrected`` the newest version that was known at its own
    timestamp counts, else the first. Features come in the order of ``features()``.
    """

    spec: str
    spine: str
    spine_key: tuple[str, ...]
    keys: tuple[str, ...]
    spine_features: tuple[str, ...]
    calendar: tuple[str, ...]
    timezone: str | None
    lead_time: timedelta
    steps: tuple[Step, ...]
    labels: tuple[LabelStep, ...]
    revealed: tuple[tuple[str, str], ...] = ()
    corrected: Corrected | None = None

    def features(self) -> list[str]:
        """Return the names of all features, in the order of the output."""
        made = [name for step in self.steps for name in step.outputs()]
        return [*self.spine_features, *self.calendar, *made]

    def tables(self) -> list[str]:
        """Return the names of all tables the plan reads, the spine's first."""
        used = [self.spine, *(step.table for step in self.steps), *(label.table for label in self.labels)]
        return list(dict.fromkeys(used))

    def corrections(self) -> dict[str, Corrected]:
        """Return the tables whose rows are corrected, each with how."""
        uses = [(step.table, step.corrected) for step in self.steps if isinstance(step, Windows)]
        uses += [(label.table, label.corrected) for label in self.labels]
        return {table: how for table, how in [(self.spine, self.corrected), *uses] if how}

    def keys_of(self, table: str) -> set[str]:
        """Return the columns of a table that are compared with those of another, or tell its rows apart."""
        steps = [step for step in (*self.steps, *self.labels) if step.table == table]
        columns = {column for step in steps for column in step.key.table}
        columns |= {column for step in steps if isinstance(step, Windows) for column in step.own or ()}
        if table == self.spine:
            columns |= {*self.spine_key, *(column for step in self.steps for column in step.key.spine)}
        corrected = self.corrections().get(table)
        return columns | set(corrected.key if corrected else ())

    def times(self) -> dict[str, list[str]]:
        """Return for each table the columns that decide what of it was known; lookup tables without time are absent."""
        columns_of = {self.spine: [EVENT_TIME, KNOWN_AT]}
        for step in (*self.steps, *self.labels):
            if isinstance(step, Windows | LabelStep):
                columns_of.setdefault(step.table, [EVENT_TIME, KNOWN_AT]).append(step.known_at)
            elif isinstance(step, AsOfLookup):
                columns_of.setdefault(step.table, [EVENT_TIME, KNOWN_AT])
        for table, corrected in self.corrections().items():
            columns_of[table].append(corrected.recorded_at)
        return {table: list(dict.fromkeys(columns)) for table, columns in columns_of.items()}

    def reach(self) -> dict[str, timedelta]:
        """Return how far before a row's timestamp each table is read; lookup tables without time are absent."""
        reach: dict[str, timedelta] = {self.spine: timedelta(0)}
        for step in self.steps:
            if isinstance(step, Windows):
                back = step.longest() + step.max_lag + self.lead_time
            elif isinstance(step, AsOfLookup):
                back = 2 * step.tolerance + step.lag + self.lead_time  # a row may be late by its tolerance
            else:
                continue
            reach[step.table] = max(back, reach.get(step.table, timedelta(0)))
        for label in self.labels:
            reach.setdefault(label.table, timedelta(0))
        return reach


def compile_star(star: Star) -> Plan:
    """Return the plan of a star schema; raises ``DefinitionError`` when two features get one name."""
    spine = star.spine
    steps: list[Step] = [_lookup(star, name, dimension) for name, dimension in star.dimensions.items()]
    steps += [_windows(star, name, measure) for name, measure in star.measures.items()]
    keyed = [spine.key, *(dimension.key for dimension in star.dimensions.values())]
    keyed += [measure.key for measure in star.measures.values() if measure.key]
    calendar = tuple(spine.calendar.parts) if spine.calendar else ()
    columns = dict.fromkeys(column for key in keyed for column in star.entities[key])
    plan = Plan(
        spec=star.digest(),
        spine=spine.table,
        spine_key=tuple(star.entities[spine.key]),
        keys=tuple(column for column in columns if column not in spine.columns and column not in calendar),
        spine_features=tuple(spine.columns),
        calendar=calendar,
        timezone=spine.calendar.timezone if spine.calendar else None,
        lead_time=spine.lead_time,
        steps=tuple(steps),
        labels=tuple(_label(star, name, label) for name, label in star.labels.items()),
        revealed=tuple((fact.table, column) for fact in star.facts.values() for column in fact.reveals),
        corrected=_corrected(star, spine.table, rows_of_spine=True),
    )
    refuse_outputs([*plan.keys, *plan.features()], star.labels, keys=plan.keys, calendar=calendar)
    return plan


def select(patterns: list[str], known: list[str]) -> list[str]:
    """Return the names in ``known`` that match any pattern, in their order.

    Raises ``DefinitionError`` for a pattern that matches nothing: a feature that is silently
    absent would go unnoticed for long.
    """
    for pattern in patterns:
        if not fnmatch.filter(known, pattern):
            raise DefinitionError(
                f"`{pattern}` in features.select matches no feature",
                why="star.yaml declares no feature of that name",
                next=nearest(pattern, known),
            )
    return [name for name in known if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def _lookup(star: Star, name: str, dimension: Dimension) -> Step:
    spine = tuple(star.entities[dimension.key])
    for column in dimension.match:
        if column not in spine:
            raise DefinitionError(
                f"dimension `{name}` matches `{column}`, which the entity `{dimension.key}` does not have",
                why="`match` renames columns of the entity to those of the table",
                next=nearest(column, spine),
            )
    key = Key(spine, tuple(dimension.match.get(column, column) for column in spine))
    columns = tuple(dimension.columns)
    if dimension.as_of is None:
        return Lookup(name, dimension.table, key, columns)
    as_of = dimension.as_of
    shown = as_of.own == "include" or dimension.table == star.spine.table or EVENT_TIME in star.entities[star.spine.key]
    return AsOfLookup(name, dimension.table, key, columns, lag=as_of.lag, tolerance=as_of.tolerance, own_may_show=shown)


def _windows(star: Star, name: str, measure: Measure) -> Windows:
    fact = star.facts[measure.fact]
    columns = tuple(star.entities[measure.key]) if measure.key else ()
    aggregates = [
        Aggregate(
            name=f"{name}_{column}_{function}_{window}",
            column=column,
            function="share_above" if isinstance(function, ShareAbove) else function,
            window=duration(window),
            threshold=function.share_above if isinstance(function, ShareAbove) else None,
        )
        for column, functions in measure.of.items()
        for function in functions
        for window in measure.windows
    ]
    key, corrected, own = Key(columns, columns), _corrected(star, fact.table), star.own(fact)
    return Windows(name, fact.table, fact.known_at, fact.max_lag, key, tuple(aggregates), corrected, own)


def _label(star: Star, name: str, label: LabelSpec) -> LabelStep:
    fact = star.facts[label.fact]
    columns = tuple(star.entities[star.spine.key])
    key, corrected = Key(columns, columns), _corrected(star, fact.table, rows_of_spine=True)
    return LabelStep(name, fact.table, label.column, fact.known_at, label.kind, label.at_least, key, corrected)


def _corrected(star: Star, table: str, *, rows_of_spine: bool = False) -> Corrected | None:
    correction = star.corrections.get(table)
    spine = star.spine.key
    if correction and rows_of_spine and set(star.entities[correction.key]) != set(star.entities[spine]):
        raise DefinitionError(
            f"`corrections` tells the rows of `{table}` apart by `{correction.key}`, the spine by `{spine}`",
            why="a row of the spine has one row of the table and its versions, so both must mean the same rows",
            next=f"write `key: {spine}` for `{table}`",
        )
    return Corrected(tuple(star.entities[correction.key]), correction.recorded_at) if correction else None
