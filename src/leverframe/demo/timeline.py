"""The timeline of the demo: one line a step while it runs, and a page of all of them at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from leverframe.adapters.markdown_it import page
from leverframe.inert.markdown import sentence


@dataclass
class Step:
    """A step of a partition: its command, what it said, how long it took, and the address or file that shows it."""

    partition: str
    name: str
    outcome: str = ""
    link: str = ""
    seconds: float = 0.0

    def line(self) -> str:
        """Return it for a terminal."""
        return f"  {self.name:<9} {self.outcome}  {self.seconds:.1f} s"


@dataclass
class Timeline:
    """The steps so far; each is told as it ends."""

    tell: Callable[[str], None]
    steps: list[Step] = field(default_factory=list)

    @contextmanager
    def step(self, partition: str, name: str) -> Iterator[Step]:
        """Time a step, whose words the block fills in."""
        if not self.steps or self.steps[-1].partition != partition:
            self.tell(partition)
        step, began = Step(partition, name), time.monotonic()
        yield step
        step.seconds = time.monotonic() - began
        self.steps.append(step)
        self.tell(step.line())

    def page(self, title: str) -> str:
        """Return the steps as a page."""
        rows = ["| when | step | result | seconds |", "| --- | --- | --- | ---: |"]
        before = ""
        for step in self.steps:
            outcome = f"[{sentence(step.outcome)}]({step.link})" if step.link else sentence(step.outcome)
            rows.append(f"| {step.partition if step.partition != before else ''} | {step.name} | {outcome} "
                        f"| {step.seconds:.1f} |")  # fmt: skip
            before = step.partition
        return page(title, f"# {title}\n\n" + "\n".join(rows) + "\n")
