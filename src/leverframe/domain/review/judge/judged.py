"""What the judge found of a change, and which paths of it an owner has to approve; plain data, as the card is."""

from __future__ import annotations

from dataclasses import dataclass

from leverframe.domain.verdict import Reason, Violation
from leverframe.words import first_few


@dataclass(frozen=True)
class OwnerReview:
    """The paths of a change that no code of the base branch can judge, and who of their owners approved the commit.

    ``paths`` has the first of ``count`` paths, in order; ``approved_by`` has a login for each approval that counts, and
    ``missing`` the paths that no approval is for: it equals ``paths`` until somebody has looked at the reviews.
    ``owners`` names who may approve what is missing, as the reader of the card would ask them.
    """

    count: int
    paths: tuple[str, ...]
    missing: tuple[str, ...]
    owners: tuple[str, ...] = ()
    approved_by: tuple[str, ...] = ()

    @property
    def violations(self) -> tuple[Violation, ...]:
        """Return ``needs-owner`` while an approval is missing."""
        if not self.missing:
            return ()
        shown = first_few([f"`{path}`" for path in self.missing], 3)
        who = ", ".join(self.owners) or "a code owner"
        return (
            Violation(
                Reason.NEEDS_OWNER,
                f"the judge runs no code of a change, and this one edits {shown}",
                f"let {who} approve this commit in a review",
            ),
        )


@dataclass(frozen=True)
class Judged:
    """What the judge found: ``base`` is the branch, ``tip`` its commit, ``merged`` the tree of both sides.

    ``ran`` names the stages that it ran with the code of the tip; ``owed`` is None where it could judge every path;
    ``notes`` say what it could not, and what differs without harm.
    """

    base: str
    tip: str
    head: str
    merged: str = ""
    ran: tuple[str, ...] = ()
    owed: OwnerReview | None = None
    found: tuple[Violation, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def violations(self) -> tuple[Violation, ...]:
        """Return what it found, then what an owner owes."""
        return (*self.found, *(self.owed.violations if self.owed else ()))
