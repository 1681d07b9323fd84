"""The contract of a table: a schema for its values, and monitors beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from leverframe.domain.data.constraint import Constraint
from leverframe.domain.data.shape import ForeignKey, SchemaDiff, UniqueKey
from leverframe.domain.data.trend import Freshness, NullRate, Volume

Monitor = Freshness | Volume | NullRate | SchemaDiff | ForeignKey | UniqueKey


@dataclass(frozen=True)
class Contract:
    """All constraints of one table.

    ``schema`` declares columns, types and values (a pandera model); ``monitors`` check what needs
    another table or an earlier partition.
    """

    schema: object
    monitors: tuple[Monitor, ...] = ()


def key_of(contract: Contract | None) -> tuple[str, ...]:
    """Return the columns that a contract declares as the key, none where it does not."""
    monitors = contract.monitors if contract else ()
    return next((monitor.columns for monitor in monitors if isinstance(monitor, UniqueKey)), ())


class Checker(Protocol):
    """Checks a table against its schema."""

    def check(self, table: str, path: Path, schema: object) -> tuple[Constraint, ...]:
        """Return one constraint per declared check.

        Raises ``SourceError`` for a file that cannot be read and ``DefinitionError`` for a schema
        that cannot be used.
        """
        ...
