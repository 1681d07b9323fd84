"""Findings about the surroundings of a project, and how they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "wrong", "unknown"]
_MARKS: dict[State, str] = {"ok": "ok", "warning": "!", "wrong": "NO", "unknown": "?"}


@dataclass(frozen=True)
class Diagnosed:
    """One thing that was looked at: in which area, how it is, and for what is not right the exact line that fixes it.

    ``unknown`` is what could not be looked at from here; ``what`` says why.
    """

    area: str
    state: State
    what: str
    fix: str = ""

    def __post_init__(self) -> None:
        """Refuse a finding that nobody could act on."""
        if self.state in ("warning", "wrong") and not self.fix:
            raise ValueError(f"{self.what}: what is not right needs a fix")


@dataclass(frozen=True)
class Diagnosis:
    """All findings, in the order in which they are looked at."""

    found: tuple[Diagnosed, ...]

    @property
    def wrong(self) -> bool:
        """Whether something has to be fixed before a pull request can be judged."""
        return any(finding.state == "wrong" for finding in self.found)

    def lines(self) -> list[str]:
        """Return the findings by area, what is not right with its fix, and a summary."""
        lines: list[str] = []
        area = ""
        for finding in self.found:
            lines += [finding.area] if finding.area != area else []
            area = finding.area
            lines.append(f"  {_MARKS[finding.state]:>2} {finding.what}")
            lines += [f"     fix: {finding.fix}"] if finding.fix else []
        return [*lines, self._summary()]

    def _summary(self) -> str:
        counts = {state: sum(finding.state == state for finding in self.found) for state in _MARKS}
        named: tuple[tuple[State, str], ...] = (
            ("wrong", "wrong"), ("warning", "to look at"), ("unknown", "not looked at"), ("ok", "fine"),
        )  # fmt: skip
        return ", ".join(f"{counts[state]} {words}" for state, words in named if counts[state])


def ordered(findings: Sequence[Diagnosed]) -> Diagnosis:
    """Return the findings with each area in one place, in the order in which areas first came."""
    areas = list(dict.fromkeys(finding.area for finding in findings))
    return Diagnosis(tuple(finding for area in areas for finding in findings if finding.area == area))
