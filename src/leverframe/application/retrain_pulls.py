"""Pull requests of retraining: how they stand, and what is brought up to date."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from leverframe.adapters import runner
from leverframe.adapters.git.host import Host, HostedGit
from leverframe.adapters.working_tree.remote import Remote
from leverframe.application.pipeline import PipelineRun
from leverframe.application.record import artifact_in
from leverframe.application.retrain_base import levers_at, recorded_md5
from leverframe.application.retrain_names import branch_in, checking_workflow
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.markdown import sentence
from leverframe.domain.plan_engine import Progress, Step, execute
from leverframe.domain.retraining.attempt import Attempt, Cause, Comparison, Outcome
from leverframe.domain.retraining.pulls import pull_body
from leverframe.domain.retraining.pulls.pull_commit import own, rewritten, signed
from leverframe.domain.retraining.pulls.pull_executor import PullExecutor
from leverframe.domain.retraining.pulls.pull_moot import REWRITTEN, moot, proposes
from leverframe.domain.retraining.pulls.pull_plan import Proposed, PullPlan, planned
from leverframe.domain.retraining.pulls.pull_ports import lease_lost
from leverframe.domain.retraining.pulls.pull_record import PullRecord, read
from leverframe.domain.retraining.pulls.pull_state import BRANCH, REVERT, StandingBranch, StandingPull
from leverframe.domain.retraining.pulls.pull_steps import CommentPull, PullStep, PushBranch
from leverframe.domain.retraining.retrain_result import Proposal, Retrained
from leverframe.errors import LeverframeError, PublishError, RemoteUnreachableError
from leverframe.settings.retrain import RetrainSettings

if TYPE_CHECKING:
    from leverframe.adapters.github.pulls import GithubPulls

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
class How:
    """How a plan is executed.

    ``settings`` are those of the base tip. ``last`` is the newest attempt in the records: it finishes a publication
    that failed after it was recorded. ``dashboard`` is an address. ``mask`` hides a secret from the log of a runner,
    ``tell`` gets each step when it begins.
    """

    settings: RetrainSettings
    last: Attempt | None = None
    dry_run: bool = False
    dashboard: str = ""
    mask: Callable[[str], None] = lambda _: None
    tell: Callable[[str], None] = lambda _: None


@dataclass(frozen=True)
class PulledBack:
    """A merged pull request whose model is worse on realised labels, the figures, and why in a sentence."""

    pull: StandingPull
    comparison: Comparison
    why: str


@dataclass(frozen=True)
class Published:
    """The steps in words, the pull requests after them, notes, and what ended the plan.

    ``stands`` tells that the candidate is on its branch, so that the next run can finish what is left.
    """

    steps: tuple[str, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    notes: tuple[str, ...] = ()
    failure: LeverframeError | None = None
    stands: bool = True


def base_tip(workspace: Workspace) -> str:
    """Return the tip of the branch that pull requests go to, fetched into this clone; without a token it is HEAD."""
    forge, git = _Forge.of(), HostedGit(workspace.git.root)
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
    forge = _Forge.of()
    git = HostedGit(workspace.git.root)
    if forge is None:
        name = branch_in(workspace, _KEPT, model)
        base, head = git.named("HEAD"), git.kept(name)
        ours, evidence = own(git, head, base) if head else (False, "")
        return StandingBranch(branch_in(workspace, BRANCH, model), "HEAD", base, head, ours, evidence=evidence)
    return forge.standing(git, branch_in(workspace, BRANCH, model))


def publish(
    workspace: Workspace, candidate: CandidateCommit | None, retrained: Retrained, there: StandingBranch, how: How
) -> Published:
    """Bring the branch and the pull request of a candidate up to date; errors of the forge are in the result.

    Without a candidate, what a killed run left is finished, and a pull request that is moot is closed.
    """
    forge = _Forge.of()
    if forge is None:
        return _kept(workspace, candidate, retrained, how)
    try:
        git = HostedGit(candidate.root if candidate else workspace.git.root)
        plan = _plan(workspace, forge, candidate, retrained, there, how)
        branches = _Branches(git, forge.host, _outputs(workspace, candidate))
        return forge.executed(plan, there, branches, how)
    except LeverframeError as error:
        return Published((), _proposals(there.open), (), error, stands=False)


def revert(workspace: Workspace, model: str, worse: PulledBack, how: How) -> Published:
    """Open the pull request that reverts a merged retraining, unless somebody closed it or changed the files."""
    forge = _Forge.of()
    if forge is None:
        return Published(notes=(f"no pull request takes #{worse.pull.number} back: {_NOBODY}",))
    try:
        git = HostedGit(workspace.git.root)
        there = forge.standing(git, branch_in(workspace, REVERT, model))
        plan = _revert_plan(workspace, (git, forge), model, worse, there, how)
        branches = _Branches(git, forge.host, lambda: "")
        done = forge.executed(plan, there, branches, how)
        return replace(done, proposals=tuple(replace(proposal, revert=True) for proposal in done.proposals))
    except LeverframeError as error:
        return Published(failure=error)


@dataclass(frozen=True)
class _Forge:
    """The forge of this run: its pull requests, and where its git is."""

    pulls: GithubPulls
    host: Host

    @classmethod
    def of(cls) -> _Forge | None:
        """Return it; None where nobody said which, or gave no token."""
        if not (runner.repository() and runner.token()):
            return None
        from leverframe.adapters.github.pulls import GithubPulls  # noqa: PLC0415 - of an extra

        pulls = GithubPulls(runner.api(), runner.repository(), runner.token())
        return cls(pulls, Host(f"{runner.server()}/{runner.repository()}.git", runner.token()))

    def standing(self, git: HostedGit, name: str) -> StandingBranch:
        """Return how a branch stands, and fetch it with the base tip."""
        target = self.pulls.target()
        heads = git.heads(self.host, target, name)
        known = self.pulls.pulls(name)
        pulls = tuple(pull for pull in known if pull.target == target)
        elsewhere = tuple(pull for pull in known if pull.target != target and pull.open)
        base, head = self.tip(target, heads), heads.get(name, "")
        git.brought(self.host, heads, whole=bool(head or pulls))  # who asks what is before what needs the history
        ours, evidence = own(git, head, base) if head else (False, "")
        there = StandingBranch(name, target, base, head, ours, pulls, evidence, elsewhere)
        if ours:
            return replace(there, rewritten=rewritten(git, head, base))
        merged = next((pull for pull in pulls if pull.merged and pull.head == head), None)
        if head and (merged or git.contains(base, head)):  # what a person did is in the base: nobody works on it
            return replace(there, ours=True, evidence=merged.evidence if merged else "")
        return there

    def tip(self, target: str, heads: dict[str, str]) -> str:
        """Return the tip of the branch that pull requests go to; raises ``PublishError`` where it is not there."""
        if target not in heads:
            raise PublishError(
                f"{runner.repository()} has no branch {target}", why="it is the default branch there, and is empty",
                next="push to it first",
            )  # fmt: skip
        return heads[target]

    def dispatches(self, settings: RetrainSettings) -> bool:
        """Tell whether the checks have to be started by us."""
        return settings.checks == "dispatch" or (settings.checks == "auto" and not self.pulls.starts_checks())

    def executed(self, plan: PullPlan, there: StandingBranch, branches: _Branches, how: How) -> Published:
        """Execute a plan, unless it is a dry run; an error ends it, and the next run plans again."""
        executor = PullExecutor(self.pulls, branches, there)
        if how.dry_run:
            return Published(tuple(map(str, plan.steps)), _proposals(there.open), plan.notes)
        how.mask(base64.b64encode(f"x-access-token:{self.host.token}".encode()).decode())
        steps: list[str] = []
        failure = None

        def tell(step: str) -> None:
            steps.append(step)
            how.tell(step)

        try:
            execute(plan.steps, executor, Progress(time.monotonic, tell))
        except LeverframeError as error:
            failure = error
        notes = (*plan.notes, *executor.notes)
        pushes = any(isinstance(step.action, PushBranch) for step in plan.steps)
        stands = failure is None or executor.pushed or not pushes
        return Published(tuple(steps), _proposals(executor.pull, notes), notes, failure, stands)


class _Branches:
    """The ``PullBranches`` port, over git and DVC."""

    def __init__(self, git: HostedGit, host: Host, outputs: Callable[[], str]) -> None:
        self._git, self._host, self._outputs = git, host, outputs

    def push_outputs(self) -> str:
        return self._outputs()

    def at(self, branch: str) -> str:
        return self._git.heads(self._host, branch).get(branch, "")

    def push(self, commit: str, branch: str, expected: str) -> None:
        if not self._git.push(self._host, commit, branch, expected):
            raise lease_lost(branch)

    def delete(self, branch: str, expected: str) -> None:
        if self.at(branch):
            self.push("", branch, expected)


def _plan(
    workspace: Workspace,
    forge: _Forge,
    candidate: CandidateCommit | None,
    retrained: Retrained,
    there: StandingBranch,
    how: How,
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
    workspace: Workspace, forge: _Forge, attempt: Attempt, commits: tuple[str, str], there: StandingBranch, how: How
) -> Proposed:
    head, base = commits
    settings, champion = how.settings, _champion(workspace, base)
    remote = Remote.of(workspace.root)
    better = attempt.outcome is Outcome.BETTER
    facts = pull_body.Facts(
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


def _champion(workspace: Workspace, commit: str) -> str:
    """Return the digest of the model in the lock of a commit, or of its predictions; empty where none is recorded."""
    try:
        declared = levers_at(workspace, commit).pipeline.predictions
        path = layout.MODEL.as_posix() if declared is None else str(declared.path)
        return recorded_md5(workspace.git.show(commit, "dvc.lock") or b"", path)
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


def _kept(workspace: Workspace, candidate: CandidateCommit | None, retrained: Retrained, how: How) -> Published:
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


def _revert_plan(
    workspace: Workspace, of: tuple[HostedGit, _Forge], model: str, worse: PulledBack, there: StandingBranch, how: How
) -> PullPlan:
    git, forge = of
    merge = worse.pull.merge_commit
    before = f"{git.named(merge)}^1"
    files = git.between(before, merge)
    known = any(pull.evidence == merge for pull in there.pulls)
    since = git.between(merge, there.base) if not known else {}
    moved = sorted(set(files) & set(since))
    if moved and all(since.get(path, ("", ""))[1] == old for path, (old, _) in files.items()):
        return PullPlan((), (f"#{worse.pull.number} was reverted already",))
    if moved:
        return _moved(worse, merge, moved)
    tree = git.with_files(there.base, {path: old for path, (old, _) in files.items()})
    title = pull_body.revert_title(artifact_in(workspace, model))
    message = signed(title, f"This reverts commit {merge}.", tree=tree, parent=there.base, evidence=merge)
    head = git.committed(tree, there.base, message)
    facts = pull_body.Facts(there.name, there.target, head, there.base)
    text = pull_body.revert_text(worse.pull.number, worse.why, worse.comparison, sorted(files), facts)
    record = PullRecord(
        model, merge, worse.pull.merged_at, (Cause.PERFORMANCE,), Outcome.BETTER, head, "", draft=False,
        dispatches=forge.dispatches(how.settings),
    )  # fmt: skip
    return planned(there, Proposed(title, text, record, outputs=False), checking_workflow(workspace, how.settings))


def _moved(worse: PulledBack, merge: str, moved: list[str]) -> PullPlan:
    """Tell at the merged pull request that we cannot revert it."""
    why = f"{len(moved)} of its files were changed since, such as {moved[0]}"
    marker = f"<!-- leverframe-retrain-worse {merge} -->"
    body = (
        f"{marker}\nThe model of this pull request is worse on realised labels. {sentence(worse.why)}\n\n"
        f"No pull request reverts it: {sentence(why)}. Revert it by hand, or `leverframe rollback` at once."
    )
    step: PullStep = Step(CommentPull(worse.pull.number, marker, body, "it is worse, and cannot be reverted by itself"))
    return PullPlan((step,), (f"#{worse.pull.number} is worse, and no pull request reverts it: {why}",))


def _proposals(pull: StandingPull | None, notes: tuple[str, ...] = ()) -> tuple[Proposal, ...]:
    if pull is None:
        return ()
    state = ("draft" if pull.draft else "ready") if pull.open else "closed"
    return (Proposal(pull.url, pull.number, state, why="; ".join(notes)),)  # type: ignore[arg-type]
