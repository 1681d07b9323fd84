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
        return any(each.state == "wrong" for each in self.found)

    def lines(self) -> list[str]:
        """Return the findings by area, what is not right with its fix, and a summary."""
        lines: list[str] = []
        area = ""
        for each in self.found:
            lines += [each.area] if each.area != area else []
            area = each.area
            lines.append(f"  {_MARKS[each.state]:>2} {each.what}")
            lines += [f"     fix: {each.fix}"] if each.fix else []
        return [*lines, self._summary()]

    def _summary(self) -> str:
        counts = {state: sum(each.state == state for each in self.found) for state in _MARKS}
        named: tuple[tuple[State, str], ...] = (
            ("wrong", "wrong"), ("warning", "to look at"), ("unknown", "not looked at"), ("ok", "fine"),
        )  # fmt: skip
        return ", ".join(f"{counts[state]} {words}" for state, words in named if counts[state])


def ordered(found: Sequence[Diagnosed]) -> Diagnosis:
    """Return the findings with each area in one place, in the order in which areas first came."""
    areas = list(dict.fromkeys(each.area for each in found))
    return Diagnosis(tuple(each for area in areas for each in found if each.area == area))
