"""Comments on pull requests and issues: to GitHub each pull request is an issue, too."""

from __future__ import annotations

from typing import Any

from leverframe.local.github import schema
from leverframe.local.github.calls import REPOSITORY, Call, Refused, Response, Route, may, page, path, person, text
from leverframe.local.github.state import Comment, Issue, PullRequest, Repository

Commented = PullRequest | Issue


def _commented(call: Call, repository: Repository) -> Commented:
    number = int(call.variables["issue_number"]) if call.variables["issue_number"].isdigit() else 0
    subject = repository.pulls.get(number) or repository.issues.get(number)
    if subject is None:
        raise Refused(404, "Not Found")
    return subject


def _may_comment(call: Call, repository: Repository, on: Commented, what: str) -> None:
    """Raise ``Refused`` where the token may not, or nobody may, with the words that GitHub has for it."""
    may(call, "issues" if isinstance(on, Issue) else "pull-requests")
    if repository.archived:
        raise Refused(403, "Repository was archived so is read-only.")
    if call.token.login in repository.blocked:
        raise Refused(403, "User is blocked")
    if isinstance(on, PullRequest) and on.locked and (call.token.of_workflow or not call.token.push):
        raise Refused(403, f"Unable to {what} comment because issue is locked.")


def _body(call: Call, repository: Repository, on: Commented, comment: Comment) -> dict[str, Any]:
    kind = "issues" if isinstance(on, Issue) else "pull"
    return {
        "id": comment.number,
        "body": comment.body,
        "user": person(comment.author),
        "html_url": f"{call.address}/{repository.full_name}/{kind}/{on.number}#issuecomment-{comment.number}",
        "url": f"{call.address}{path(repository)}/issues/comments/{comment.number}",
    }


def _comments(call: Call, repository: Repository) -> Response:
    on = _commented(call, repository)
    return page(call, [_body(call, repository, on, comment) for comment in on.comments])


def _new_comment(call: Call, repository: Repository) -> Response:
    on = _commented(call, repository)
    _may_comment(call, repository, on, "create")
    if len(on.comments) >= repository.comment_limit:
        raise Refused(403, f"Commenting is disabled on issues with more than {repository.comment_limit} comments")
    comment = repository.say(on, call.token.login, text(call))
    return Response(201, schema.response(call.template, "post", 201, _body(call, repository, on, comment)))


def _known(call: Call, repository: Repository) -> tuple[Commented, Comment]:
    both: list[Commented] = [*repository.pulls.values(), *repository.issues.values()]
    for on in both:
        for comment in on.comments:
            if str(comment.number) == call.variables["comment_id"] and not comment.gone:
                return on, comment
    raise Refused(404, "Not Found")


def _edit_comment(call: Call, repository: Repository) -> Response:
    on, comment = _known(call, repository)
    _may_comment(call, repository, on, "update")
    comment.body, comment.edits = text(call), comment.edits + 1
    return Response(200, schema.response(call.template, "patch", 200, _body(call, repository, on, comment)))


def _delete_comment(call: Call, repository: Repository) -> Response:
    on, comment = _known(call, repository)
    _may_comment(call, repository, on, "delete")
    on.comments.remove(comment)
    return Response(204, None)


def _one_comment(call: Call, repository: Repository) -> Response:
    on, comment = _known(call, repository)
    return Response(200, schema.response(call.template, "get", 200, _body(call, repository, on, comment)))


ROUTES: dict[tuple[str, str], Route] = {
    ("GET", f"{REPOSITORY}/issues/{{issue_number}}/comments"): _comments,
    ("POST", f"{REPOSITORY}/issues/{{issue_number}}/comments"): _new_comment,
    ("GET", f"{REPOSITORY}/issues/comments/{{comment_id}}"): _one_comment,
    ("PATCH", f"{REPOSITORY}/issues/comments/{{comment_id}}"): _edit_comment,
    ("DELETE", f"{REPOSITORY}/issues/comments/{{comment_id}}"): _delete_comment,
}
