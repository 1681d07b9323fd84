"""What a ``star.yaml`` may say: entities, the spine, facts, dimensions, measures and labels.

The vocabulary is closed, so that every engine can run all of it and the reader of a pull
request needs no SQL to see what a feature looks at.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from leverframe.documents import Document, load, validated
from leverframe.domain.data.times import EVENT_TIME, KNOWN_AT
from leverframe.domain.features.training_set import LabelKind
from leverframe.errors import DefinitionError, LeakError, guide_page, nearest
from leverframe.settings.params import ZoneText

COMPILER = "2"  # raised whenever the same star.yaml would give other features

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LONGEST = 100 * 366 * 86_400
_DURATION = re.compile(r"^(\d+)([smhdw])$")


def duration(text: object) -> timedelta:
    """Return the length of time written as a number and one of s, m, h, d, w; raises ``ValueError``."""
    match = _DURATION.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("a length of time is a whole number and a unit: 90s, 15m, 3h, 28d, 4w")
    if int(match[1]) * _SECONDS[match[2]] > _LONGEST:
        raise ValueError("longer than a century")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _a_window(text: object) -> str:
    if duration(text) <= timedelta(0):
        raise ValueError("a window must be longer than nothing")
    return str(text)


Duration = Annotated[timedelta, BeforeValidator(duration)]
WindowText = Annotated[str, BeforeValidator(_a_window)]  # kept as written: it is part of the feature's name
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Column = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
CalendarPart = Literal["hour", "weekday", "day", "day_of_year", "month"]
SimpleFunction = Literal["mean", "sum", "count", "min", "max", "last", "distinct"]


class ShareAbove(Document):
    """The share of known values that are greater than a threshold."""

    share_above: int | Annotated[float, Field(allow_inf_nan=False)]

    def __str__(self) -> str:
        written = str(self.share_above).replace("e+", "e").replace(".", "_").replace("-", "minus_")
        return f"share_above_{written}"


Function = SimpleFunction | ShareAbove


class Calendar(Document):
    """Parts of the local date and hour of ``event_time``; weekday 0 is Monday."""

    timezone: ZoneText
    parts: list[CalendarPart] = Field(min_length=1)


class Spine(Document):
    """The rows that get features: one a row of ``table``, seen ``lead_time`` before its ``event_time``."""

    table: Name
    key: Name = Field(description="entity that names each row once")
    lead_time: Duration = Field(default=timedelta(0), description="how long before event_time the prediction is needed")
    columns: list[Column] = Field(default_factory=list, description="columns that are known by then")
    known: list[Column] = Field(
        default_factory=list,
        description="of the columns and keys, those that are known by then although their row arrives later",
    )
    calendar: Calendar | None = None


class Fact(Document):
    """Something that happens to a row of ``table``; it counts from the latest of ``known_at``, event and arrival."""

    table: Name
    known_at: Column
    max_lag: Duration = Field(description="longest time between event_time and the time from which a row counts")
    reveals: list[Column] = Field(default_factory=list, description="columns that nobody knows before")
    own: Literal["exclude", "include"] | None = Field(
        default=None, description="whether a row of another table counts for the row of the spine whose key it has"
    )


class Correction(Document):
    """A table whose rows may come again, corrected: rows with an equal key are versions of one."""

    key: Name = Field(description="entity that names each row of the table")
    recorded_at: Column = Field(description="column with the arrival of a version; null for as soon as it happened")


class AsOf(Document):
    """The newest row that was known: ``lag`` is added to its known_at, older than ``tolerance`` is not used."""

    lag: Duration = timedelta(0)
    tolerance: Duration
    own: Literal["include"] | None = Field(
        default=None, description="include: a row may see one with its own key, which happened before it"
    )


class Dimension(Document):
    """A lookup table; with ``as_of`` the newest row known by then, else the one row of the key."""

    table: Name
    key: Name
    match: dict[Column, Column] = Field(
        default_factory=dict, description="column of the entity -> column of the table, where they differ"
    )
    columns: list[Column] = Field(min_length=1)
    as_of: AsOf | None = None


class Measure(Document):
    """Aggregates of a fact's columns for one entity over windows that end at ``as_of``."""

    fact: Name
    key: Name | None = Field(default=None, description="entity to aggregate by; all rows together without one")
    of: dict[Column, list[Function]] = Field(min_length=1)
    windows: list[WindowText] = Field(min_length=1)


class LabelSpec(Document):
    """What is to be learnt: a column of a fact, or whether it is at least a threshold."""

    fact: Name
    column: Column
    kind: LabelKind
    at_least: int | float | None = None

    @model_validator(mode="after")
    def _threshold_fits_kind(self) -> LabelSpec:
        if self.at_least is not None and self.kind != "binary":
            raise ValueError(f"at_least makes a yes or no, so the kind is binary, not {self.kind}")
        return self


class Star(Document):
    """The whole of a ``star.yaml``."""

    entities: dict[Name, list[Column]] = Field(min_length=1)
    spine: Spine
    facts: dict[Name, Fact] = Field(default_factory=dict)
    corrections: dict[Name, Correction] = Field(default_factory=dict, description="by table")
    dimensions: dict[Name, Dimension] = Field(default_factory=dict)
    measures: dict[Name, Measure] = Field(default_factory=dict)
    labels: dict[Name, LabelSpec] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_resolve(self) -> Star:
        for what, name, known in _references(self):
            if name not in known:
                raise DefinitionError(
                    f"{what} names `{name}`, which is not declared",
                    why="entities, facts and their tables are declared once and used by name",
                    next=nearest(name, known),
                )
        return self

    @model_validator(mode="after")
    def _known_are_columns(self) -> Star:
        columns = {*self.spine.columns, *(column for entity in self.entities.values() for column in entity)}
        for column in self.spine.known:
            if column not in columns:
                raise DefinitionError(
                    f"`known` names `{column}`, which is none of the `columns` of the spine and no key",
                    why="`known` says of a column that rows are predicted with that they have it in time",
                    next=nearest(column, columns),
                )
        return self

    @model_validator(mode="after")
    def _spine_sees_no_outcome(self) -> Star:
        revealed = self._revealed(self.spine.table)
        entity_columns = {column for name in self._spine_entities() for column in self.entities[name]}
        for column in [*self.spine.columns, *sorted(entity_columns)]:
            if column in revealed:
                raise LeakError(
                    f"`{column}` cannot be selected on the spine: it is an outcome",
                    why=self._reason(column, revealed[column]),
                    next=self._way_out(column, revealed[column]),
                )
            if column in self._arrival(self.spine.table):
                raise LeakError(
                    f"`{column}` cannot be selected on the spine: it is when the row arrived",
                    why="a row does not arrive before its event, and as_of is never later than that",
                    next="take it out of the spine",
                )
        return self

    @model_validator(mode="after")
    def _dimensions_see_no_outcome(self) -> Star:
        for name, dimension in self.dimensions.items():
            revealed = self._revealed(dimension.table)
            for column in dimension.columns:
                if column in revealed:
                    fact = next(iter(revealed[column]))
                    raise LeakError(
                        f"dimension `{name}` cannot show `{column}`: it is an outcome",
                        why=f"{self._reason(column, revealed[column])}; a lookup shows whole rows",
                        next=f"use it through a measure of `{fact}`, for example with `last`, which looks back only",
                    )
        return self

    @model_validator(mode="after")
    def _own_events_stay_out(self) -> Star:
        for name, fact in self.facts.items():
            if fact.own and fact.table == self.spine.table:
                raise DefinitionError(
                    f"the fact `{name}` says `own: {fact.own}`, and its table is that of the spine",
                    why="an event of that table is never known before the row that it belongs to",
                    next=f"take `own` out of the fact `{name}`",
                )
        hidden = {fact.table: name for name, fact in self.facts.items() if self.own(fact)}
        for name, dimension in self.dimensions.items():
            if dimension.table in hidden:
                raise LeakError(
                    f"dimension `{name}` looks up `{dimension.table}`, whose rows belong to rows of the spine",
                    why=f"it could show a row what happened to itself, which `{hidden[dimension.table]}` leaves out",
                    next=f"use a measure of `{hidden[dimension.table]}` with `last`, which leaves own events out",
                )
        key = set(self.entities[self.spine.key])
        for name, measure in self.measures.items():
            if measure.key and self.own(self.facts[measure.fact]) and key <= set(self.entities[measure.key]):
                raise DefinitionError(
                    f"measure `{name}` has only a row's own events, and they do not count for it",
                    why=f"`{measure.key}` holds the whole key of the spine: each window would be empty",
                    next=f"write `own: include` at the fact `{measure.fact}`; or, where the same key comes again, "
                    f"add event_time to the entity `{self.spine.key}`",
                )
        return self

    @model_validator(mode="after")
    def _measures_wait_for_their_fact(self) -> Star:
        used = [
            (f"measure `{name}`", measure.fact, column)
            for name, measure in self.measures.items()
            for column in measure.of
        ]
        used += [(f"label `{name}`", label.fact, label.column) for name, label in self.labels.items()]
        for what, fact, column in used:
            revealing = self._revealed(self.facts[fact].table).get(column, {})
            declared = {name for name in revealing if column in self.facts[name].reveals}
            if fact not in (declared or {fact}) or (not declared and len(revealing) > 1):
                others = sorted(set(revealing) - {fact})
                ats = ", ".join(f"`{other}` at `{self.facts[other].known_at}`" for other in others)
                raise LeakError(
                    f"{what} takes `{column}` through `{fact}`, and other facts reveal it too",
                    why=f"{ats}: used at `{self.facts[fact].known_at}` it could be seen before it was known",
                    next=f"take it through the fact that reveals it, or write `reveals: [{column}]` where that is",
                )
        return self

    def _revealed(self, table: str) -> dict[str, dict[str, str]]:
        """Return the columns of a table that facts reveal, each with those facts and what says so, the surest first.

        What a measure takes may be known late; on the spine `known` says that it is not.
        """
        facts = {name: fact for name, fact in self.facts.items() if fact.table == table}
        known = self.spine.known if table == self.spine.table else []
        declared = [(column, name, "`reveals`") for name, fact in facts.items() for column in fact.reveals]
        declared += [(fact.known_at, name, "`known_at`") for name, fact in facts.items()]
        declared += [(label.column, label.fact, f"the label `{name}`") for name, label in self.labels.items()]
        for name, measure in self.measures.items():
            declared += [
                (column, measure.fact, f"the measure `{name}`") for column in measure.of if column not in known
            ]
        revealed: dict[str, dict[str, str]] = {}
        for column, fact, source in declared:
            if fact in facts:
                revealed.setdefault(column, {}).setdefault(fact, source)
        return revealed

    def _reason(self, column: str, revealing: dict[str, str]) -> str:
        """Return why a column is an outcome, of the first of the facts that reveal it."""
        fact, source = next(iter(revealing.items()))
        at = f"at `{self.facts[fact].known_at}`, later than as_of"
        if source.startswith("the measure"):
            return f"{source} takes it through the fact `{fact}`, which is known {at}"
        also = f", by {source}; `known` says the contrary" if column in self.spine.known else ""
        return f"the fact `{fact}` reveals it {at}{also}"

    def _way_out(self, column: str, revealing: dict[str, str]) -> str:
        """Return what to do about an outcome on the spine."""
        fact, source = next(iter(revealing.items()))
        if source.startswith("the measure"):
            known = ", ".join([*self.spine.known, column])
            return f"write `known: [{known}]` at the spine if it is known by as_of all the same; else take it out there"
        if column in self.spine.known:
            return f"take it out of the spine and its `known`, or out of {source} where it is known by as_of"
        return f"take it out of the spine, or use it through a measure of `{fact}`, which looks back only"

    @model_validator(mode="after")
    def _lookups_see_no_versions(self) -> Star:
        for name, dimension in self.dimensions.items():
            if dimension.table in self.corrections:
                raise DefinitionError(
                    f"dimension `{name}` looks up `{dimension.table}`, whose rows are corrected",
                    why="the newest row would be an old one that was corrected lately, not the one that happened last",
                    next="declare a fact of the table and a measure with `last`, which knows versions apart",
                )
        return self

    def _arrival(self, table: str) -> set[str]:
        """Return the columns that tell when a row of a table arrived."""
        return {KNOWN_AT, *(correction.recorded_at for name, correction in self.corrections.items() if name == table)}

    def own(self, fact: Fact) -> tuple[str, ...] | None:
        """Return the columns of the spine's key by which a row's own events are left out; () where none can count.

        None where a table that has the key would need the word: only the data tell. An event of the
        spine's own table counts from its event_time at the earliest, and as_of is no later. So does one of
        another table where event_time is part of the key.
        """
        key = self.entities[self.spine.key]
        if fact.table == self.spine.table or EVENT_TIME in key or fact.own == "include":
            return ()
        labelled = fact.table in {self.facts[label.fact].table for label in self.labels.values()}
        return tuple(key) if labelled or fact.own == "exclude" else None

    def _spine_entities(self) -> set[str]:
        keyed = {dimension.key for dimension in self.dimensions.values()}
        return {self.spine.key} | keyed | {measure.key for measure in self.measures.values() if measure.key}

    def digest(self) -> str:
        """Return the hash of this definition and of the compiler that reads it."""
        # What is not written does not count, so that a word added to the vocabulary changes no hash; `known` says
        # what a column is, and changes no value.
        written = self.model_dump(mode="json", exclude_defaults=True, exclude={"spine": {"known"}})
        canonical = json.dumps([COMPILER, written], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _references(star: Star) -> Iterator[tuple[str, str, dict[str, Any]]]:
    yield "the spine", star.spine.key, star.entities
    for name, dimension in star.dimensions.items():
        yield f"dimension `{name}`", dimension.key, star.entities
    for name, measure in star.measures.items():
        yield f"measure `{name}`", measure.fact, star.facts
        if measure.key is not None:
            yield f"measure `{name}`", measure.key, star.entities
    for name, label in star.labels.items():
        yield f"label `{name}`", label.fact, star.facts
    tables = dict.fromkeys([star.spine.table, *(fact.table for fact in star.facts.values())])
    for table, correction in star.corrections.items():
        yield "`corrections`", table, tables
        yield f"the correction of `{table}`", correction.key, star.entities


def read_star(path: Path) -> Star:
    """Return the definition in ``path``.

    Raises ``SettingsError`` for a form that does not fit, ``DefinitionError`` for a name that
    is not declared and ``LeakError`` for an outcome on the spine.
    """
    guide = f"{guide_page('star-schema.md')} lists them"
    return validated(Star, load(path, what="definition"), name=str(path), guide=guide)
