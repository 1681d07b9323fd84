"""What the tip of the base branch declares: whose model it is, on which rows, and by which rules it is trained anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from leverframe.application.candidate import model_digest
from leverframe.application.workspace import Workspace
from leverframe.domain.partition import Partition
from leverframe.domain.retraining.attempt import RetrainWindow
from leverframe.domain.retraining.retrain import Rows
from leverframe.domain.retraining.retrain_window import newest_labelled
from leverframe.errors import SettingsError
from leverframe.settings import LEVERS, PARAMS
from leverframe.settings.levers import Levers, levers_of
from leverframe.settings.params import Params, params_of
from leverframe.settings.periods import unit
from leverframe.yaml_files import parse

_DECIDING = ("dvc.lock", "dvc.yaml", str(PARAMS), str(LEVERS))


@dataclass(frozen=True)
class Base:
    """A commit: its settings, and the ids in git of the files that decide what is trained, by path."""

    commit: str
    levers: Levers
    params: Params
    blobs: dict[str, str]
    champion: str

    def rows(self, now: datetime) -> Rows:
        """Return which rows the champion has seen, and the newest partition whose labels are due."""
        data, features = self.params.data, self.params.features
        current = RetrainWindow(
            features.train.first, features.train.last, features.holdout.first, features.holdout.last
        )
        delay = self.levers.monitor.performance.label_delay_days
        return Rows(current, data.first, newest_labelled(now, data.period, data.timezone, delay))

    def end(self, key: str) -> datetime:
        """Return when a partition ends."""
        data = self.params.data
        return Partition.of(key, unit(data.period)).plus(1).start(data.timezone)


def base_of(workspace: Workspace, commit: str) -> Base:
    """Return what a commit declares; raises ``SettingsError`` for a file that does not fit, or is not there."""
    git, of = workspace.git, f"of {commit[:12]}"
    levers = (git.show(commit, str(LEVERS)) or b"").decode(errors="replace")
    params = git.show(commit, str(PARAMS))
    if params is None:
        raise SettingsError(
            f"the commit {commit[:12]} has no {PARAMS}",
            why="it says which rows the model learns from, and a candidate is trained on later ones",
            next=f"merge {PARAMS}; a pipeline of one's own names its parameters as `retrain.params` in {LEVERS}",
        )
    known = params_of(parse(params.decode(errors="replace"), name=f"{PARAMS} {of}", what="settings file"),
                      name=f"{PARAMS} {of}")  # fmt: skip
    champion = model_digest(git.show(commit, "dvc.lock") or b"")
    return Base(commit, levers_of(levers, name=f"{LEVERS} {of}"), known, git.blobs(commit, *_DECIDING), champion)
