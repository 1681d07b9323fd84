"""What the stages of each group of partitions are told: the table in ``dvc.yaml`` that ``foreach`` goes through.

DVC cannot template a list of dependencies. So every group names equally many earlier groups and
files, and where it has fewer, one of them comes again, which DVC tolerates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from leverframe.domain.data.placeholders import finest, placeholders
from leverframe.domain.partition import Partition, Partitions
from leverframe.settings.periods import Period, period_of

_KEY = re.compile(r'^ {6}"([^"]+)": \{', re.MULTILINE)


@dataclass(frozen=True)
class Items:
    """The table: a line a group; ``back`` earlier groups each, and the files of ``paths`` with placeholders."""

    partitions: Partitions
    back: int
    paths: tuple[str, ...]

    @property
    def word(self) -> str:
        """What the groups are called."""
        return "months" if self.partitions.group == self.partitions.period == "month" else "partitions"

    @cached_property
    def groups(self) -> list[Partition]:
        """The groups that exist, in order."""
        return self.partitions.groups()

    def lines(self) -> list[str]:
        """Return the section ``vars`` of ``dvc.yaml``."""
        head = f"  - {self.word}: # the first {self.word} have no earlier ones and name themselves"
        return ["vars:", head, *(f'      "{group}": {{{", ".join(self._entries(group))}}}' for group in self.groups)]

    def command(self, stage: str) -> str:
        """Return the command of a stage of a group; of a group of several partitions it names the last that exists."""
        through = " --through ${item.last}" if self.partitions.coarse else ""
        return f"leverframe {stage} --partition ${{key}}{through}"

    def files(self) -> list[str]:
        """Return the paths as templates: one a partition that has a file of its own."""
        return [path for pattern in self.paths for path in self._templates(pattern)]

    def _entries(self, group: Partition) -> Iterator[str]:
        for count in range(1, self.back + 1):
            yield f'back_{count}: "{max(group.plus(-count), self.groups[0])}"'
        if self.partitions.coarse:
            yield f'last: "{self.partitions.parts(group)[-1]}"'
        for unit, around in self._named:
            units = self._units[unit][group]
            for number in range(self._most(unit)):
                part = units[min(number, len(units) - 1)].within(around)
                yield f'{self._name(unit, around, number)}: "{part}"'

    def _templates(self, pattern: str) -> Iterator[str]:
        unit = finest([pattern], self.partitions.period)
        for number in range(self._most(unit) if unit else 1):
            path = pattern
            for name, around in placeholders(pattern, self.partitions.period):
                path = path.replace(f"{{{name}}}", f"${{{self._reference(unit or around, around, number)}}}")
            yield path

    def _reference(self, unit: Period, around: Period, number: int) -> str:
        return "key" if around == self.partitions.group else f"item.{self._name(unit, around, number)}"

    def _name(self, unit: Period, around: Period, number: int) -> str:
        one = f"_{number + 1}" if self._most(unit) > 1 else ""
        return f"{unit}{one}" if unit == around else f"{around}_of_{unit}{one}"

    @cached_property
    def _named(self) -> list[tuple[Period, Period]]:
        """The entries that paths name: the period of the files, and the period around each that stands in the path."""
        named: list[tuple[Period, Period]] = []
        for pattern in self.paths:
            unit = finest([pattern], self.partitions.period)
            named += [(unit, around) for _, around in placeholders(pattern, self.partitions.period) if unit]
        return [pair for pair in dict.fromkeys(named) if pair[1] != self.partitions.group]

    @cached_property
    def _units(self) -> dict[Period, dict[Partition, list[Partition]]]:
        """The partitions that have files of their own, by period and group."""
        parts = {group: self.partitions.parts(group) for group in self.groups}
        return {
            unit: {group: list(dict.fromkeys(part.within(unit) for part in pieces)) for group, pieces in parts.items()}
            for unit in {finest([pattern], self.partitions.period) for pattern in self.paths}
            if unit
        }

    def _most(self, unit: Period) -> int:
        return max(len(units) for units in self._units[unit].values())


def grouping_of(text: str) -> Period | None:
    """Return the period of the groups in a ``dvc.yaml``, None where it has none."""
    key = _KEY.search(text)
    return period_of(key[1]) if key else None
