"""The timestamps that decide what was known: how they are called, and which types they may have.

A wrong reading of one moves what a feature sees, and no value looks wrong. So ingest and every
build ask here, by the kind that the engine gives a column: ``timestamp`` is a timestamp with a time
zone in microseconds or coarser.
"""

from __future__ import annotations

from leverframe.domain.data.column_types import NOTHING
from leverframe.errors import SourceError

EVENT_TIME, KNOWN_AT = "event_time", "known_at"
TIMESTAMP, LOCAL, DATE, NANOSECONDS = "timestamp", "local time", "date", "nanoseconds"

_REASONS = {
    LOCAL: "its hours are those of some clock: read as UTC they would lie hours early or late",
    DATE: "a date names no time of day, and at its first midnight nobody knew what the day would bring",
    NANOSECONDS: "timestamps are compared in microseconds, and its values have digits beyond them",
    "text": "a text is no timestamp until its form and zone are told; a date needs its time of day besides",
}
# Times that clocks show twice are the later ones; those that they skip are none, which ingest counts and refuses.
_ZONE = '.dt.replace_time_zone("{zone}", ambiguous="latest", non_existent="null")'
_LINES = {
    LOCAL: _ZONE,
    DATE: f".dt.combine(pl.time(23, 59)){_ZONE}",
    NANOSECONDS: '.dt.truncate("1us")',
    "text": f'.str.to_datetime("%Y-%m-%dT%H:%M:%S"){_ZONE}',
}


def refuse_untimed(table: str, column: str, kind: str, zone: str) -> None:
    """Raise ``SourceError`` with the line that fixes it for a column that cannot tell when something was known.

    ``kind`` is what an engine calls its type, ``zone`` the time zone of the data. A column without any value
    tells that nothing was known, but a row needs an event and an arrival.
    """
    if kind == TIMESTAMP or (kind == NOTHING and column not in (EVENT_TIME, KNOWN_AT)):
        return
    line = f'pl.col("{column}")' + _LINES[kind].format(zone=zone) if kind in _LINES else ""
    raise SourceError(
        f"`{column}` of table `{table}` is {kind}, not a timestamp with a time zone",
        why=_REASONS.get(kind, "rows count from the time in it, which must be the same everywhere"),
        next=f"write `.with_columns({line})` in the transform of the source `{table}`, and ingest again"
        if line
        else f"make it a timestamp with a time zone in the transform of the source `{table}`",
    )
