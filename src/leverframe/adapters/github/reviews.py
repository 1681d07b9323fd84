"""Reviews on GitHub, and what they are looked at with: roles, teams, `CODEOWNERS`, and the pull requests of a base."""

from __future__ import annotations

import base64
from collections.abc import Collection
from functools import cache, cached_property
from itertools import islice

from github import GithubException, UnknownObjectException
from github.PullRequestReview import PullRequestReview
from github.Repository import Repository

from leverframe.adapters.github import as_pull
from leverframe.adapters.github.calls import Calls
from leverframe.domain.codeowners import PLACES
from leverframe.domain.review.judge.owners import Review
from leverframe.domain.review.report.pull_of_run import Pull

_UNREADABLE = (403, 404)
_LARGEST = 3_000_000  # bytes of CODEOWNERS, as GitHub's own limit
_STARTED = ("pull_request", "merge_group", "workflow_dispatch")  # what starts a run that leaves a claim
_RUNS = 300  # of one commit that are looked through


class GithubReviews(Calls):
    """The ``People`` port, and what a judgement is bound to: the reviews, the base branch and its tip."""

    def reviews(self, number: int) -> list[Review]:
        """Return every review of a pull request, oldest first."""
        return self.asked(
            lambda repository: [_review(review) for review in repository.get_pull(number).get_reviews()],
            "read the reviews of the pull request",
            "pull-requests: read",
        )

    @cache  # noqa: B019 - one object a run
    def role(self, login: str) -> str:
        """Return the role of a person in the repository; `none` for somebody whom GitHub does not know."""

        def ask(repository: Repository) -> str:
            try:
                _, content = repository.requester.requestJsonAndCheck(
                    "GET", f"{repository.url}/collaborators/{login}/permission"
                )
            except UnknownObjectException:
                return "none"
            return str(content.get("role_name") or content["permission"])

        return self.asked(ask, f"read what {login} may do", "contents: read")

    @cache  # noqa: B019 - one object a run
    def member(self, team: str, login: str) -> bool | None:
        """Tell whether a person is in a team `org/team`; None where the token may not know it.

        GitHub answers a token that may not look into the team as if it were not there. So only a member is certain,
        unless the token may see the team itself.
        """
        organisation, _, name = team.partition("/")

        def ask(repository: Repository) -> bool | None:
            address = f"/orgs/{organisation}/teams/{name}/memberships/{login}"
            try:
                _, content = repository.requester.requestJsonAndCheck("GET", address)
            except GithubException as error:
                if error.status not in _UNREADABLE:
                    raise
                return None
            return bool(content["state"] == "active")

        return self.asked(ask, f"look into the team {team}", "")

    def rules(self, commit: str) -> str:
        """Return the text of `CODEOWNERS` at a commit, of the first place that has one; empty where none has."""

        def ask(repository: Repository) -> str:
            for place in PLACES:
                try:
                    file = repository.get_contents(place, ref=commit)
                except UnknownObjectException:
                    continue
                if isinstance(file, list) or file.size > _LARGEST:
                    return ""
                return base64.b64decode(file.content).decode(errors="replace")
            return ""

        return self.asked(ask, "read CODEOWNERS", "contents: read")

    @cached_property
    def default_branch(self) -> str:
        """The default branch of the repository."""
        return self.asked(lambda repository: str(repository.default_branch), "read the repository", "contents: read")

    def tip(self, branch: str) -> str:
        """Return the newest commit of a branch."""
        return self.asked(
            lambda repository: str(repository.get_git_ref(f"heads/{branch}").object.sha),
            f"look up the branch {branch}",
            "contents: read",
        )

    def pulls_into(self, branch: str = "") -> list[Pull]:
        """Return the open pull requests into a branch, or into any, newest first."""

        def ask(repository: Repository) -> list[Pull]:
            asked = {"base": branch} if branch else {}
            return [as_pull(pull) for pull in repository.get_pulls(state="open", **asked)]

        pulls = self.asked(ask, "list the pull requests", "pull-requests: read")
        return sorted(pulls, key=lambda pull: -pull.number)

    def run_of(self, head: str, names: Collection[str]) -> int:
        """Return the newest run of a workflow of one of these names at a commit; 0 where there is none."""

        def ask(repository: Repository) -> int:
            runs = islice(repository.get_workflow_runs(head_sha=head), _RUNS)
            fitting = [run for run in runs if run.name in names and run.event in _STARTED]
            return max((run.id for run in fitting if run.conclusion != "skipped"), default=0)  # which left nothing

        return self.asked(ask, "look up the runs of the commit", "actions: read")


def _review(review: PullRequestReview) -> Review:
    login = review.user.login if review.user else ""  # whose account is gone
    return Review(login, review.state, review.commit_id or "", review.body or "")
