"""GitHub through PyGithub: comments and check runs of pull requests; ``deployments`` has the rest."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any

import requests
from github import GithubException, UnknownObjectException
from github.CheckRun import CheckRun
from github.GithubObject import NotSet
from github.IssueComment import IssueComment
from github.PullRequest import PullRequest
from github.Repository import Repository

from leverframe.adapters.github.branch_files import kept_files
from leverframe.adapters.github.calls import Calls, refused, unreachable
from leverframe.domain.review.report.publish import Comment, ListedCheck, State, shows
from leverframe.domain.review.report.pull_of_run import Pull
from leverframe.inert.letters import fitting

BOT = "github-actions[bot]"  # who writes with the token of a workflow, where nobody tells its name
_APP = "[bot]"  # ends the login of every App
_UNKNOWN_TOKEN, _ENDED = 401, "completed"
_TITLE, _SUMMARY = 250, 65_535  # characters of the title, and bytes of the summary, of a check run


class GithubForge(Calls):
    """Comments, check runs and pictures of one repository."""

    def me(self) -> str:
        """Return the login under which we write: that of the token, or of the App whose token may not ask by REST."""
        return self._login

    @cached_property
    def _login(self) -> str:
        try:
            return str(self._github.get_user(lazy=False).login)
        except GithubException as error:
            if error.status not in (401, 403, 404):
                raise refused(error, "tell who we are", "") from error
            return BOT if error.status == _UNKNOWN_TOKEN else self._app()
        except requests.RequestException as error:
            raise unreachable(error) from error

    def _app(self) -> str:
        """Return the login of the App that the token is of; where nobody tells it, that of a workflow's own."""
        try:
            _, content = self._github.requester.graphql_query("query { viewer { login } }", {})
            login = str(content["data"]["viewer"]["login"])
        except (GithubException, KeyError, TypeError):
            return BOT
        except requests.RequestException as error:
            raise unreachable(error) from error
        return login if login.endswith(_APP) else f"{login}{_APP}"

    def comments(self, number: int) -> list[Comment]:
        """Return every comment of a pull request, oldest first."""
        return self.asked(
            lambda repository: [_comment(comment) for comment in repository.get_issue(number).get_comments()],
            "read the comments of the pull request",
            "pull-requests: write",
        )

    def create(self, number: int, body: str) -> Comment:
        """Add a comment and return it; its author is who we are."""

        def there() -> Comment | None:
            mine = [comment for comment in self.comments(number) if shows(comment.body, body)]
            return next((comment for comment in mine if comment.author == self.me()), None)

        return self.once(
            lambda repository: _comment(repository.get_issue(number).create_comment(body)),
            there,
            "comment on the pull request",
            "pull-requests: write",
        )

    def update(self, comment: Comment, body: str) -> bool:
        """Replace the body of a comment; False where it is gone although a list still had it."""

        def ask(repository: Repository) -> bool:
            try:
                repository.get_issue(0).get_comment(comment.number).edit(body)
            except UnknownObjectException:
                return False
            return True

        return self.asked(ask, "update the comment", "pull-requests: write")

    def delete(self, comment: Comment) -> None:
        """Remove a comment, which may be gone already."""

        def ask(repository: Repository) -> None:
            with suppress(UnknownObjectException):
                repository.get_issue(0).get_comment(comment.number).delete()

        self.asked(ask, "remove a second comment", "pull-requests: write")

    def pull(self, number: int) -> Pull:
        """Return a pull request as it is now."""
        return self.asked(
            lambda repository: as_pull(repository.get_pull(number)), "look up the pull request", "pull-requests: read"
        )

    def pulls(self, repository: str, branch: str) -> list[Pull]:
        """Return the open pull requests from a branch of a repository, which may be a fork."""
        head = f"{repository.partition('/')[0]}:{branch}"
        return self.asked(
            lambda here: [as_pull(pull) for pull in here.get_pulls(state="open", head=head)],
            "look up the pull request",
            "pull-requests: read",
        )

    def keep(self, branch: str, files: Mapping[str, str]) -> None:
        """Add files to a branch of their own, which is made when it is not there; files that are there stay."""

        self.asked(
            lambda repository: kept_files(repository, branch, files, "Pictures of cards"),
            "keep the pictures",
            "contents: write",
        )

    def checks(self, name: str, head: str) -> list[ListedCheck]:
        """Return all check runs of a name on a commit, oldest first."""
        listed = [ListedCheck(run.id, run.output.summary or "", run.status != _ENDED) for run in self._runs(name, head)]
        return sorted(listed, key=lambda check: check.number)

    def _runs(self, name: str, head: str) -> list[CheckRun]:
        def ask(repository: Repository) -> list[CheckRun]:
            runs = repository.get_commit(head).get_check_runs(check_name=name, filter="all")
            return [run for run in runs if run.name == name]

        return self.asked(ask, "read the check runs of the commit", "checks: write")

    def check_run(self, name: str, head: str, state: State, title: str, summary: str) -> str:
        """Add a check run to a commit and return its address."""
        return self.checked(name, head, state, (title, summary), "add the check run")

    def check_again(self, number: int, state: State, title: str, summary: str) -> str:
        """Let a check run that goes on show something else, or end, and return its address."""
        status, ended = _states(state)

        def ask(repository: Repository) -> str:
            run = repository.get_check_run(number)
            run.edit(status=status, conclusion=ended, output=_output(title, summary))
            return str(run.html_url)

        return self.asked(ask, "change the check run", "checks: write")

    def checked(
        self, name: str, head: str, state: State, words: tuple[str, str], what: str, *, external: str = ""
    ) -> str:
        """Add a check run with its title and summary once, and return its address; ``external`` is an id of ours."""
        (status, ended), output = _states(state), _output(*words)

        def make(repository: Repository) -> str:
            made = repository.create_check_run(
                name, head, external_id=external or NotSet, status=status, conclusion=ended, output=output
            )
            return str(made.html_url)

        def there() -> str | None:
            wanted = (state, output["title"], str(output["summary"]).strip(), external)
            same = [run for run in self._runs(name, head) if _shown(run) == wanted]
            return str(same[0].html_url) if same else None

        return self.once(make, there, what, "checks: write")


def _states(state: State) -> tuple[str, Any]:
    """Return status and conclusion of a check run; one that goes on has no conclusion."""
    return ("in_progress", NotSet) if state == "pending" else (_ENDED, state)


def _output(title: str, summary: str) -> dict[str, str | list[dict[str, str | int]]]:
    return {"title": title[:_TITLE], "summary": fitting(summary, _SUMMARY)}


def _shown(run: CheckRun) -> tuple[str, str, str, str]:
    state = run.conclusion if run.status == _ENDED else "pending"
    return state, run.output.title or "", (run.output.summary or "").strip(), run.external_id or ""


def as_pull(pull: PullRequest) -> Pull:
    source = pull.head.repo.full_name if pull.head.repo else ""  # a fork may be gone
    author = pull.user.login if pull.user else ""
    return Pull(pull.number, pull.head.sha, pull.base.ref, source, pull.head.ref, pull.state == "open", author)


def _comment(comment: IssueComment) -> Comment:
    return Comment(comment.id, comment.user.login if comment.user else "", comment.body or "", comment.html_url)
