"""Judge the model of a change against the one it would replace, and keep the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from leverframe.adapters.disk import Disk
from leverframe.adapters.polars import PolarsTables
from leverframe.adapters.sklearn import SklearnModels
from leverframe.application.as_locked import refuse_others
from leverframe.application.champion import champion
from leverframe.application.diff import diff
from leverframe.application.gate_rules import rules_at, section
from leverframe.application.own_gate import own_gate
from leverframe.application.replay import WorkspaceReplay
from leverframe.application.results import begin, kept
from leverframe.application.status import tree_around
from leverframe.application.untouched import untouched
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.pipeline.status import staleness
from leverframe.domain.pipeline.status.reasons import State
from leverframe.domain.review.diff.revision import read, star_path
from leverframe.domain.review.gate.decision import Evidence, bundle_sizes, run
from leverframe.domain.review.gate.gate_result import Gated
from leverframe.domain.review.gate.holdout_change import Declared, declared
from leverframe.domain.review.gate.pairing import GateInputs, Side
from leverframe.domain.review.gate.replay_comparison import compare
from leverframe.errors import LeverframeError
from leverframe.settings import LEVERS, PARAMS
from leverframe.settings.params import params_of
from leverframe.words import first_few
from leverframe.yaml_files import load

_NAMED = 3  # stages that are named, the rest is counted


def gate(workspace: Workspace, base: str | None, log: Path | None, tell: Callable[[str], None]) -> Gated:
    """Return whether the model here may replace the one at the merge base, by the rules of the base branch's tip.

    Both are asked the newest requests in ``log``, else those of a server of this folder.
    """
    root, git = workspace.root, workspace.git
    begin(root, "gate")
    since, head = git.base(base), git.named("HEAD")
    fork = since.commit
    unaffected = untouched(workspace, since)
    if unaffected:
        return kept(root, "gate", Gated(fork, head, because=unaffected, notes=since.notes))
    _tell_stale(workspace, tell)
    if not workspace.has_case:
        return kept(root, "gate", own_gate(workspace, since, tell))
    refuse_others(root, layout.MODEL, layout.MODEL_DESCRIPTION, layout.PREDICTIONS, layout.HOLDOUT, layout.BUNDLE)
    here = declared(workspace.params, workspace.plan)
    known = {name: section(git.show(since.tip, str(name)), f"{name} of the base") for name in (PARAMS, LEVERS)}
    ours = load(root / LEVERS, what="settings file") if (root / LEVERS).is_file() else {}
    disk = Disk(root)
    contracts = {path.stem: disk.read_json(path.relative_to(root)) for path in (root / layout.CONTRACTS).glob("*.json")}
    parity = disk.read_json(layout.PARITY) if (root / layout.PARITY).is_file() else None
    lock = root / "dvc.lock"
    sizes = bundle_sizes(lock.read_bytes() if lock.is_file() else b"")
    replayed = compare(WorkspaceReplay(workspace, fork, log, tell), known[PARAMS] | known[LEVERS], tell)
    evidence = Evidence(contracts, parity, diff(workspace, fork, None), sizes, replayed)
    question = GateInputs(fork, head, workspace.params.data.timezone, here, declared_at(workspace, fork))
    with champion(workspace, fork, tell) as folder:
        theirs = None if folder is None else Side(PolarsTables(folder), Disk(folder))
        sides = (Side(PolarsTables(root), disk), theirs)
        rules = rules_at(git, since.tip, known[LEVERS], ours)
        models = SklearnModels(root, [*workspace.params.train.trusted_types, *_trusted(known[PARAMS])])
        result = run(question, sides, models, rules, evidence)
        return kept(root, "gate", replace(result, notes=(*since.notes, *result.notes)))


def _tell_stale(workspace: Workspace, tell: Callable[[str], None]) -> None:
    """Tell of stages that edits made stale: what is judged is of before the edit, and passes as the same model."""
    with suppress(LeverframeError):  # what cannot be read of the pipeline, `check` says
        stages = staleness.run(workspace.git, tree_around(workspace.root)).stages
        stale = [f"`{stage.stage.name}`" for stage in stages if stage.state in (State.CHANGED, State.NEW)]
        if stale:
            tell(f"stale: {first_few(stale, _NAMED)}; what ran before is judged: `dvc repro` first")


def declared_at(workspace: Workspace, commit: str) -> Declared | None:
    """Return what a commit, or a tree, declares of its rows; None where it has no settings or plan that can be used."""
    files = workspace.git.contents(commit, str(PARAMS))
    try:
        star = star_path(files)
        plan = read(commit, files | (workspace.git.contents(commit, star) if star else {})).plan
        return (
            declared(params_of(section(files.get(str(PARAMS)), str(PARAMS)), name=str(PARAMS)), plan) if plan else None
        )
    except LeverframeError:
        return None


def _trusted(params: Mapping[str, Any]) -> Sequence[str]:
    """Return the types that the base trusts: the champion may hold what the change has no use for."""
    train = params.get("train")
    listed = train.get("trusted_types") if isinstance(train, dict) else None
    return [str(name) for name in listed] if isinstance(listed, list) else []
