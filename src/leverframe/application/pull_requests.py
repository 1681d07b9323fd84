"""Pull requests on the forge of this run: how a branch stands there, and a plan that is executed on it."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from leverframe.adapters import runner
from leverframe.adapters.git.host import Host, HostedGit
from leverframe.domain.plan_engine import Progress, execute
from leverframe.domain.retraining.attempt import Attempt
from leverframe.domain.retraining.pulls.pull_commit import own, rewritten
from leverframe.domain.retraining.pulls.pull_executor import PullExecutor
from leverframe.domain.retraining.pulls.pull_plan import PullPlan
from leverframe.domain.retraining.pulls.pull_ports import lease_lost
from leverframe.domain.retraining.pulls.pull_state import StandingBranch, StandingPull
from leverframe.domain.retraining.pulls.pull_steps import PushBranch
from leverframe.domain.retraining.retrain_result import Proposal
from leverframe.errors import LeverframeError, PublishError
from leverframe.settings.retrain import RetrainSettings

if TYPE_CHECKING:
    from leverframe.adapters.github.pulls import GithubPulls


@dataclass(frozen=True)
class PullOptions:
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
class Published:
    """The steps in words, the pull requests after them, notes, and what ended the plan.

    ``stands`` tells that the candidate is on its branch, so that the next run can finish what is left.
    """

    steps: tuple[str, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    notes: tuple[str, ...] = ()
    failure: LeverframeError | None = None
    stands: bool = True


@dataclass(frozen=True)
class OpenForge:
    """The forge of this run: its pull requests, and where its git is."""

    pulls: GithubPulls
    host: Host

    @classmethod
    def of(cls) -> OpenForge | None:
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

    def executed(self, plan: PullPlan, there: StandingBranch, branches: Branches, how: PullOptions) -> Published:
        """Execute a plan, unless it is a dry run; an error ends it, and the next run plans again."""
        executor = PullExecutor(self.pulls, branches, there)
        if how.dry_run:
            return Published(tuple(map(str, plan.steps)), proposals_of(there.open), plan.notes)
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
        return Published(tuple(steps), proposals_of(executor.pull, notes), notes, failure, stands)


class Branches:
    """The ``PullBranches`` port, over git and DVC."""

    def __init__(self, git: HostedGit, host: Host, outputs: Callable[[], str]) -> None:
        self._git, self._host, self._outputs = git, host, outputs

    def push_outputs(self) -> str:
        """Push the outputs of the candidate."""
        return self._outputs()

    def at(self, branch: str) -> str:
        """Return where a branch is now."""
        return self._git.heads(self._host, branch).get(branch, "")

    def push(self, commit: str, branch: str, expected: str) -> None:
        """Let a branch be at a commit; raises ``lease_lost`` where it is not at ``expected``."""
        if not self._git.push(self._host, commit, branch, expected):
            raise lease_lost(branch)

    def delete(self, branch: str, expected: str) -> None:
        """Remove a branch, unless it is gone."""
        if self.at(branch):
            self.push("", branch, expected)


def proposals_of(pull: StandingPull | None, notes: tuple[str, ...] = ()) -> tuple[Proposal, ...]:
    """Return a pull request as results name it; none for None."""
    if pull is None:
        return ()
    state = ("draft" if pull.draft else "ready") if pull.open else "closed"
    return (Proposal(pull.url, pull.number, state, why="; ".join(notes)),)  # type: ignore[arg-type]
