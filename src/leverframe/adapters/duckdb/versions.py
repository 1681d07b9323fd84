"""The versions of rows that were corrected, as SQL: from when to when each is known, and where its event stands."""

from __future__ import annotations

from leverframe.adapters.duckdb.sql import column
from leverframe.adapters.duckdb.views import ARRIVED, ROW, known
from leverframe.domain.data.times import EVENT_TIME
from leverframe.domain.features.plan import Corrected

KNOWN, UNTIL, PLACE, FIRST = "__known", "__until", "__place", "__first"  # microseconds; FIRST is a row
HAPPENED = "__happened"  # whether the version says that the event took place
RECORDED = "__recorded"  # microseconds at which the version was recorded, long ago for null
IN_ORDER = f"{KNOWN}, {RECORDED}, {ROW}"  # of the versions of one event: what is known at once is in force as recorded
_EVER = -(2**62)


def versions(view: str, corrected: Corrected | None, known_at: str, before: int | None = None) -> str:
    """Return a SELECT of the versions of every event, from the first that happened on.

    ``before`` leaves out what was not known before that timestamp, in microseconds. ``UNTIL`` is
    null for the newest version. ``FIRST`` is the row of the first version that happened. An event
    that is not ``corrected`` has one version.
    """
    limit = f"{KNOWN} < {before}" if before is not None else f"{KNOWN} IS NOT NULL"
    if corrected is None:
        once = f"true AS {HAPPENED}, {known(known_at)} AS {KNOWN}, {KNOWN} AS {PLACE}, NULL::BIGINT AS {UNTIL}"
        return f"SELECT * FROM (SELECT *, {once}, {ROW} AS {FIRST} FROM {view}) WHERE {limit}"
    key, recorded, seen = _key(corrected), _recorded(corrected), version_known(corrected, known_at)
    columns = (
        f"{column(known_at)} IS NOT NULL AS {HAPPENED}, {seen} AS {KNOWN}, coalesce({recorded}, {_EVER}) AS {RECORDED}"
    )
    return (
        f"SELECT * FROM (SELECT *, "
        f"min({KNOWN}) FILTER ({HAPPENED}) OVER ({key}) AS {PLACE}, "
        f"lead({KNOWN}) OVER ({key} ORDER BY {IN_ORDER}) AS {UNTIL}, "
        f"first_value({ROW}) OVER ({key} ORDER BY NOT {HAPPENED}, {IN_ORDER}) AS {FIRST}, "
        f"bool_or({HAPPENED}) OVER ({key} ORDER BY {IN_ORDER}) AS __begun "
        f"FROM (SELECT *, {columns} FROM {view}) WHERE {limit}) "
        f"WHERE __begun"
    )


def version_known(corrected: Corrected | None, known_at: str) -> str:
    """Return since when a version is known, in microseconds; null where it never was."""
    if corrected is None:
        return known(known_at)
    latest = f"greatest({ARRIVED}, epoch_us({column(known_at)}), {_recorded(corrected)})"
    return f"CASE WHEN {ARRIVED} IS NOT NULL THEN {latest} END"


def _recorded(corrected: Corrected) -> str:
    return f"epoch_us({column(corrected.recorded_at)})"


def newest_in_time(view: str, corrected: Corrected, lead_time: int) -> str:
    """Return a SELECT of one version a row of the spine: the newest known at its own timestamp, else the first.

    ``lead_time`` are the microseconds from that timestamp to the row's event_time.
    """
    recorded, timestamp = f"epoch_us({column(corrected.recorded_at)})", f"epoch_us({EVENT_TIME}) - {lead_time}"
    in_time = f"coalesce({recorded} < {timestamp}, true)"
    rank = (
        f"ORDER BY {in_time} DESC, CASE WHEN {in_time} THEN {recorded} END DESC NULLS LAST, {recorded}, "
        f"CASE WHEN {in_time} THEN -{ROW} ELSE {ROW} END"
    )
    return f"SELECT * FROM {view} QUALIFY row_number() OVER ({_key(corrected)} {rank}) = 1"


def _key(corrected: Corrected) -> str:
    """Return the partition of rows that are versions of one; a key with a null names no other row."""
    names = [column(name) for name in corrected.key]
    unknown = " OR ".join(f"{name} IS NULL" for name in names)
    return f"PARTITION BY {', '.join(names)}, CASE WHEN {unknown} THEN {ROW} END"
