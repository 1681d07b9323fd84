"""Whether the model should be trained anew now: by what the monitor found, by age, by new rows, or on request.

Broken data never retrain: they need a fix at the source, and a candidate would learn the fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from leverframe.domain.retraining.attempt import Evidence


class Standstill(StrEnum):
    """Why nothing is trained now."""

    QUIET = "quiet"  # nothing speaks for it
    BROKEN_DATA = "broken-data"
    COOLING_DOWN = "cooling-down"
    NOTHING_NEW = "nothing-new"  # no newer rows with labels than the champion or the last attempt saw
    UNMONITORED = "unmonitored"  # there is no result of the monitor, or it is too old
    PERSON = "person"  # somebody works on the branch


@dataclass(frozen=True)
class Triggered:
    """An attempt is due; the evidence, strongest first."""

    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class NotTriggered:
    """No attempt is due, and why in a sentence; ``until`` is an ISO 8601 timestamp where waiting helps."""

    standstill: Standstill
    why: str
    until: str = ""


Trigger = Triggered | NotTriggered
