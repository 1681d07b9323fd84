"""Everything that the card shows, as plain data: one job computes it, another may render it.

The job of a fork's pull request writes the card as a file; a second job, which has the right to write,
renders it. So nothing in here is Markdown, and the reader validates every field.
"""

from __future__ import annotations

from dataclasses import dataclass

from leverframe.domain.infrastructure.infra_plan_result import InfraPlanned
from leverframe.domain.review.check import Checked
from leverframe.domain.review.diff.diff_result import Diff
from leverframe.domain.review.gate.gate_result import Gated
from leverframe.domain.review.judge.judged import Judged
from leverframe.domain.review.reproduce import Reproduced
from leverframe.domain.verdict import Reason, Verdict, Violation, judged

VERSION = 1


@dataclass(frozen=True)
class ParameterChange:
    """One key of the settings that differs; None where it is not on that side."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Constraints:
    """How many checks of the contracts passed; ``failed`` and ``warned`` name the others."""

    passed: int
    skipped: int
    failed: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()


@dataclass(frozen=True)
class StageNode:
    """A stage, or a group of them, in the graph: how many members did what, and their seconds together."""

    name: str
    members: int
    ran: int
    verified: int
    failed: int
    seconds: float


@dataclass(frozen=True)
class Curve:
    """One curve of both models as points (x, y) from left to right; empty where a side has none."""

    title: str
    x: str
    y: str
    base: tuple[tuple[float, float], ...]
    head: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Confusion:
    """How many rows of each actual class, a row of the table, were taken for each class; ``base`` may be empty."""

    title: str
    classes: tuple[str, ...]
    base: tuple[tuple[int, ...], ...]
    head: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Image:
    """A picture that the pipeline drew: whether it changed, is there after the change, and is in git."""

    path: str
    changed: bool
    there: bool = True
    in_git: bool = False


@dataclass(frozen=True)
class Card:
    """What is known of a change from ``base`` to ``head``; a lever that left no result is None.

    ``notes`` say what is missing, and why; ``infra`` has the plan of each environment of infrastructure. ``pipeline``
    is False where the repository has infrastructure alone: no lever has to leave a result then. ``target`` is the
    branch that the change goes to, empty where nobody said it. ``project`` is the folder of the repository that the
    change is judged for, ``.`` for the whole. ``serving`` says why scikit-learn serves the model, or that ONNX does
    again. ``judged`` is None on the card of a run that executes code of the change: such a card is a claim.
    ``not_run`` names the levers without a result that surely nobody started for this commit; the others broke.
    """

    base: str
    head: str
    checked: Checked | None = None
    reproduced: Reproduced | None = None
    gated: Gated | None = None
    parameters: tuple[ParameterChange, ...] = ()
    constraints: Constraints | None = None
    diff: Diff | None = None
    curves: tuple[Curve, ...] = ()
    nodes: tuple[StageNode, ...] = ()
    edges: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    infra: tuple[InfraPlanned, ...] = ()
    pipeline: bool = True
    target: str = ""
    project: str = "."
    version: int = VERSION
    serving: str = ""
    judged: Judged | None = None
    confusions: tuple[Confusion, ...] = ()
    images: tuple[Image, ...] = ()
    not_run: tuple[str, ...] = ()

    @property
    def violations(self) -> tuple[Violation, ...]:
        """Return the violations of every lever and plan; a lever without a result is one where there is a pipeline."""
        levers = {"check": self.checked, "reproduce": self.reproduced, "gate": self.gated}
        violations = [violation for lever in levers.values() if lever for violation in lever.violations]
        violations += self.judged.violations if self.judged else ()
        violations += [violation for planned in self.infra for violation in planned.violations]
        violations += [
            _never_run(name) if name in self.not_run else _broke(name)
            for name, lever in levers.items()
            if lever is None and self.pipeline
        ]
        return tuple(dict.fromkeys(violations))

    @property
    def verdict(self) -> Verdict:
        """Failed for the reasons of the violations; skipped where the gate could not judge; else passed."""
        return judged(self.violations, self.gated.because if self.gated else "")


def _never_run(lever: str) -> Violation:
    return Violation(
        Reason.NOT_RUN,
        f"`{lever}` was not run for this commit",
        f"run `leverframe {lever}`, then `leverframe report` again",
    )


def _broke(lever: str) -> Violation:
    return Violation(
        Reason.TOOL_BROKE,
        f"`{lever}` wrote no result for this commit: it did not run, or it crashed",
        f"run `leverframe {lever}`; in CI, read the log of its step",
    )
