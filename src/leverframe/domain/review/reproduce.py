"""Whether the results that a change commits are true: run the stale stages, and recompute the metrics.

A lock proves that files belong together, not that anybody ran the stages: metrics and hashes can be
edited by hand. So `reproduce` always runs the stages that write the metrics, and every stage whose
entry in the lock is not that of the base: a changed input excuses no output. A frozen stage is not run, by DVC neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from shlex import quote
from typing import Literal, Protocol

from leverframe.domain import layout
from leverframe.domain.pipeline.status.resolved import Locked
from leverframe.domain.review.check import LOCK, lock_of_stage, other_outputs, violation_lines
from leverframe.domain.review.forged_metrics import forged, metrics_forged
from leverframe.domain.review.same_outputs import (
    MODELS,
    SAME,
    TABLES,
    Contents,
    Difference,
    State,
    differences,
    in_order,
    outputs,
    same_origin,
)
from leverframe.domain.review.unstable import doubted, figures, judged_unstable, unstable
from leverframe.domain.verdict import Reason, Verdict, Violation, judged, word
from leverframe.errors import PipelineBusyError, PipelineError
from leverframe.words import first_few

_AT_WORK = ("ran", "verified", "failed")
How = Literal["ran", "verified", "restored", "unchanged", "failed"]


@dataclass(frozen=True)
class StageRun:
    """What `reproduce` did with one stage, and its wall-clock seconds."""

    stage: str
    how: How
    seconds: float = 0.0


@dataclass(frozen=True)
class Reproduced:
    """The stages that ran, and where their results differ from those that the change commits.

    ``rebuilt`` tells that no data could be pulled, so every stage ran. ``notes`` hold
    differences that do not matter, such as last digits on another processor. ``full`` tells that every output was
    compared, whatever became of the inputs of its stage.
    """

    head: str
    stages: tuple[StageRun, ...] = ()
    violations: tuple[Violation, ...] = ()
    rebuilt: bool = False
    notes: tuple[str, ...] = ()
    full: bool = False

    @property
    def verdict(self) -> Verdict:
        """Passed, or failed for the reasons of the violations."""
        return judged(self.violations)

    def lines(self) -> list[str]:
        """Return the verdict, the stages that ran with their time, and the violations."""
        ran = [stage for stage in self.stages if stage.how in _AT_WORK]
        seconds = sum(stage.seconds for stage in ran)
        return [
            f"reproduce {word(self.verdict)}: {len(ran)} of {len(self.stages)} stages ran, {seconds:.1f} s",
            *(["every output of these stages was compared, whatever became of its inputs"] if self.full else []),
            *(f"  {stage.stage:<24} {stage.how:<9} {stage.seconds:6.1f} s" for stage in ran),
            *violation_lines(self.violations),
            *(f"note: {note}" for note in self.notes),
        ]


class Pipeline(Contents, Protocol):
    """The pipeline of one working copy."""

    def lock(self) -> dict[str, Locked]:
        """Return the entries of all its locks by the name of the stage, their paths from the root."""

    def repro(self, *arguments: str) -> None:
        """Run `dvc repro` of the stages that are named, else of all; raises ``PipelineError`` naming what failed."""

    def checkout(self) -> None:
        """Restore outputs from the cache."""

    def fetch(self, paths: Sequence[str]) -> None:
        """Pull what is missing of some outputs from the remote."""

    def texts(self, paths: Sequence[str]) -> dict[str, str]:
        """Return the text files at or below some paths, by path."""

    def runs(self) -> list[StageRun]:
        """Return what each stage did since the last call."""


@dataclass(frozen=True)
class RunOptions:
    """The options of a run: every stage or only the stale ones; whether to pull data; how far metrics may differ.

    ``base`` is the lock that the change started from: an entry as there was verified there. ``tolerance`` is relative
    and holds for all numbers, ``declared`` by metric where training is not deterministic. ``metrics`` are the files of
    metrics; ``kept`` is what git keeps of outputs, and ``frozen`` are the stages and imports that nobody runs. Where
    other machines ran stages before, ``committed`` is the state of the commit without that, ``elsewhere`` are those
    stages, and ``unstable`` those of them that gave other outputs in a second run.
    """

    head: str
    full: bool = False
    pull: bool = False
    base: Mapping[str, Locked] = field(default_factory=dict)
    tolerance: float = 1e-4
    declared: Mapping[str, float] = field(default_factory=dict)
    tell: Callable[[str], None] = field(default=lambda _: None)
    metrics: tuple[str, ...] = (layout.METRICS.as_posix(),)
    kept: tuple[str, ...] = (layout.REPORTS.as_posix(),)
    frozen: tuple[str, ...] = ()
    of_case: bool = True
    committed: State | None = None
    elsewhere: frozenset[str] = frozenset()
    unstable: tuple[str, ...] = ()


def run(pipeline: Pipeline, order: RunOptions) -> Reproduced:
    """Run what is stale, then what verifies the metrics, and compare with what the change commits.

    With ``full`` every stage runs and every output is compared, whatever its inputs became.
    Raises ``PipelineBusyError`` where another process works in the repository.
    """
    before = order.committed or state_of(pipeline, order)
    fetching = ("--pull", "--allow-missing") if order.pull else ()
    stages: list[StageRun] = []
    failures: list[Violation] = []
    try:
        if not order.pull:
            pipeline.checkout()
        order.tell("running the stale stages" if not order.full else "running every stage")
        pipeline.repro("--no-run-cache", *fetching, *(("--force",) if order.full else ()))
        stages = pipeline.runs()
        _verify(pipeline, order, _verifying(before.lock, order, stages), fetching)
        stages = merged_runs(stages, pipeline.runs())
    except PipelineBusyError:
        raise
    except PipelineError as error:
        stages = merged_runs(stages, pipeline.runs())
        failures = [failure_of(error, next((stage.stage for stage in stages if stage.how == "failed"), ""))]
    after = state_of(pipeline, order)
    violations, notes = _compared(pipeline, (before, after), stages, order)
    if violations and not failures:
        try:
            stages, violations, notes = _run_twice(pipeline, order, (before, after), stages) or (
                stages,
                violations,
                notes,
            )
        except PipelineBusyError:
            raise
        except PipelineError as error:
            failures = [failure_of(error, "")]
    if failures and not order.full:
        violations, notes = [], []
    if violations and pipeline.lock() != before.lock:
        notes.append(f"this folder has what the run wrote: {_back(before.lock, order)}")
    notes += _frozen(before.lock, order)
    return Reproduced(order.head, tuple(stages), (*failures, *violations), not order.pull, tuple(notes), order.full)


def _back(lock: Mapping[str, Locked], order: RunOptions) -> str:
    models = ["models"] if order.of_case else []
    places = " ".join(map(quote, (*sorted({lock_of_stage(name) for name in lock}), *order.kept, *models)))
    return f"`git restore {places}`, then `dvc checkout --force`, bring back what the commit has"


def _frozen(lock: Mapping[str, Locked], order: RunOptions) -> Iterator[str]:
    """Yield what was not run as it is frozen, and what of it the base has otherwise: nobody verified that."""
    if order.frozen:
        yield f"frozen or imported, so not run: {_some([f'`{name}`' for name in order.frozen])}"
    if changed := [name for name in order.frozen if name in lock and lock[name] != order.base.get(name)]:
        yield f"not verified, although the base has another entry of it: {_some([f'`{name}`' for name in changed])}"


def _run_twice(
    pipeline: Pipeline, order: RunOptions, states: tuple[State, State], stages: list[StageRun]
) -> tuple[list[StageRun], list[Violation], list[str]] | None:
    """Run what may have made the metrics once more: return what is said where it is not deterministic, else None."""
    before, after = states
    ran = {stage.stage for stage in stages if stage.how in ("ran", "verified")}
    accused = doubted(before, after, ran, order.metrics)
    odd, names = order.unstable, [name for name in accused if name not in order.elsewhere]
    if names:
        order.tell(f"running {', '.join(names)} a second time, to tell training that is not deterministic from forgery")
        pipeline.repro("--no-run-cache", "--force", "--single-item", *names)
        stages = merged_runs(stages, pipeline.runs())
        odd = (*odd, *unstable(names, after, state_of(pipeline, order)))
    if not (accused and odd):
        return None
    fetching = ("--pull", "--allow-missing") if order.pull else ()
    pipeline.repro("--no-run-cache", *fetching)  # what was made of the first run
    stages = merged_runs(stages, pipeline.runs())
    return stages, *_unstable(pipeline, (before, state_of(pipeline, order)), stages, order, odd)


def _unstable(
    pipeline: Pipeline, states: tuple[State, State], stages: Sequence[StageRun], order: RunOptions, odd: tuple[str, ...]
) -> tuple[list[Violation], list[str]]:
    """Return violations and notes where the stages ``odd`` are not deterministic."""
    before, after = states
    files = {path: (before.texts.get(path, ""), after.texts.get(path, "")) for path in order.metrics}
    differing = [words for path, texts in files.items() for words in forged(path, *texts, order.tolerance)]
    violations, notes = judged_unstable(odd, differing, figures(files, order.declared), of_case=order.of_case)
    others, more = _compared(pipeline, states, stages, order, odd)
    return [*violations, *others], [*notes, *more]


def state_of(pipeline: Pipeline, order: RunOptions) -> State:
    """Return the entries of all locks, and the texts of outputs and metrics, as they are here."""
    lock = pipeline.lock()
    return State(lock, pipeline.texts([*outputs(lock), *order.metrics]))


def failure_of(error: PipelineError, stage: str) -> Violation:
    """Return the error of a stage as a violation."""
    broken = stage.partition("@")[0] == "validate" and "contract" in f"{error.what} {error.why}".lower()
    return Violation(
        Reason.CONTRACT_BROKEN if broken else Reason.STAGE_FAILED, f"{error.what}: {error.why}", error.next
    )


def _verify(pipeline: Pipeline, order: RunOptions, again: Sequence[str], fetching: Sequence[str]) -> None:
    """Run fresh stages all the same, then what depends on those that wrote something else."""
    if not again:
        return
    order.tell(f"verifying {', '.join(again)}")
    known = pipeline.lock()
    if order.pull:
        readable = [path for name in again for path in known[name].outputs if path.endswith((*TABLES, *MODELS))]
        pipeline.fetch(sorted({*_needed(known, again), *(path for path in readable if not _in_git(path, order))}))
    pipeline.repro("--no-run-cache", "--force", "--single-item", *again)
    if pipeline.lock() != known:
        pipeline.repro("--no-run-cache", *fetching)


def _verifying(lock: Mapping[str, Locked], order: RunOptions, stages: Sequence[StageRun]) -> list[str]:
    """Return the fresh stages to run all the same, writers first: of metrics, and what the base has not so."""
    figures_of = set(order.metrics)
    wanted = {name for name, entry in lock.items() if figures_of & set(entry.outputs) or order.base.get(name) != entry}
    return in_order(lock, wanted & {stage.stage for stage in stages if stage.how not in ("ran", "verified")})


def _needed(known: Mapping[str, Locked], stages: Sequence[str]) -> list[str]:
    """Return the outputs of other stages that some stages read: `dvc repro --single-item` pulls nothing itself."""
    return sorted({path for name in stages for path in known[name].dependencies} & set(outputs(known)))


def merged_runs(first: Sequence[StageRun], then: Sequence[StageRun]) -> list[StageRun]:
    """Return what became of each stage in one command and those after it."""
    runs = {record.stage: record for record in first}
    for run in then:
        known = runs.get(run.stage)
        if known is None:
            runs[run.stage] = run
        elif run.how in ("ran", "failed") or known.how not in _AT_WORK:  # else a later command found it done
            verified = known.how != "ran" and run.how == "ran"
            runs[run.stage] = StageRun(run.stage, "verified" if verified else run.how, known.seconds + run.seconds)
    return list(runs.values())


def _compared(
    pipeline: Pipeline,
    states: tuple[State, State],
    stages: Sequence[StageRun],
    order: RunOptions,
    odd: Sequence[str] = (),
) -> tuple[list[Violation], list[str]]:
    """Return forged metrics and outputs that do not match the lock as violations, and as notes what else differs.

    What stages ``odd`` write, which are not deterministic, and the metrics that come of it, prove nothing. Of stages
    whose inputs changed on purpose, which a stale lock claims nothing about, only ``full`` compares.
    """
    before, after = states
    ran = {stage.stage for stage in stages if stage.how in ("ran", "verified")}
    diffs = differences(before, after, ran, order.tolerance, pipeline)
    verified = {stage.stage for stage in stages if stage.how == "verified"}
    diffs = [diff for diff in diffs if order.full or diff.same_inputs or diff.stage in verified]
    known = _comparable(states, ran, order)
    violations = [] if odd else list(_forged(states, known, order))
    mismatched = [
        diff
        for diff in diffs
        if diff.path not in order.metrics and diff.stage not in odd and _proves(diff, before, order)
    ]
    if mismatched and (order.full or not violations):
        violations.append(_mismatch(mismatched))
    reported = [] if violations and not order.full else diffs
    rest = [diff for diff in reported if diff not in mismatched]
    return violations, list(_notes(rest, before, ran, None not in known.values(), order))


def _comparable(states: tuple[State, State], ran: Set[str], order: RunOptions) -> dict[str, str | None]:
    """Return the stage that writes each file of metrics; None where it did not run, or from other inputs."""
    before, after = states
    writers = {path: name for name, entry in after.lock.items() for path in entry.outputs}
    comparable: dict[str, str | None] = {}
    for path in order.metrics:
        writer = writers.get(path)
        comparable[path] = None
        if writer is not None and writer in ran and (path in before.texts or writer in before.lock):
            comparable[path] = writer if order.full or same_origin(writer, before.lock, after.lock) else None
    return comparable


def _forged(states: tuple[State, State], writers: Mapping[str, str | None], order: RunOptions) -> Iterator[Violation]:
    before, after = states
    for path, writer in writers.items():
        texts = before.texts.get(path, ""), after.texts.get(path, "")
        if writer is not None and (differing := forged(path, *texts, order.tolerance)):
            yield metrics_forged(path, differing, writer)


def _proves(difference: Difference, before: State, order: RunOptions) -> bool:
    """Tell whether a difference cannot come from another processor: from the same inputs, and beyond last digits.

    Bytes that nobody reads prove something only where the base had others from the same inputs. Contents always do in a
    full run: what it does not write, whatever its inputs became, nobody can make of this commit.
    """
    if difference.how in SAME or not (difference.same_inputs or (order.full and difference.how == "contents")):
        return False
    ours, theirs = order.base.get(difference.stage), before.lock.get(difference.stage)
    if ours and theirs and other_outputs(ours, theirs):
        return True
    readable = _in_git(difference.path, order) or difference.path.endswith((*TABLES, *MODELS))
    return difference.how == "contents" and readable


def _in_git(path: str, order: RunOptions) -> bool:
    """Tell whether git keeps an output, or a file of one."""
    return any(f"{path}/".startswith(f"{place}/") for place in order.kept)


def _mismatch(differing: Sequence[Difference]) -> Violation:
    stages = list(dict.fromkeys(diff.stage for diff in differing))
    locks = ", ".join(f"`{lock}`" for lock in sorted(set(map(lock_of_stage, stages))))
    return Violation(
        Reason.LOCK_MISMATCH,
        f"{locks} does not match what the stages write: {_named(differing)}",
        f"run `dvc repro -f -s {' '.join(stages)}`; commit what it writes, and {locks}",
    )


def _notes(diffs: Sequence[Difference], before: State, ran: Set[str], known: bool, order: RunOptions) -> Iterator[str]:
    """Yield what differs without proof of anything, and what was not compared: that is never called equal."""
    words = {
        "digits": f"the bytes differ from `{LOCK}`, all numbers agree within {order.tolerance:g}",
        "predictions": f"the bytes differ from `{LOCK}`, the predictions agree within {order.tolerance:g}",
        "bytes": f"the bytes differ from `{LOCK}`, and the contents were not compared",
        "contents": "the contents differ from those claimed, as the inputs do",
        "unclaimed": f"`{LOCK}` claims no such output",
    }
    unread = ("digests", "drawn")  # of which this says no more than of bytes
    for how, phrase in words.items():
        if those := [diff for diff in diffs if ("bytes" if diff.how in unread else diff.how) == how]:
            yield f"{phrase}: {_named(those)}"
    if not known and (diffs or order.full):
        yield "the metrics were not compared: their stage did not run, or its inputs changed"
    if order.full:
        idle = [name for name in before.lock if name not in ran]
        if idle:
            yield f"not compared, as the stages did not run: {_some([f'`{name}`' for name in idle])}"


def _named(differing: Sequence[Difference]) -> str:
    return _some([f"`{diff.path}` of `{diff.stage}`{diff.words and f' ({diff.words})'}" for diff in differing])


def _some(names: Sequence[str]) -> str:
    return first_few(names, 3, "; ", "; and ")
