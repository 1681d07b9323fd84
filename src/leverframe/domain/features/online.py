"""What a snapshot of a plan holds: for each step the rows that any later moment can ask for.

A lookup keeps the row of each key. An as-of lookup and a window keep, for each key, every row
that is still in reach, with the moment from which it counts: windows slide on after the snapshot
was taken, and a row leaves each of them at its own moment. So a vector is right for any moment
from ``since`` on, as far as things were known before ``until``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from leverframe.domain import layout
from leverframe.domain.features.build import Files
from leverframe.domain.features.plan import Plan, Step, Windows
from leverframe.domain.features.snapshot.store import About, Table
from leverframe.domain.partition import Month, months_back
from leverframe.errors import SnapshotError, SourceError

AT = "__at"  # microseconds since the epoch at which a row begins to count
# Of an event that was corrected: when the next version begins to count, and the moment of the event itself.
UNTIL, PLACE = "__until", "__place"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Span:
    """The moments a snapshot answers for: from ``since`` on, with what was known before ``until``."""

    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        """Refuse a span that ends before it begins."""
        if self.since > self.until:
            raise SnapshotError(
                f"a snapshot as of {self.until.isoformat()} cannot answer from {self.since.isoformat()} on",
                why="the first moment asked for is later than what is known",
                next="choose --since before --as-of, or leave it out",
            )


class Snapshooter(Protocol):
    """Reads the rows of every step of a plan."""

    def tables(self, plan: Plan, files: Files, span: Span) -> Iterator[Table]:
        """Return a table a step, named after it; rows of a key by moment, then by their order in the files.

        Versions of events that were corrected come in the order of their events.
        """


def table_of(step: Step) -> str:
    """Return the name of a step's table in a snapshot: a dimension and a measure may share theirs."""
    return f"{'measure' if isinstance(step, Windows) else 'dimension'} {step.name}"


def about(plan: Plan, span: Span, fields: Mapping[str, str]) -> About:
    """Return what a snapshot of ``plan`` is of; ``fields`` are the kinds of the spine's columns."""
    attributes: dict[str, Any] = {"since": microseconds_of(span.since), "fields": dict(fields)}
    return About(plan.spec, microseconds_of(span.until), attributes)


def online_files(plan: Plan, span: Span, months: tuple[Month, Month], timezone: str, root: Path) -> Files:
    """Return the files that a snapshot is made of; ``months`` are the first and the last that exist.

    Raises ``SourceError`` for a file that is missing.
    """
    reach, found = plan.reach(), {}
    for table in {step.table for step in plan.steps}:
        parts = [str(each) for each in online_months(reach[table], span, months, timezone)] if table in reach else []
        paths = [layout.raw(table, part) for part in parts] or [layout.raw(table, layout.STATIC)]
        for path in paths:
            if not (root / path).exists():
                raise SourceError(
                    f"{path} is missing",
                    why=f"a snapshot as of {span.until.isoformat()} needs it",
                    next="`dvc pull` fetches it, `dvc repro` makes it",
                )
        found[table] = tuple(root / path for path in paths)
    return found


def online_months(reach: timedelta, span: Span, months: tuple[Month, Month], timezone: str) -> list[Month]:
    """Return the months that exist and that a moment of ``span`` can look into."""
    first, last = months
    start = _month_of(span.since, timezone).plus(-months_back(reach))
    end = _month_of(span.until, timezone)
    found = [max(start, first)]
    while found[-1] < min(end, last):
        found.append(found[-1].plus(1))
    return found


def microseconds_of(moment: datetime) -> int:
    """Return an aware moment in whole microseconds since the epoch."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def attribute_since(attributes: Mapping[str, Any]) -> int:
    """Return the first moment a snapshot answers for, in microseconds since the epoch."""
    return int(attributes["since"])


def _month_of(moment: datetime, timezone: str) -> Month:
    month = Month(moment.year, moment.month)
    if month.start(timezone) > moment:
        return month.plus(-1)
    return month.plus(1) if month.plus(1).start(timezone) <= moment else month
