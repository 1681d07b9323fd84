"""One phase of `reproduce`, where stages need several machines: each runs its own, the last one compares everything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from leverframe.application import handover_files
from leverframe.application.phase_work import STOPS, worked
from leverframe.application.phased_run import PhasedRun, PhaseTurn, in_order
from leverframe.application.reproduce import ReproduceOptions, order_of, reproduce
from leverframe.application.results import begin, kept
from leverframe.application.runner_jobs import plan_of
from leverframe.application.status import status
from leverframe.application.untouched import untouched
from leverframe.application.workspace import Workspace
from leverframe.domain.pipeline.runners.runner_phases import Phases
from leverframe.domain.pipeline.status.reasons import PipelineStatus
from leverframe.domain.review.check import refused
from leverframe.domain.review.handover import Handover, refusal
from leverframe.domain.review.phase_findings import machines, no_remote, not_pushed, not_run
from leverframe.domain.review.reproduce import Reproduced, RunOptions, StageRun, merged_runs, run, state_of
from leverframe.domain.review.same_outputs import MODELS, TABLES
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import DefinitionError, RepositoryError, SettingsError
from leverframe.settings import LEVERS

HANDOVER = Path(".leverframe/handover")


@dataclass(frozen=True)
class PhaseOptions:
    """Which phase of how many, and the folder in which phases leave what they hand over."""

    number: int
    count: int
    folder: Path = HANDOVER


@dataclass(frozen=True)
class Phased:
    """The result of one phase, and the numbers of the later ones on other machines that have something to run."""

    result: Reproduced
    later: tuple[int, ...] = ()

    @property
    def outputs(self) -> dict[str, str]:
        """Return the outputs of the step beside those of a verdict."""
        return {"phases": json.dumps(list(self.later))}


def asked(workspace: Workspace, question: ReproduceOptions, phase: PhaseOptions | None) -> Phased:
    """Return the result of one phase, or of all stages where none is asked for."""
    if phase is not None:
        return reproduce_phase(workspace, question, phase)
    return Phased(reproduce(workspace, question))


def reproduce_phase(workspace: Workspace, question: ReproduceOptions, asked: PhaseOptions) -> Phased:
    """Run one phase, and leave what the next one needs; the last one returns the result of all.

    What cannot be taken over, or does not fit the settings, is a violation of the result, so that a card tells it.
    """
    root = workspace.root
    begin(root, "reproduce")
    head = workspace.git.named("HEAD")
    try:
        since = workspace.git.base(question.base)
        if unaffected := "" if question.full else untouched(workspace, since):
            result = Reproduced(head, notes=(*since.notes, unaffected))
            return Phased(kept(root, "reproduce", result))
        state = status(root)
        plan = plan_of(workspace)
        if plan.last == 1:
            return _undivided(workspace, question, asked)
        _check_count(plan, asked)
        handed = _handed(workspace, plan, state, asked)
        phased = _Phase(workspace, asked, plan, handed).run(question)
    except (SettingsError, DefinitionError) as error:
        phased = Phased(Reproduced(head, violations=(refused(error),)))
    except RepositoryError as error:
        violation = Violation(Reason.NOT_JUDGED, f"{error.what}: {error.why}", error.next)
        phased = Phased(Reproduced(head, violations=(violation,)))
    return replace(phased, result=kept(root, "reproduce", phased.result))


def _undivided(workspace: Workspace, question: ReproduceOptions, asked: PhaseOptions) -> Phased:
    """Run everything in the last phase, as a commit asks for that names no other machine."""
    if asked.number < asked.count:
        return Phased(kept(workspace.root, "reproduce", Reproduced(workspace.git.named("HEAD"))))
    return Phased(reproduce(workspace, question))


def _check_count(plan: Phases, asked: PhaseOptions) -> None:
    if plan.last != asked.count:
        raise SettingsError(
            f"the workflow has {asked.count} phases, and the stages need {plan.last}",
            why=f"`reproduce.runners` in {LEVERS}, or the stages, changed since it was written",
            next="`leverframe init --renew` writes it anew; an older branch gets it by a merge of its base branch",
        )


def _handed(workspace: Workspace, plan: Phases, state: PipelineStatus, asked: PhaseOptions) -> list[Handover]:
    handed = handover_files.read(workspace.root / asked.folder, asked.number)
    stages = [stage.stage for stage in state.stages]
    if why := refusal(handed, plan, stages, workspace.git.named("HEAD"), asked.number):
        raise handover_files.unfit(why)
    return handed


@dataclass(frozen=True)
class _Phase:
    """One phase in the folder of a workspace, after what earlier ones ``handed`` over."""

    workspace: Workspace
    asked: PhaseOptions
    plan: Phases
    handed: Sequence[Handover]

    def run(self, question: ReproduceOptions) -> Phased:
        """Take over, run, and hand over or compare."""
        if self.handed:  # all phases answer one question
            question = replace(question, base=self.handed[0].base, full=self.handed[0].full)
        since = self.workspace.git.base(question.base)
        pipeline = PhasedRun.of(self.workspace, self.workspace.root, question.tell)
        order, notes, changes = order_of(self.workspace, since, pipeline, question)
        remote = self.workspace.levers.reproduce.remote or ""
        pipeline.turn = PhaseTurn(
            self.plan, self.asked.number, order.base, order.metrics, question.full, remote, self.handed
        )
        stops = tuple(stop for handover in self.handed for stop in handover.stops)
        if stops:
            runs = tuple(run for handover in self.handed for run in handover.runs)
            return Phased(Reproduced(order.head, self._all(runs), stops, notes=(*notes, *changes), full=order.full))
        order = self._taken_over(pipeline, order)
        if not pipeline.turn.last:
            return self._handing_over(pipeline, order, since.commit)
        result = self._compared(pipeline, order)
        return Phased(replace(result, notes=(*notes, *result.notes, *changes)))

    def _taken_over(self, pipeline: PhasedRun, order: RunOptions) -> RunOptions:
        """Let the folder be as earlier phases left it; what the commit claims of the same outputs is kept beside."""
        before, done = state_of(pipeline, order), pipeline.turn.done
        stages = [stage for stage in pipeline.stages if stage.name in done]
        outputs = [output.path for stage in stages for output in stage.outputs if output.pushed]
        if pipeline.turn.last:
            pipeline.claims([path for path in outputs if path.endswith((*TABLES, *MODELS))])
        with handover_files.applied(self.workspace.root, self.handed, pipeline.stages):
            if pipeline.turn.last and (absent := pipeline.bring(outputs)):
                why = f"{', '.join(absent[:3])}: not in the remote, or not with the bytes of the lock"
                raise handover_files.unfit(why)
        odd = tuple(name for handover in self.handed for name in handover.unstable)
        return replace(order, committed=before, elsewhere=frozenset(done), unstable=odd)

    def _handing_over(self, pipeline: PhasedRun, order: RunOptions, base: str) -> Phased:
        """Run the stages of a phase that is not the last, push what they wrote, and leave the rest in a file."""
        phase = self.plan.phases[self.asked.number - 1]
        done, stops, odd = list[StageRun](), tuple[Violation, ...](), tuple[str, ...]()
        state = status(self.workspace.root)
        _, part = pipeline.due(state)
        if part.mine and not order.pull:
            stops = (no_remote(in_order(state, part.mine)),)
        elif part.mine:
            order.tell(f"phase {phase.number} of {self.plan.last}")
            done, stops, odd = worked(pipeline, order)
        ran = [run.stage for run in done if run.how in ("ran", "verified")]
        stages = [] if stops else [stage for stage in pipeline.stages if stage.name in ran]
        if not pipeline.leave([output.path for stage in stages for output in stage.outputs if output.pushed]):
            stages, stops = [], (not_pushed(ran, pipeline.turn.remote),)
        root = self.workspace.root
        entries, files = handover_files.entries_of(root, stages), handover_files.files_of(root, stages)
        left = Handover(order.head, base, order.full, phase.number, self.plan.last, phase.runner, entries, files,
                        tuple(done), stops, odd)  # fmt: skip
        handover_files.write(root / self.asked.folder, left)
        _, part = pipeline.due(status(root), ran)
        result = Reproduced(
            order.head, self._all((*(run for handover in self.handed for run in handover.runs), *done)), stops
        )
        return Phased(result, () if stops else part.later)

    def _compared(self, pipeline: PhasedRun, order: RunOptions) -> Reproduced:
        """Run what is left, and compare all that ran in any phase with what the change commits."""
        result = run(pipeline, order)
        ran = {stage.stage for stage in result.stages if stage.how in ("ran", "verified")}
        lacking, _ = pipeline.due(status(self.workspace.root), ran)
        others = [name for phase in self.plan.phases for name in phase.stages if phase.runner and name in lacking.all]
        stopped = any(violation.reason in STOPS for violation in result.violations)
        violations = (*result.violations, *([] if stopped or not others else [not_run(others, self.plan)]))
        return replace(
            result,
            stages=self._all(result.stages),
            violations=violations,
            notes=(*machines(self.handed), *result.notes),
        )

    def _all(self, runs: Sequence[StageRun]) -> tuple[StageRun, ...]:
        """Return what became of each stage of the pipeline, in their order."""
        known = {run.stage: run for run in merged_runs(runs, [])}
        names = [name for phase in self.plan.phases for name in phase.stages]
        return tuple(known.get(name, StageRun(name, "unchanged")) for name in names)
