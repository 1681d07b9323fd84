"""Where a deployment is recorded: the tags of this clone, and the forge where a token is at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from leverframe.adapters import runner
from leverframe.adapters.git import Git
from leverframe.adapters.git.host import HostedGit
from leverframe.application.environments import Environment
from leverframe.application.reverts import Reverts
from leverframe.application.workspace import Workspace
from leverframe.domain.release.ledger import Ledger, Revert, Reverted
from leverframe.domain.release.registry import artifact_of, in_tags
from leverframe.domain.release.tag import Tag

if TYPE_CHECKING:
    from leverframe.adapters.github.deployments import GithubDeployments


def ledger(workspace: Workspace, environment: Environment) -> Ledger | None:
    """Return where the deployments to an environment are recorded; None where it declares that they are not."""
    if not environment.settings.record:
        return None
    tags = _Book(workspace.git, None)
    forge: _Forge | None = None
    if runner.repository() and runner.token():
        from leverframe.adapters.github.deployments import GithubDeployments  # noqa: PLC0415 - of an extra

        where = (runner.api(), runner.repository(), runner.token())
        deployments = GithubDeployments(*where, project=workspace.project)
        settings = environment.levers.retrain
        reverts = Reverts(HostedGit(workspace.git.root), environment.model, settings)
        forge, tags = _Forge(deployments, reverts), _Book(workspace.git, deployments)
    return Ledger(tags, forge, artifact_in(workspace, environment.model), environment.name)


@dataclass(frozen=True)
class _Forge:
    """The ``Forge`` port: deployments of the API, and pull requests that restore a release."""

    deployments: GithubDeployments
    reverts: Reverts

    def deployment(self, commit: str, environment: str, payload: dict[str, str]) -> int:
        return self.deployments.deployment(commit, environment, payload)

    def deployed(self, number: int, state: str, description: str) -> None:
        self.deployments.deployed(number, state, description)

    def revert(self, revert: Revert) -> Reverted:
        return self.reverts.revert(revert)


def artifact_in(workspace: Workspace, model: str) -> str:
    """Return the name that tags have for a model of this project, its folder in the repository included."""
    return artifact_of(model, workspace.git.prefix())


def tags_of(workspace: Workspace, artifact: str) -> list[Tag]:
    """Return the tags of this clone that speak of a model, by its name in tags."""
    return workspace.git.tags(in_tags(artifact))


class _Book:
    """The tags of this clone; new ones are added on the forge, where there is one, and come here with the next fetch.

    A tag of the same name made here would be another object, which a fetch refuses to replace.
    """

    def __init__(self, git: Git, forge: GithubDeployments | None) -> None:
        self._git, self._forge = git, forge
        self._added: list[Tag] = []

    def tags(self, artifact: str) -> list[Tag]:
        return [*self._git.tags(in_tags(artifact)), *self._added]

    def tag(self, tag: Tag) -> None:
        if self._forge is None:
            self._git.tag(tag)
        else:
            self._forge.tag(tag)
            self._added.append(tag)
