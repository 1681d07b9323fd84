"""Cut the part of a big schema that is needed, with all that it refers to.

`python -m tests.fakes.github_slice api.github.com.json webhooks.json` writes the two files that the local
forge is held to; where the inputs come from stands in NOTICE.md beside them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leverframe.local.github.schema import API, WEBHOOKS

_R = "/repos/{owner}/{repo}"
PATHS = {
    "/user": ["get"],
    "/users/{username}": ["get"],
    _R: ["get"],
    f"{_R}/issues": ["get", "post"],
    f"{_R}/issues/{{issue_number}}": ["get", "patch"],
    f"{_R}/assignees/{{assignee}}": ["get"],
    f"{_R}/issues/{{issue_number}}/comments": ["get", "post"],
    f"{_R}/issues/comments/{{comment_id}}": ["get", "patch", "delete"],
    f"{_R}/commits/{{ref}}/check-runs": ["get"],
    f"{_R}/commits/{{commit_sha}}/pulls": ["get"],
    f"{_R}/check-runs": ["post"],
    f"{_R}/check-runs/{{check_run_id}}": ["get", "patch"],
    f"{_R}/git/ref/{{ref}}": ["get"],
    f"{_R}/git/refs": ["post"],
    f"{_R}/git/refs/{{ref}}": ["patch"],
    f"{_R}/git/commits/{{commit_sha}}": ["get"],
    f"{_R}/git/commits": ["post"],
    f"{_R}/git/tags": ["post"],
    f"{_R}/git/tags/{{tag_sha}}": ["get"],
    f"{_R}/git/trees": ["post"],
    f"{_R}/git/trees/{{tree_sha}}": ["get"],
    f"{_R}/git/blobs/{{file_sha}}": ["get"],
    f"{_R}/deployments": ["get", "post"],
    f"{_R}/deployments/{{deployment_id}}": ["get"],
    f"{_R}/deployments/{{deployment_id}}/statuses": ["get", "post"],
    f"{_R}/actions/workflows/{{workflow_id}}": ["get"],
    f"{_R}/actions/workflows/{{workflow_id}}/dispatches": ["post"],
    f"{_R}/actions/workflows/{{workflow_id}}/runs": ["get"],
    f"{_R}/actions/runs": ["get"],
    f"{_R}/collaborators/{{username}}/permission": ["get"],
    f"{_R}/contents/{{path}}": ["get"],
    f"{_R}/rules/branches/{{branch}}": ["get"],
    f"{_R}/pulls": ["get", "post"],
    f"{_R}/pulls/{{pull_number}}": ["get", "patch"],
    f"{_R}/pulls/{{pull_number}}/merge": ["put"],
    f"{_R}/pulls/{{pull_number}}/reviews": ["get"],
    "/orgs/{org}/teams/{team_slug}/memberships/{username}": ["get"],
}
EVENTS = (
    "pull_request$opened", "pull_request$synchronize", "pull_request$closed", "pull_request$reopened",
    "pull_request$edited", "pull_request_review$submitted", "pull_request_review$dismissed", "issue_comment$created",
    "merge_group$checks_requested", "workflow_run$completed", "workflow_run$requested", "push$event",
    "workflow_dispatch$event", "repository_dispatch$event",
)  # fmt: skip


def api_slice(whole: dict[str, Any]) -> dict[str, Any]:
    """Return the paths of ``PATHS`` with the components they refer to, examples and descriptions left out."""
    paths = {}
    for path, methods in PATHS.items():
        operations = whole["paths"][path]
        paths[path] = {key: operations[key] for key in ("parameters", *methods) if key in operations}
    components: dict[str, Any] = {}
    waiting = list(_references(paths))
    while waiting:
        kind, name = waiting.pop()
        if name not in components.setdefault(kind, {}):
            components[kind][name] = whole["components"][kind][name]
            waiting += _references(components[kind][name])
    head = {name: whole[name] for name in ("openapi", "info")}
    bare: dict[str, Any] = _bare({**head, "paths": paths, "components": components})
    return bare


def webhook_slice(whole: dict[str, Any]) -> dict[str, Any]:
    """Return the definitions of ``EVENTS`` with those they refer to."""
    definitions: dict[str, Any] = {}
    waiting = list(EVENTS)
    while waiting:
        name = waiting.pop()
        if name not in definitions:
            definitions[name] = whole["definitions"][name]
            waiting += [reference for _, reference in _references(definitions[name])]
    bare: dict[str, Any] = _bare({"$schema": whole["$schema"], "definitions": definitions})
    return bare


def _references(content: Any) -> Iterator[tuple[str, str]]:
    if isinstance(content, dict):
        for key, value in content.items():
            if key == "$ref" and isinstance(value, str):
                kind, name = value.split("/")[-2:]
                if kind != "examples":
                    yield kind, name
            elif key not in ("examples", "example"):
                yield from _references(value)
    elif isinstance(content, list):
        for part in content:
            yield from _references(part)


def _bare(content: Any, *, names: bool = False) -> Any:
    """Return a schema without prose; ``names`` tells that the keys are names and not words of the schema."""
    if isinstance(content, list):
        return [_bare(part) for part in content]
    if not isinstance(content, dict):
        return content
    prose = () if names else ("examples", "example", "description", "externalDocs", "x-github", "summary", "tags")
    kept = {}
    for key, value in content.items():
        is_prose = key in prose and not (key == "description" and isinstance(value, dict))
        if not is_prose:
            kept[key] = _bare(value, names=key in ("properties", "schemas", "definitions", "paths", "responses"))
    return kept


if __name__ == "__main__":
    for cut, source, target in ((api_slice, sys.argv[1], API), (webhook_slice, sys.argv[2], WEBHOOKS)):
        content = cut(json.loads(Path(source).read_bytes()))
        target.write_text(json.dumps(content, separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8")
