"""The local forge: a GitHub server on the loopback, over real git, checked against GitHub's own API description."""

from __future__ import annotations

from leverframe.local.github.events import pull_request_event, workflow_run_event
from leverframe.local.github.server import Fault, LocalForge, Request, serving
from leverframe.local.github.state import Check, Comment, PullRequest, Repository, Token

__all__ = [
    "Check",
    "Comment",
    "Fault",
    "LocalForge",
    "PullRequest",
    "Repository",
    "Request",
    "Token",
    "pull_request_event",
    "serving",
    "workflow_run_event",
]
