"""Whether the results that a change commits are true: run the stale stages, and recompute the metrics.

A lock proves that files belong together, not that anybody ran the stages: metrics and hashes can be
edited by hand. So `reproduce` always runs the stage that writes the metrics, and every stage whose
outputs changed although its command, dependencies and parameters did not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from leverframe.domain import layout
from leverframe.domain.pipeline.status.lock import entries
from leverframe.domain.review.check import LOCK, violation_lines
from leverframe.domain.verdict import Reason, Verdict, Violation, judged, word
from leverframe.errors import PipelineBusyError, PipelineError
from leverframe.yaml_files import leaves

How = Literal["ran", "verified", "restored", "unchanged", "failed"]


@dataclass(frozen=True)
class StageRun:
    """What `reproduce` did with one stage, and its wall-clock seconds."""

    stage: str
    how: How
    seconds: float = 0.0


@dataclass(frozen=True)
class Reproduced:
    """The stages that ran, and where their results differ from those that the change commits.

    ``rebuilt`` tells that no data could be pulled, so every stage ran. ``notes`` hold
    differences that do not matter, such as last digits on another processor.
    """

    head: str
    stages: tuple[StageRun, ...] = ()
    violations: tuple[Violation, ...] = ()
    rebuilt: bool = False
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Passed, or failed for the reasons of the violations."""
        return judged(self.violations)

    def lines(self) -> list[str]:
        """Return the verdict, the stages that ran with their time, and the violations."""
        ran = [each for each in self.stages if each.how in ("ran", "verified", "failed")]
        seconds = sum(each.seconds for each in ran)
        return [
            f"reproduce {word(self.verdict)}: {len(ran)} of {len(self.stages)} stages ran, {seconds:.1f} s",
            *(f"  {each.stage:<24} {each.how:<9} {each.seconds:6.1f} s" for each in ran),
            *violation_lines(self.violations),
            *(f"note: {each}" for each in self.notes),
        ]


class Pipeline(Protocol):
    """The pipeline of one working copy."""

    def repro(self, *arguments: str) -> None:
        """Run `dvc repro`; raises ``PipelineError`` naming the stage that failed."""

    def checkout(self) -> None:
        """Restore outputs from the cache."""

    def fetch(self, paths: Sequence[str]) -> None:
        """Pull what is missing of some outputs from the remote."""

    def text(self, path: str) -> str:
        """Return the content of a file of the working copy; empty where there is none."""

    def runs(self) -> list[StageRun]:
        """Return what each stage did since the last call."""


@dataclass(frozen=True)
class Order:
    """The options of a run: every stage or only the stale ones; whether to pull data; how far metrics may differ."""

    head: str
    full: bool = False
    pull: bool = False
    suspects: tuple[str, ...] = ()
    tolerance: float = 1e-4
    tell: Callable[[str], None] = field(default=lambda _: None)


def run(pipeline: Pipeline, order: Order) -> Reproduced:
    """Run what is stale, then what verifies the metrics, and compare with what the change commits.

    Raises ``PipelineBusyError`` where another process works in the repository.
    """
    before, claimed = pipeline.text(LOCK), pipeline.text(str(layout.METRICS))
    fetching = ("--pull", "--allow-missing") if order.pull else ()
    stages: list[StageRun] = []
    try:
        if not order.pull:
            pipeline.checkout()
        order.tell("running the stale stages" if not order.full else "running every stage")
        pipeline.repro("--no-run-cache", *fetching, *(("--force",) if order.full else ()))
        stages = pipeline.runs()
        again = _verifying(before, order.suspects, {each.stage for each in stages if each.how == "ran"})
        if again:
            order.tell(f"verifying {', '.join(again)}")
            if order.pull:
                pipeline.fetch(_needed(pipeline.text(LOCK), again))
            pipeline.repro("--no-run-cache", "--force", "--single-item", *again)
            stages = _merged(stages, pipeline.runs())
    except PipelineBusyError:
        raise
    except PipelineError as error:
        stages = _merged(stages, pipeline.runs())
        failed = next((each.stage for each in stages if each.how == "failed"), "")
        return Reproduced(order.head, tuple(stages), (_failure(error, failed),), not order.pull)
    violations, notes = _compared((before, pipeline.text(LOCK)), (claimed, pipeline.text(str(layout.METRICS))), order)
    return Reproduced(order.head, tuple(stages), tuple(violations), not order.pull, tuple(notes))


def _failure(error: PipelineError, stage: str) -> Violation:
    broken = stage.partition("@")[0] == "validate" and "contract" in f"{error.what} {error.why}".lower()
    return Violation(
        Reason.CONTRACT_BROKEN if broken else Reason.STAGE_FAILED, f"{error.what}: {error.why}", error.next
    )


def _verifying(lock: str, suspects: Sequence[str], ran: set[str]) -> list[str]:
    """Return the fresh stages to run all the same: the writer of the metrics, and every suspect."""
    wanted = dict.fromkeys(suspects)
    for name, entry in entries(lock, LOCK).items():
        if str(layout.METRICS) in entry.outputs:
            wanted[name] = None
    return [each for each in wanted if each not in ran]


def _needed(lock: str, stages: Sequence[str]) -> list[str]:
    """Return the outputs of other stages that some stages read: `dvc repro --single-item` pulls nothing itself."""
    known = entries(lock, LOCK)
    outputs = {path for entry in known.values() for path in entry.outputs}
    return sorted({path for name in stages for path in known[name].dependencies} & outputs)


def _merged(first: Sequence[StageRun], then: Sequence[StageRun]) -> list[StageRun]:
    runs = {each.stage: each for each in first}
    for each in then:
        known = runs.get(each.stage)
        verified = known is not None and known.how != "ran" and each.how == "ran"
        runs[each.stage] = StageRun(each.stage, "verified" if verified else each.how, each.seconds)
    return list(runs.values())


def _compared(locks: tuple[str, str], metrics: tuple[str, str], order: Order) -> tuple[list[Violation], list[str]]:
    """Return what differs after a run from the same inputs: forged metrics, a lock mismatch, or mere last digits."""
    before, after = (entries(each, LOCK) for each in locks)
    odd = [
        (name, path)
        for name, entry in after.items()
        if name in before and before[name].inputs == entry.inputs
        for path, recorded in entry.outputs.items()
        if before[name].outputs.get(path) not in (None, recorded)
    ]
    if not odd:
        return [], []
    outputs = "; ".join(f"`{path}` of `{name}`" for name, path in odd[:3]) + (
        f"; and {len(odd) - 3} more" if len(odd) > 3 else ""
    )
    forged = _forged(*metrics, order.tolerance) if any(path == str(layout.METRICS) for _, path in odd) else []
    if forged:
        return [
            Violation(
                Reason.METRICS_FORGED,
                f"`{layout.METRICS}` in git differs from what its stage computes: {'; '.join(forged[:3])}",
                f"run `dvc repro -f -s {odd[-1][0]}`; commit what it writes, and `{LOCK}`",
            )
        ], []
    claimed = [(name, path) for name, path in odd if name in order.suspects]
    if claimed:
        stages = " ".join(dict.fromkeys(name for name, _ in claimed))
        return [
            Violation(
                Reason.LOCK_MISMATCH,
                f"`{LOCK}` does not match what the stages write: {outputs}",
                f"run `dvc repro -f -s {stages}`; commit what it writes, and `{LOCK}`",
            )
        ], []
    return [], [f"the bytes differ from `{LOCK}`, the metrics agree within {order.tolerance:g}: {outputs}"]


def _forged(claimed: str, true: str, tolerance: float) -> list[str]:
    """Return the metrics that differ beyond the tolerance, in words."""
    try:
        ours, theirs = (dict(leaves(json.loads(text))) for text in (claimed or "{}", true))
    except ValueError:
        return [f"`{layout.METRICS}` in git is not JSON"]
    return [
        f"`{name}` {ours.get(name)} in git, {theirs.get(name)} computed"
        for name in dict.fromkeys([*theirs, *ours])
        if not _close(ours.get(name), theirs.get(name), tolerance)
    ]


def _close(ours: Any, theirs: Any, tolerance: float) -> bool:
    numbers = isinstance(ours, int | float) and isinstance(theirs, int | float)
    return math.isclose(ours, theirs, rel_tol=tolerance, abs_tol=tolerance) if numbers else ours == theirs
