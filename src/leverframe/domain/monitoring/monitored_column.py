"""A column of requests as the monitor looks at it: its kind decides which statistics are computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ColumnKind = Literal["numeric", "discrete", "categorical", "boolean", "text"]


@dataclass(frozen=True)
class MonitoredColumn:
    """A feature, or the prediction.

    ``numeric`` is compared in bins of the reference, ``discrete`` (numbers of few values), ``categorical`` and
    ``boolean`` by their values; a ``text`` has too many values to compare, and only missing and new ones count.
    ``minimum``, ``maximum`` and ``allowed`` are what the schema of the model permits. ``importance`` is the share,
    0 to 1, of the model's permutation importance; None where it is not known.
    """

    name: str
    kind: ColumnKind
    nullable: bool = True
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] | None = None
    importance: float | None = None
