"""Run what is stale and what proves the figures, and keep the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from leverframe.adapters.git.base import Base
from leverframe.adapters.working_tree.remote import Remote
from leverframe.application.rerun import Rerun
from leverframe.application.results import begin, kept
from leverframe.application.status import status
from leverframe.application.untouched import untouched
from leverframe.application.workspace import Workspace
from leverframe.domain.pipeline.status.lock import locked_here
from leverframe.domain.pipeline.status.reasons import PipelineStatus
from leverframe.domain.review.reproduce import Reproduced, RunOptions, run
from leverframe.errors import LeverframeError
from leverframe.settings import LEVERS
from leverframe.settings.levers import levers_of


@dataclass(frozen=True)
class ReproduceOptions:
    """What is asked of a run: what to compare with, whether to run every stage, how far metrics may differ."""

    base: str | None
    full: bool
    tolerance: float
    tell: Callable[[str], None]


def reproduce(workspace: Workspace, question: ReproduceOptions) -> Reproduced:
    """Return what ran and whether the figures came out the same."""
    root, git = workspace.root, workspace.git
    begin(root, "reproduce")
    since = git.base(question.base)
    if unaffected := "" if question.full else untouched(workspace, since):
        return kept(root, "reproduce", Reproduced(git.named("HEAD"), notes=(*since.notes, unaffected)))
    pipeline = Rerun.of(workspace, root, question.tell)
    order, notes, changes = order_of(workspace, since, pipeline, question)
    result = run(pipeline, order)
    return kept(root, "reproduce", replace(result, notes=(*notes, *result.notes, *changes)))


def order_of(
    workspace: Workspace, since: Base, pipeline: Rerun, question: ReproduceOptions
) -> tuple[RunOptions, tuple[str, ...], list[str]]:
    """Return the order of a run, and what is said before and after its notes.

    What git stores with other bytes than are here is written as git stores it: DVC hashes the bytes that are here.
    """
    root, git = workspace.root, workspace.git
    state = status(root)
    for path, content in state.stored.items():
        (root / path).write_bytes(content)
    known = locked_here(pipeline.stages, lambda lock: (git.show(since.commit, lock) or b"").decode(errors="replace"))
    declared, changes = _tolerance(git.show(since.commit, str(LEVERS)) or b"", pipeline.text(str(LEVERS)))
    order = RunOptions(
        git.named("HEAD"),
        question.full,
        Remote.of(root) is not None,
        known,
        question.tolerance,
        declared,
        question.tell,
    )
    if not workspace.has_case:
        order = _of_ones_own(order, state, pipeline)
    return order, (*since.notes, *_converted(state.stored)), changes


def _of_ones_own(order: RunOptions, state: PipelineStatus, pipeline: Rerun) -> RunOptions:
    """Return the order for a pipeline of one's own: the metrics that it names, and what of its outputs git keeps."""
    levers = pipeline.text(str(LEVERS))
    try:
        named = levers_of(levers, name=str(LEVERS)).pipeline.metrics
    except LeverframeError:  # `check` says what is wrong with it
        named = []
    stages = [stage.stage for stage in state.stages]
    return replace(
        order,
        metrics=tuple(dict.fromkeys([*named, *(view.path for view in state.metrics)])),
        kept=tuple(sorted({output.path for stage in stages for output in stage.outputs if not output.cached})),
        frozen=tuple(stage.name for stage in stages if stage.imported or (stage.frozen and not stage.is_source)),
        of_case=False,
    )


def _converted(stored: Mapping[str, bytes]) -> tuple[str, ...]:
    names = "1 file was" if len(stored) == 1 else f"{len(stored):,} files were"
    return (f"{names} written as git stores: line ends or a filter had other bytes here",) if stored else ()


def _tolerance(base: bytes, here: str) -> tuple[dict[str, float], list[str]]:
    """Return how far metrics may differ by the settings of the base, and what this change would make of that.

    A change cannot loosen what it is judged by: a tolerance applies once it is merged.
    """
    before = levers_of(base.decode(errors="replace"), name=f"{LEVERS} of the base branch").reproduce.tolerance
    try:
        after = levers_of(here, name=str(LEVERS)).reproduce.tolerance
    except LeverframeError:  # `check` says what is wrong with it
        return before, []
    names = [name for name in sorted(before | after) if before.get(name) != after.get(name)]
    return before, [
        f"this change edits `reproduce.tolerance.{name}`: `{before.get(name, 'none')}` to `{after.get(name, 'none')}`; "
        "it applies once it is merged"
        for name in names
    ]
