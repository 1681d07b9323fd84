"""How the gate decides: both models on the same rows, then contracts, parity, data diff and size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.domain import layout
from leverframe.domain.features.training_set import AS_OF
from leverframe.domain.model.artefacts import Artefacts, read_as
from leverframe.domain.model.evaluate.evaluation import Predictor, assembled, predicted
from leverframe.domain.model.evaluate.holdout import Holdout, with_classes
from leverframe.domain.model.evaluate.weighing import Floats
from leverframe.domain.model.table import Table, Tables, column, texts
from leverframe.domain.model.train import ModelDescription
from leverframe.domain.pipeline.status.lock import entries
from leverframe.domain.pipeline.status.resolved import Recorded
from leverframe.domain.review.diff.diff_result import Diff
from leverframe.domain.review.gate.gate_result import Compared, Gated
from leverframe.domain.review.gate.paired import Pair, judged_metrics, judged_slices
from leverframe.domain.review.gate.replay_comparison import ReplayComparison, against
from leverframe.domain.review.gate.rules import Rules
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import DefinitionError, LeverframeError
from leverframe.settings.params import EvaluateSettings

_TOLERANCE = 1e-4  # relative: figures in git have six digits, and sums differ in the last ones between machines
_LEAST_SHARED = 0.5  # of the candidate's rows that the champion must have predicted, where it cannot predict them again


@dataclass(frozen=True)
class Side:
    """One revision of the pipeline's files; the champion's may lie in another folder."""

    tables: Tables
    artefacts: Artefacts


@dataclass(frozen=True)
class Evidence:
    """The evidence beside the models: contract reports, parity, data diff, sizes in bytes, replayed requests."""

    contracts: Mapping[str, Mapping[str, Any]]
    parity: Mapping[str, Any] | None
    diff: Diff | None
    sizes: Mapping[str, int]
    replay: ReplayComparison | None = None


@dataclass(frozen=True)
class Question:
    """What is compared: the commits, the key of a row, the zone in which a day begins."""

    base: str
    head: str
    key: tuple[str, ...]
    timezone: str


def run(
    question: Question, sides: tuple[Side, Side | None], predictor: Predictor, rules: Rules, evidence: Evidence
) -> Gated:
    """Judge the candidate, ``sides[0]``, against the champion, ``sides[1]``, None before the first model was merged.

    Nothing is written. A side whose files cannot be used is a violation, not an error.
    """
    empty = Gated(question.base, question.head, rules_of=rules.of, rule_changes=rules.changes, replay=evidence.replay)
    around = [*_contracts(evidence), *_diff(evidence, rules), *_sizes(evidence, rules), *against(evidence.replay)]
    try:
        pair, how = _pair(question, sides, predictor, rules)
    except LeverframeError as error:
        violation = Violation(Reason.NOT_COMPARABLE, f"{error.what}: {error.why}", error.next)
        return replace(empty, violations=(*around, violation))
    metrics, missed = judged_metrics(pair, rules.settings)
    slices, within = judged_slices(pair, rules.settings)
    forged = _forged(sides[0].artefacts, metrics)
    ruled = bool(rules.settings.metrics or rules.settings.slices)
    return replace(
        empty,
        violations=(*forged, *missed, *within, *around),
        because="" if ruled else "`gate` in `leverframe.yaml` declares no rule, so nothing could fail",
        rows=len(pair.candidate.labels),
        days=pair.candidate.number_of_days,
        how=how,
        confidence=rules.settings.confidence,
        metrics=tuple(metrics),
        slices=tuple(slices),
        notes=() if sides[1] else ("The base branch has no model, so there is no champion: only floors apply.",),
    )


def _pair(question: Question, sides: tuple[Side, Side | None], predictor: Predictor, rules: Rules) -> tuple[Pair, str]:
    ours, theirs = sides
    model = read_as(ModelDescription, layout.MODEL_DESCRIPTION, ours.artefacts)
    table = ours.tables.read(layout.HOLDOUT)
    columns = [name for rule in rules.settings.slices for name in rule.columns if name in (*table.columns, "month")]
    settings = (EvaluateSettings(slices=columns), question.timezone)
    with predictor.threads(1):
        predictions = predicted(predictor, model, table, ours.artefacts.read_bytes(layout.MODEL))
        candidate = assembled(model, table, predictions, settings)
        if theirs is None:
            return Pair(candidate, None), "no champion"
        champion = read_as(ModelDescription, layout.MODEL_DESCRIPTION, theirs.artefacts)
        _check_same_label(champion, model)
        if champion.spec == model.spec and {each.name for each in champion.features} <= set(table.columns):
            again = predicted(predictor, champion, table, theirs.artefacts.read_bytes(layout.MODEL))
            return Pair(candidate, assembled(champion, table, again, settings)), "both models predicted the same rows"
    return _by_key(question, (candidate, table), (champion, theirs))


def _check_same_label(champion: ModelDescription, candidate: ModelDescription) -> None:
    if champion.label != candidate.label:
        raise DefinitionError(
            f"the label was `{champion.label.name}` ({champion.label.kind}) and is `{candidate.label.name}` "
            f"({candidate.label.kind})",
            why="models of different labels predict different things",
            next="change the label in a pull request of its own, approved by those who use the model",
        )


def _by_key(question: Question, ours: tuple[Holdout, Table], theirs: tuple[ModelDescription, Side]) -> tuple[Pair, str]:
    """Return both models on the rows that both predicted, where neither has the features of the other."""
    (candidate, table), (champion, side) = ours, theirs
    before, written = side.tables.read(layout.HOLDOUT), side.tables.read(layout.PREDICTIONS)
    place = {key: row for row, key in enumerate(_keys(before, question.key))}
    matched = [(row, place[key]) for row, key in enumerate(_keys(table, question.key)) if key in place]
    if len(matched) < _LEAST_SHARED * len(candidate.labels):
        raise DefinitionError(
            f"both models predicted only {len(matched):,} of the {len(candidate.labels):,} rows of the hold-out",
            why="the features and the partitions of the hold-out changed in the same pull request",
            next="change one of the two, merge it, then change the other",
        )
    rows, there = (np.array(each, dtype=np.int64) for each in zip(*matched, strict=True))
    predictions = _predictions_of(written, champion)[there]
    labels, classes = candidate.labels[rows], champion.classes
    if candidate.kind == "multiclass":
        names = np.array(candidate.classes)[labels.astype(np.int64)]
        classes, labels, predictions = with_classes(names, predictions, champion.classes)
    days = np.unique(candidate.days[rows], return_inverse=True)[1].astype(np.int64)
    slices = {name: values[rows] for name, values in candidate.slices.items()}
    shared = replace(
        candidate, labels=candidate.labels[rows], predictions=candidate.predictions[rows], days=days, slices=slices
    )
    other = Holdout(candidate.kind, classes, labels, predictions, days, slices)
    common = f"{len(rows):,} of {len(candidate.labels):,} rows are in both hold-outs"
    return Pair(shared, other), f"each model predicted from its own features; {common}"


def _keys(table: Table, key: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    names = [name for name in (AS_OF, *key) if name in table.columns]
    moments = column(table, AS_OF, file=layout.HOLDOUT).to_numpy().astype("datetime64[us]").astype(np.int64)
    others = [texts(column(table, name, file=layout.HOLDOUT)).tolist() for name in names if name != AS_OF]
    return zip(moments.tolist(), *others, strict=True)


def _predictions_of(written: Table, model: ModelDescription) -> Floats:
    names = {"binary": ["score"], "regression": ["prediction"]}.get(
        model.label.kind, [f"probability_{each}" for each in model.classes]
    )
    columns: list[NDArray[Any]] = [column(written, name, file=layout.PREDICTIONS).to_numpy() for name in names]
    predictions: Floats = np.stack(columns, axis=1).astype(np.float64)
    alone: Floats = predictions[:, 0]
    return predictions if model.label.kind == "multiclass" else alone


def _forged(artefacts: Artefacts, metrics: Sequence[Compared]) -> list[Violation]:
    """Return the violation for metrics in git that are missing or that the model does not give."""
    try:
        written = artefacts.read_json(layout.METRICS)
    except LeverframeError as error:
        return [Violation(Reason.METRIC_MISSING, f"{error.what}: {error.why}", "`dvc repro evaluate`")]
    odd = [each for each in metrics if not _agrees(written.get(each.metric), each.candidate)]
    if not odd:
        return []
    differences = ", ".join(
        f"{each.title} {written.get(each.metric)} in git, {each.candidate} computed" for each in odd[:3]
    )
    missing = all(each.metric not in written for each in odd)
    return [
        Violation(
            Reason.METRIC_MISSING if missing else Reason.METRICS_FORGED,
            f"`{layout.METRICS}` in git does not match the model: {differences}",
            "run `dvc repro -f -s evaluate`; commit what it writes, and `dvc.lock`",
        )
    ]


def _agrees(written: Any, computed: float | None) -> bool:
    if computed is None or not isinstance(written, int | float):
        return computed is None and written is None
    return math.isclose(written, computed, rel_tol=_TOLERANCE, abs_tol=1e-6)


def _contracts(evidence: Evidence) -> Iterator[Violation]:
    failed = [
        f"`{partition} {table}`: `{check['check']}`" + (f" of `{check['column']}`" if check.get("column") else "")
        for partition, report in sorted(evidence.contracts.items())
        for table, content in report.get("tables", {}).items()
        for check in content.get("checks", [])
        if check.get("verdict") == "failed" and check.get("severity") != "warn"
    ]
    if failed:
        more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
        yield Violation(
            Reason.CONTRACT_BROKEN,
            f"the data violate {len(failed)} constraint{'s' if len(failed) > 1 else ''}: {', '.join(failed[:3])}{more}",
            "fix the data at the source, or change the contract in `contracts.py`",
        )
    if evidence.parity is not None and evidence.parity.get("verdict") != "passed":
        yield Violation(
            Reason.PARITY_BROKEN,
            f"training-serving skew: features at request time differ from those of training (`{layout.PARITY}`: "
            f"`{evidence.parity.get('verdict')}`)",
            "`leverframe parity` lists the features",
        )


def _diff(evidence: Evidence, rules: Rules) -> Iterator[Violation]:
    if evidence.diff is None or rules.settings.breaking_changes == "allow" or not evidence.diff.breaking:
        return
    changes = [f"`{each.where}`: {each.what}" for each in evidence.diff.breaking]
    more = f"; and {len(changes) - 3} more" if len(changes) > 3 else ""
    yield Violation(
        Reason.CHANGE_BREAKING,
        f"a breaking change for those who use the data: {'; '.join(changes[:3])}{more}",
        "keep the old name or meaning beside the new one, or set `gate.breaking_changes: allow` in an own pull request",
    )


def _sizes(evidence: Evidence, rules: Rules) -> Iterator[Violation]:
    limit, megabytes = rules.settings.maximum_megabytes, sum(evidence.sizes.values()) / 1e6
    if limit is not None and megabytes > limit:
        largest = max(evidence.sizes, key=lambda path: evidence.sizes[path])
        yield Violation(
            Reason.BUNDLE_TOO_LARGE,
            f"model and snapshot take {megabytes:,.1f} MB, the limit is {limit:g} MB; the largest is `{largest}`",
            "remove features or trees, or raise `gate.maximum_megabytes` in a pull request of its own",
        )


def champion_files(lock: bytes) -> dict[str, Recorded]:
    """Return what the gate needs of the champion that is not in git, with its record in the champion's lock."""
    recorded = _recorded(lock)
    wanted = [path.as_posix() for path in (layout.MODEL, layout.HOLDOUT, layout.PREDICTIONS)]
    return {path: recorded[path] for path in wanted if path in recorded}


def bundle_sizes(lock: bytes) -> dict[str, int]:
    """Return the bytes of the model and its snapshot, as the lock has them: they need not be here."""
    recorded = _recorded(lock)
    wanted = [path.as_posix() for path in (layout.MODEL, layout.SNAPSHOT)]
    return {path: recorded[path].size or 0 for path in wanted if path in recorded}


def _recorded(lock: bytes) -> dict[str, Recorded]:
    known = entries(lock.decode(errors="replace"), "dvc.lock")
    return {path: record for entry in known.values() for path, record in entry.outputs.items()}
