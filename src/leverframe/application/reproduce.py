"""Run what is stale and what proves the figures, and keep the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from leverframe.adapters.working_tree.remote import Remote
from leverframe.application.pipeline import PipelineRun
from leverframe.application.results import forget, kept
from leverframe.application.untouched import untouched
from leverframe.application.workspace import Workspace
from leverframe.domain.review.check import LOCK, suspects
from leverframe.domain.review.reproduce import Order, Reproduced, run


def reproduce(
    workspace: Workspace, base: str | None, full: bool, tolerance: float, tell: Callable[[str], None]
) -> Reproduced:
    """Return what ran and whether the figures came out the same."""
    root, git = workspace.root, workspace.git
    forget(root, "reproduce")
    since = git.base(base)
    unaffected = "" if full else untouched(workspace, since.commit)
    if unaffected:
        return kept(root, "reproduce", Reproduced(git.named("HEAD"), notes=(*since.notes, unaffected)))
    before = git.show(since.commit, LOCK) or b""
    pipeline = PipelineRun.of(workspace, root, tell)
    odd = suspects(before.decode(errors="replace"), pipeline.text(LOCK))
    order = Order(git.named("HEAD"), full, Remote.of(root) is not None, odd, tolerance, tell)
    result = run(pipeline, order)
    return kept(root, "reproduce", replace(result, notes=(*since.notes, *result.notes)))
