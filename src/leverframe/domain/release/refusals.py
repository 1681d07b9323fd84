"""Violations that a deployment to any target may have."""

from __future__ import annotations

from collections.abc import Sequence

from leverframe.domain.model.bundle.schema import Schema, breaking
from leverframe.domain.release.latency import Paced, PaceRule
from leverframe.domain.release.replay import Replayed
from leverframe.domain.verdict import Reason, Violation
from leverframe.words import first_few


def incompatible(served: Schema, asked: Schema) -> Violation | None:
    """Return the violation of a schema that breaks clients of the served one; None where it breaks none."""
    changes = breaking(served, asked)
    if not changes:
        return None
    named = first_few(changes, 3, "; ", "; and ")
    return Violation(
        Reason.SCHEMA_INCOMPATIBLE,
        f"clients of the served release would be refused: {named}",
        "deploy it under another `bundle.model`, beside the served one",
    )


def too_slow(paced: Paced, rule: PaceRule) -> Violation:
    """Return the violation of a candidate that takes longer than the rule allows."""
    return Violation(
        Reason.TOO_SLOW,
        f"{paced.line()}; {rule.words}",
        "make the model cheaper, or allow more by `deploy.maximum_slowdown` and `deploy.slowdown_floor_ms`",
    )


def replay_differs(replayed: Replayed, allowed: float) -> Violation:
    """Return the violation of a candidate that predicts too many rows otherwise."""
    return Violation(
        Reason.REPLAY_DIFFERS,
        f"{replayed.line()}; the rule is {allowed:.1%}",
        "look at the flips with `--json`; `deploy.maximum_disagreement` allows more",
    )


def damaged(why: str) -> Violation:
    """Return the violation of files that are not the bundle."""
    return Violation(Reason.BUNDLE_DAMAGED, why, "`dvc repro bundle`, then `dvc push`")


def refused_before(bundle: str, why: str) -> Violation:
    """Return the violation of a bundle that failed here before."""
    return Violation(
        Reason.REFUSED_BEFORE,
        f"bundle {bundle[:12]} was refused here before: {why}",
        "deploy another commit, or `--again` to try the same bundle once more",
    )


def nothing_to_restore(environment: str, number: int | None, known: Sequence[int]) -> Violation:
    """Return the violation of a rollback to a release that is not there."""
    missing = f"`{environment}` has no earlier release {number if number is not None else ''}".rstrip()
    return Violation(
        Reason.NOTHING_TO_RESTORE,
        f"{missing}; it has {', '.join(map(str, known)) or 'none'}",
        "`leverframe deploy` with the commit that should serve",
    )
