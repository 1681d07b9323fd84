"""Let an environment serve an earlier release again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from leverframe.application.bundles import model_name, trusted_types
from leverframe.application.environments import Environment
from leverframe.application.record import ledger
from leverframe.application.results import forget, kept
from leverframe.application.targets import releases_of, target_of
from leverframe.application.workspace import Workspace
from leverframe.domain.release import deploy as deployment
from leverframe.domain.release.deploy import Deployed


def rollback(workspace: Workspace, name: str, number: int | None, why: str, tell: Callable[[str], None]) -> Deployed:
    """Let the environment ``name`` serve an earlier release again, and keep the result.

    The bundle that is left is refused from then on. Traffic first: only then are tags and deployments
    written, and the pull request opened that reverts the commit.
    """
    forget(workspace.root, "deploy")
    environment = Environment.of(workspace.levers, name, model_name(workspace))
    book = ledger(workspace, environment)
    with releases_of(workspace, environment).lock():
        target = target_of(workspace, environment, tell)
        result = deployment.rollback(target, number, why, book, partial(trusted_types, workspace))
        return kept(workspace.root, "deploy", result)
