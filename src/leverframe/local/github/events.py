"""The event files that GitHub passes to a run, valid against its webhook schemas."""

from __future__ import annotations

from typing import Any

from leverframe.local.github import schema
from leverframe.local.github.routes import pull_body
from leverframe.local.github.state import PullRequest, Repository

_ADDRESS = "https://github.example.org"


def pull_request_event(repository: Repository, pull: PullRequest, action: str = "opened") -> dict[str, Any]:
    """Return the payload of `pull_request`; raises ``AssertionError`` if it violates GitHub's schema."""
    values: dict[str, Any] = {"action": action, "number": pull.number, "repository": _home(repository)}
    values["pull_request"] = pull_body(_ADDRESS, repository, pull)
    if action == "synchronize":
        values |= {"before": "0" * 40, "after": pull.head}
    return _checked(f"pull_request${action}", values)


def workflow_run_event(
    repository: Repository, pull: PullRequest, run: int, conclusion: str = "success", event: str = "pull_request"
) -> dict[str, Any]:
    """Return the payload of `workflow_run` after the workflow of a pull request ended; ``event`` started that.

    As on GitHub, it does not name the pull request of a fork, nor that of a run that was dispatched.
    """
    home = pull.source
    values = {
        "action": "completed",
        "repository": _home(repository),
        "workflow_run": {
            "id": run,
            "event": event,
            "conclusion": conclusion,
            "status": "completed",
            "head_branch": pull.branch,
            "head_sha": pull.head,
            "head_repository": _home(home),
            "repository": _home(repository),
            "pull_requests": [],
        },
    }
    return _checked("workflow_run$completed", values)


def workflow_dispatch_event(repository: Repository, branch: str) -> dict[str, Any]:
    """Return the payload of `workflow_dispatch` on a branch, as far as a run reads it."""
    home = {**_home(repository), "default_branch": "main"}
    return {"inputs": None, "ref": f"refs/heads/{branch}", "repository": home, "sender": {"login": repository.owner}}


def _home(repository: Repository) -> dict[str, Any]:
    return {"name": repository.name, "full_name": repository.full_name, "owner": {"login": repository.owner}}


def _checked(event: str, values: dict[str, Any]) -> dict[str, Any]:
    payload = schema.webhook(event, values)
    fault = schema.webhook_fault(event, payload)
    if fault:
        raise AssertionError(fault)
    return payload
