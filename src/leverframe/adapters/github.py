"""GitHub through PyGithub: comments and check runs, with retries, and errors that name the permission that lacks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

import requests
from github import Auth, Github, GithubException, GithubRetry, InputGitTreeElement, UnknownObjectException
from github.GitRef import GitRef
from github.IssueComment import IssueComment
from github.Repository import Repository

from leverframe.domain.report.publish import CHECK, Comment, Conclusion
from leverframe.errors import ForgeUnreachableError, PublishError

BOT = "github-actions[bot]"  # who writes with the token of a workflow, which may not ask for its own name
_RETRIES = 5
_TIMEOUT = 30  # seconds a request
_SUMMARY = 65_535  # characters of the summary of a check run

Result = TypeVar("Result")


class GithubForge:
    """The repository ``owner/name`` at the address ``api``; the token is in no message of ours."""

    def __init__(self, api: str, repository: str, token: str, *, retries: int = _RETRIES, patience: int = 60) -> None:
        logging.getLogger("github").setLevel(logging.ERROR)  # it tells every retry with its address
        retry = GithubRetry(total=retries, backoff_factor=0.5, secondary_rate_wait=patience)
        self._github = Github(
            base_url=api,
            auth=Auth.Token(token),
            retry=retry,
            timeout=_TIMEOUT,
            per_page=100,
            seconds_between_requests=0,
            seconds_between_writes=0,
            lazy=True,
        )
        self._name = repository

    def me(self) -> str:
        """Return the login under which we write: that of the token, or of the bot whose token may not ask."""
        try:
            return str(self._github.get_user(lazy=False).login)
        except GithubException as error:
            if error.status in (401, 403, 404):
                return BOT
            raise _refused(error, "tell who we are", "") from error
        except requests.RequestException as error:
            raise _unreachable(error) from error

    def comments(self, number: int) -> list[Comment]:
        """Return every comment of a pull request, oldest first."""
        return self._asked(
            lambda repository: [_comment(each) for each in repository.get_issue(number).get_comments()],
            "read the comments of the pull request",
            "pull-requests: write",
        )

    def create(self, number: int, body: str) -> str:
        """Add a comment and return its address."""
        return self._asked(
            lambda repository: repository.get_issue(number).create_comment(body).html_url,
            "comment on the pull request",
            "pull-requests: write",
        )

    def update(self, comment: Comment, body: str) -> str:
        """Replace the body of a comment and return its address."""

        def ask(repository: Repository) -> str:
            repository.get_issue(0).get_comment(comment.number).edit(body)
            return comment.url

        return self._asked(ask, "update the comment", "pull-requests: write")

    def delete(self, comment: Comment) -> None:
        """Remove a comment."""
        self._asked(
            lambda repository: repository.get_issue(0).get_comment(comment.number).delete(),
            "remove a second comment",
            "pull-requests: write",
        )

    def pull_request(self, owner: str, branch: str, head: str) -> int | None:
        """Return the open pull request from a branch whose head is this commit; None where there is none."""

        def ask(repository: Repository) -> int | None:
            found = repository.get_pulls(state="open", head=f"{owner}:{branch}")
            return next((each.number for each in found if each.head.sha == head), None)

        return self._asked(ask, "look up the pull request", "pull-requests: read")

    def keep(self, branch: str, files: Mapping[str, str]) -> None:
        """Add files to a branch of their own, which is made when it is not there; files that are there stay."""

        def ask(repository: Repository) -> None:
            reference = self._reference(repository, branch)
            parent = repository.get_git_commit(reference.object.sha) if reference else None
            elements = [InputGitTreeElement(path, "100644", "blob", content=text) for path, text in files.items()]
            tree = repository.create_git_tree(elements, *([parent.tree] if parent else []))
            if parent and tree.sha == parent.tree.sha:
                return
            commit = repository.create_git_commit("Pictures of cards", tree, [parent] if parent else [])
            if reference:
                reference.edit(commit.sha)
            else:
                repository.create_git_ref(f"refs/heads/{branch}", commit.sha)

        self._asked(ask, "keep the pictures", "contents: write")

    def _reference(self, repository: Repository, branch: str) -> GitRef | None:
        found = repository.get_git_ref(f"heads/{branch}")
        try:
            return found if found.object.sha else None  # this is what asks: objects are lazy here
        except UnknownObjectException:
            return None

    def check_run(self, head: str, conclusion: Conclusion, title: str, summary: str) -> str:
        """Add a completed check run to a commit and return its address."""
        told: dict[str, str | list[dict[str, str | int]]] = {"title": title, "summary": summary[:_SUMMARY]}
        return self._asked(
            lambda repository: str(
                repository.create_check_run(
                    CHECK, head, status="completed", conclusion=conclusion, output=told
                ).html_url
            ),
            "add the check run",
            "checks: write",
        )

    def _asked(self, ask: Callable[[Repository], Result], what: str, permission: str) -> Result:
        try:
            return ask(self._github.get_repo(self._name))
        except GithubException as error:
            raise _refused(error, what, permission) from error
        except requests.RequestException as error:
            raise _unreachable(error) from error


def _comment(found: IssueComment) -> Comment:
    return Comment(found.id, found.user.login if found.user else "", found.body or "", found.html_url)


def _refused(error: GithubException, what: str, permission: str) -> PublishError:
    """Return the error that says what GitHub refused and, where a permission lacks, the line that grants it."""
    said = error.data.get("message", "") if isinstance(error.data, dict) else ""
    kind = ForgeUnreachableError if error.status >= 500 or error.status == 429 else PublishError
    lacks = permission and error.status in (401, 403, 404)
    return kind(
        f"GitHub refused to {what}",
        why=f"it answered {error.status}" + (f": {str(said)[:200]}" if said else ""),
        next=f"give the job `permissions: {{{permission}}}`" if lacks else "run the job again",
    )


def _unreachable(error: requests.RequestException) -> ForgeUnreachableError:
    return ForgeUnreachableError(
        "GitHub does not answer", why=type(error).__name__, next="run the job again; nothing was lost"
    )
