"""Keep an environment at what a branch says: the agent beside a server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from leverframe.application.deploy import DeployOptions, deploy
from leverframe.application.workspace import Workspace
from leverframe.domain.release.deploy import Deployed
from leverframe.domain.release.reconcile import looks


def reconcile(
    workspace: Workspace, environment: str, branch: str | None, watch: float | None, tell: Callable[[str], None]
) -> Iterator[Deployed]:
    """Bring an environment to the head of a branch, by default the main one, and yield each result.

    It does so once, or every ``watch`` seconds. It only reads git and the remote of DVC.
    """

    def follow() -> Deployed:
        workspace.git.fetch()
        return deploy(workspace, DeployOptions(environment, workspace.git.tip(branch), record=False), tell)

    yield from looks(follow, watch, time.sleep, tell)
