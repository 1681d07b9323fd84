"""The work of a phase that is not the last: what is stale, what is to be verified, and what has to run twice."""

from __future__ import annotations

from collections.abc import Sequence

from leverframe.application.phased_run import PhasedRun
from leverframe.application.status import status
from leverframe.domain.review.reproduce import RunOptions, StageRun, failure_of, merged_runs, state_of
from leverframe.domain.review.same_outputs import State
from leverframe.domain.review.unstable import unstable
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import PipelineBusyError, PipelineError

STOPS = (Reason.STAGE_FAILED, Reason.CONTRACT_BROKEN, Reason.DATA_MISSING)  # after which nothing more runs


def worked(pipeline: PhasedRun, order: RunOptions) -> tuple[list[StageRun], tuple[Violation, ...], tuple[str, ...]]:
    """Run the stages of a phase; return what became of them, what failed, and which are not deterministic.

    Raises ``PipelineBusyError`` where another process works in the repository.
    """
    runs, odd = list[StageRun](), tuple[str, ...]()
    try:
        pipeline.repro("--allow-missing", *(("--force",) if order.full else ()))
        runs = _own(pipeline)
        known, ran = pipeline.lock(), [run.stage for run in runs if run.how == "ran"]
        needed, _ = pipeline.due(status(pipeline.root), ran)
        pipeline.again(sorted(needed.verifying))
        if pipeline.lock() != known:
            pipeline.repro("--allow-missing")
        runs = merged_runs(runs, _own(pipeline))
        first = state_of(pipeline, order)
        odd = _run_twice(pipeline, order, first, runs)
        runs = merged_runs(runs, _own(pipeline))
    except PipelineBusyError:
        raise
    except PipelineError as error:
        runs = merged_runs(runs, _own(pipeline))
        stage = next((run.stage for run in runs if run.how == "failed"), error.stage)
        return runs, (failure_of(error, stage),), odd
    return runs, (), odd


def _run_twice(pipeline: PhasedRun, order: RunOptions, first: State, runs: Sequence[StageRun]) -> tuple[str, ...]:
    """Run what wrote other outputs than the commit has of the same inputs once more, as only this machine can.

    Returns the stages that differ from themselves; what reads them is run again.
    """
    claimed = order.committed.lock if order.committed else {}
    names = [run.stage for run in runs if run.stage in claimed and run.stage in first.lock]
    doubted = [
        name
        for name in names
        if claimed[name].inputs == first.lock[name].inputs and claimed[name].outputs != first.lock[name].outputs
    ]
    if not doubted:
        return ()
    order.tell(f"running {', '.join(doubted)} a second time, to tell training that is not deterministic from forgery")
    pipeline.again(doubted)
    odd = unstable(doubted, first, state_of(pipeline, order))
    if odd:
        pipeline.repro("--allow-missing")
    return odd


def _own(pipeline: PhasedRun) -> list[StageRun]:
    """Return what happened to the stages of this phase since the last call."""
    return [run for run in pipeline.runs() if run.stage in pipeline.mine]
