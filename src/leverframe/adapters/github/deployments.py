"""Deployments on GitHub: the record of each with its states, and tags."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from github import InputGitAuthor
from github.Repository import Repository

from leverframe.adapters.github.calls import Calls, reference
from leverframe.domain.release.tag import Tag
from leverframe.domain.retraining.pulls.pull_commit import AUTHOR
from leverframe.errors import ForgeUnreachableError
from leverframe.inert.letters import title

_TASK = "leverframe"  # tells our deployments from those of others to an environment of the same name


class GithubDeployments(Calls):
    """The ``Forge`` port of deployments; every call may be made again and changes nothing the second time."""

    def deployment(self, commit: str, environment: str, payload: dict[str, str]) -> int:
        """Return the number of our deployment of a commit to an environment, added where there is none yet."""

        place = self._project.prefix + environment  # on GitHub one environment shows one deployment

        def ask(repository: Repository) -> int:
            for known in repository.get_deployments(sha=commit, environment=place, task=_TASK):
                return known.id
            made = repository.create_deployment(
                ref=commit,
                task=_TASK,
                environment=place,
                description=title(f"{payload['model']}, bundle {payload['bundle'][:12]}", 140),
                payload=dict(payload),
                auto_merge=False,
                required_contexts=[],  # what must pass before a merge has passed: this runs after it
            )
            return made.id

        return self.asked(ask, "add a deployment", "deployments: write")

    def deployed(self, number: int, state: str, description: str) -> None:
        """Add a state to a deployment, unless it is its newest."""

        words = title(description, 140)

        def ask(repository: Repository) -> None:
            deployment = repository.get_deployment(number)
            newest = next(iter(deployment.get_statuses()), None)
            if newest is None or (newest.state, newest.description) != (state, words):
                deployment.create_status(state, description=words)

        self.asked(ask, "say how the deployment goes", "deployments: write")

    def tag(self, tag: Tag) -> None:
        """Add an annotated tag no earlier than it says, unless it stands there at the same commit.

        Raises ``ForgeUnreachableError`` where it stands at another one, or is lightweight: somebody was quicker.
        """

        def ask(repository: Repository) -> str:
            known = reference(repository, f"tags/{tag.name}")
            if known is not None:
                return repository.get_git_tag(known.object.sha).object.sha if known.object.type == "tag" else ""
            who = InputGitAuthor(*AUTHOR, datetime.fromtimestamp(tag.at, UTC).isoformat())
            dated = {"tagger": who} if tag.at > time.time() else {}  # else it is in the name of the token
            made = repository.create_git_tag(tag.name, tag.message, tag.commit, "commit", **dated)
            repository.create_git_ref(f"refs/tags/{tag.name}", made.sha)
            return tag.commit

        there = self.asked(ask, f"add the tag {tag.name}", "contents: write")
        if there != tag.commit:
            raise ForgeUnreachableError(
                f"the tag {tag.name} is there already, " + (f"at {there[:12]}" if there else "as a lightweight tag"),
                why="it was added since the tags of this clone were fetched",
                next="`git fetch --tags`, then run the same command again: it takes the next number",
            )
