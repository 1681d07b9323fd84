"""What is wrong with the repository on GitHub: rules of the branch, rights of the token, and who owns the code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leverframe.domain.doctor.diagnosis import Diagnosed
from leverframe.errors import guide_page

AREA = "GitHub"


@dataclass(frozen=True)
class ForgeFacts:
    """What GitHub says: required checks and whether owners must review on ``branch``, and what the token may do."""

    repository: str
    branch: str
    checks: tuple[str, ...]
    owners_review: bool
    may_write: bool
    fork: bool
    archived: bool


def forge_findings(facts: ForgeFacts, check: str, *, owners: bool) -> Iterator[Diagnosed]:
    """Yield the findings; ``check`` has to be required, ``owners`` says whether CODEOWNERS names somebody."""
    page = guide_page("gate-guarantees.md#what-you-must-set")
    settings = f"https://github.com/{facts.repository}/settings/rules"
    if facts.archived:
        yield Diagnosed(
            AREA, "wrong", f"{facts.repository} is archived: nothing can be written", "unarchive it in its settings"
        )
    if check in facts.checks:
        yield Diagnosed(AREA, "ok", f"`{facts.branch}` requires the check `{check}`")
    else:
        what = f"`{facts.branch}` does not require the check `{check}`, so everybody merges past the gate"
        yield Diagnosed(AREA, "wrong", what, f"{settings}: require the status check `{check}`; {page}")
    if facts.owners_review and owners:
        yield Diagnosed(AREA, "ok", f"`{facts.branch}` requires a review from code owners")
    elif owners:
        what = f"`{facts.branch}` requires no review from code owners, and the judge runs no code of a change"
        yield Diagnosed(AREA, "warning", what, f"{settings}: require review from Code Owners; {page}")
    else:
        what = "CODEOWNERS names nobody, so nobody can approve what the judge cannot verify"
        yield Diagnosed(AREA, "warning", what, "leverframe init --owner @LOGIN")
    if facts.may_write:
        yield Diagnosed(AREA, "ok", "the token may write, so it can post cards")
    else:
        fix = "give the job `permissions: {pull-requests: write, checks: write}`"
        yield Diagnosed(AREA, "warning", "the token may only read, so it posts no card", fix)
    if facts.fork:
        what = f"{facts.repository} is a fork: schedules are off in it until they are switched on"
        yield Diagnosed(AREA, "warning", what, f"https://github.com/{facts.repository}/actions: enable workflows")
