"""The event files that GitHub passes to a run, valid against its webhook schemas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from leverframe.local.github import schema
from leverframe.local.github.routes import pull_body
from leverframe.local.github.state import Issue, PullRequest, Repository

_ADDRESS = "https://github.example.org"


def pull_request_event(
    repository: Repository, pull: PullRequest, action: str = "opened", *, before: str = ""
) -> dict[str, Any]:
    """Return the payload of `pull_request`; raises ``AssertionError`` if it violates GitHub's schema.

    ``before`` is the branch that a pull request which was `edited` went into.
    """
    values: dict[str, Any] = {"action": action, "number": pull.number, "repository": _home(repository)}
    values["pull_request"] = pull_body(_ADDRESS, repository, pull)
    if action == "synchronize":
        values |= {"before": "0" * 40, "after": pull.head}
    if action == "edited":
        changed = {"base": {"ref": {"from": before}, "sha": {"from": repository.commit(before)}}}
        values |= {"changes": changed if before else {"title": {"from": "another title"}}}
    return _checked(f"pull_request${action}", values)


def review_event(repository: Repository, pull: PullRequest, action: str = "submitted") -> dict[str, Any]:
    """Return the payload of `pull_request_review`, `submitted` as an approval or `dismissed`."""
    state = "approved" if action == "submitted" else action
    values = {"action": action, "repository": _home(repository), "review": {"state": state}}
    body = pull_body(_ADDRESS, repository, pull)
    values["pull_request"] = {name: value for name, value in body.items() if name != "merged"}  # a shorter form
    return _checked(f"pull_request_review${action}", values)


def issue_comment_event(repository: Repository, on: PullRequest | Issue) -> dict[str, Any]:
    """Return the payload of `issue_comment`: of a pull request it says the number, and no commit."""
    address = f"{_ADDRESS}/repos/{repository.full_name}/pulls/{on.number}"
    linked = {"url": address, "html_url": address, "diff_url": address, "patch_url": address}
    issue = {"number": on.number, "title": on.title, "state": on.state, "user": {"login": on.author}}
    values = {"action": "created", "issue": issue, "repository": _home(repository), "comment": {"body": "/check"}}
    payload = _checked("issue_comment$created", values)
    if isinstance(on, PullRequest):
        payload["issue"]["pull_request"] = linked
    return payload


def merge_group_event(repository: Repository, pull: PullRequest, head: str) -> dict[str, Any]:
    """Return the payload of `merge_group`: the queue made the commit ``head`` of what is to be merged."""
    group = {
        "head_sha": head,
        "head_ref": f"refs/heads/gh-readonly-queue/{pull.base}/pr-{pull.number}-{repository.tip(pull.base)}",
        "base_ref": f"refs/heads/{pull.base}",
        "base_sha": repository.tip(pull.base),
    }
    values = {"action": "checks_requested", "merge_group": group, "repository": _home(repository)}
    return _checked("merge_group$checks_requested", values)


def push_event(repository: Repository, reference: str, *, deleted: bool = False) -> dict[str, Any]:
    """Return the payload of `push` to a reference such as `refs/heads/main`."""
    values = {"ref": reference, "before": "0" * 40, "created": not deleted, "deleted": deleted, "forced": False}
    values |= {"after": "0" * 40 if deleted else repository.commit(reference), "repository": _home(repository)}
    return _checked("push$event", values)


def repository_dispatch_event(repository: Repository, content: dict[str, Any]) -> dict[str, Any]:
    """Return the payload of `repository_dispatch`, whose content is whatever its sender likes."""
    values = {"action": "check", "branch": "main", "client_payload": content, "repository": _home(repository)}
    return _checked("repository_dispatch$event", values)


def workflow_run_event(
    repository: Repository,
    pull: PullRequest,
    run: int,
    conclusion: str = "success",
    event: str = "pull_request",
    named: Sequence[PullRequest] = (),
    **more: Any,
) -> dict[str, Any]:
    """Return the payload of `workflow_run` after the workflow of a pull request ended; ``event`` started that.

    Without a ``conclusion`` it is that of a run that was just requested. ``named`` are the pull requests that it lists:
    on GitHub none of a fork, nor of a run by hand. ``more`` are other fields of the run, such as ``run_attempt``.
    """
    home = pull.source
    values = {
        "action": "completed" if conclusion else "requested",
        "repository": _home(repository),
        "workflow_run": {
            "id": run,
            "run_attempt": 1,
            "event": event,
            "conclusion": conclusion or None,
            "status": "completed" if conclusion else "queued",
            "head_branch": pull.branch,
            "head_sha": pull.head or pull.last,
            "head_repository": _home(home),
            "repository": _home(repository),
            "pull_requests": [_named(repository, named_pull) for named_pull in named],
            **more,
        },
    }
    return _checked(f"workflow_run${values['action']}", values)


def _named(repository: Repository, pull: PullRequest) -> dict[str, Any]:
    address = f"{_ADDRESS}/repos/{repository.full_name}"

    def end(reference: str, commit: str) -> dict[str, Any]:
        return {"ref": reference, "sha": commit, "repo": {"id": 1, "url": address, "name": repository.name}}

    ends = {"head": end(pull.branch, pull.head), "base": end(pull.base, repository.tip(pull.base))}
    return {"id": pull.number, "number": pull.number, "url": f"{address}/pulls/{pull.number}", **ends}


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
