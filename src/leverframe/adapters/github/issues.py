"""Issues of a repository on GitHub: what alerts and single issues need of them."""

from __future__ import annotations

from github import GithubException
from github.GithubObject import NotSet
from github.Issue import Issue as Found
from github.Repository import Repository

from leverframe.adapters.github.calls import Calls
from leverframe.domain.single_issue import Edit, Issue
from leverframe.errors import PublishError
from leverframe.inert.letters import title as in_title

_PERMISSION = "issues: write"
_INVALID = 422


class GithubIssues(Calls):
    """The ``Issues`` port of alerts."""

    def listed(self, label: str) -> list[Issue]:
        """Return every issue with a label, open or closed, oldest first; pull requests are left out."""

        def ask(repository: Repository) -> list[Issue]:
            issues = repository.get_issues(state="all", labels=[label], sort="created", direction="asc")
            return [
                _issue(issue) for issue in issues if "/pull/" not in issue.html_url
            ]  # a list of issues has those, too

        return self.asked(ask, "list the issues", _PERMISSION)

    def opened(self, title: str, body: str, labels: tuple[str, ...], assignees: tuple[str, ...]) -> Issue:
        """Open an issue; somebody who cannot be assigned any more is left out.

        Raises ``PublishError`` where GitHub dropped the label: without it, the next run would open another issue.
        """

        def ask(repository: Repository) -> Issue:
            try:
                made = repository.create_issue(in_title(title), body, labels=list(labels), assignees=list(assignees))
            except GithubException as error:
                if error.status != _INVALID or not assignees or "assignees" not in str(error.data):
                    raise
                made = repository.create_issue(in_title(title), body, labels=list(labels))
            if labels[0] not in {label.name for label in made.labels}:
                made.edit(state="closed", state_reason="not_planned")
                raise _no_label(labels[0])
            return _issue(made)

        return self.asked(ask, "open the issue", _PERMISSION)

    def edited(self, number: int, edit: Edit) -> None:
        """Change an issue."""
        state = NotSet if edit.open is None else "open" if edit.open else "closed"
        reason = NotSet if edit.reason is None else edit.reason
        body = NotSet if edit.body is None else edit.body
        labels = NotSet if edit.labels is None else list(edit.labels)

        def ask(repository: Repository) -> None:
            repository.get_issue(number).edit(body=body, state=state, state_reason=reason, labels=labels)

        self.asked(ask, f"change issue #{number}", _PERMISSION)

    def comments(self, number: int) -> list[str]:
        """Return the bodies of the comments of an issue."""
        return self.asked(
            lambda repository: [comment.body or "" for comment in repository.get_issue(number).get_comments()],
            f"read the comments of issue #{number}",
            _PERMISSION,
        )

    def comment(self, number: int, body: str) -> None:
        """Add a comment whose first line is its marker.

        A gateway that gave up after the comment was made lets the client ask again: of two the first stays.
        """

        def ask(repository: Repository) -> None:
            issue = repository.get_issue(number)
            issue.create_comment(body)
            marker = body.partition("\n")[0]
            for extra in [comment for comment in issue.get_comments() if (comment.body or "").startswith(marker)][1:]:
                extra.delete()

        self.asked(ask, f"comment on issue #{number}", _PERMISSION)

    def assignable(self, login: str) -> bool:
        """Tell whether somebody can be assigned."""
        return self.asked(lambda repository: repository.has_in_assignees(login), f"look up {login}", "metadata: read")


def _issue(issue: Found) -> Issue:
    return Issue(
        issue.number,
        issue.title,
        issue.body or "",
        tuple(label.name for label in issue.labels),
        tuple(assignee.login for assignee in issue.assignees),
        issue.state == "open",
        issue.state_reason or "",
        issue.html_url,
    )


def _no_label(label: str) -> PublishError:
    return PublishError(
        f"GitHub did not give the issue the label `{label}`, so it was closed again",
        why="without the label, the next run could not find it and would open another one",
        next=f"give the job `permissions: {{{_PERMISSION}}}`, or use a token of somebody who may set labels",
    )
