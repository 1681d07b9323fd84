"""A stand-in for GitHub on the loopback: stateful, over real git, held to GitHub's own description of itself."""

from __future__ import annotations

from leverframe.local.github.events import pull_request_event, workflow_run_event
from leverframe.local.github.server import Fault, Request, StandIn, serving
from leverframe.local.github.state import Check, Comment, PullRequest, Repository, Token

__all__ = [
    "Check",
    "Comment",
    "Fault",
    "PullRequest",
    "Repository",
    "Request",
    "StandIn",
    "Token",
    "pull_request_event",
    "serving",
    "workflow_run_event",
]
