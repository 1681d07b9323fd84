"""What the tip of the base branch declares: whose model it is, on which rows, and by which rules it is trained anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from leverframe.application.gate_rules import rules_at, section
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.model.evaluate.metrics import METRICS
from leverframe.domain.partition import Partition
from leverframe.domain.pipeline.status.lock import entries
from leverframe.domain.retraining.attempt import RetrainWindow
from leverframe.domain.retraining.retrain import Rows
from leverframe.domain.retraining.retrain_window import newest_labelled
from leverframe.domain.review.gate.rules import Rules
from leverframe.errors import SettingsError, guide_page, nearest
from leverframe.settings import LEVERS, PARAMS
from leverframe.settings.levers import Levers, levers_of
from leverframe.settings.params import params_of
from leverframe.settings.periods import Arrival, unit
from leverframe.settings.pipeline import PredictionsRole
from leverframe.settings.retrain import WindowParameters
from leverframe.yaml_files import decoded, parse, values_at


@dataclass(frozen=True)
class OwnPipeline:
    """A pipeline of one's own: its predictions, and the parameters that move its window."""

    role: PredictionsRole
    moved: WindowParameters

    def values(self, window: RetrainWindow, *, train: bool) -> dict[str, str]:
        """Return the values of the parameters that there are; without ``train`` those of the hold-out alone."""
        moved = self.moved
        known = {moved.holdout_first: window.holdout_first, moved.holdout_last: window.holdout_last}
        if train:
            known |= {moved.train_first: window.train_first, moved.train_last: window.train_last}
        return {key: value for key, value in known.items() if key is not None}


@dataclass(frozen=True)
class BaseRevision:
    """A commit: its settings, the rows of its model, and the files that decide what is trained.

    ``blobs`` are their ids in git by path; ``champion`` is the digest (md5) of its model, or of what that predicted.
    ``rules`` are those of the gate that are in force, also where the commit lost its own. ``own`` is None for a case of
    Leverframe.
    """

    commit: str
    levers: Levers
    model: str
    current: RetrainWindow
    data_first: str
    period: Arrival
    timezone: str
    blobs: dict[str, str]
    champion: str
    rules: Rules
    own: OwnPipeline | None = None

    def rows(self, now: datetime) -> Rows:
        """Return which rows the champion has seen, and the newest partition whose labels are due."""
        delay = self.levers.monitor.performance.label_delay_days
        newest = newest_labelled(now, self.period, self.timezone, delay)
        fixed = self.own is not None and self.own.moved.train_first is None
        return Rows(self.current, self.data_first, newest, fixed)

    def start(self, key: str) -> datetime:
        """Return when a partition begins."""
        return Partition.of(key, unit(self.period)).start(self.timezone)

    def end(self, key: str) -> datetime:
        """Return when a partition ends."""
        return Partition.of(key, unit(self.period)).plus(1).start(self.timezone)


def base_of(workspace: Workspace, commit: str) -> BaseRevision:
    """Return what a commit declares; raises ``SettingsError`` for a file that does not fit, or is not there."""
    levers = levers_at(workspace, commit)
    _check_metric(levers.retrain.metric)
    role, moved = levers.pipeline.predictions, levers.retrain.params
    if role is None:
        return _of_case(workspace, commit, levers)
    if moved is None:
        raise SettingsError(
            f"{LEVERS} of {commit[:12]} does not say how to move the training window",
            why="a pipeline of one's own is trained anew by changing parameters of it, and `retrain.params` names none",
            next=f"name them as in {guide_page('retrain.md')}, and merge that",
        )
    return _of_own(workspace, commit, levers, OwnPipeline(role, moved))


def levers_at(workspace: Workspace, commit: str) -> Levers:
    """Return the settings of levers in a commit, whatever the working copy says."""
    name = f"{LEVERS} of {commit[:12]}"
    return levers_of(decoded(workspace.git.show(commit, str(LEVERS)) or b"", name=name), name=name)


def _check_metric(name: str | None) -> None:
    known = {metric.name for metrics in METRICS.values() for metric in metrics}
    if name is not None and name not in known:
        raise SettingsError(
            f"`retrain.metric: {name}` is no metric",
            why="it decides whether a candidate is better, so a whole run would be in vain",
            next=nearest(name, known),
        )


def _of_case(workspace: Workspace, commit: str, levers: Levers) -> BaseRevision:
    name = f"{PARAMS} of {commit[:12]}"
    params = params_of(parse(_text(workspace, commit, PARAMS), name=name, what="settings file"), name=name)
    data, features = params.data, params.features
    current = RetrainWindow(features.train.first, features.train.last, features.holdout.first, features.holdout.last)
    champion = recorded_md5(workspace.git.show(commit, "dvc.lock") or b"", layout.MODEL.as_posix())
    blobs = workspace.git.blobs(commit, "dvc.lock", "dvc.yaml", str(PARAMS), str(LEVERS))
    return BaseRevision(
        commit, levers, params.bundle.model, current, data.first, data.period, data.timezone, blobs, champion,
        _rules(workspace, commit),
    )  # fmt: skip


def _of_own(workspace: Workspace, commit: str, levers: Levers, own: OwnPipeline) -> BaseRevision:
    moved, file = own.moved, Path(own.moved.file)
    if moved.train_first is None and levers.retrain.window.policy != "expanding":
        raise SettingsError(
            f"`retrain.window.policy: {levers.retrain.window.policy}` moves the first training row",
            why="`retrain.params.train_first` is not set, so it never moves",
            next="name the parameter, or set `policy: expanding`",
        )
    keys = [key for key in (moved.train_first, moved.train_last, moved.holdout_first, moved.holdout_last) if key]
    values = values_at(_text(workspace, commit, file), keys, name=f"{file} of {commit[:12]}")
    last = Partition.of(values[moved.train_last], unit(moved.period))
    years = last.plus(-3660 if last.period == "day" else -520)  # what is not known is long ago
    first = values[moved.train_first] if moved.train_first else str(years)
    begins = values[moved.holdout_first] if moved.holdout_first else str(last.plus(1))
    ends = values[moved.holdout_last] if moved.holdout_last else begins
    for key in (first, begins, ends):
        Partition.of(key, unit(moved.period))
    champion = recorded_md5(workspace.git.show(commit, "dvc.lock") or b"", own.role.path)
    blobs = workspace.git.blobs(commit, "dvc.lock", "dvc.yaml", own.moved.file, str(LEVERS))
    return BaseRevision(
        commit, levers, own.role.model, RetrainWindow(first, str(last), begins, ends), first, moved.period,
        own.role.timezone, blobs, champion, _rules(workspace, commit), own,
    )  # fmt: skip


def _rules(workspace: Workspace, commit: str) -> Rules:
    """Return the rules in force at a commit, as `gate` has them: those of before, where it lost its own."""
    levers = section(workspace.git.show(commit, str(LEVERS)), f"{LEVERS} of {commit[:12]}")
    return rules_at(workspace.git, commit, levers, levers)


def recorded_md5(lock: bytes, path: str) -> str:
    """Return the MD5 of an output as a lock records it; empty where it has none."""
    known = entries(lock.decode(errors="replace"), "dvc.lock").values()
    return next((entry.outputs[path].md5 for entry in known if path in entry.outputs), "")


def _text(workspace: Workspace, commit: str, path: Path) -> str:
    content = workspace.git.show(commit, path.as_posix())
    if content is None:
        raise SettingsError(
            f"the commit {commit[:12]} has no {path}",
            why="it says which rows the model learns from, and a candidate is trained on later ones",
            next=f"merge {path}; a pipeline of one's own names its parameters as `retrain.params` in {LEVERS}",
        )
    return decoded(content, name=f"{path} of {commit[:12]}")
