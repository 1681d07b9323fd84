"""Reproduce the pipeline, telling of each stage as it ends, and sum up what it gave."""

from __future__ import annotations

from collections.abc import Callable

from leverframe.adapters.disk import Disk
from leverframe.adapters.dvc import LOG, Repro, StageFinished, StageSkipped
from leverframe.adapters.process import run_group
from leverframe.adapters.stage_log import records
from leverframe.application.status import status
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.features.training_set import TrainingSet
from leverframe.domain.model.artefacts import read_as
from leverframe.domain.pipeline.status.reasons import State
from leverframe.domain.pipeline.summary import Results, progress_line, summary


def demo(workspace: Workspace, tell: Callable[[str], None]) -> list[str]:
    """Run what is stale, and return the summary of data, contracts, training set and model."""
    root = workspace.root
    state = status(root)
    total, ended = len(state.stages), 0
    to_run = sum(stage.state is not State.FRESH for stage in state.stages)
    tell(f"{total} stages, {to_run} of them to run; the full output goes to {LOG}")

    def on_event(event: object) -> None:
        nonlocal ended
        if isinstance(event, StageFinished | StageSkipped):
            ended += 1
            took = f"{event.seconds:5.1f} s" if isinstance(event, StageFinished) else "  unchanged"
            tell(progress_line(ended, total, event.stage, took))

    Repro(root, run_group)(on_event=on_event)
    disk, groups = Disk(root), [str(group) for group in workspace.partitions.groups()]
    parts = [layout.STATIC, *groups]
    results = Results(
        contracts={part: disk.read_json(layout.contract_report(part)) for part in parts},
        training_set=read_as(TrainingSet, layout.TRAINING_SET, disk),
        metrics=disk.read_json(layout.METRICS),
        records=records(root / layout.STAGE_LOGS),
        pictures=sorted(map(str, (root / layout.PICTURES).glob("*.svg"))),
    )
    return summary(results, groups[-1])
