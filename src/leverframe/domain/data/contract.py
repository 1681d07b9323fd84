"""What a case declares for a table: a schema that values keep, and monitors beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from leverframe.domain.data.promise import Promise
from leverframe.domain.data.shape import ForeignKey, SchemaDiff, UniqueKey
from leverframe.domain.data.trend import Freshness, NullRate, Volume

Monitor = Freshness | Volume | NullRate | SchemaDiff | ForeignKey | UniqueKey


@dataclass(frozen=True)
class Contract:
    """All that one table promises.

    ``schema`` declares columns, types and values in the form that the checker understands (a
    pandera model); ``monitors`` what needs another table or an earlier partition.
    """

    schema: object
    monitors: tuple[Monitor, ...] = ()


def key_of(contract: Contract | None) -> tuple[str, ...]:
    """Return the columns that a contract promises to tell rows apart, none where it does not."""
    monitors = contract.monitors if contract else ()
    return next((each.columns for each in monitors if isinstance(each, UniqueKey)), ())


class Checker(Protocol):
    """Holds a table against its schema."""

    def check(self, table: str, path: Path, schema: object) -> tuple[Promise, ...]:
        """Return one promise a declared check.

        Raises ``SourceError`` for a file that cannot be read and ``DefinitionError`` for a schema
        that cannot be used.
        """
        ...
