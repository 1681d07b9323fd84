"""Where the plan comes from that an apply is held to: a digest, the merged pull requests, or the plan made here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from leverframe.application.infra_place import InfraPlace, history_of
from leverframe.application.infra_results import applied_here, planned_here
from leverframe.domain.infrastructure.infra_apply import in_order
from leverframe.domain.infrastructure.infra_forge import InfraForge, LastApply, ReviewedPull
from leverframe.domain.infrastructure.infra_plan import InfraPlan
from leverframe.domain.infrastructure.plan_review import ReviewedPlans
from leverframe.errors import InfraError

if TYPE_CHECKING:
    from leverframe.adapters.git.host import HostedGit

_DIGEST = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_MOST = 250  # commits since the last apply that are looked at
_PULL = "plan again in a pull request, and merge that"
_SHALLOW = "check out with `fetch-depth: 0`: the commit that was applied last, {}, is not in this clone"
_SHOWN = 3


@dataclass(frozen=True)
class ReviewedApply:
    """What an apply is held to, the pull requests that are applied, and the commit that was applied before."""

    reviewed: ReviewedPlans
    pulls: tuple[ReviewedPull, ...] = ()
    before: str = ""


def held_to(place: InfraPlace, forge: InfraForge | None, digest: str) -> ReviewedApply:
    """Return what an apply of the checked out commit is held to; ``digest`` is the one that was asked for.

    Raises ``InfraError`` where that is none.
    """
    if digest and not _DIGEST.fullmatch(digest):
        raise InfraError(
            f"`--reviewed {digest[:80]}` is no digest",
            why="one has 64 digits of 0-9 and a-f",
            next="copy the whole digest that `infra-plan` or the card shows",
        )
    held = _of_this_machine(place) if forge is None else _of_forge(place, forge)
    if not digest:
        return held
    known = [*held.reviewed.plans, *([here.plan] if (here := planned_here(place.folder)) and here.plan else [])]
    plan = next((plan for plan in known if plan.digest == digest), None)
    if plan is None and forge is not None:
        kept = forge.kept(place.name, digest)
        plan = kept.plan if kept else None
    plans = (plan,) if plan else ()
    begun = tuple(plan for plan in plans if held.reviewed.begun or digest in _begun_here(place))
    return ReviewedApply(
        replace(held.reviewed, plans=plans, source=f"`--reviewed {digest[:12]}`", digest=digest, begun=begun),
        held.pulls,
        held.before,
    )


def _of_this_machine(place: InfraPlace) -> ReviewedApply:
    """Return the plan that `infra-plan` left here, for its reader to apply."""
    here, last = planned_here(place.folder), applied_here(place.folder)
    before = last.head if last and last.applied else last.before if last else ""
    if here is None or here.plan is None:
        return ReviewedApply(ReviewedPlans(why=f"no plan of `{place.name}` was made here to be read"), before=before)
    begun = (here.plan,) if here.plan.digest in _begun_here(place) else ()
    resumed = last is not None and _same(place, last.head)
    source = f"`infra-plan` at {here.head[:12]}"
    return ReviewedApply(ReviewedPlans((here.plan,), source, begun=begun, resumed=resumed), before=before)


def _same(place: InfraPlace, commit: str) -> bool:
    """Tell whether what is here is that commit, and nothing of it was edited."""
    return place.head == commit and not place.unsaved()


def _begun_here(place: InfraPlace) -> Sequence[str]:
    last = applied_here(place.folder)
    return last.reviewed if last and last.begun and not last.applied else ()


def _of_forge(place: InfraPlace, forge: InfraForge) -> ReviewedApply:
    """Return the plans that were shown in the pull requests since the last apply."""
    git, last = history_of(place.workspace), forge.last(place.name)
    since = last.applied or (f"{last.begun}~1" if last.begun else f"{place.head}~1")
    commits = git.since(since, place.head, _MOST)
    pulls = forge.pulls_of(place.name, commits)
    counting = [pull for pull in in_order(pulls, lambda tip, commit: _contains(git, tip, commit)) if _plans([pull])]
    begun = [pull for pull in pulls if _contains(git, last.begun, pull.merged)]
    known = not last.applied or _contains(git, last.applied, last.applied)
    alone = _alone(place, git, forge, commits)
    if alone:
        counting = []
    again = _PULL if known else _SHALLOW.format(last.applied[:12])
    reviewed = ReviewedPlans(
        _plans(counting), _named(counting), begun=_plans(begun), resumed=_same(place, last.begun),
        why=alone or _why(pulls, commits, last), again=again,
    )  # fmt: skip
    return ReviewedApply(reviewed, tuple(pulls), last.applied)


def _alone(place: InfraPlace, git: HostedGit, forge: InfraForge, commits: Sequence[str]) -> str:
    """Return why nothing counts where a commit changes the environment and no pull request brought it; else nothing.

    What a plan does not tell, such as the command of a provisioner, would be applied along with what was reviewed.
    """
    for commit in commits:
        touched = place.concerned(git.brought_by(commit))
        if touched and not forge.pulls_of(place.name, [commit]):
            return f"no pull request brought {commit[:12]}, which changes {touched[0]}"
    return ""


def _contains(git: HostedGit, tip: str, commit: str) -> bool:
    """Tell whether a commit is the tip or before it; names come from a document that anybody may have written."""
    return bool(_COMMIT.fullmatch(tip) and _COMMIT.fullmatch(commit)) and git.contains(tip, commit)


def _plans(pulls: Sequence[ReviewedPull]) -> tuple[InfraPlan, ...]:
    return tuple(pull.planned.plan for pull in pulls if pull.planned and pull.planned.plan)


def _named(pulls: Sequence[ReviewedPull]) -> str:
    numbers = [f"#{pull.number}" for pull in pulls]
    return f"pull request {' and '.join([', '.join(numbers[:-1]), numbers[-1]] if numbers[1:] else numbers)}"


def _why(pulls: Sequence[ReviewedPull], commits: Sequence[str], last: LastApply) -> str:
    if not commits:
        return f"nothing was merged since {last.applied[:12]}, which is applied: what changed, changed elsewhere"
    if not pulls:
        return f"no pull request brought {commits[-1][:12]}, so that nobody reviewed its plan"
    reasons = [f"#{pull.number}: {pull.why or 'its plan could not be made'}" for pull in pulls[-_SHOWN:]]
    return f"no plan was reviewed: {'; '.join(reasons)}"
