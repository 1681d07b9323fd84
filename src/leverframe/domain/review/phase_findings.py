"""What is wrong with a run in phases, and which machine ran what, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from leverframe.domain.pipeline.runners.runner_phases import Phases
from leverframe.domain.review.handover import Handover
from leverframe.domain.verdict import Reason, Violation
from leverframe.words import first_few

_SHOWN = 3


def no_remote(names: Iterable[str]) -> Violation:
    """Return that outputs cannot travel to another machine."""
    return Violation(
        Reason.DATA_MISSING,
        f"what {_named(names)} write cannot reach another machine: DVC has no remote that is shared",
        "`dvc remote add --default NAME ADDRESS`, and give the jobs credentials that may write there",
    )


def not_pushed(names: Iterable[str], remote: str) -> Violation:
    """Return that the outputs of a phase are not where the next one looks for them."""
    place = f"the remote `{remote}`" if remote else "the default remote"
    return Violation(
        Reason.DATA_MISSING,
        f"outputs of {_named(names)} were not pushed to {place}, so no other machine can go on",
        "read .leverframe/repro.log of that job; its credentials have to allow writing to the remote",
    )


def not_run(names: Sequence[str], plan: Phases) -> Violation:
    """Return that stages of other machines have not run, which nobody verified then."""
    runners = dict.fromkeys(plan.runner(name) for name in names)
    return Violation(
        Reason.NOT_JUDGED,
        f"{_named(names)} did not run on the runner {_named(runners)}: its job was skipped, as for the pull request of "
        "a fork, or was ended before it left anything",
        "start the run again, all of its jobs; for a fork, somebody who may write pushes its branch to the repository",
    )


def machines(handed: Sequence[Handover]) -> list[str]:
    """Return which stages ran on which other machines; nothing where none did."""
    ran: dict[str, list[str]] = {}
    for handover in handed:
        if handover.runner:
            ran.setdefault(handover.runner, []).extend(run.stage for run in handover.runs if run.how != "unchanged")
    return [f"{_named(names)} ran on the runner `{runner}`" for runner, names in ran.items() if names]


def _named(names: Iterable[str]) -> str:
    return first_few([f"`{name}`" for name in names], _SHOWN)
