"""Figures that a pipeline of one's own wrote: which direction is better, and whether a rule holds without any row.

Where neither model nor predictions are at hand, a figure before and one after are all that is known. No interval can
be given then, so a rule is held by the figures as they are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal

from leverframe.domain.model.evaluate.evaluation_summary import short
from leverframe.domain.review.gate.gate_result import Compared, rounding
from leverframe.domain.review.gate.rules import allowed, floor_text, rule_text
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import nearest
from leverframe.settings import LEVERS
from leverframe.settings.levers import GateSettings, MetricRule

Figures = Mapping[str, float]  # by name
Direction = Literal["higher", "lower"]
UNSURE = "no interval can be given: only figures are known, and nothing tells chance from change"

_HIGHER = frozenset({
    "acc", "accuracy", "ap", "auc", "auprc", "auroc", "average_precision", "bleu", "dice", "exact_match",
    "explained_variance", "f1", "f2", "f_measure", "fbeta", "fscore", "gini", "hit_rate", "iou", "jaccard", "kappa",
    "ks", "likelihood", "map", "mcc", "meteor", "mrr", "ndcg", "pearson", "pr_auc", "precision", "psnr", "r2",
    "r_squared", "recall", "roc_auc", "rouge", "rouge1", "rouge2", "rougel", "sensitivity", "silhouette", "spearman",
    "specificity", "ssim", "tnr", "top1", "top5", "tpr", "true_negative_rate", "true_positive_rate",
})  # fmt: skip
_LOWER = frozenset({
    "brier", "cer", "cross_entropy", "crossentropy", "deviance", "divergence", "ece", "err", "error",
    "false_negative_rate", "false_positive_rate", "fid", "fnr", "fpr", "hamming", "hinge", "latency", "logloss",
    "loss", "mae", "mape", "mase", "mce", "medae", "misclassification", "mse", "msle", "nll", "perplexity", "pinball",
    "ppl", "rmse", "rmsle", "smape", "wape", "wer",
})  # fmt: skip
_NEUTRAL = frozenset({
    "at", "average", "avg", "best", "dev", "eval", "final", "holdout", "macro", "mean", "micro", "ms", "overall",
    "rate", "score", "seconds", "test", "total", "train", "val", "valid", "validation", "value", "weighted",
})  # fmt: skip
_NEGATED = frozenset({"neg", "negative"})
_MOST_WORDS = 3  # of a known name


def figures_of(content: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers in the content of a file of metrics by dotted path; lists and texts are no figures."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from figures_of(value, f"{name}.{key}" if name else str(key))
    elif isinstance(content, int | float) and not isinstance(content, bool):
        try:
            yield name, float(content)
        except OverflowError:
            yield name, math.inf if content > 0 else -math.inf


def named(files: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures of several files; one that two files have is called by its file as well."""
    by_file = {file: dict(figures_of(content)) for file, content in files.items()}
    counts: dict[str, int] = {}
    for figures in by_file.values():
        for name in figures:
            counts[name] = counts.get(name, 0) + 1
    return {
        name if counts[name] == 1 else f"{file}:{name}": value
        for file, figures in by_file.items()
        for name, value in figures.items()
    }


def direction_of(name: str) -> Direction | None:
    """Return which direction of a figure is better as far as its name tells: the last words that are not neutral."""
    words = [word for word in re.split(r"[^a-z0-9]+", _spaced(name.rpartition(":")[2]).lower()) if word]
    for end in range(len(words), 0, -1):
        for first in range(max(0, end - _MOST_WORDS), end):
            known = "_".join(words[first:end])
            if known in _HIGHER or known in _LOWER:
                better: Direction = "higher" if known in _HIGHER else "lower"
                return _other(better) if _NEGATED & set(words[:first]) else better
        if words[end - 1] not in _NEUTRAL and not words[end - 1].isdecimal():
            return None
    return None


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)


def _other(better: Direction) -> Direction:
    return "lower" if better == "higher" else "higher"


def judged_figures(
    ours: Figures, theirs: Figures | None, settings: GateSettings, judged: Collection[str]
) -> tuple[list[Compared], list[Violation]]:
    """Return figures of both sides, and the violations of rules; ``judged`` are rules that better evidence decided.

    ``theirs`` is None before the first merge. Every figure with a rule is there, and every other one beside it.
    """
    compared, violations = [], list[Violation]()
    for name, rule in settings.metrics.items():
        if name in judged:
            continue
        results, missed = _judged(name, rule, ours, theirs)
        compared += results
        violations += missed
    seen = {figure.metric for figure in compared} | set(judged)
    compared += [_shown(name, ours, theirs) for name in ours if name not in seen]
    return compared, violations


def _judged(
    name: str, rule: MetricRule, ours: Figures, theirs: Figures | None
) -> tuple[list[Compared], list[Violation]]:
    better = rule.direction or direction_of(name)
    value = ours.get(name)
    if value is None or not math.isfinite(value):
        lacking = "which no file of metrics has" if value is None else f"which is {value}"
        remedy = f"{nearest(name, ours)}; the names are those of `dvc metrics show`, nested ones by dotted path"
        return [], [Violation(Reason.METRIC_MISSING, f"a rule names the metric `{name}`, {lacking}", remedy)]
    if better is None:
        return [_shown(name, ours, theirs)], [
            Violation(
                Reason.SETTINGS_INVALID,
                f"nothing tells whether a higher or a lower `{name}` is better",
                f"set `gate.metrics.{name}.direction` in {LEVERS} to `higher` or `lower`",
            )
        ]
    before = None if theirs is None else theirs.get(name)
    missed = list(_missed(name, rule, better, (before, value)))
    gain = None if before is None else _gain(better, before, value)
    text = rule_text(rule, better)
    return [Compared(name, name, better, before, value, gain, None, None, text, passed=not missed)], missed


def _missed(name: str, rule: MetricRule, better: Direction, values: tuple[float | None, float]) -> Iterator[Violation]:
    before, after = values
    remedy = "improve the model, or change the rule in a pull request of its own: a rule applies once it is merged"
    if rule.floor is not None and _gain(better, rule.floor, after) < 0:
        yield Violation(
            Reason.FLOOR_MISSED, f"`{name}` is {short(after)}. Required: {floor_text(rule.floor, better)}.", remedy
        )
    demanded = rule.minimum_gain if rule.minimum_gain is not None else -(rule.maximum_drop or 0.0)
    if before is None or (rule.minimum_gain, rule.maximum_drop) == (None, None):
        return
    if not math.isfinite(before):
        yield Violation(Reason.METRIC_MISSING, f"`{name}` of the base branch is {before}", "correct it there first")
        return
    if _gain(better, before, after) < demanded - rounding(before, after):
        required = allowed(rule, better)
        yield Violation(
            Reason.METRIC_DROPPED if rule.minimum_gain is None else Reason.GAIN_MISSED,
            f"`{name}` {'fell' if after < before else 'rose'} from {short(before)} to {short(after)}. "
            f"{required[:1].upper()}{required[1:]}.",
            remedy,
        )


def _gain(better: Direction, before: float, after: float) -> float:
    return after - before if better == "higher" else before - after


def _shown(name: str, ours: Figures, theirs: Figures | None) -> Compared:
    better, value = direction_of(name), ours[name]
    before = None if theirs is None else theirs.get(name)
    before, after = (None if number is None or not math.isfinite(number) else number for number in (before, value))
    gain = None if before is None or after is None or better is None else _gain(better, before, after)
    return Compared(name, name, better or "neither", before, after, gain, None, None)
