"""How the gate decides: both models on the same rows, then contracts, parity, data diff and size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from leverframe.domain import layout
from leverframe.domain.model.artefacts import Artefacts
from leverframe.domain.model.evaluate.dependence import method
from leverframe.domain.model.evaluate.evaluation import Predictor
from leverframe.domain.pipeline.status.lock import entries
from leverframe.domain.pipeline.status.resolved import Recorded
from leverframe.domain.review.diff.diff_result import Diff
from leverframe.domain.review.gate.gate_result import Compared, Gated
from leverframe.domain.review.gate.leak_suspects import judged_predictors
from leverframe.domain.review.gate.paired import judged_metrics
from leverframe.domain.review.gate.pairing import GateInputs, Models, Side
from leverframe.domain.review.gate.replay_comparison import ReplayComparison, against
from leverframe.domain.review.gate.rules import Rules
from leverframe.domain.review.gate.sliced import judged_slices, undefined
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import LeverframeError
from leverframe.words import first_few

_TOLERANCE = 1e-4  # relative: figures in git have six digits, and sums differ in the last ones between machines


@dataclass(frozen=True)
class Evidence:
    """The evidence beside the models: contract reports, parity, data diff, sizes in bytes, replayed requests."""

    contracts: Mapping[str, Mapping[str, Any]]
    parity: Mapping[str, Any] | None
    diff: Diff | None
    sizes: Mapping[str, int]
    replay: ReplayComparison | None = None


def run(
    question: GateInputs, sides: tuple[Side, Side | None], predictor: Predictor, rules: Rules, evidence: Evidence
) -> Gated:
    """Judge the candidate, ``sides[0]``, against the champion, ``sides[1]``, None before the first model was merged.

    Nothing is written. A side whose files cannot be used is a violation, not an error.
    """
    ruled = bool(rules.settings.metrics or rules.settings.slices)
    gated = Gated(question.base, question.head, rules_of=rules.of, rule_changes=rules.changes, replay=evidence.replay)
    beside = around(evidence, rules)
    try:
        models = Models(question, *sides, predictor, rules.settings)
        if models.change is not None:
            gated, beside = replace(gated, holdout=models.change), [*models.change.violations(), *beside]
        pair, how = models.pair()
        metrics, missed = judged_metrics(pair, rules.settings)
        slices, within = judged_slices(pair, rules.settings)
        on_base, lost = models.on_base(metrics)
        revealing, noted = judged_predictors(sides, rules.settings, question.timezone)
        notes = (*models.notes(), *noted, *undefined(slices))
    except LeverframeError as error:
        violation = Violation(Reason.NOT_COMPARABLE, f"{error.what}: {error.why}", error.next)
        return replace(gated, violations=(*beside, violation))
    violations = (*_forged(sides[0].artefacts, metrics), *revealing, *missed, *lost, *within, *beside)
    unruled = "" if ruled else "`gate` in `leverframe.yaml` declares no rule"
    if unruled and violations:  # what needs no rule failed
        notes = (*notes, f"no metric was judged: {unruled}")
    return replace(
        gated,
        violations=violations,
        because=f"{unruled}, so nothing could fail" if unruled and not violations else "",
        rows=len(pair.candidate.labels),
        days=pair.candidate.number_of_days,
        method=method(pair.candidate.number_of_days),
        unit_of=sides[0].model.label.name if pair.candidate.kind == "regression" else "",
        how=how,
        confidence=rules.settings.confidence,
        metrics=tuple(metrics),
        slices=tuple(slices),
        on_base=on_base,
        notes=notes,
    )


def around(evidence: Evidence, rules: Rules) -> list[Violation]:
    """Return the violations that no model is needed for: of rules, contracts, parity, data diff, sizes and replay."""
    violations = [*_contracts(evidence), *_diff(evidence, rules), *_sizes(evidence, rules), *against(evidence.replay)]
    return [*rules.violations, *violations]


def _forged(artefacts: Artefacts, metrics: Sequence[Compared]) -> list[Violation]:
    """Return the violation for metrics in git that are missing or that the model does not give."""
    try:
        written = artefacts.read_json(layout.METRICS)
    except LeverframeError as error:
        return [Violation(Reason.METRIC_MISSING, f"{error.what}: {error.why}", "`dvc repro evaluate`")]
    odd = [metric for metric in metrics if not _agrees(written.get(metric.metric), metric.candidate)]
    if not odd:
        return []
    differences = ", ".join(
        f"{metric.title} {written.get(metric.metric)} in git, {metric.candidate} computed" for metric in odd[:3]
    )
    missing = all(metric.metric not in written for metric in odd)
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
    try:
        failed = [
            f"`{partition} {table}`: `{check['check']}`" + (f" of `{check['column']}`" if check.get("column") else "")
            for partition, report in sorted(evidence.contracts.items())
            for table, content in report.get("tables", {}).items()
            for check in content.get("checks", [])
            if check.get("verdict") == "failed" and check.get("severity") != "warn"
        ]
    except (AttributeError, KeyError, TypeError):
        why = f"a file in `{layout.CONTRACTS}` is no contract report, so nobody knows whether the data are right"
        yield Violation(Reason.CONTRACT_BROKEN, why, "`dvc repro` writes it again")
        return
    if failed:
        yield Violation(
            Reason.CONTRACT_BROKEN,
            f"the data violate {len(failed)} constraint{'s' if len(failed) > 1 else ''}: {first_few(failed, 3)}",
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
    changes = [f"`{change.where}`: {change.what}" for change in evidence.diff.breaking]
    named = first_few(changes, 3, "; ", "; and ")
    yield Violation(
        Reason.CHANGE_BREAKING,
        f"a breaking change for those who use the data: {named}",
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
