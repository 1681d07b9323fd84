"""A constraint on a table, and whether its check passed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from leverframe.domain.verdict import Failed, Passed, Reason, Skipped, Verdict
from leverframe.errors import nearest

SAMPLES = 5  # violating values shown with a constraint
SAMPLE_CHARACTERS = 80  # of each of them


class Severity(StrEnum):
    """The effect of a failed constraint: ``warn`` is reported, ``error`` fails the stage."""

    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True)
class Constraint:
    """One check of one table with its result.

    ``column`` names one column or several with commas, and is empty for the whole table.
    ``count`` rows violate the constraint, a ``share`` (0 to 1) of the rows it is about;
    both are None for a constraint on the whole table. ``detail`` explains the result.
    """

    table: str
    check: str
    verdict: Verdict = field(default_factory=Passed)
    column: str = ""
    severity: Severity = Severity.ERROR
    count: int | None = None
    share: float | None = None
    samples: tuple[str, ...] = ()
    detail: str = ""

    @property
    def failed(self) -> bool:
        """Tell whether the check failed, whatever its severity."""
        return isinstance(self.verdict, Failed)

    @property
    def fatal(self) -> bool:
        """Tell whether the constraint fails the stage."""
        return self.failed and self.severity is Severity.ERROR

    def failed_by(self, reason: Reason, **changes: Any) -> Constraint:
        """Return this constraint as failed for ``reason``, with other fields changed."""
        return replace(self, verdict=Failed((reason,)), **changes)

    def skipped(self, because: str) -> Constraint:
        """Return this constraint as skipped."""
        return replace(self, verdict=Skipped(because))

    def without_column(self, name: str, known: Iterable[str]) -> Constraint:
        """Return this constraint as failed because the table has no column ``name`` among ``known`` ones."""
        detail = f"there is no column `{name}`; {nearest(name, known)}"
        return self.failed_by(Reason.COLUMN_MISSING, severity=Severity.ERROR, column=name, detail=detail)


def cut(text: str, characters: int = SAMPLE_CHARACTERS) -> str:
    """Return ``text``, or its beginning and how many characters follow it."""
    if len(text) <= characters:
        return text
    return f"{text[:characters]}… +{len(text) - characters} characters"


def significant(number: float, digits: int = 6) -> float:
    """Return ``number`` rounded to significant digits, so that the last bits of a sum are not written down."""
    return float(f"{number:.{digits}g}")
