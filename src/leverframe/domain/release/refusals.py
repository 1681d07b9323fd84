"""What stands against a deployment in the same words, whether a server or a cluster is deployed to."""

from __future__ import annotations

from collections.abc import Sequence

from leverframe.domain.model.bundle.schema import Schema, breaking
from leverframe.domain.verdict import Reason, Violation


def incompatible(served: Schema, asked: Schema) -> Violation | None:
    """Return what stands against a schema that would wrong the clients of the served one; None if nothing does."""
    wrongs = breaking(served, asked)
    if not wrongs:
        return None
    more = f"; and {len(wrongs) - 3} more" if len(wrongs) > 3 else ""
    return Violation(
        Reason.SCHEMA_INCOMPATIBLE,
        f"clients of the served release would be refused: {'; '.join(wrongs[:3])}{more}",
        "deploy it under another `bundle.model`, beside the served one",
    )


def refused_before(bundle: str, why: str) -> Violation:
    """Return what stands against a bundle that failed here before."""
    return Violation(
        Reason.REFUSED_BEFORE,
        f"bundle {bundle[:12]} was refused here before: {why}",
        "deploy another commit, or `--again` to try the same bundle once more",
    )


def nothing_to_restore(environment: str, number: int | None, known: Sequence[int]) -> Violation:
    """Return what stands against going back to a release that is not there."""
    told = f"`{environment}` has no earlier release {number if number is not None else ''}".rstrip()
    return Violation(
        Reason.NOTHING_TO_RESTORE,
        f"{told}; it has {', '.join(map(str, known)) or 'none'}",
        "`leverframe deploy` with the commit that should serve",
    )
