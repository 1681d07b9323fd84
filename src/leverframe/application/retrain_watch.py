"""A retraining that was merged, watched on realised labels: it is reverted where it turns out worse."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta

from leverframe.application.aftercare import MergedRetraining, watched
from leverframe.application.retrain_base import BaseRevision, recorded_md5
from leverframe.application.retrain_pulls import PulledBack, before_merge
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.monitoring.monitor_result import Monitored
from leverframe.domain.retraining.attempt import Comparison
from leverframe.domain.retraining.pulls.pull_state import StandingBranch, StandingPull
from leverframe.domain.retraining.trigger_rule import timestamp

Tell = Callable[[str], None]
_COMMIT = re.compile("[0-9a-f]{7,64}")


def turned_out_worse(
    workspace: Workspace,
    of: tuple[BaseRevision, str],
    there: StandingBranch,
    monitored: Monitored | None,
    now: datetime,
    tell: Tell,
) -> PulledBack | None:
    """Return the merged pull request whose model serves and is worse than the one before; None where none is.

    ``of`` is the base tip and the environment whose requests are looked at.
    """
    base, environment = of
    pull = _watched(workspace, base, there, now)
    if pull is None:
        return None
    tell(f"comparing the model of #{pull.number} with the one before it, on labels that came true since")
    before = before_merge(workspace, pull)
    merged = MergedRetraining(pull.merge_commit, before, timestamp(pull.merged_at))
    aftercare = watched(workspace, environment, merged, monitored, now, tell)
    tell(f"#{pull.number}: {aftercare.why}")
    if not aftercare.worse:
        return None
    bare = Comparison("", base.levers.retrain.confidence, 0, 0, (), 0, "", (), (), ())  # where only the monitor judged
    return PulledBack(pull, before, aftercare.comparison or bare, aftercare.why)


def _watched(workspace: Workspace, base: BaseRevision, there: StandingBranch, now: datetime) -> StandingPull | None:
    """Return the newest merged pull request within its watch, if its model still is that of the base tip."""
    days = base.levers.retrain.watch_days + base.levers.monitor.performance.label_delay_days + 1
    newest = merged_champion(workspace, base, there)
    if newest is None or not base.levers.retrain.watch_days:
        return None
    return newest if timedelta(0) <= now - timestamp(newest.merged_at) <= timedelta(days=days) else None


def merged_champion(workspace: Workspace, base: BaseRevision, there: StandingBranch) -> StandingPull | None:
    """Return the newest merged pull request, if its model still is that of the base tip."""
    merged = [pull for pull in there.pulls if pull.merged and pull.merged_at and pull.merge_commit]
    newest = max(merged, key=lambda pull: timestamp(pull.merged_at), default=None)
    if newest is None:
        return None
    path = layout.MODEL.as_posix() if base.own is None else base.own.role.path
    lock = workspace.git.show(newest.merge_commit, "dvc.lock") or b""
    return newest if recorded_md5(lock, path) == base.champion else None


def serves_since(
    workspace: Workspace, base: BaseRevision, there: StandingBranch, monitored: Monitored | None
) -> datetime | None:
    """Return when the champion began to serve, by merges of retraining and releases in the log; None if unknown.

    A release whose commit has the same model goes on with it; of one whose commit is not known the time counts.
    """
    merged = merged_champion(workspace, base, there)
    times = [timestamp(merged.merged_at)] if merged else []
    markers = sorted(monitored.releases if monitored else (), key=lambda marker: timestamp(marker.at))
    path = layout.MODEL.as_posix() if base.own is None else base.own.role.path
    began = None
    for marker in reversed(markers):
        lock = workspace.git.show(marker.commit, "dvc.lock") if _COMMIT.fullmatch(marker.commit) else None
        same = recorded_md5(lock or b"", path) == base.champion != ""
        if began is not None and not same:
            break
        began = timestamp(marker.at)
        if not same:
            break
    return max([*times, *([began] if began else [])], default=None)
