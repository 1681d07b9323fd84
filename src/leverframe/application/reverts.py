"""The pull request that restores the files of a release: of a deployment that failed, a rollback, a retraining."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leverframe.adapters.git.host import HostedGit
from leverframe.application.pull_requests import Branches, OpenForge, Published, PullOptions
from leverframe.domain import layout
from leverframe.domain.release.ledger import Revert, Reverted
from leverframe.domain.release.restoration import LOCK, Commit, Restoration, Scope, Sides, described, restore
from leverframe.domain.retraining.attempt import Cause, Outcome
from leverframe.domain.retraining.pulls.pull_body import PullFacts
from leverframe.domain.retraining.pulls.pull_commit import signed
from leverframe.domain.retraining.pulls.pull_plan import Proposed, PullPlan, planned
from leverframe.domain.retraining.pulls.pull_record import PullRecord
from leverframe.domain.retraining.pulls.pull_state import StandingBranch
from leverframe.errors import LeverframeError
from leverframe.settings.retrain import RetrainSettings

_BRANCH = "leverframe/revert-{bundle:.12}"


@dataclass(frozen=True)
class RevertRequest:
    """What goes back: the files of ``released``, which ``left`` replaced, come back onto the tip of the base.

    Both are commits. ``outputs`` are those of the lock that must be as in ``released``. ``evidence`` is the digest of
    the grounds, gathered at ``made``: what somebody closed is not opened again for the same. ``text`` returns the body
    for the branch and what merging does. ``workflow`` is the file of the checks, which we start where that is needed;
    without one they are not started.
    """

    branch: str
    model: str
    evidence: str
    made: str
    released: str
    left: str
    outputs: Sequence[str]
    title: str
    text: Callable[[PullFacts, str], str]
    causes: tuple[Cause, ...] = ()
    workflow: str = ""


def reverted(git: HostedGit, forge: OpenForge, order: RevertRequest, how: PullOptions) -> Published:
    """Open the pull request, once; it is a draft where it would undo later work."""
    there = forge.standing(git, order.branch)
    plan = _plan(git, forge, order, there, how)
    return forge.executed(plan, there, Branches(git, forge.host, lambda: ""), how)


def _plan(git: HostedGit, forge: OpenForge, order: RevertRequest, there: StandingBranch, how: PullOptions) -> PullPlan:
    if not (git.kept(order.released) and git.kept(order.left)):
        git.brought(forge.host, {there.target: there.base}, whole=True)
    for commit in (order.released, order.left):
        if not git.kept(commit):
            return PullPlan((), (f"the commit {commit[:12]} is not in {there.target} or this clone any more",))
    if not git.contains(there.base, order.left):
        return PullPlan((), (f"{order.left[:12]} is not part of {there.target}, so nothing there goes back",))
    restoration = restored_onto(git, order, there.base)
    if restoration.already:
        return PullPlan((), (f"{there.target} has what served before already: {order.left[:12]} was reverted",))
    evidence = _evidence(git, order, there)
    tree = git.with_files(there.base, restoration.files)
    words = f"This restores the files of {order.released}, which {order.left} replaced."
    head = git.committed(tree, there.base, signed(order.title, words, tree=tree, parent=there.base, evidence=evidence))
    facts = PullFacts(there.name, there.target, head, there.base)
    record = PullRecord(
        model=order.model,
        evidence=evidence,
        made=order.made,
        causes=order.causes,
        outcome=Outcome.NOT_WORSE if restoration.undone else Outcome.BETTER,
        head=head,
        champion="",
        draft=bool(restoration.undone),
        dispatches=bool(order.workflow) and forge.dispatches(how.settings),
    )
    text = order.text(facts, _described(git, order, there.base, restoration))
    return planned(there, Proposed(order.title, text, record, outputs=False), order.workflow)


def restored_onto(git: HostedGit, order: RevertRequest, tip: str) -> Restoration:
    """Return how the files of the release come back onto a commit."""
    sides = Sides(git.between(order.released, order.left), git.between(order.left, tip))
    locks = [(git.show(commit, LOCK) or b"").decode(errors="replace") for commit in (order.released, order.left, tip)]
    return restore(sides, Scope.of(git.prefix(), order.outputs, locks), git)


def _evidence(git: HostedGit, order: RevertRequest, there: StandingBranch) -> str:
    """Return the digest of the grounds; another one where a revert was merged, and the change came in again since."""
    evidence = order.evidence
    for pull in sorted(there.pulls, key=lambda pull: pull.number):
        again = pull.merged and pull.evidence == evidence and git.contains(order.left, pull.merge_commit)
        evidence = hashlib.sha256(f"{evidence}{pull.merge_commit}".encode()).hexdigest() if again else evidence
    return evidence


def _described(git: HostedGit, order: RevertRequest, tip: str, restoration: Restoration) -> str:
    back = git.commits(order.released, order.left, restoration.files, merges=True)
    later = git.commits(order.left, tip, restoration.undone, merges=False) if restoration.undone else []
    return described(restoration, [Commit(*line) for line in back], [Commit(*line) for line in later])


class Reverts:
    """Opens the pull requests that deployments ask for; what prevents one is in the result, never an error.

    The traffic was switched and recorded before, and the next deployment asks again.
    """

    def __init__(self, git: HostedGit, model: str, settings: RetrainSettings) -> None:
        self._git, self._model, self._settings = git, model, settings

    def revert(self, revert: Revert) -> Reverted:
        """Open the pull request of one deployment, and return its address, else why there is none."""
        left, serving = revert.left, revert.serving.manifest
        order = RevertRequest(
            branch=_BRANCH.format(bundle=left.bundle),
            model=self._model,
            evidence=left.bundle,
            made=revert.serving.at,
            released=serving.commit,
            left=left.commit,
            outputs=(layout.BUNDLE.as_posix(),),
            title=revert.title,
            text=lambda _, merging: f"{revert.text}\n\n{merging}",  # without checks: its job may start no workflow
        )
        try:
            forge = OpenForge.of()
            done = reverted(self._git, forge, order, PullOptions(self._settings)) if forge else Published()
        except LeverframeError as error:
            done = Published(failure=error)
        address = next((proposal.url for proposal in done.proposals if proposal.url), "")
        notes = [*done.notes, *([f"{done.failure.what}: {done.failure.why}"] if done.failure else [])]
        return Reverted(address, "" if address else "; ".join(notes))


def known_before(git: HostedGit, forge: OpenForge | None, number: int, merged: str, head: str) -> str:
    """Return the commit of the base before a pull request was merged; its commits are fetched where they lack."""
    if forge is not None and not git.kept(head):
        git.brought(forge.host, {f"{number}/head": head}, below="refs/pull/")
    return git.before_merge(merged, head) if git.kept(head) else git.named(f"{merged}^1")
