"""Columns of the spine that may be known only after the row's own timestamp, and that nobody declared."""

from __future__ import annotations

from dataclasses import dataclass

from leverframe.domain.features.star import Star

_MOST = 0.5  # of the rows that arrive later than their event: fewer are late deliveries


@dataclass(frozen=True)
class Arrivals:
    """The columns of the spine's source with the time of an event and of its arrival, and how many rows arrive later.

    ``later`` is the share of such rows, None where the data are not here. A static table has no columns.
    """

    event_time: str | None
    known_at: str | None
    later: float | None = None


def late_columns(star: Star, arrivals: Arrivals) -> str:
    """Return a note on the spine's columns whose table arrives after the timestamp at which they are used.

    Columns that a fact reveals cannot be used, and those of keys are part of a request. Empty where all is declared.
    """
    spine = star.spine
    on_time = arrivals.known_at == arrivals.event_time or (arrivals.later is not None and arrivals.later <= _MOST)
    keys = {column for columns in star.entities.values() for column in columns}
    columns = [name for name in spine.columns if name not in keys and name not in spine.known]
    if on_time or not columns:
        return ""
    named = ", ".join(f"`{name}`" for name in columns)
    facts = [name for name, fact in star.facts.items() if fact.table == spine.table]
    reveals = ", ".join([*(star.facts[facts[0]].reveals if facts else []), columns[0]])
    at = f"`{facts[0]}`" if facts else f"of `{spine.table}`"
    return (
        f"rows of `{spine.table}` arrive at `{arrivals.known_at}`, later than `{arrivals.event_time}`, and the spine "
        f"shows their {named} from the event on. What is known only when the row arrives reveals what happened: write "
        f"`reveals: [{reveals}]` at the fact {at} in `star.yaml`, and take it out of `spine.columns`. What is known by "
        f"the event is `known: [{', '.join(columns)}]` at the spine"
    )
