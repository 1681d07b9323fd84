"""Whether the default branch reproduces, told in one issue of the forge."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from leverframe.adapters import runner
from leverframe.adapters.git import Git
from leverframe.application.reproduce import ReproduceOptions
from leverframe.application.reproduce_phase import Phased, PhaseOptions, asked
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.review.reproduce_issue import REPRODUCE, ReproduceRecord, key, subject
from leverframe.errors import PublishError

if TYPE_CHECKING:
    from leverframe.adapters.github.issues import GithubIssues


def reproduce_main(
    workspace: Workspace,
    base: str | None,
    full: bool,
    tolerance: float,
    tell: Callable[[str], None],
    phase: PhaseOptions | None = None,
) -> tuple[Phased, str]:
    """Return what ran, as ``reproduce`` does, and the address of the issue of a mismatch, which is brought up to date.

    The commit is compared with the last one at which this workflow succeeded after a push: those between may never have
    been verified, as a run that waits is cancelled for a newer one. While a mismatch stands, it is compared with the
    last one that reproduced, and wholly where none is known. A phase before the last one leaves the issue as it is.
    Raises ``PublishError`` where there is no forge, or it refuses something.
    """
    git, project = workspace.git, workspace.project
    issues, label = _issues(), workspace.levers.reproduce.issue_label
    record = _standing(issues, label, workspace)
    if record is not None:
        verified = record.verified if git.commit_of(record.verified or "0" * 40) else ""
        base, full = (verified, full) if verified else (base, True)
        tell(f"a mismatch stands: comparing with {verified[:12] or 'everything'}")
    else:
        base = base if full else _succeeded(git) or base
        verified = "" if full else git.base(base).commit
    phased = asked(workspace, ReproduceOptions(base, full, tolerance, tell), phase)
    result = phased.result
    if phase is not None and phase.number < phase.count:
        return phased, str(layout.lever("reproduce"))
    if record is not None and record.head != result.head and git.merge_base(result.head, record.head) == result.head:
        tell(f"the issue speaks of {record.head[:12]}, which came later, and stays as it is")
        return phased, str(layout.lever("reproduce"))
    url = REPRODUCE.shown(issues, label, subject(result, verified, project))
    return phased, url or str(layout.lever("reproduce"))


def _succeeded(git: Git) -> str:
    """Return the newest commit below this one at which this workflow succeeded; empty where none is known."""
    workflow, branch = runner.workflow()
    if not workflow:
        return ""
    from leverframe.adapters.github.workflow_runs import GithubRuns  # noqa: PLC0415 - of an extra

    head = git.named("HEAD")
    commits = GithubRuns(runner.api(), runner.repository(), runner.token()).succeeded(workflow, branch)
    known = (commit for commit in commits if commit != head and git.commit_of(commit))
    return next((commit for commit in known if git.merge_base(commit, head) == commit), "")


def _standing(issues: GithubIssues, label: str, workspace: Workspace) -> ReproduceRecord | None:
    """Return the record of a mismatch that stands, whoever closed its issue; a damaged one names no commit."""
    mine = REPRODUCE.of(issues.listed(label), key(workspace.project))
    if mine is None:
        return None
    record = REPRODUCE.record_of(mine)
    if record is None:
        return ReproduceRecord("damaged", "", "") if mine.open else None
    return record if record.digest else None


def _issues() -> GithubIssues:
    if not (runner.repository() and runner.token()):
        raise PublishError(
            "there is no forge to open an issue on",
            why="GITHUB_REPOSITORY and GITHUB_TOKEN are not set",
            next="run it in a workflow, with the token as input of the action; or leave `--issue` out",
        )
    if other := runner.other_branch():
        raise PublishError(
            f"`{other}` is not the default branch",
            why="the issue says whether that one reproduces, and would be closed or opened by another",
            next="run the workflow on the default branch; or leave `--issue` out",
        )
    from leverframe.adapters.github.issues import GithubIssues  # noqa: PLC0415 - of an extra

    return GithubIssues(runner.api(), runner.repository(), runner.token())
