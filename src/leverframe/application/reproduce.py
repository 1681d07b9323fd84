"""Run what is stale and what proves the figures, and keep the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from leverframe.adapters.working_tree.remote import Remote
from leverframe.application.rerun import Rerun
from leverframe.application.results import forget, kept
from leverframe.application.status import status
from leverframe.application.untouched import untouched
from leverframe.application.workspace import Workspace
from leverframe.domain.pipeline.status.lock import entries
from leverframe.domain.review.check import LOCK
from leverframe.domain.review.reproduce import Order, Reproduced, run
from leverframe.errors import LeverframeError
from leverframe.settings import LEVERS
from leverframe.settings.levers import levers_of


def reproduce(
    workspace: Workspace, base: str | None, full: bool, tolerance: float, tell: Callable[[str], None]
) -> Reproduced:
    """Return what ran and whether the figures came out the same."""
    root, git = workspace.root, workspace.git
    forget(root, "reproduce")
    since = git.base(base)
    unaffected = "" if full else untouched(workspace, since)
    if unaffected:
        return kept(root, "reproduce", Reproduced(git.named("HEAD"), notes=(*since.notes, unaffected)))
    before = git.show(since.commit, LOCK) or b""
    stored = status(root).stored
    for path, content in stored.items():  # DVC hashes the bytes that are here; to git they are the same
        (root / path).write_bytes(content)
    pipeline = Rerun.of(workspace, root, tell)
    known = entries(before.decode(errors="replace"), f"{LOCK} of the base branch")
    declared, changes = _tolerance(git.show(since.commit, str(LEVERS)) or b"", pipeline.text(str(LEVERS)))
    order = Order(git.named("HEAD"), full, Remote.of(root) is not None, known, tolerance, declared, tell)
    result = run(pipeline, order)
    notes = (*since.notes, *_converted(stored), *result.notes, *changes)
    return kept(root, "reproduce", replace(result, notes=notes))


def _converted(stored: Mapping[str, bytes]) -> tuple[str, ...]:
    names = "1 file was" if len(stored) == 1 else f"{len(stored):,} files were"
    return (f"{names} written as git stores: line ends or a filter had other bytes here",) if stored else ()


def _tolerance(base: bytes, here: str) -> tuple[dict[str, float], list[str]]:
    """Return how far metrics may differ by the settings of the base, and what this change would make of that.

    A change cannot loosen what it is judged by: a tolerance applies once it is merged.
    """
    before = levers_of(base.decode(errors="replace"), name=f"{LEVERS} of the base branch").reproduce.tolerance
    try:
        after = levers_of(here, name=str(LEVERS)).reproduce.tolerance
    except LeverframeError:  # `check` says what is wrong with it
        return before, []
    names = [name for name in sorted(before | after) if before.get(name) != after.get(name)]
    return before, [
        f"this change edits `reproduce.tolerance.{name}`: `{before.get(name, 'none')}` to `{after.get(name, 'none')}`; "
        "it applies once it is merged"
        for name in names
    ]
