"""What is asked of a log of requests: whose, which columns, which time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from leverframe.domain.features.online import microseconds_of
from leverframe.domain.monitoring.monitored_column import MonitoredColumn
from leverframe.settings.monitor import Format, RequestColumns

_FIRST, _LAST = -(2**62), 2**62  # microseconds: no timestamp is outside


@dataclass(frozen=True)
class LogFile:
    """A closed file of a log, what it is called, and the first microsecond of the day of its folder, if it has one."""

    path: Path
    name: str
    day: int | None = None


@dataclass(frozen=True)
class LogQuery:
    """Rows of ``model`` in ``[since, until)``, both without end where they are None.

    ``columns`` name and type what is read, ``label`` and ``classes`` say what a prediction is: the probability of
    class "1", of each of the classes, or a number. ``names`` are the columns of tables that are not Leverframe's log.
    ``keys`` are columns that labels are joined on, such as ``id`` and, of Leverframe's log, ``row``, a number from 0.
    """

    model: str
    columns: tuple[MonitoredColumn, ...]
    label: Literal["binary", "multiclass", "regression"] = "binary"
    classes: tuple[str, ...] = ("0", "1")
    since: datetime | None = None
    until: datetime | None = None
    names: RequestColumns = field(default_factory=RequestColumns)
    format: Format = "auto"
    keys: tuple[str, ...] = ()

    @property
    def bounds(self) -> tuple[int, int]:
        """The first timestamp and the one after the last, in microseconds since the epoch."""
        return (
            _FIRST if self.since is None else microseconds_of(self.since),
            _LAST if self.until is None else microseconds_of(self.until),
        )

    @property
    def numbers(self) -> frozenset[str]:
        """The columns that are read as numbers; booleans are the levels true and false."""
        return frozenset(column.name for column in self.columns if column.kind in ("numeric", "discrete"))
