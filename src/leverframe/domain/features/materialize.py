"""How the online store is brought up to a timestamp: what is read again, what is written, what is let go.

The store is a base and one delta above it: all rows in reach of the keys whose rows changed since the base was
written. So each generation is a function of the sources and of its base alone, and two layers are all that a lookup
goes through. A generation is a small file that names the others, and none of those ever changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from leverframe.domain import layout
from leverframe.domain.features.online import DELIVERED, EPOCH, Span, microseconds_of, online_groups
from leverframe.domain.features.plan import AsOfLookup, Lookup, Plan, Step, Windows
from leverframe.domain.partition import Partition, Partitions
from leverframe.errors import SettingsError, SourceError

FORMAT = 1
KEPT = timedelta(days=2)  # how far back requests may ask: those of a day ago can still be compared with a build
_AHEAD = timedelta(minutes=5)  # by which the clock of who asks may be ahead of ours
_COARSE = 0.5  # share of the rows of a table from which its delta is a rewrite anyway
_LARGE = 0.25  # share of the rows of all other tables from which a new base costs less than the next deltas
_STRETCH = 0.25  # share of the longest window by which a base may age: rows that left every window stay so long

Raw = Mapping[str, Mapping[str, str]]  # table to partition to the file of its rows, which its content names


@dataclass(frozen=True)
class LayerFile:
    """One file of a generation: how many rows each table has there, and which tables it replaces as a whole."""

    file: str
    rows: Mapping[str, int]
    whole: tuple[str, ...] = ()


@dataclass(frozen=True)
class Generation:
    """What is in force: the pointer. Times are in microseconds since the epoch.

    ``raw`` are the rows that it was made from, ``base_raw`` those of its base. ``previous`` are layers of the
    generation before, which a reader may be about to open. ``delivered`` is before when the sources had rows: they
    had none of a partition that begins then; None where they had all.
    """

    format: int
    number: int
    spec: str
    as_of: int
    since: int
    fields: Mapping[str, str]
    base: LayerFile
    base_as_of: int
    raw: Raw
    base_raw: Raw
    delta: LayerFile | None = None
    previous: tuple[str, ...] = ()
    delivered: int | None = None

    def attributes(self) -> dict[str, Any]:
        """Return what a store of this generation says of itself besides its definition and timestamp."""
        delivered = {} if self.delivered is None else {DELIVERED: self.delivered}
        return {"since": self.since, "fields": dict(self.fields), **delivered}

    def layers(self) -> list[LayerFile]:
        """Return the layers, the newest first."""
        return [self.delta, self.base] if self.delta else [self.base]

    def files(self) -> set[str]:
        """Return every file that must stay: for readers of this generation and of the one before, and for the next."""
        layers = {layer.file for layer in self.layers()} | set(self.previous)
        return layers | {file for raw in (self.raw, self.base_raw) for files in raw.values() for file in files.values()}


@dataclass(frozen=True)
class Materialized:
    """The result: the generation in force, how it came about, and what the sources did not have yet.

    ``delivered`` is where they ended, if that was before ``as_of``.
    """

    kind: str  # full or increment
    as_of: str
    since: str
    generation: int
    where: str
    rows: int
    keys: int
    seconds: float
    why: str = ""
    dry_run: bool = False
    absent: Mapping[str, Sequence[str]] = field(default_factory=dict)
    delivered: str = ""

    def lines(self) -> list[str]:
        """Return the result for a person."""
        why = f", because {self.why}" if self.why else ""
        done = "would be written" if self.dry_run else "written"
        known = self.delivered or self.as_of
        lines = [
            f"{self.kind}{why}: {self.rows:,} rows of {self.keys:,} keys {done} in {self.seconds:.1f} s",
            f"  generation {self.generation} in {self.where}",
            f"  it knows what was known before {known}, and answers for timestamps from {self.since} on",
        ]
        return lines + [f"  {table} has no rows yet of {', '.join(parts)}" for table, parts in self.absent.items()]


def span_until(until: datetime, partitions: Partitions) -> Span:
    """Return the timestamps that a new base answers for; raises ``SettingsError`` before there are data."""
    if until <= partitions.start:
        raise SettingsError(
            f"nothing is known before {until.isoformat()}",
            why=f"the data begin at {partitions.start.isoformat()}",
            next="give a later --as-of, or set `data.first` in params.yaml",
        )
    return Span(until - KEPT, until)


def span_of(old: Generation, until: datetime) -> Span:
    """Return the timestamps that an increment answers for: those of its base, up to a later one."""
    return Span(EPOCH + timedelta(microseconds=old.since), until)


def through(partitions: Partitions, until: datetime) -> Partitions:
    """Return single partitions up to the one that is unfinished at ``until``, whether or not `data.last` names it.

    Data without partitions stay in one.
    """
    local = (until - timedelta(microseconds=1)).astimezone(ZoneInfo(partitions.timezone)).replace(tzinfo=None)
    newest = max(Partition.at(local, partitions.first.period), partitions.first)
    return Partitions(partitions.first, newest, partitions.period, partitions.timezone)


def tables_of(plan: Plan) -> list[str]:
    """Return the tables that requests are answered from, and the spine, which says of which types their fields are."""
    return list(dict.fromkeys([plan.spine, *(step.table for step in plan.steps)]))


def reached(plan: Plan, span: Span, partitions: Partitions) -> dict[str, list[Partition]]:
    """Return the partitions of each table that a timestamp of ``span`` can look into; none for a static one."""
    reach = plan.reach()
    return {table: online_groups(reach[table], span, partitions) if table in reach else [] for table in tables_of(plan)}


def look_back(plan: Plan) -> dict[str, timedelta]:
    """Return how long after its event a row of each table may become known and still count."""
    late: dict[str, timedelta] = {}
    for step in plan.steps:
        if isinstance(step, AsOfLookup):
            longest = step.tolerance
        elif isinstance(step, Windows):
            longest = step.max_lag + (step.longest() if step.corrected else timedelta(0))
        else:
            continue
        late[step.table] = max(longest, late.get(step.table, timedelta(0)))
    return late


def wanted(
    plan: Plan, reach: Mapping[str, Sequence[Partition]], old: Generation | None, partitions: Partitions
) -> dict[str, list[Partition]]:
    """Return the partitions that are read from the sources: those that may have rows that became known since ``old``.

    And those that were not there then, with what lies before them: where a source stopped, it may have stopped in the
    middle of its newest partition, and none that was known after it. A static table is read each time.
    """
    late, by_table = look_back(plan), {}
    for table, groups in reach.items():
        known = old.raw.get(table, {}) if old else {}
        if old and groups:
            until = _delivered(old, [group for group in groups if str(group) in known], partitions)
            first = partitions.group_at(until - late.get(table, timedelta(0)))
            by_table[table] = [group for group in groups if group >= first or str(group) not in known]
        else:
            by_table[table] = list(groups)
    return {table: groups for table, groups in by_table.items() if groups or not reach[table]}


def _delivered(old: Generation, there: Sequence[Partition], partitions: Partitions) -> datetime:
    """Return until when a table surely had its rows: the timestamp of ``old``, or the start of its newest partition."""
    as_of = EPOCH + timedelta(microseconds=old.as_of)
    if there and there[-1] < partitions.group_at(as_of - timedelta(microseconds=1)):
        return min(as_of, there[-1].start(partitions.timezone))
    return as_of


def refuse_absent(
    plan: Plan,
    absent: Mapping[str, Sequence[Partition]],
    reach: Mapping[str, Sequence[Partition]],
    old: Generation | None,
) -> None:
    """Raise ``SourceError`` for a partition that is lacking although a later one is there, or that was there before.

    The newest may not have arrived. Of the spine, unless a step reads it, no row is needed.
    """  # fmt: skip
    for table, groups in absent.items():
        if table not in {step.table for step in plan.steps}:
            continue
        before = old.raw.get(table, {}) if old else {}
        there = [group for group in reach[table] if group not in groups]
        for group in groups:
            if str(group) in before or (there and group < there[-1]) or not there:
                why = "it was there before" if str(group) in before else (
                    f"{there[-1]} is there" if there else "no partition in reach of a request is there")  # fmt: skip
                raise SourceError(
                    f"table `{table}` has no rows of {group}",
                    why=why,
                    next="check the source; the online store is as it was",
                )


def delivered(plan: Plan, absent: Mapping[str, Sequence[Partition]], partitions: Partitions) -> int | None:
    """Return from when on a table that features come from has no partition, in microseconds; None where all have."""
    tables = {step.table for step in plan.steps}
    starts = [
        microseconds_of(group.start(partitions.timezone))
        for table, groups in absent.items() if table in tables for group in groups
    ]  # fmt: skip
    return min(starts, default=None)


def pruned(raw: Raw, reach: Mapping[str, Sequence[Partition]]) -> dict[str, dict[str, str]]:
    """Return the rows that are still in reach."""
    keys = {table: {str(group) for group in groups} or {layout.STATIC} for table, groups in reach.items()}
    return {
        table: {part: raw[table][part] for part in sorted(raw[table]) if part in parts}
        for table, parts in keys.items()
        if parts & raw.get(table, {}).keys()
    }


def rebuild_reason(old: Generation | None, until: int, plan: Plan, *, full: bool) -> str:
    """Return why a new base is written, empty where an increment will do; it is decided before anything is read."""
    if full:
        return "asked for"
    if old is None:
        return "the store was empty"
    if old.delta is not None and grown(old.base.rows, old.delta.rows):
        return "most keys changed since the base was written"
    longest = max((step.longest() for step in plan.steps if isinstance(step, Windows)), default=KEPT)
    if until - old.base_as_of > max(longest * _STRETCH, KEPT) // timedelta(microseconds=1):
        return "the base has rows that left every window"
    return ""


def grown(base: Mapping[str, int], delta: Mapping[str, int]) -> bool:
    """Tell whether a new base costs less than the delta; tables of few keys change as a whole and do not count."""
    fine = [table for table, rows in base.items() if delta.get(table, 0) <= _COARSE * rows]
    most = sum(base[table] for table in fine)
    return sum(delta.get(table, 0) for table in fine) > _LARGE * most or not fine


def changed_files(old: Raw, new: Raw, table: str) -> tuple[list[str], list[str]]:
    """Return the partitions of a table whose rows are others now, and those of them that there were before."""
    before, now = old.get(table, {}), new.get(table, {})
    parts = [part for part in now if before.get(part) != now[part]]
    return parts, [part for part in parts if part in before]


def is_static(step: Step) -> bool:
    """Tell whether a step looks rows up that have no time."""
    return isinstance(step, Lookup) and not isinstance(step, AsOfLookup)


def refuse_future(until: datetime, now: datetime) -> None:
    """Raise ``SettingsError`` for a timestamp that has not come: what becomes known until then is not there to read."""
    if until > now + _AHEAD:
        raise SettingsError(
            f"nobody knows yet what is known before {until.isoformat()}",
            why=f"it is {now.isoformat(timespec='seconds')}",
            next="give an earlier --as-of, or none; set the clock if it is wrong",
        )


def refuse_backwards(old: Generation | None, until: datetime) -> None:
    """Raise ``SettingsError`` for a timestamp before the one that the store is as of."""
    if old is not None and microseconds_of(until) < old.as_of:
        raise SettingsError(
            f"the online store already knows more than {until.isoformat()}",
            why=f"it is as of {written(old.as_of)}, and servers read it",
            next="give a later --as-of, or --full to build it as of that timestamp",
        )


def written(timestamp: int) -> str:
    """Return microseconds since the epoch as ISO 8601 in UTC."""
    return (EPOCH + timedelta(microseconds=timestamp)).isoformat()
