"""Whether what a change commits of its outputs is what the judge's run wrote, output by output."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from leverframe.domain import layout
from leverframe.domain.pipeline.status.resolved import Locked
from leverframe.domain.review.check import LOCK
from leverframe.domain.review.same_outputs import (
    SAME,
    Contents,
    Difference,
    State,
    differences,
    drawn_alike,
    in_order,
    outputs,
)
from leverframe.domain.review.unstable import figures, judged_unstable
from leverframe.domain.verdict import Reason, Violation
from leverframe.words import first_few
from leverframe.yaml_files import leaves

_NAMED = 6  # outputs or stages that are named, the rest is counted
_METRICS, _MODEL, _SKETCHES = layout.METRICS.as_posix(), layout.MODEL.as_posix(), layout.SKETCHES.as_posix()


@dataclass(frozen=True)
class Claims:
    """The comparison: violations, harmless differences, and stages whose outputs a run cannot prove."""

    violations: tuple[Violation, ...] = ()
    notes: tuple[str, ...] = ()
    excused: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClaimRules:
    """How the claims are held: ``tolerance`` is relative for all numbers.

    ``owed`` are the paths that an owner has to approve, from the project; ``contents`` compares tables and models with
    records. ``unstable`` stages gave other outputs in a second run; then ``declared`` says how far each metric may
    differ.
    """

    tolerance: float
    owed: Collection[str]
    contents: Contents
    unstable: Sequence[str] = ()
    declared: Mapping[str, float] = field(default_factory=dict)


def compared(claimed: State, made: State, terms: ClaimRules) -> Claims:
    """Return where the outputs that a change commits differ from those of the judge's run of the same inputs.

    Stages that read what the judge may not run are excused with all that follows from them, and named.
    """
    excused = _excused(claimed.lock, made.lock, terms.owed)
    judged = [name for name in made.lock if name not in excused]
    stale = [name for name in judged if _other_inputs(claimed.lock.get(name), made.lock[name], outputs(made.lock))]
    extra = [name for name in claimed.lock if name not in made.lock and "dvc.yaml" not in terms.owed]
    diffs = differences(claimed, made, {*judged}, terms.tolerance, terms.contents)
    harmless = _harmless(diffs, claimed, made)
    random = {*_behind(made.lock, terms.unstable)}
    wrong = [diff for diff in diffs if diff not in harmless and diff.stage not in stale and diff.stage not in random]
    odd_ones, noted = _unstable(claimed, made, terms)
    violations = [*odd_ones, *_forged(wrong, claimed.texts, made.texts), *_mismatched(wrong), *_stale(stale, extra)]
    notes = [*noted, *_notes(harmless, excused, terms.tolerance)]
    return Claims(tuple(violations), tuple(notes), (*excused, *(name for name in made.lock if name in random)))


def _harmless(diffs: Sequence[Difference], claimed: State, made: State) -> list[Difference]:
    """Return the differences that change nothing for whoever reads the outputs; what nobody can read is none of them.

    Behind a model of other bytes that predicts the same, texts name other digests, and drawings have other last digits.
    """
    harmless = [diff for diff in diffs if diff.how in SAME]
    if not any(diff.how == "predictions" and diff.path == _MODEL for diff in harmless):
        return harmless
    writers = [name for name, entry in made.lock.items() if _MODEL in entry.outputs]
    behind = {*_behind(made.lock, writers)}
    followed = [diff for diff in diffs if diff.stage in behind and _follows(diff, claimed, made)]
    return [diff for diff in diffs if diff in harmless or diff in followed]


def _follows(difference: Difference, claimed: State, made: State) -> bool:
    """Tell whether other bytes of a model explain a difference: of digests in a text, or of a drawing's last digits."""
    if difference.how != "drawn":
        return difference.how == "digests"
    texts = (side.texts.get(difference.path, "") for side in (claimed, made))
    return difference.path.startswith(_SKETCHES) or drawn_alike(*texts)


def _unstable(claimed: State, made: State, terms: ClaimRules) -> tuple[list[Violation], list[str]]:
    """Return what is wrong, and what to say, where training is not deterministic: figures alone decide then."""
    if not terms.unstable:
        return [], []
    if not terms.declared:  # figures that agree prove no model: whoever makes training random could commit any
        return judged_unstable(terms.unstable, ["the model cannot be computed again"], [])
    texts = claimed.texts.get(_METRICS, ""), made.texts.get(_METRICS, "")
    ours, theirs = map(_figures, texts)
    differing = [
        f"`{name}` is {theirs.get(name)}, not {value}" for name, value in ours.items() if theirs.get(name) != value
    ]
    return judged_unstable(terms.unstable, differing, figures({_METRICS: (texts[0], texts[1])}, terms.declared))


def _behind(lock: Mapping[str, Locked], names: Sequence[str]) -> Iterator[str]:
    """Yield some stages of a lock and all that read what they wrote, writers first."""
    written: set[str] = set()
    for name in in_order(lock, lock.keys()):
        if name in names or written & {*lock[name].dependencies}:
            written |= {*lock[name].outputs}
            yield name


def _excused(claimed: Mapping[str, Locked], made: Mapping[str, Locked], owed: Collection[str]) -> list[str]:
    """Return the stages that read a path which is an owner's, and those behind them, writers first."""
    excused: set[str] = set()
    written: set[str] = set()
    for name in in_order(made, made.keys()):
        entry, other = made[name], claimed.get(name)
        defined = "dvc.yaml" in owed  # else the lock of the change has no say in what its stages read
        read = {*entry.dependencies, *(other.dependencies if other and defined else ())}
        reads = {*read, *entry.parameters}
        redefined = defined and (other is None or _shape(other) != _shape(entry))
        if redefined or _meets(reads, owed) or read & written:
            excused.add(name)
            written |= {*entry.outputs}
    return in_order(made, excused)


def _shape(entry: Locked) -> tuple[Any, ...]:
    return entry.command, {*entry.dependencies}, {*entry.outputs}


def _meets(reads: Collection[str], owed: Collection[str]) -> bool:
    """Tell whether one of some paths is one of others, or a folder with one of them, or below one."""
    return any(
        one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/") for one in reads for other in owed
    )


def _other_inputs(claimed: Locked | None, made: Locked, written: Collection[str]) -> bool:
    """Tell whether the lock claims other commands, parameters or sources than the stage has, or no run at all."""
    if claimed is None or (claimed.command, claimed.parameters) != (made.command, made.parameters):
        return True
    if claimed.dependencies.keys() != made.dependencies.keys() or claimed.outputs.keys() != made.outputs.keys():
        return True
    inner = {*written}
    return any(claimed.dependencies[path] != record for path, record in made.dependencies.items() if path not in inner)


def _forged(wrong: Sequence[Difference], claimed: Mapping[str, str], made: Mapping[str, str]) -> Iterator[Violation]:
    """Yield the metrics that differ, with both figures."""
    stage = next((diff.stage for diff in wrong if diff.path == _METRICS), None)
    if stage is None:
        return
    ours, theirs = (_figures(side.get(_METRICS, "")) for side in (claimed, made))
    differing = [name for name in sorted(ours.keys() | theirs.keys()) if ours.get(name) != theirs.get(name)]
    words = "; ".join(f"`{name}` is {theirs.get(name)}, not {ours.get(name)}" for name in differing[:_NAMED])
    yield Violation(
        Reason.METRICS_FORGED,
        f"`{_METRICS}` in git differs from what the judge computed: {words or 'its form'}",
        f"run `dvc repro -f -s {stage}`; commit what it writes, and `{LOCK}`",
    )


def _figures(text: str) -> dict[str, str]:
    try:
        return {name: _short(value) for name, value in leaves(json.loads(text))}
    except (ValueError, RecursionError):
        return {}


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:40]


def _mismatched(wrong: Sequence[Difference]) -> Iterator[Violation]:
    those = [diff for diff in wrong if diff.path != _METRICS]
    if those:
        stages = list(dict.fromkeys(diff.stage for diff in those))
        yield Violation(
            Reason.LOCK_MISMATCH,
            f"the judge's run of the same inputs wrote others than this change commits: {_named(those)}",
            f"run `dvc repro -f -s {' '.join(stages)}`; commit what it writes, and `{LOCK}`"
            + ("; `dvc push` lets the judge compare contents" if any(diff.how == "bytes" for diff in those) else ""),
        )


def _stale(stale: Sequence[str], extra: Sequence[str]) -> Iterator[Violation]:
    if stale:
        yield Violation(
            Reason.LOCK_STALE,
            f"`{LOCK}` has no run of {_some(stale)} with the settings, data and code of this change",
            f"run `dvc repro`; commit `{LOCK}` and what the stages write",
        )
    if extra:
        yield Violation(
            Reason.LOCK_STALE,
            f"`{LOCK}` has entries of stages that do not exist: {_some(extra)}",
            f"remove them: `dvc repro` writes `{LOCK}`",
        )


def _notes(harmless: Sequence[Difference], excused: Sequence[str], tolerance: float) -> Iterator[str]:
    digits = [diff for diff in harmless if diff.how == "digits"]
    others = [diff for diff in harmless if diff.how != "digits"]
    if digits:
        yield f"the bytes differ from those committed, all numbers agree within {tolerance:g}: {_named(digits)}"
    if others:
        yield f"the bytes differ from those committed, the predictions agree: {_named(others)}"
    if excused:
        yield f"not run by the judge, as their code is that of the change: {_some(excused)}"


def _named(those: Sequence[Difference]) -> str:
    return first_few([f"`{diff.path}` of `{diff.stage}`" for diff in those], _NAMED)


def _some(names: Sequence[str]) -> str:
    return first_few([f"`{name}`" for name in names], _NAMED)
