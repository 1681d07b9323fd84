"""What the local forge knows of GraphQL: drafts and auto-merge, which REST cannot set, and who asks.

Names of inputs are those of GitHub's reference of GraphQL mutations. Errors come with status 200, as there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from leverframe.local.github.calls import node
from leverframe.local.github.state import AutoMerge, PullRequest, Repository, Token

_MUTATION = re.compile(r"^mutation\s+\w*\(\$input: (\w+)!\)\s*\{\s*(\w+)\(input: \$input\)")
_VIEWER = re.compile(r"^query\s*\{\s*viewer\s*\{\s*login\s*\}\s*\}$")
_ALWAYS = frozenset({"clientMutationId", "pullRequestId"})
INPUTS: Mapping[str, frozenset[str]] = {
    "enablePullRequestAutoMerge": _ALWAYS
    | {"authorEmail", "commitBody", "commitHeadline", "expectedHeadOid", "mergeMethod"},
    "disablePullRequestAutoMerge": _ALWAYS,
    "convertPullRequestToDraft": _ALWAYS,
    "markPullRequestReadyForReview": _ALWAYS,
}
_METHODS = ("MERGE", "SQUASH", "REBASE")


class _RefusedError(Exception):
    """An error of GraphQL: its type and its message."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def fault(body: Any) -> str:
    """Return how a request violates GitHub's reference; empty where it does not."""
    query, given = str(body.get("query", "")).strip(), body.get("variables", {}).get("input", {})
    if _VIEWER.match(query):
        return ""
    asked = _MUTATION.match(query)
    if not asked or asked[2] not in INPUTS or asked[1] != f"{asked[2][:1].upper()}{asked[2][1:]}Input":
        return f"POST /graphql: nothing is known of {query[:100]!r}"
    unknown = set(given) - INPUTS[asked[2]]
    return f"POST /graphql: {asked[2]} has no input {sorted(unknown)}" if unknown else ""


def respond(body: Any, token: Token, repositories: Mapping[str, Repository]) -> dict[str, Any]:
    """Return the response to a request without a fault."""
    query = str(body["query"]).strip()
    if _VIEWER.match(query):
        return {"data": {"viewer": {"login": token.login}}}
    name = (_MUTATION.match(query) or [""] * 3)[2]
    given = body["variables"]["input"]
    try:
        repository, pull = _found(given, repositories)
        if "pull-requests" not in token.writes or ("AutoMerge" in name and "contents" not in token.writes):
            raise _RefusedError("FORBIDDEN", "Resource not accessible by integration")
        _DO[name](repository, pull, given, token)
    except _RefusedError as error:
        return {"data": {name: None}, "errors": [{"type": error.kind, "path": [name], "message": str(error)}]}
    shown = {"pullRequest": {"isDraft": pull.draft}} if "Draft" in name or "Ready" in name else {"actor": None}
    return {"data": {name: {"clientMutationId": given.get("clientMutationId"), **shown}}}


def _found(given: Mapping[str, Any], repositories: Mapping[str, Repository]) -> tuple[Repository, PullRequest]:
    for repository in repositories.values():
        for pull in repository.pulls.values():
            if node(repository, pull) == given.get("pullRequestId"):
                return repository, pull
    raise _RefusedError(
        "NOT_FOUND", f"Could not resolve to a node with the global id of '{given.get('pullRequestId')}'"
    )


def _enable(repository: Repository, pull: PullRequest, given: Mapping[str, Any], token: Token) -> None:
    method = given.get("mergeMethod", "MERGE")
    if pull.auto_merge is None:
        wrong = {
            "Auto merge is not allowed for this repository": not repository.auto_merges,
            "Pull request is closed": pull.state != "open",
            "Pull request is in draft state": pull.draft,
            "Head sha didn't match expected OID": given.get("expectedHeadOid", pull.head) != pull.head,
            "Merge method is not allowed": method not in _METHODS,
            "Protected branch rules not configured for this branch": not repository.required.get(pull.base),
            "Pull request is in clean status": not repository.missing(pull),
        }
        why = next((message for message, holds in wrong.items() if holds), "")
        if why:
            raise _RefusedError("UNPROCESSABLE", f"Pull request {why}")
    pull.auto_merge = AutoMerge(token.login, str(method).lower())


def _disable(_: Repository, pull: PullRequest, _given: Mapping[str, Any], _token: Token) -> None:
    if pull.auto_merge is None:
        raise _RefusedError("UNPROCESSABLE", "Can't disable auto-merge for this pull request")
    pull.auto_merge = None


def _to_draft(repository: Repository, pull: PullRequest, _given: Mapping[str, Any], _token: Token) -> None:
    if pull.draft or pull.state != "open" or not repository.drafts:
        raise _RefusedError("UNPROCESSABLE", "Draft state can only be changed on open, ready pull requests")
    pull.draft = True


def _to_ready(repository: Repository, pull: PullRequest, _given: Mapping[str, Any], _token: Token) -> None:
    if not pull.draft or pull.state != "open":
        raise _RefusedError("UNPROCESSABLE", "Pull request is not a draft")
    pull.draft = False
    repository.settle()


_DO: dict[str, Callable[[Repository, PullRequest, Mapping[str, Any], Token], None]] = {
    "enablePullRequestAutoMerge": _enable,
    "disablePullRequestAutoMerge": _disable,
    "convertPullRequestToDraft": _to_draft,
    "markPullRequestReadyForReview": _to_ready,
}
