"""What a whole table holds, column by column, as far as a draft of a case needs it."""

from __future__ import annotations

import keyword
import math
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Holds = Literal["whole numbers", "numbers", "booleans", "texts", "times", "other"]


@dataclass(frozen=True)
class ColumnFacts:
    """A column: what it holds, how many values differ, whether some are missing, its range, its values if few.

    ``as_time`` is the expression of polars that makes timestamps in UTC of it, empty where it holds none; ``first``
    and ``last`` are the earliest and the latest of these.
    """

    name: str
    holds: Holds
    distinct: int
    rows: int
    nullable: bool = False
    low: float = math.nan
    high: float = math.nan
    values: tuple[str, ...] = ()
    as_time: str = ""
    first: datetime | None = None
    last: datetime | None = None

    @property
    def plain(self) -> str:
        """The name as `star.yaml` and Python take it: small letters, digits and `_`."""
        return plain_name(self.name)

    @property
    def unique(self) -> bool:
        """Whether each row has another value, and none is missing."""
        return self.distinct == self.rows and not self.nullable


@dataclass(frozen=True)
class TableFacts:
    """A table of a file in the repository, by the path from its root."""

    path: str
    columns: tuple[ColumnFacts, ...]

    @property
    def name(self) -> str:
        """What the case calls it: the name of the file without its endings."""
        return plain_name(self.path.rpartition("/")[2].partition(".")[0])

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.columns[0].rows if self.columns else 0

    def column(self, name: str) -> ColumnFacts | None:
        """Return the column of that name in the file; None where there is none."""
        return next((column for column in self.columns if column.name == name), None)


def plain_name(text: str) -> str:
    """Return a name of small letters, digits and `_` that Python takes."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "column"
    return f"c_{name}" if name[0].isdigit() or keyword.iskeyword(name) else name
