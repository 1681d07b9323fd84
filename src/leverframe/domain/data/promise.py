"""One thing a table promises, and whether it holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from leverframe.domain.verdict import Failed, Passed, Reason, Skipped, Verdict
from leverframe.errors import nearest

SAMPLES = 5  # broken values shown with a promise
SAMPLE_CHARACTERS = 80  # of each of them


class Severity(StrEnum):
    """What a broken promise does: ``warn`` is shown, ``error`` fails the stage."""

    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True)
class Promise:
    """One check of one table with its outcome.

    ``column`` names one column or several with commas, and is empty for the whole table.
    ``count`` rows break the promise, which is the part ``share`` (0 to 1) of the rows it is about;
    both are None where rows are not what is counted. ``detail`` is a sentence for people.
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
    def broken(self) -> bool:
        """Tell whether the promise does not hold, whatever its severity."""
        return isinstance(self.verdict, Failed)

    @property
    def fatal(self) -> bool:
        """Tell whether the promise fails the stage."""
        return self.broken and self.severity is Severity.ERROR

    def broken_by(self, reason: Reason, **changes: Any) -> Promise:
        """Return this promise as broken for ``reason``, with other fields changed."""
        return replace(self, verdict=Failed((reason,)), **changes)

    def skipped(self, because: str) -> Promise:
        """Return this promise as one that could not be decided."""
        return replace(self, verdict=Skipped(because))

    def without_column(self, name: str, known: Iterable[str]) -> Promise:
        """Return this promise as broken because the table has no column ``name`` among ``known`` ones."""
        detail = f"there is no column `{name}`; {nearest(name, known)}"
        return self.broken_by(Reason.COLUMN_MISSING, severity=Severity.ERROR, column=name, detail=detail)


def cut(text: str, characters: int = SAMPLE_CHARACTERS) -> str:
    """Return ``text``, or its beginning and how many characters follow it."""
    if len(text) <= characters:
        return text
    return f"{text[:characters]}… +{len(text) - characters} characters"


def significant(number: float, digits: int = 6) -> float:
    """Return ``number`` rounded to significant digits, so that the last bits of a sum are not written down."""
    return float(f"{number:.{digits}g}")
