"""What a request for features says: raw fields a row, and the timestamp they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from leverframe.domain.features.online import EPOCH, attribute_since, microseconds_of
from leverframe.domain.features.plan import Plan, Windows
from leverframe.domain.features.snapshot.store import SnapshotInfo
from leverframe.domain.features.windows import Ints
from leverframe.errors import RequestError, nearest

PARTS: Mapping[str, Callable[[datetime], int]] = {
    "hour": lambda timestamp: timestamp.hour,
    "weekday": lambda timestamp: timestamp.weekday(),
    "day": lambda timestamp: timestamp.day,
    "day_of_year": lambda timestamp: timestamp.timetuple().tm_yday,
    "month": lambda timestamp: timestamp.month,
}


@dataclass(frozen=True)
class Requests:
    """Rows that want features: ``fields`` by name, n values each, and the timestamps ``as_of`` in microseconds."""

    fields: Mapping[str, Any]
    as_of: Ints


def timestamp(text: str) -> datetime:
    """Return a timestamp written in ISO 8601 with a zone; raises ``RequestError`` for anything else."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise RequestError(
            f"`{text}` is no timestamp", why=str(error), next="write it as 2014-01-01T08:00-05:00 or 2014-01-01T13:00Z"
        ) from error
    if instant.tzinfo is None:
        raise RequestError(
            f"the timestamp {text} has no time zone",
            why="the same wall clock is another timestamp elsewhere",
            next=f"write it as {text}Z, or with an offset such as -05:00",
        )
    return instant


def required(plan: Plan) -> list[str]:
    """Return the fields that a request must have."""
    keys = [column for step in plan.steps for column in step.key.spine]
    keys += [column for step in plan.steps if isinstance(step, Windows) for column in step.own or ()]
    return [name for name in dict.fromkeys([*plan.spine_features, *keys]) if name not in plan.calendar]


def parsed(plan: Plan, fields: Mapping[str, str], as_of: datetime, about: SnapshotInfo) -> Requests:
    """Return one request from fields written as text; an empty text is null.

    The snapshot tells which fields are numbers. A field may also be a feature by its full name,
    which then is used instead of what the snapshot has. Raises ``RequestError`` for a field that
    is unknown or of the wrong kind.
    """
    known = [*required(plan), *plan.features()]
    for name in fields:
        if name not in known:
            raise RequestError(
                f"`{name}` is no field of a request", why="star.yaml does not use it", next=nearest(name, known)
            )
    kinds = about.attributes.get("fields", {})
    given: dict[str, Any] = {
        name: np.ma.masked_array([_value(name, text, kinds)], mask=[text == ""]) for name, text in fields.items()
    }
    return Requests(given, np.array([microseconds_of(as_of)], np.int64))


def checked(plan: Plan, requests: Requests, about: SnapshotInfo) -> None:
    """Raise ``RequestError`` for a lacking field, or a timestamp that the snapshot cannot answer for."""
    lacking = [name for name in required(plan) if name not in requests.fields]
    if lacking:
        raise RequestError(
            f"the request lacks `{lacking[0]}`",
            why=f"the features need {', '.join(f'`{name}`' for name in required(plan))}",
            next=f"give {', '.join(f'`{name}`' for name in lacking)}; an empty value means unknown",
        )
    since = attribute_since(about.attributes)
    early = requests.as_of < since
    if early.any():
        raise RequestError(
            f"the snapshot cannot answer for {_written(int(requests.as_of[early][0]))}",
            why=f"it keeps what timestamps from {_written(since)} on can see",
            next="ask for a later timestamp, or build a snapshot with an earlier --since",
        )


def calendar(plan: Plan, as_of: Ints) -> dict[str, Ints]:
    """Return the calendar parts of the local date and hour of each row's ``event_time``."""
    if plan.timezone is None or not plan.calendar:
        return {}
    zone = ZoneInfo(plan.timezone)
    distinct, where = np.unique(as_of, return_inverse=True)
    local = [
        (EPOCH + timedelta(microseconds=int(ticks)) + plan.lead_time).astimezone(zone) for ticks in distinct.tolist()
    ]
    return {part: np.array([PARTS[part](time) for time in local], np.int64)[where] for part in plan.calendar}


def key_columns(fields: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    """Return the columns of a key, as a store is asked for them."""
    return [fields[name] for name in names]


def _value(name: str, text: str, kinds: Mapping[str, str]) -> Any:
    """Return the value of a field; a feature that is not a field of the spine is a number where it looks like one."""
    kind = kinds.get(name)
    if kind in ("text", "date"):
        return text
    if text == "":
        return 0
    if kind == "boolean" or text in ("true", "false"):
        return text == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    if kind == "number":
        raise RequestError(
            f"`{name}` is a number, not `{text}`", why="the table of the spine has numbers there", next="write digits"
        )
    return text


def _written(timestamp: int) -> str:
    return (EPOCH + timedelta(microseconds=timestamp)).isoformat()
