"""Issues: lists that hold pull requests, too, labels made on the fly, and assignees that GitHub knows or refuses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from leverframe.local.github import schema
from leverframe.local.github.calls import LONGEST, REPOSITORY, Call, Refused, Response, Route, may, page, path, person
from leverframe.local.github.state import Issue, PullRequest, Repository

_TITLE, _LABEL, _ASSIGNEES = 256, 50, 10  # characters, characters, people


def _body(call: Call, repository: Repository, issue: Issue | PullRequest) -> dict[str, Any]:
    if isinstance(issue, PullRequest):
        shown = Issue(issue.number, issue.title, issue.author, issue.body, state=issue.state)
        kind, more = "pull", {"pull_request": {"url": f"{call.address}{path(repository)}/pulls/{issue.number}"}}
    else:
        shown, kind, more = issue, "issues", {}
    here = f"{call.address}{path(repository)}/issues/{issue.number}"
    return {
        "id": issue.number,
        "number": issue.number,
        "title": shown.title,
        "state": shown.state,
        "state_reason": shown.reason,
        "body": shown.body,
        "user": person(shown.author),
        "labels": [{"id": sum(map(ord, name)), "name": name, "color": "ededed"} for name in shown.labels],
        "assignees": [person(login) for login in shown.assignees],
        "assignee": person(shown.assignees[0]) if shown.assignees else None,
        "comments": len(issue.comments),
        "url": here,
        "comments_url": f"{here}/comments",
        "html_url": f"{call.address}/{repository.full_name}/{kind}/{issue.number}",
        **({"updated_at": shown.updated} if shown.updated else {}),
        **more,
    }


def _issues(call: Call, repository: Repository) -> Response:
    state, since = call.query.get("state", "open"), call.query.get("since", "")
    labels = {name for name in call.query.get("labels", "").split(",") if name}
    issues: list[Issue | PullRequest] = [
        issue
        for issue in repository.issues.values()
        if state in (issue.state, "all") and labels <= set(issue.labels) and issue.updated >= since
    ]
    issues += [pull for pull in repository.pulls.values() if not labels and state in (pull.state, "all")]
    issues.sort(key=lambda issue: issue.number, reverse=call.query.get("direction", "desc") == "desc")
    return page(call, [_body(call, repository, issue) for issue in issues])


def _new_issue(call: Call, repository: Repository) -> Response:
    may(call, "issues")
    if not repository.has_issues:
        raise Refused(410, "Issues are disabled for this repo")
    issue = Issue(0, "", call.token.login)
    _change(call, repository, issue)
    issue.number = next(repository.numbers)
    repository.issues[issue.number] = issue
    return Response(201, schema.response(call.template, "post", 201, _body(call, repository, issue)))


def _change(call: Call, repository: Repository, issue: Issue) -> None:
    """Apply what a call gives; raises ``Refused`` before anything is changed."""
    given = call.body
    title, body = str(given.get("title", issue.title)), str(given.get("body") or "")
    if not title.strip() or len(title) > _TITLE:
        raise Refused(422, f"Validation Failed: title is missing or too long (maximum is {_TITLE} characters)")
    if len(body) > LONGEST:
        raise Refused(422, f"Validation Failed: body is too long (maximum is {LONGEST} characters)")
    labels = [label if isinstance(label, str) else str(label["name"]) for label in given.get("labels", ())]
    if any(len(name) > _LABEL for name in labels):
        raise Refused(422, "Validation Failed: name is too long (maximum is 50 characters)")
    logins = list(given.get("assignees", ()))
    unknown = [login for login in logins if login not in repository.members]
    if call.token.push and unknown:
        raise Refused(422, f"Validation Failed: assignees invalid {unknown[0]}")
    if len(logins) > _ASSIGNEES:
        raise Refused(422, "Validation Failed: assignees are too many")
    issue.title, issue.updated = title, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if "body" in given:
        issue.body = body
    if "labels" in given and call.token.push:
        issue.labels = list(dict.fromkeys(labels))
    if "assignees" in given and call.token.push:
        issue.assignees = logins
    _turn(issue, str(given.get("state", issue.state)), given.get("state_reason"))


def _turn(issue: Issue, state: str, reason: str | None) -> None:
    """Open or close an issue; without a change of state its reason stays."""
    if state != issue.state:
        issue.state = state
        issue.reason = (reason or "completed") if state == "closed" else "reopened"


def _known(call: Call, repository: Repository) -> Issue:
    number = call.variables["issue_number"]
    issue = repository.issues.get(int(number)) if number.isdigit() else None
    if issue is None:
        raise Refused(404, "Not Found")
    return issue


def _one_issue(call: Call, repository: Repository) -> Response:
    body = _body(call, repository, _known(call, repository))
    return Response(200, schema.response(call.template, "get", 200, body))


def _edit_issue(call: Call, repository: Repository) -> Response:
    may(call, "issues")
    issue = _known(call, repository)
    _change(call, repository, issue)
    return Response(200, schema.response(call.template, "patch", 200, _body(call, repository, issue)))


def _assignee(call: Call, repository: Repository) -> Response:
    if call.variables["assignee"] not in repository.members:
        raise Refused(404, "Not Found")
    return Response(204, None)


ROUTES: dict[tuple[str, str], Route] = {
    ("GET", f"{REPOSITORY}/issues"): _issues,
    ("POST", f"{REPOSITORY}/issues"): _new_issue,
    ("GET", f"{REPOSITORY}/issues/{{issue_number}}"): _one_issue,
    ("PATCH", f"{REPOSITORY}/issues/{{issue_number}}"): _edit_issue,
    ("GET", f"{REPOSITORY}/assignees/{{assignee}}"): _assignee,
}
