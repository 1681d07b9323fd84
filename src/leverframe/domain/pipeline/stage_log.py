"""The record of a stage run: its time, memory and rows, and a table of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

_BAR = 24  # characters of the longest bar


class Outcome(Enum):
    """The outcome of a stage run."""

    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class StageRecord:
    """One run of one stage.

    ``started`` is in seconds since 1970, ``seconds`` is wall-clock time, ``cpu_seconds`` the
    time of all processors, ``peak_mb`` the largest resident memory in millions of bytes;
    ``log`` is the file with the output of the stage. ``error`` is empty unless it failed.
    """

    stage: str
    partition: str
    started: float
    seconds: float
    cpu_seconds: float
    peak_mb: float
    log: str
    outcome: Outcome
    rows: int | None = None
    notes: tuple[str, ...] = ()
    error: str = ""

    @property
    def name(self) -> str:
        """Return the name of the stage in DVC."""
        return f"{self.stage}@{self.partition}" if self.partition else self.stage


def table(records: Sequence[StageRecord]) -> str:
    """Return the runs by start time, with a bar for the time of each and the sum in the last line."""
    if not records:
        return "no stage has run yet"
    longest = max(record.seconds for record in records) or 1.0
    rows: list[tuple[str, ...]] = [("stage", "seconds", "cpu", "MB", "rows", "")]
    rows += [_row(record, longest) for record in sorted(records, key=lambda record: record.started)]
    seconds, cpu = sum(r.seconds for r in records), sum(r.cpu_seconds for r in records)
    peak = max(record.peak_mb for record in records)
    rows.append((f"{len(records)} stages", f"{seconds:,.1f}", f"{cpu:,.1f}", f"{peak:,.0f}", "", ""))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    return "\n".join(_line(row, widths) for row in rows)


def _row(record: StageRecord, longest: float) -> tuple[str, ...]:
    bar = "█" * max(1, round(record.seconds / longest * _BAR))
    result = bar if record.outcome is Outcome.DONE else f"{bar} failed: {record.error}"
    rows = "" if record.rows is None else f"{record.rows:,}"
    return (record.name, f"{record.seconds:,.1f}", f"{record.cpu_seconds:,.1f}", f"{record.peak_mb:,.0f}", rows, result)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    numbers = (f"{text:>{width}}" for text, width in zip(row[1:5], widths[1:], strict=True))
    return "  ".join([f"{row[0]:<{widths[0]}}", *numbers, row[5]]).rstrip()
