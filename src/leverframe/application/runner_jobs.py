"""The phases of a project by its settings and its pipeline, and the jobs of its workflows for them."""

from __future__ import annotations

from leverframe.adapters.git import Git
from leverframe.application.status import tree_around
from leverframe.application.workspace import Workspace
from leverframe.domain.pipeline.runners.runner_jobs import HOSTED, RunnerJobs
from leverframe.domain.pipeline.runners.runner_phases import Phases, phases, runners_of
from leverframe.domain.pipeline.status import graph, staleness
from leverframe.package import template
from leverframe.settings.runners import labels_of


def plan_of(workspace: Workspace) -> Phases:
    """Return the phases that `reproduce.runners` asks for, from definitions alone.

    Raises ``SettingsError`` where they fit no stage, and ``DefinitionError`` for stages that DVC would refuse.
    """
    tree = tree_around(workspace.root)
    stages = staleness.stages(Git(tree.root), tree)
    pairs = graph.edges(stages)
    order = [stage.name for stage in graph.ordered(stages, pairs) if not stage.is_source]
    patterns = {name: runner.stages for name, runner in workspace.levers.reproduce.runners.items()}
    return phases(order, pairs, runners_of(stages, patterns))


def jobs_of(workspace: Workspace) -> RunnerJobs:
    """Return the jobs of the phases; none where no runner is declared, or there are no stages yet."""
    runners = workspace.levers.reproduce.runners
    if not runners or not workspace.git.files("dvc.yaml", "*/dvc.yaml"):
        return RunnerJobs()
    return RunnerJobs(plan_of(workspace), runners, template("phase-job.yml"))


def judge_of(workspace: Workspace) -> tuple[str, ...]:
    """Return the labels of the runner of the judge."""
    return labels_of(workspace.levers.judge.runs_on or HOSTED)
