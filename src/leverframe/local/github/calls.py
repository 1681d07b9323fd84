"""One call of the REST API and its response, and what every route uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from leverframe.local.github import schema
from leverframe.local.github.state import PullRequest, Repository, Token

REPOSITORY = "/repos/{owner}/{repo}"
BOT = "github-actions[bot]"  # who acts with the token of a workflow
LONGEST = 65_536  # characters of a comment, or of the body of an issue


@dataclass(frozen=True)
class Call:
    """One request: the variables of its path, the query, the body, and the caller."""

    method: str
    template: str
    variables: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    token: Token
    address: str


@dataclass(frozen=True)
class Response:
    """One response; ``pages`` is set for lists: how many there are of ``per_page``."""

    status: int
    body: Any
    pages: int = 0


class Refused(Exception):  # noqa: N818 - it is a response, not a failure of the program
    """The error response that GitHub would give."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        body = {"message": message, "documentation_url": "https://example.org/", "status": str(status)}
        self.response = Response(status, body)


def may(call: Call, permission: str) -> None:
    """Raise ``Refused`` if the token may not write."""
    if permission not in call.token.writes:
        raise Refused(403, "Resource not accessible by integration")


def person(login: str) -> dict[str, Any]:
    """Return the response for an account."""
    return {"login": login, "id": sum(map(ord, login)), "type": "Bot" if login.endswith("[bot]") else "User"}


def text(call: Call) -> str:
    """Return the body that a call gives; raises ``Refused`` for one that is too long or blank."""
    given = str(call.body["body"])
    if len(given) > LONGEST:
        raise Refused(422, f"Validation Failed: body is too long (maximum is {LONGEST} characters)")
    if not given.strip():
        raise Refused(422, "Validation Failed: body can't be blank")
    return given


def path(repository: Repository) -> str:
    """Return the path of a repository in the API."""
    return f"/repos/{repository.full_name}"


def node(repository: Repository, pull: PullRequest) -> str:
    """Return the name of a pull request in GraphQL."""
    return f"PR_{repository.full_name}_{pull.number}"


def page(call: Call, entries: list[dict[str, Any]]) -> Response:
    """Return one page of a list."""
    size, number = int(call.query.get("per_page", "30")), int(call.query.get("page", "1"))
    size = min(size, 100)
    shown = entries[(number - 1) * size : number * size]
    return Response(
        200, [schema.response(call.template, "get", 200, entry) for entry in shown], -(-len(entries) // size)
    )


Route = Callable[[Call, Repository], Response]
