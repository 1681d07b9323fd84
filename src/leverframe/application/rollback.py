"""Let an environment serve an earlier release again."""

from __future__ import annotations

from collections.abc import Callable

from leverframe.adapters.releases import Releases
from leverframe.application.deploy import deployment
from leverframe.application.environments import Environment
from leverframe.application.kubernetes import rollouts
from leverframe.application.record import ledger
from leverframe.application.results import kept
from leverframe.application.servers import server_folder
from leverframe.application.workspace import Workspace
from leverframe.domain.release.deploy import Deployed


def rollback(
    workspace: Workspace, environment: str, number: int | None, why: str, tell: Callable[[str], None]
) -> Deployed:
    """Let an environment serve an earlier release again; the bundle it leaves counts as refused.

    Traffic first: only then are tags and deployments written, and the pull request opened that lets
    git say the same.
    """
    place = Environment.of(workspace.levers, environment, workspace.params.bundle.model)
    book = ledger(workspace, place)
    if place.in_cluster():
        with Releases(server_folder(workspace, place.name).folder).lock():
            done = rollouts(place, tell, book).rollback(number, why)
    else:
        with deployment(workspace, place, dict, book, tell) as (one, _):
            done = one.rollback(place.model, number, why)
    return kept(workspace.root, "deploy", done)
