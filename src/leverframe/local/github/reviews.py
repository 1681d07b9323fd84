"""Reviews of the local forge, and who people are: their role in the repository, their teams, the files they own."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from leverframe.local.github import schema
from leverframe.local.github.calls import REPOSITORY, Call, Refused, Response, Route, page, path, person
from leverframe.local.github.state import PullRequest, Repository, Review

MEMBERSHIP = "/orgs/{org}/teams/{team_slug}/memberships/{username}"
_ROLES = {"maintain": "write", "triage": "read"}  # which the older field does not know
_WHEN = "2013-01-01T00:00:00Z"


def _reviews(call: Call, repository: Repository) -> Response:
    number = call.variables["pull_number"]
    pull = repository.pulls.get(int(number)) if number.isdigit() else None
    if pull is None:
        raise Refused(404, "Not Found")
    return page(call, [_body(call, repository, pull, review) for review in pull.reviews])


def _body(call: Call, repository: Repository, pull: PullRequest, review: Review) -> dict[str, object]:
    return {
        "id": review.number,
        "user": person(review.author),
        "state": review.state,
        "commit_id": review.commit,
        "body": review.body,
        "submitted_at": _WHEN,
        "pull_request_url": f"{call.address}{path(repository)}/pulls/{pull.number}",
    }


def _permission(call: Call, repository: Repository) -> Response:
    login = call.variables["username"]
    role = repository.role(login)
    user = {**person(login), "role_name": role}
    values = {"permission": _ROLES.get(role, role), "role_name": role, "user": user}
    return Response(200, schema.response(call.template, "get", 200, values))


def _file(call: Call, repository: Repository) -> Response:
    commit, file = repository.commit(call.query.get("ref", "main")), call.variables["path"]
    if not commit or not repository.git("ls-tree", "--name-only", commit, file).strip():
        raise Refused(404, "Not Found")
    text = repository.git("show", f"{commit}:{file}")
    return Response(200, {
        "type": "file", "encoding": "base64", "size": len(text.encode()), "name": file.rpartition("/")[2], "path": file,
        "content": base64.encodebytes(text.encode()).decode(), "sha": repository.git("rev-parse", f"{commit}:{file}"),
        "url": f"{call.address}{path(repository)}/contents/{file}", "git_url": None, "html_url": None,
        "download_url": None, "_links": {"git": None, "html": None, "self": f"{call.address}{path(repository)}"},
    })  # fmt: skip


def membership(call: Call, repositories: Iterable[Repository]) -> Response:
    """Return the membership of somebody in a team; the token of a workflow may not ask."""
    if not call.token.teams:
        raise Refused(403, "Resource not accessible by integration")
    team, login = f"{call.variables['org']}/{call.variables['team_slug']}", call.variables["username"]
    members = {member.lower() for repository in repositories for member in repository.teams.get(team, ())}
    if login.lower() not in members:
        raise Refused(404, "Not Found")
    values = {"url": call.address, "role": "member", "state": "active"}
    return Response(200, schema.response(call.template, "get", 200, values))


ROUTES: dict[tuple[str, str], Route] = {
    ("GET", f"{REPOSITORY}/pulls/{{pull_number}}/reviews"): _reviews,
    ("GET", f"{REPOSITORY}/collaborators/{{username}}/permission"): _permission,
    ("GET", f"{REPOSITORY}/contents/{{path}}"): _file,
}
