"""GitHub through PyGithub: comments and check runs of pull requests; ``deployments`` has the rest."""

from __future__ import annotations

from collections.abc import Mapping

import requests
from github import GithubException
from github.IssueComment import IssueComment
from github.Repository import Repository

from leverframe.adapters.github.branch_files import kept_files
from leverframe.adapters.github.calls import Calls, refused, unreachable
from leverframe.domain.review.report.publish import CHECK, Comment, Conclusion

BOT = "github-actions[bot]"  # who writes with the token of a workflow, which may not ask for its own name
_SUMMARY = 65_535  # characters of the summary of a check run


class GithubForge(Calls):
    """Comments, check runs and pictures of one repository."""

    def me(self) -> str:
        """Return the login under which we write: that of the token, or of the bot whose token may not ask."""
        try:
            return str(self._github.get_user(lazy=False).login)
        except GithubException as error:
            if error.status in (401, 403, 404):
                return BOT
            raise refused(error, "tell who we are", "") from error
        except requests.RequestException as error:
            raise unreachable(error) from error

    def comments(self, number: int) -> list[Comment]:
        """Return every comment of a pull request, oldest first."""
        return self.asked(
            lambda repository: [_comment(each) for each in repository.get_issue(number).get_comments()],
            "read the comments of the pull request",
            "pull-requests: write",
        )

    def create(self, number: int, body: str) -> str:
        """Add a comment and return its address."""
        return self.asked(
            lambda repository: repository.get_issue(number).create_comment(body).html_url,
            "comment on the pull request",
            "pull-requests: write",
        )

    def update(self, comment: Comment, body: str) -> str:
        """Replace the body of a comment and return its address."""

        def ask(repository: Repository) -> str:
            repository.get_issue(0).get_comment(comment.number).edit(body)
            return comment.url

        return self.asked(ask, "update the comment", "pull-requests: write")

    def delete(self, comment: Comment) -> None:
        """Remove a comment."""
        self.asked(
            lambda repository: repository.get_issue(0).get_comment(comment.number).delete(),
            "remove a second comment",
            "pull-requests: write",
        )

    def pull_request(self, owner: str, branch: str, head: str) -> int | None:
        """Return the open pull request from a branch whose head is this commit; None where there is none."""

        def ask(repository: Repository) -> int | None:
            found = repository.get_pulls(state="open", head=f"{owner}:{branch}")
            return next((each.number for each in found if each.head.sha == head), None)

        return self.asked(ask, "look up the pull request", "pull-requests: read")

    def keep(self, branch: str, files: Mapping[str, str]) -> None:
        """Add files to a branch of their own, which is made when it is not there; files that are there stay."""

        self.asked(
            lambda repository: kept_files(repository, branch, files, "Pictures of cards"),
            "keep the pictures",
            "contents: write",
        )

    def check_run(self, head: str, conclusion: Conclusion, title: str, summary: str) -> str:
        """Add a completed check run to a commit and return its address."""
        told: dict[str, str | list[dict[str, str | int]]] = {"title": title, "summary": summary[:_SUMMARY]}
        return self.asked(
            lambda repository: str(
                repository.create_check_run(
                    CHECK, head, status="completed", conclusion=conclusion, output=told
                ).html_url
            ),
            "add the check run",
            "checks: write",
        )


def _comment(found: IssueComment) -> Comment:
    return Comment(found.id, found.user.login if found.user else "", found.body or "", found.html_url)
