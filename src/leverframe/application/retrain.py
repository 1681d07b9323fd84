"""Train the model anew where that is due: a candidate in a work folder, a comparison, a pull request, a record."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from leverframe.application.alerts import state_page
from leverframe.application.candidate import CaseTrainer, checkout
from leverframe.application.environments import as_of, watched
from leverframe.application.monitor_results import Results
from leverframe.application.monitor_state import KeptState
from leverframe.application.own_candidate import OwnTrainer
from leverframe.application.pull_requests import Published, PullOptions
from leverframe.application.retrain_base import BaseRevision, base_of
from leverframe.application.retrain_help import ask_for_a_person
from leverframe.application.retrain_pulls import (
    CandidateCommit,
    PulledBack,
    base_tip,
    publish,
    revert,
    standing,
)
from leverframe.application.retrain_records import ATTEMPTS, RetrainRecords
from leverframe.application.retrain_watch import serves_since, turned_out_worse
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.retraining.attempt import PROPOSED, UNHELPFUL
from leverframe.domain.retraining.pulls.pull_state import StandingBranch
from leverframe.domain.retraining.retrain import DueAttempt, RetrainInputs, attempted, due, labelled_since
from leverframe.domain.retraining.retrain_result import Retrained
from leverframe.domain.retraining.trigger import NotTriggered, Standstill
from leverframe.domain.retraining.trigger_rule import ModelFacts, needs_human
from leverframe.errors import MonitorBusyError, RetrainBusyError
from leverframe.files import private_folder
from leverframe.locks import held

Tell = Callable[[str], None]


@dataclass(frozen=True)
class RetrainOptions:
    """What the command line asks for; what is None is as the settings say."""

    environment: str | None = None
    as_of: str | None = None
    force: bool = False
    dry_run: bool = False


def retrain(workspace: Workspace, asked: RetrainOptions, tell: Tell, mask: Tell) -> tuple[Retrained, str]:
    """Return what was done, and the address of the pull request, else the path of the result.

    ``mask`` hides a secret from the log of a runner. Raises ``RetrainBusyError`` while another run works here, and
    ``PublishError`` where the forge refuses the pull request, once the result is written here.
    """
    environment = watched(workspace, asked.environment)
    folder = workspace.root / layout.MONITOR / environment
    records, state = RetrainRecords(folder), None
    with ExitStack() as stack:
        if not asked.dry_run:
            stack.enter_context(_lock(workspace))
            state = KeptState(workspace, environment, folder)
            state.fetch()
        retrained, published = _retrained(workspace, (asked, environment), records, (tell, mask))
        if state is not None:
            records.write(retrained, whole=published.stands)
            _shown(workspace, folder, tell)
            state.push()
        if published.failure is not None:
            raise published.failure
    address = next((proposal.url for proposal in retrained.proposals if proposal.url), "")
    return retrained, address or str(records.result)


def _retrained(
    workspace: Workspace, of: tuple[RetrainOptions, str], records: RetrainRecords, how: tuple[Tell, Tell]
) -> tuple[Retrained, Published]:
    """Train where that is due, and bring the pull request up to date."""
    (asked, environment), (tell, mask) = of, how
    model = base_of(workspace, base_tip(workspace)).model  # of the base, as all settings: not of the working copy
    there = standing(workspace, model)
    base = base_of(workspace, there.base)
    known = _known(base, (asked, model, environment), records)
    at = known.now.isoformat(timespec="seconds")
    last = known.attempts[-1] if known.attempts else None
    page = state_page(workspace, environment)
    publishing = PullOptions(base.levers.retrain, last, asked.dry_run, dashboard=page, mask=mask, tell=tell)
    since = serves_since(workspace, base, there, known.monitored)
    known = replace(known, facts=replace(known.facts, serves_since=since))
    worse = turned_out_worse(workspace, (base, environment), there, known.monitored, known.now, tell)
    planned = due(known, there) if worse is None else _taken_back(worse)
    waiting = planned if isinstance(planned, NotTriggered) else None
    retrained = Retrained(model, environment, at, None, waiting, notes=_unreadable(records))
    if isinstance(planned, DueAttempt) and not asked.dry_run:
        return _trained(workspace, (planned, known, base, there), retrained, publishing, tell)
    steps, causes = (_steps(planned, base), planned.evidence) if isinstance(planned, DueAttempt) else ((), ())
    published = publish(workspace, None, retrained, there, publishing)
    retrained = _with(replace(retrained, steps=steps, causes=causes), published)
    if worse is not None and published.failure is None:
        published = revert(workspace, model, worse, publishing)
        retrained = _with(retrained, published)
    return retrained, published


def _trained(
    workspace: Workspace,
    of: tuple[DueAttempt, RetrainInputs, BaseRevision, StandingBranch],
    retrained: Retrained,
    how: PullOptions,
    tell: Tell,
) -> tuple[Retrained, Published]:
    """Train a candidate in a work folder, and publish it from there."""
    planned, known, base, there = of
    with checkout(workspace, base.commit, tell) as work:
        trainer = CaseTrainer(work, base) if base.own is None else OwnTrainer(work, base, base.own)
        attempt = attempted(planned, known, base.commit, trainer)
        tell(f"{attempt.outcome}: {attempt.why}")
        candidate: CandidateCommit | None = work.commit(planned) if attempt.outcome in PROPOSED else None
        retrained = replace(retrained, attempt=attempt)
        published = publish(workspace, candidate, retrained, there, how)
    retrained = _with(retrained, published)
    if published.failure is not None and not published.stands:  # without a record the next run proposes it again
        return replace(retrained, notes=(*retrained.notes, f"not recorded: {published.failure.what}")), published
    address = next((proposal.url for proposal in published.proposals if not proposal.revert), "")
    attempt = replace(attempt, pull=address)
    asks = needs_human((*known.attempts, attempt), known.facts, known.now) and attempt.outcome in UNHELPFUL
    notes = ask_for_a_person(workspace, attempt, workspace.root / layout.MONITOR / attempt.environment) if asks else ()
    return replace(retrained, attempt=attempt, notes=(*retrained.notes, *notes)), published


def _shown(workspace: Workspace, folder: Path, tell: Tell) -> None:
    """Bring page and metrics of the monitor up to date; a run of it that is under way does that itself."""
    results = Results(folder, workspace.levers.retrain)
    monitored = results.previous()
    if monitored is None:
        return
    try:
        with results.lock():
            results.show(monitored)
    except MonitorBusyError as error:
        tell(f"the dashboard is not written again: {error.what}")


def _with(retrained: Retrained, published: Published) -> Retrained:
    return replace(
        retrained,
        proposals=(*retrained.proposals, *published.proposals),
        steps=(*retrained.steps, *published.steps),
        notes=(*retrained.notes, *published.notes),
    )


def _known(base: BaseRevision, of: tuple[RetrainOptions, str, str], records: RetrainRecords) -> RetrainInputs:
    asked, model, environment = of
    results = Results(records.folder)
    monitored = results.previous()
    now = as_of(asked.as_of)
    rows = base.rows(now)
    facts = ModelFacts(
        model,
        environment,
        base.champion,
        base.levers.monitor.every_hours,
        base.end(rows.current.train_last),
        labelled_since(monitored, base.end(rows.current.holdout_last)),
        tuple(results.history()),
    )
    levers, attempts = base.levers, records.attempts()
    return RetrainInputs(
        monitored, attempts, levers.retrain, base.rules.settings, facts, rows, base.blobs, now, asked.force
    )


def _taken_back(worse: PulledBack) -> NotTriggered:
    why = f"the model of #{worse.pull.number} is worse than the one before it; merge its revert, or look at it"
    return NotTriggered(Standstill.PERSON, why)


def _unreadable(records: RetrainRecords) -> tuple[str, ...]:
    count = records.unreadable()
    lines = f"{count:,} line{'' if count == 1 else 's'}"
    return (f"{lines} of {ATTEMPTS} cannot be read, so the attempts in them do not count",) if count else ()


def _steps(planned: DueAttempt, base: BaseRevision) -> tuple[str, ...]:
    """Return what a run would do, for a dry run."""
    return (
        f"check {base.commit[:12]} out into a folder of its own",
        f"run the pipeline there: {planned.window}",
        "compare the candidate with the champion, and propose it where that speaks for it",
    )


def _lock(workspace: Workspace) -> AbstractContextManager[None]:
    private_folder(workspace.root / layout.PRIVATE)
    path = workspace.root / layout.RETRAIN / "lock"
    busy = RetrainBusyError(
        "another run trains the model anew",
        why=f"it holds {path}",
        next="wait until it has ended; its result is that of this run",
    )
    return held(path, busy)
