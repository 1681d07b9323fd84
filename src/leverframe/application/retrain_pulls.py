"""Pull requests of retraining: how they stand, and what is brought up to date."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from leverframe.adapters.git.host import HostedGit
from leverframe.adapters.working_tree.remote import Remote
from leverframe.application.pipeline import PipelineRun
from leverframe.application.pull_requests import Branches, OpenForge, Published, PullOptions, proposals_of
from leverframe.application.record import artifact_in
from leverframe.application.retrain_base import levers_at, recorded_md5
from leverframe.application.retrain_names import branch_in, checking_workflow
from leverframe.application.reverts import RevertRequest, known_before, reverted
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.retraining.attempt import Attempt, Cause, Comparison, Outcome
from leverframe.domain.retraining.pulls import pull_body
from leverframe.domain.retraining.pulls.pull_commit import own
from leverframe.domain.retraining.pulls.pull_moot import REWRITTEN, moot, proposes
from leverframe.domain.retraining.pulls.pull_plan import Proposed, PullPlan, planned
from leverframe.domain.retraining.pulls.pull_record import PullRecord, read
from leverframe.domain.retraining.pulls.pull_state import BRANCH, REVERT, StandingBranch, StandingPull
from leverframe.domain.retraining.retrain_result import Retrained
from leverframe.errors import LeverframeError, RemoteUnreachableError
from leverframe.settings.retrain import RetrainSettings

_KEPT = "refs/leverframe/retrain/{model}"  # the candidate in this clone, where there is no forge
_NOBODY = "GITHUB_REPOSITORY and GITHUB_TOKEN tell no forge to open a pull request on"
_NO_REMOTE = (
    "No DVC remote is configured, so nobody else has the outputs of this candidate: whoever checks it trains it again."
)


@dataclass(frozen=True)
class CandidateCommit:
    """A commit in a local clone in ``root``, on top of ``parent``, its DVC outputs in the shared cache."""

    root: Path
    commit: str
    parent: str


@dataclass(frozen=True)
class PulledBack:
    """A merged pull request whose model is worse on realised labels, the figures, and why in a sentence.

    ``before`` is the commit of the base before it was merged.
    """

    pull: StandingPull
    before: str
    comparison: Comparison
    why: str


def base_tip(workspace: Workspace) -> str:
    """Return the tip of the branch that pull requests go to, fetched into this clone; without a token it is HEAD."""
    forge, git = OpenForge.of(), HostedGit(workspace.git.root)
    if forge is None:
        return git.named("HEAD")
    target = forge.pulls.target()
    heads = git.heads(forge.host, target)
    git.brought(forge.host, heads)
    return forge.tip(target, heads)


def standing(workspace: Workspace, model: str) -> StandingBranch:
    """Return how the branch and the pull requests of a model stand; fetches both tips into this clone.

    Without a token of the forge, they are those of this clone, and there is no pull request.
    """
    forge = OpenForge.of()
    git = HostedGit(workspace.git.root)
    if forge is None:
        name = branch_in(workspace, _KEPT, model)
        base, head = git.named("HEAD"), git.kept(name)
        ours, evidence = own(git, head, base) if head else (False, "")
        return StandingBranch(branch_in(workspace, BRANCH, model), "HEAD", base, head, ours, evidence=evidence)
    return forge.standing(git, branch_in(workspace, BRANCH, model))


def publish(
    workspace: Workspace,
    candidate: CandidateCommit | None,
    retrained: Retrained,
    there: StandingBranch,
    how: PullOptions,
) -> Published:
    """Bring the branch and the pull request of a candidate up to date; errors of the forge are in the result.

    Without a candidate, what a killed run left is finished, and a pull request that is moot is closed.
    """
    forge = OpenForge.of()
    if forge is None:
        return _kept(workspace, candidate, retrained, how)
    try:
        git = HostedGit(candidate.root if candidate else workspace.git.root)
        plan = _plan(workspace, forge, candidate, retrained, there, how)
        branches = Branches(git, forge.host, _outputs(workspace, candidate))
        return forge.executed(plan, there, branches, how)
    except LeverframeError as error:
        return Published((), proposals_of(there.open), (), error, stands=False)


def revert(workspace: Workspace, model: str, worse: PulledBack, how: PullOptions) -> Published:
    """Open the pull request that restores what served before a merged retraining, unless somebody closed it."""
    forge = OpenForge.of()
    if forge is None:
        return Published(notes=(f"no pull request takes #{worse.pull.number} back: {_NOBODY}",))
    try:
        done = reverted(HostedGit(workspace.git.root), forge, _order(workspace, model, worse, how.settings), how)
        return replace(done, proposals=tuple(replace(proposal, revert=True) for proposal in done.proposals))
    except LeverframeError as error:
        return Published(failure=error)


def _order(workspace: Workspace, model: str, worse: PulledBack, settings: RetrainSettings) -> RevertRequest:
    pull = worse.pull
    return RevertRequest(
        branch=branch_in(workspace, REVERT, model),
        model=model,
        evidence=pull.merge_commit,
        made=pull.merged_at,
        released=worse.before,
        left=pull.merge_commit,
        outputs=(_predicts(workspace, pull.merge_commit),),
        title=pull_body.revert_title(artifact_in(workspace, model)),
        text=lambda facts, merging: pull_body.revert_text(pull.number, worse.why, worse.comparison, merging, facts),
        causes=(Cause.PERFORMANCE,),
        workflow=checking_workflow(workspace, settings),
    )


def before_merge(workspace: Workspace, pull: StandingPull) -> str:
    """Return the commit of the base before a pull request was merged, whichever way GitHub merged it."""
    git = HostedGit(workspace.git.root)
    return known_before(git, OpenForge.of(), pull.number, pull.merge_commit, pull.head)


def _plan(
    workspace: Workspace,
    forge: OpenForge,
    candidate: CandidateCommit | None,
    retrained: Retrained,
    there: StandingBranch,
    how: PullOptions,
) -> PullPlan:
    settings, pull = how.settings, there.open
    record, workflow = read(pull.body) if pull else None, checking_workflow(workspace, settings)
    attempt = retrained.attempt if candidate and proposes(retrained.attempt) else None
    commits = (candidate.commit, candidate.parent) if candidate else (there.head, "")
    last = how.last if proposes(how.last) and there.ours and not there.rewritten else None
    if attempt is None and last and last.evidence == there.evidence:  # it was recorded, and its publication failed
        attempt, commits = last, (there.head, last.base)
    if attempt and (record is None or record.evidence != attempt.evidence or there.rewritten):
        return planned(there, _proposed(workspace, forge, attempt, commits, there, how), workflow)
    if record is None:
        return planned(there, None, workflow)
    why = REWRITTEN if there.rewritten else ""
    why = why or moot(record, retrained, _champion(workspace, there.base), settings.close_after_days)
    same = replace(record, dispatches=forge.dispatches(settings))
    merges = not record.wants_draft and settings.auto == "merge-when-green"
    return planned(there, Proposed("", "", same, merges=merges), workflow, why)


def _proposed(
    workspace: Workspace,
    forge: OpenForge,
    attempt: Attempt,
    commits: tuple[str, str],
    there: StandingBranch,
    how: PullOptions,
) -> Proposed:
    head, base = commits
    settings, champion = how.settings, _champion(workspace, base)
    remote = Remote.of(workspace.root)
    better = attempt.outcome is Outcome.BETTER
    facts = pull_body.PullFacts(
        branch=there.name,
        target=there.target,
        head=head,
        base=base,
        champion=champion,
        dashboard=how.dashboard,
        data="" if remote else _NO_REMOTE,
        watch_days=settings.watch_days,
    )
    record = PullRecord(
        model=attempt.model,
        evidence=attempt.evidence,
        made=attempt.at,
        causes=tuple(dict.fromkeys(cause.cause for cause in attempt.causes)),
        outcome=attempt.outcome,
        head=head,
        champion=champion,
        draft=not better,
        dispatches=forge.dispatches(settings),
    )
    merges = better and settings.auto == "merge-when-green"
    title = pull_body.title(artifact_in(workspace, attempt.model))
    return Proposed(title, pull_body.text(attempt, facts), record, outputs=bool(remote), merges=merges)


def _predicts(workspace: Workspace, commit: str) -> str:
    """Return the path of the model of a commit, or of the predictions of a pipeline of one's own."""
    declared = levers_at(workspace, commit).pipeline.predictions
    return layout.MODEL.as_posix() if declared is None else str(declared.path)


def _champion(workspace: Workspace, commit: str) -> str:
    """Return the digest of the model in the lock of a commit, or of its predictions; empty where none is recorded."""
    try:
        return recorded_md5(workspace.git.show(commit, "dvc.lock") or b"", _predicts(workspace, commit))
    except LeverframeError:  # settings or a lock that nobody can read name no model
        return ""


def _outputs(workspace: Workspace, candidate: CandidateCommit | None) -> Callable[[], str]:
    """Return what pushes the outputs of a candidate to the remote of this repository."""

    def push() -> str:
        if candidate is None:
            return ""
        if not PipelineRun.of(workspace, candidate.root, lambda _: None).push():
            raise RemoteUnreachableError(
                "the outputs of the candidate were not pushed to the DVC remote, so its branch was not pushed either",
                why="`dvc push` failed",
                next="check address, credentials and space of the remote, then run the same command again",
            )
        return ""

    return push


def _kept(workspace: Workspace, candidate: CandidateCommit | None, retrained: Retrained, how: PullOptions) -> Published:
    """Keep a candidate in this clone, where nobody publishes it."""
    if candidate is None or not proposes(retrained.attempt):
        return Published(notes=(f"no pull request was looked at: {_NOBODY}",))
    name, branch = (branch_in(workspace, form, retrained.model) for form in (_KEPT, BRANCH))
    note = (
        f"no pull request was opened: {_NOBODY}; `git switch -C {branch} {name} && dvc checkout && dvc push`, then "
        f"`git push --force-with-lease origin {branch}`, publish it"
    )
    step = f"keep {candidate.commit[:12]} as {name}"
    if not how.dry_run:
        how.tell(step)
        try:
            HostedGit(candidate.root).hand_over(workspace.git.top(), candidate.commit, name)
        except LeverframeError as error:
            return Published((step,), (), (), error, stands=False)
    return Published((step,), (), (note,))
