"""What the runner of a workflow tells: the event, the addresses, the token."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from leverframe.domain.review.report.concerned_pulls import ConcernedPulls, concerned
from leverframe.domain.review.report.pull_of_run import NoPull, RunOrder, RunPull, order_of, where
from leverframe.errors import PublishError

_PAYLOAD = 5_000_000  # bytes


def in_workflow() -> bool:
    """Tell whether this is a step of a workflow, which cannot see how steps before it ended."""
    return os.environ.get("GITHUB_ACTIONS") == "true" or bool(os.environ.get("GITHUB_EVENT_NAME"))


def event() -> RunPull | NoPull | None:
    """Return the pull request that this run belongs to, or why it has none; None outside of a workflow.

    Raises ``PublishError`` for an event file that cannot be read.
    """
    name = os.environ.get("GITHUB_EVENT_NAME", "")
    payload = _payload()
    return None if payload is None else where(name, payload, os.environ)


def concern(number: int | None) -> ConcernedPulls | NoPull:
    """Return which pull requests the event of this run asks a verdict for, or ``number`` alone.

    Raises ``PublishError`` for an event file that cannot be read.
    """
    return concerned(os.environ.get("GITHUB_EVENT_NAME", ""), _payload() or {}, os.environ, number)


def order() -> RunOrder:
    """Return the number of this run, and of its attempt."""
    return order_of(os.environ)


def labels() -> tuple[str, ...]:
    """Return the labels that the pull request of this run had when it began; raises as ``event`` does."""
    pull = (_payload() or {}).get("pull_request")
    listed = pull.get("labels") if isinstance(pull, dict) else None
    names = [label.get("name") for label in listed if isinstance(label, dict)] if isinstance(listed, list) else []
    return tuple(name for name in names if isinstance(name, str))


def default_branch() -> str:
    """Return the default branch of the repository of this run; empty where no event tells it."""
    with suppress(PublishError):
        return _default_branch(_payload() or {})
    return ""


def target_branch() -> str:
    """Return the branch that the pull request of this run goes to; empty where no event tells it."""
    with suppress(PublishError):
        run = event()
        return run.base if isinstance(run, RunPull) else ""
    return ""


def _default_branch(payload: Mapping[str, Any]) -> str:
    repository = payload.get("repository")
    name = repository.get("default_branch") if isinstance(repository, dict) else None
    return name if isinstance(name, str) else ""


def _payload() -> dict[str, Any] | None:
    """Return what the event file holds; None outside of a workflow."""
    path = os.environ.get("GITHUB_EVENT_PATH", "")
    if not path or not os.environ.get("GITHUB_EVENT_NAME"):
        return None
    try:
        data = Path(path).read_bytes()
        payload = json.loads(data) if len(data) <= _PAYLOAD else None
    except (OSError, ValueError) as error:
        raise PublishError(
            "the event file of the run cannot be read", why=str(error)[:200], next="`--publisher file` needs none"
        ) from error
    return payload if isinstance(payload, dict) else {}


def token() -> str:
    """Return the token of the job; empty where it was given none."""
    return os.environ.get("GITHUB_TOKEN") or os.environ.get("REPO_TOKEN") or ""


def repository() -> str:
    """Return the repository ``owner/name`` that the run belongs to; empty outside of a workflow."""
    return os.environ.get("GITHUB_REPOSITORY") or ""


def workflow() -> tuple[str, str]:
    """Return the file name of the workflow that runs, and its branch; empty ones outside of a workflow of a branch."""
    file, _, ref = (os.environ.get("GITHUB_WORKFLOW_REF") or "").partition("@")
    branch = ref.removeprefix("refs/heads/")
    return (file.rpartition("/")[2], branch) if branch != ref else ("", "")


def other_branch() -> str:
    """Return the branch of this run where it is not the default one of the repository; empty where nothing tells."""
    branch, default = (os.environ.get("GITHUB_REF") or "").removeprefix("refs/heads/"), default_branch()
    return branch if branch and default and branch != default else ""


def api() -> str:
    """Return the address of the REST interface."""
    return os.environ.get("GITHUB_API_URL") or "https://api.github.com"


def server() -> str:
    """Return the address of the site, which repositories are named by."""
    return os.environ.get("GITHUB_SERVER_URL") or "https://github.com"
