"""What the command `judge` tells on a terminal: its verdict, or what it would do."""

from __future__ import annotations

from dataclasses import dataclass

from leverframe.domain import layout
from leverframe.domain.review.check import violation_lines
from leverframe.domain.review.judge.judged_paths import Sorted
from leverframe.domain.review.report.card import Card
from leverframe.domain.verdict import Verdict, word

PLACE = layout.PRIVATE / "judged.json"  # the judged card, as it was made last


@dataclass(frozen=True)
class Judgement:
    """The judged card, and the file that it was written to."""

    card: Card
    place: str

    @property
    def verdict(self) -> Verdict:
        """The verdict of the card."""
        return self.card.verdict

    def lines(self) -> list[str]:
        """Return the verdict, what ran, the violations with their remedies, and the notes."""
        judged = self.card.judged
        ran = judged.ran if judged else ()
        return [
            f"judge {word(self.verdict)}: {len(ran)} stages ran with the code of {self.card.base[:12]}",
            *(f"  {stage}" for stage in ran),
            *violation_lines(self.card.violations),
            *(f"note: {note}" for note in (judged.notes if judged else ())),
            f"card: {self.place}",
        ]


@dataclass(frozen=True)
class Plan:
    """What the judge would make of each path of a change."""

    tip: str
    head: str
    conflicts: tuple[str, ...]
    found: Sorted

    def lines(self) -> list[str]:
        """Return the paths by what would be done with them."""
        groups = {
            "runs with": self.found.inputs,
            "compares": self.found.claims,
            "derives": self.found.derived,
            "leaves aside": self.found.idle,
        }
        lines = [f"{self.head[:12]} on top of {self.tip[:12]}"]
        lines += [f"  conflict: {path}" for path in self.conflicts]
        lines += [f"  {how} {change.path}" for how, changes in groups.items() for change in changes]
        return lines + [f"  asks an owner about {path}: {why}" for path, why in sorted(self.found.owed.items())]
