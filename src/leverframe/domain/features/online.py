"""What a snapshot of a plan holds: for each step the rows that any later timestamp can ask for.

A lookup keeps the row of each key. An as-of lookup and a window keep, for each key, every row
that is still in reach, with the timestamp from which it counts: windows slide on after the snapshot
was taken, and a row leaves each of them at its own timestamp. So a vector is right for any timestamp
from ``since`` on, as far as things were known before ``until``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from leverframe.domain import layout
from leverframe.domain.features.build import Files
from leverframe.domain.features.plan import Plan, Step, Windows
from leverframe.domain.features.snapshot.store import SnapshotInfo
from leverframe.domain.partition import Partition, Partitions
from leverframe.errors import SnapshotError

AT = "__at"  # microseconds since the epoch at which a row begins to count
# Of an event that was corrected: when the next version begins to count, and the timestamp of the event itself.
UNTIL, PLACE = "__until", "__place"

_SECOND = 1_000_000  # microseconds
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DELIVERED = "delivered"  # attribute of a snapshot: before when its sources had rows, where that is not its timestamp


@dataclass(frozen=True)
class Span:
    """The timestamps a snapshot answers for: from ``since`` on, with what was known before ``until``."""

    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        """Refuse a span that ends before it begins."""
        if self.since > self.until:
            raise SnapshotError(
                f"a snapshot as of {self.until.isoformat()} cannot answer from {self.since.isoformat()} on",
                why="the first timestamp asked for is later than what is known",
                next="choose --since before --as-of, or leave it out",
            )


@dataclass(frozen=True)
class Newest:
    """How far the rows of one step reach, in microseconds since the epoch.

    ``known`` is when the last of them began to count, ``happened`` when the newest of those happened; ``later`` of
    them began to count after the last partition had ended.
    """

    table: str
    known: int
    happened: int
    later: int


def newest_span(steps: Sequence[Newest], partitions: Partitions) -> Span:
    """Return what a snapshot of all that is known answers for.

    It ends within a second after the last row became known, whether the last partition had ended then or is still
    being filled. It begins no later than the newest events, within the last group: a client may ask from then on.
    """
    start, end = first_of_newest(partitions), partitions.end
    if not steps:
        return Span(start, end)
    until = _timestamp((max(step.known for step in steps) // _SECOND + 1) * _SECOND)
    since = min(end, until, *(_timestamp(min(step.known, step.happened)) for step in steps))
    return Span(min(max(since, start), until), until)


def first_of_newest(partitions: Partitions) -> datetime:
    """Return the first timestamp that a snapshot of all that is known can answer for: where the last group begins."""
    return partitions.bounds(partitions.groups()[-1])[0]


def _timestamp(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def table_of(step: Step) -> str:
    """Return the name of a step's table in a snapshot: a dimension and a measure may share theirs."""
    return f"{'measure' if isinstance(step, Windows) else 'dimension'} {step.name}"


def about(plan: Plan, span: Span, fields: Mapping[str, str]) -> SnapshotInfo:
    """Return what a snapshot of ``plan`` is of; ``fields`` are the kinds of the spine's columns."""
    attributes: dict[str, Any] = {"since": microseconds_of(span.since), "fields": dict(fields)}
    return SnapshotInfo(plan.spec, microseconds_of(span.until), attributes)


def online_files(plan: Plan, span: Span, partitions: Partitions, exists: layout.Exists, root: Path) -> Files:
    """Return the files that a snapshot is made of; raises ``SourceError`` for a file that is missing."""
    reach, files = plan.reach(), {}
    for table in {step.table for step in plan.steps}:
        parts = [str(group) for group in online_groups(reach[table], span, partitions)] if table in reach else []
        paths = [layout.raw(table, part) for part in parts] or [layout.raw(table, layout.STATIC)]
        layout.require(paths, exists, why=f"a snapshot as of {span.until.isoformat()} needs it")
        files[table] = tuple(root / path for path in paths)
    return files


def online_groups(reach: timedelta, span: Span, partitions: Partitions) -> list[Partition]:
    """Return the groups that exist and that a timestamp of ``span`` can look into."""
    groups = partitions.groups()
    start = max(partitions.group_at(span.since).plus(-partitions.back(reach)), groups[0])
    end = max(start, min(partitions.group_at(span.until), groups[-1]))
    return [start.plus(count) for count in range(end.ordinal - start.ordinal + 1)]


def microseconds_of(timestamp: datetime) -> int:
    """Return an aware timestamp in whole microseconds since the epoch."""
    return (timestamp - EPOCH) // timedelta(microseconds=1)


def attribute_delivered(about: SnapshotInfo) -> int:
    """Return before when the rows of a snapshot came, in microseconds since the epoch: its timestamp, or earlier."""
    return min(int(about.attributes.get(DELIVERED, about.as_of)), about.as_of)


def attribute_since(attributes: Mapping[str, Any]) -> int:
    """Return the first timestamp a snapshot answers for, in microseconds since the epoch."""
    return int(attributes["since"])
