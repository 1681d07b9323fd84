"""The gate: every rule passes and fails, directions count, and who must prove what."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.evaluate.holdout import Holdout
from leverframe.domain.review.diff.diff_result import Change, Diff
from leverframe.domain.review.gate.decision import Evidence, _contracts, _diff, _sizes, bundle_sizes, champion_files
from leverframe.domain.review.gate.gate_result import Gated, change_of, improvement
from leverframe.domain.review.gate.paired import Pair, judged_metrics
from leverframe.domain.review.gate.rule_names import refuse_unknown_metrics
from leverframe.domain.review.gate.rules import BASE, CHANGE, DEFAULTS, LAST, allowed, rules_in_force
from leverframe.domain.review.gate.sliced import judged_slices, undefined
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import SettingsError
from leverframe.settings.levers import GateSettings, MetricRule, SliceRule
from tests.profiles import examples

DAYS, A_DAY = 40, 60
SHOPS = np.array(["north", "south"])[np.arange(DAYS * A_DAY) % 2]


def side(skill: float, seed: int = 0, *, days: int = DAYS, spoilt: str = "") -> Holdout:
    """Return a binary hold-out; more ``skill`` ranks better, and one shop may be ``spoilt``."""
    world, own = np.random.default_rng(99), np.random.default_rng(seed)
    labels = (world.random(DAYS * A_DAY) < 0.3).astype(float)
    odds = skill * (labels - 0.5) + own.normal(0, 1, len(labels))
    odds[spoilt == SHOPS] = own.normal(0, 1, int((spoilt == SHOPS).sum()))
    rows = slice(0, days * A_DAY)
    numbers = np.arange(DAYS * A_DAY) // A_DAY
    return Holdout(
        "binary", ("0", "1"), labels[rows], 1 / (1 + np.exp(-odds[rows])), numbers[rows], {"shop": SHOPS[rows]}
    )


def gate(**metrics: dict[str, float]) -> GateSettings:
    """Return rules by metric."""
    return GateSettings(metrics={name: MetricRule.model_validate(rule) for name, rule in metrics.items()})


def reasons(violations: list[Violation]) -> list[Reason]:
    """Return the reasons in order."""
    return [violation.reason for violation in violations]


GOOD, FAIR, POOR = side(2.0), side(1.5, 1), side(0.8, 2)


@pytest.mark.parametrize(
    ("rule", "candidate", "champion", "expected"),
    [
        ({"maximum_drop": 0.02}, GOOD, FAIR, []),
        ({"maximum_drop": 0.02}, POOR, GOOD, [Reason.METRIC_DROPPED]),
        ({"maximum_drop": 0.0}, GOOD, GOOD, []),
        ({"maximum_drop": 0.3}, POOR, GOOD, []),
        ({"minimum_gain": 0.02}, GOOD, POOR, []),
        ({"minimum_gain": 0.02}, GOOD, GOOD, [Reason.GAIN_MISSED]),
        ({"minimum_gain": 0.0}, POOR, GOOD, [Reason.GAIN_MISSED]),
        ({"floor": 0.7}, GOOD, None, []),
        ({"floor": 0.99}, GOOD, None, [Reason.FLOOR_MISSED]),
        ({"floor": 0.99, "maximum_drop": 0.01}, POOR, GOOD, [Reason.FLOOR_MISSED, Reason.METRIC_DROPPED]),
        ({"maximum_drop": 0.01}, GOOD, None, []),
    ],
)
def test_each_rule_passes_and_fails(
    rule: dict[str, float], candidate: Holdout, champion: Holdout | None, expected: list[Reason]
) -> None:
    """With a higher metric; a champion that is not there leaves the floors."""
    metrics, violations = judged_metrics(Pair(candidate, champion), gate(auc=rule))
    assert reasons(violations) == expected
    assert metrics[0].passed is (not expected)
    assert metrics[0].rule


@pytest.mark.parametrize(
    ("rule", "candidate", "champion", "expected"),
    [
        ({"maximum_drop": 0.01}, GOOD, POOR, []),
        ({"maximum_drop": 0.01}, POOR, GOOD, [Reason.METRIC_DROPPED]),
        ({"minimum_gain": 0.01}, GOOD, POOR, []),
        ({"floor": 0.9}, GOOD, POOR, []),
        ({"floor": 0.01}, GOOD, POOR, [Reason.FLOOR_MISSED]),
    ],
)
def test_lower_is_better_where_the_metric_says_so(
    rule: dict[str, float], candidate: Holdout, champion: Holdout, expected: list[Reason]
) -> None:
    """The same words for a loss: a drop is whatever is worse, a floor the worst value."""
    metrics, violations = judged_metrics(Pair(candidate, champion), gate(log_loss=rule))
    assert reasons(violations) == expected
    loss = next(metric for metric in metrics if metric.metric == "log_loss")
    assert loss.gain is not None
    assert loss.champion is not None
    assert loss.candidate is not None
    assert loss.gain == pytest.approx(loss.champion - loss.candidate, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "rule", "pattern"),
    [
        ("auc", {"maximum_drop": 0.01}, r"AUC fell by 0\.\d{4} \(0\.\d{4} to 0\.\d{4}; 95 % lower bound -0\.\d{4}\)\. "
         r"Allowed drop: 0\.01\."),
        ("auc", {"minimum_gain": 0.01}, r"AUC fell by .* Required rise: 0\.01\."),
        ("auc", {"floor": 0.99}, r"AUC is 0\.\d{4}\. Required: at least 0\.99\."),
        ("log_loss", {"maximum_drop": 0.01}, r"Log loss rose by 0\.\d{4} \(0\.\d{4} to 0\.\d{4}; 95 % upper bound "
         r"\+0\.\d{4}\)\. Allowed rise: 0\.01\."),
        ("log_loss", {"floor": 0.01}, r"Log loss is 0\.\d{4}\. Required: at most 0\.01\."),
    ],
)  # fmt: skip
def test_a_violation_says_the_change_in_the_direction_of_the_metric(
    name: str, rule: dict[str, float], pattern: str
) -> None:
    """A worse loss rises, a worse AUC falls; the bound and the limit point the same way."""
    (violation,) = judged_metrics(Pair(POOR, GOOD), gate(**{name: rule}))[1]
    assert re.fullmatch(pattern, violation.what)


def test_a_violation_of_a_slice_names_it_and_the_least_change() -> None:
    """The least change is what counts, as all slices share one error."""
    rules = GateSettings(slices=[SliceRule(columns=["shop"], maximum_drop=0.05, minimum_rows=100)])
    (violation,) = judged_slices(Pair(side(2.0, 3, spoilt="north"), GOOD), rules)[1]
    moved = r"AUC of `shop = north` fell by 0\.\d{4} \(0\.\d{4} to 0\.\d{4}; "
    least = r"by at least (0\.\d{4}), corrected for all slices\)\. Allowed drop: 0\.05\."
    match = re.fullmatch(moved + least, violation.what)
    assert match is not None
    assert float(match[1]) > 0.05


def test_what_cannot_be_shown_is_uncertain_and_not_passed() -> None:
    """Equal models, and a tolerance between the gain and its bound: the reason says that more days would help."""
    pair = Pair(side(1.5, 8), side(1.5, 7))
    auc = judged_metrics(pair, gate(auc={"floor": 0.1}))[0][0]
    assert auc.gain is not None
    assert auc.low is not None
    between = gate(auc={"maximum_drop": -(auc.gain + auc.low) / 2})
    assert reasons(judged_metrics(pair, between)[1]) == [Reason.METRIC_UNCERTAIN]
    few = judged_metrics(Pair(side(2.0, days=5), side(2.0, days=5)), gate(auc={"maximum_drop": 0.5}))[1]
    assert reasons(few) == [Reason.METRIC_UNCERTAIN]
    assert "5 days" in few[0].what


def test_a_rule_about_nothing_fails() -> None:
    """A missing metric, a metric of another kind, and one that is undefined are never a pass."""
    assert reasons(judged_metrics(Pair(GOOD, POOR), gate(accuracy={"floor": 0.1}))[1]) == [Reason.METRIC_MISSING]
    one_class = Holdout("binary", ("0", "1"), np.zeros(600), GOOD.predictions[:600], GOOD.days[:600], {})
    undefined = judged_metrics(Pair(one_class, one_class), gate(auc={"maximum_drop": 0.5}))[1]
    assert Reason.METRIC_MISSING in reasons(undefined)


def test_a_slice_fails_only_when_it_is_surely_worse() -> None:
    """One shop spoilt: that slice, and no other, is refused; the overall rule may still be kept."""
    rules = GateSettings(slices=[SliceRule(columns=["shop"], maximum_drop=0.05, minimum_rows=100)])
    slices, violations = judged_slices(Pair(side(2.0, 3, spoilt="north"), GOOD), rules)
    assert reasons(violations) == [Reason.SLICE_DROPPED]
    assert {part.value: part.passed for part in slices} == {"north": False, "south": True}
    assert judged_slices(Pair(side(2.0, 4), GOOD), rules)[1] == []


def test_a_slice_below_its_floor_fails_without_a_champion_too() -> None:
    """Absolute demands need no comparison; small slices are not judged; a column that is gone is told."""
    rule = SliceRule(columns=["shop"], floor=0.7, minimum_rows=100)
    rules = GateSettings(slices=[rule])
    assert reasons(judged_slices(Pair(side(2.0, 3, spoilt="south"), None), rules)[1]) == [Reason.FLOOR_MISSED]
    tiny = GateSettings(slices=[rule.model_copy(update={"minimum_rows": 10_000})])
    assert judged_slices(Pair(POOR, None), tiny) == ([], [])
    gone = GateSettings(slices=[rule.model_copy(update={"columns": ["town"]})])
    assert reasons(judged_slices(Pair(GOOD, None), gone)[1]) == [Reason.METRIC_MISSING]


def test_a_slice_without_a_class_is_noted_and_a_metric_that_no_label_has_is_refused() -> None:
    """Nothing can fail where a figure is undefined, so it is said; a misspelt metric is not judged as another one."""
    labels = GOOD.labels.copy()
    labels[SHOPS == "south"] = 0.0
    rule = SliceRule(columns=["shop"], floor=0.5, minimum_rows=100)
    slices, violations = judged_slices(Pair(replace(GOOD, labels=labels), None), GateSettings(slices=[rule]))
    assert violations == []
    assert undefined(slices) == ["no rule was judged within `shop = south`: undefined, as a class has no row"]
    assert undefined([part for part in slices if part.value != "south"]) == []
    wrong = rule.model_copy(update={"metric": "average_precison"})
    slices, (violation,) = judged_slices(Pair(GOOD, None), GateSettings(slices=[wrong]))
    assert (slices, violation.reason) == ([], Reason.METRIC_MISSING)
    assert "did you mean `average_precision`?" in violation.next


@pytest.mark.parametrize(
    ("rules", "kind", "near"),
    [
        ({"metrics": {"aucc": {"floor": 0.5}}}, "binary", "`auc`"),
        ({"metrics": {"aucc": {"floor": 0.5}}}, None, "`auc`"),
        ({"metrics": {"mae": {"floor": 0.5}}}, "binary", "known names: "),
        ({"slices": [{"columns": ["shop"], "floor": 0.5, "metric": "rsme"}]}, "regression", "`rmse`"),
        ({"metrics": {"mae": {"floor": 0.5}}}, None, ""),
        ({"metrics": {"auc": {"floor": 0.5}}, "slices": [{"columns": ["shop"], "floor": 0.5}]}, "multiclass", ""),
    ],
)
def test_a_misspelt_metric_is_refused_with_the_nearest_name(
    rules: dict[str, object], kind: LabelKind | None, near: str
) -> None:
    """Before a model is trained; where the kind of the label is not known, a metric of any kind fits."""
    settings = GateSettings.model_validate(rules)
    if not near:
        refuse_unknown_metrics(settings, kind)
        return
    with pytest.raises(SettingsError) as refused:
        refuse_unknown_metrics(settings, kind)
    assert near in refused.value.next


@given(seed=st.integers(0, 50), skill=st.sampled_from([0.5, 1.0, 2.0]))
@settings(max_examples=examples(0.2))
def test_a_model_against_itself_always_passes(seed: int, skill: float) -> None:
    """No change, no violation, whatever the model: gains are zero, exactly."""
    model = side(skill, seed)
    metrics, violations = judged_metrics(
        Pair(model, model), gate(auc={"maximum_drop": 0.0}, brier={"maximum_drop": 0.0})
    )
    assert violations == []
    assert {metric.gain for metric in metrics} <= {0.0, -0.0}


@settings(max_examples=examples(0.2))
@given(st.floats(-4, 4), st.sampled_from([1e-15, -1e-15]))
def test_what_rounding_changes_is_the_same(skill: float, bit: float) -> None:
    """Two models that differ in last bits are as good, also where nothing may be lost; no interval says otherwise."""
    one = side(skill)
    other = replace(one, predictions=np.clip(one.predictions * (1 + bit), 0, 1))
    metrics, violations = judged_metrics(Pair(other, one), gate(log_loss={"maximum_drop": 0.0}))
    assert violations == []
    for metric in metrics:
        if metric.gain is not None and metric.better != "neither":
            assert improvement(metric) in ("the same", "the same [+0.0000, +0.0000]"), metric
        assert "stayed at" in change_of(metric) or metric.champion is None


def test_the_rules_are_those_of_the_base() -> None:
    """A change that loosens them is judged by the old ones, and told; without any, its own count."""
    strict, loose = {"gate": {"metrics": {"auc": {"floor": 0.9}}}}, {"gate": {"metrics": {"auc": {"floor": 0.1}}}}
    rules = rules_in_force(strict, loose)
    assert rules.settings.metrics["auc"].floor == 0.9
    assert (rules.of, rules.changes) == (BASE, ("`gate.metrics.auc.floor`: `0.9` to `0.1`",))
    assert rules_in_force(strict, {}).changes == ("`gate.metrics.auc.floor`: `0.9` to `none`",)
    first = rules_in_force({}, loose)
    assert (first.of, first.changes, first.settings.metrics["auc"].floor) == (CHANGE, (), 0.1)
    assert rules_in_force({}, {}).of == DEFAULTS
    with pytest.raises(SettingsError, match="gate"):
        rules_in_force({"gate": {"metrics": {"auc": {"flor": 0.9}}}}, loose)


def test_a_gate_that_the_base_lost_stays_in_force() -> None:
    """Whatever a change declares instead; only the change that restores it passes."""
    last, loose = {"metrics": {"auc": {"floor": 0.9}}}, {"metrics": {"auc": {"floor": 0.1}}}
    for head in ({}, {"gate": loose}):
        rules = rules_in_force({}, head, last)
        assert (rules.of, rules.settings.metrics["auc"].floor) == (LAST, 0.9)
        assert [violation.reason for violation in rules.violations] == [Reason.GATE_MISSING]
    restored = rules_in_force({}, {"gate": last}, last)
    assert (restored.of, restored.changes, restored.violations) == (LAST, (), ())


@pytest.mark.parametrize("rule", [{}, {"maximum_drop": 0.1, "minimum_gain": 0.1}, {"maximum_drop": -1.0}])
def test_a_rule_that_could_never_fail_is_refused(rule: dict[str, float]) -> None:
    """Nor one that contradicts itself."""
    with pytest.raises(ValidationError):
        MetricRule.model_validate(rule)


def evidence(**changed: Any) -> Evidence:
    """Return evidence with nothing against it."""
    return Evidence(**({"contracts": {}, "parity": {"verdict": "passed"}, "diff": None, "sizes": {}} | changed))


@pytest.mark.parametrize(("better", "worse", "improved"), [("higher", "drop", "rise"), ("lower", "rise", "fall")])
def test_a_rule_names_the_direction_that_is_worse(better: str, worse: str, improved: str) -> None:
    """A loss that rises is worse, a score that falls."""
    assert worse in allowed(MetricRule(maximum_drop=0.1), better)
    assert improved not in allowed(MetricRule(maximum_drop=0.1), better)
    assert improved in allowed(MetricRule(minimum_gain=0.1), better)


def test_contracts_parity_size_and_breaking_changes() -> None:
    """Each passes and fails; a warning is no failure; the base may allow breaking changes."""
    check = {"check": "in_range", "column": "amount", "verdict": "failed", "severity": "error"}

    def report(**changed: str) -> dict[str, Any]:
        return {"2024-01": {"tables": {"orders": {"checks": [check | changed]}}}}

    assert reasons(list(_contracts(evidence(contracts=report())))) == [Reason.CONTRACT_BROKEN]
    several = {f"2024-0{month}": report()["2024-01"] for month in range(1, 6)}
    for number, more in ((1, "`amount`"), (3, "`amount`"), (5, "`amount` and 2 more")):
        (violation,) = _contracts(evidence(contracts=dict(list(several.items())[:number])))
        assert violation.what.endswith(f"`2024-0{min(number, 3)} orders`: `in_range` of {more}")
    assert list(_contracts(evidence(contracts=report(severity="warn")))) == []
    assert list(_contracts(evidence(contracts=report(verdict="passed")))) == []
    assert reasons(list(_contracts(evidence(parity={"verdict": "failed"})))) == [Reason.PARITY_BROKEN]
    assert list(_contracts(evidence(parity=None))) == []
    rules = rules_in_force({"gate": {"maximum_megabytes": 1.0}}, {})
    assert reasons(list(_sizes(evidence(sizes={"model": 900_000, "snapshot": 200_000}), rules))) == [
        Reason.BUNDLE_TOO_LARGE
    ]
    assert list(_sizes(evidence(sizes={"model": 900_000}), rules)) == []
    assert list(_sizes(evidence(sizes={"model": 1_000_000}), rules)) == []  # up to the limit, in units of a million
    assert reasons(list(_sizes(evidence(sizes={"model": 1_000_001}), rules))) == ["bundle-too-large"]
    broken = evidence(diff=Diff("a", "b", changes=(Change("orders", "the table is gone", True),)))
    assert reasons(list(_diff(broken, rules))) == [Reason.CHANGE_BREAKING]
    assert list(_diff(broken, rules_in_force({"gate": {"breaking_changes": "allow"}}, {}))) == []
    assert list(_diff(evidence(diff=Diff("a", "b", changes=(Change("orders", "new", False),))), rules)) == []


def test_sizes_and_the_champions_files_come_from_the_lock() -> None:
    """Neither has to be here; no lock, no files."""
    outs = "".join(
        f"    - path: {path}\n      hash: md5\n      md5: {'a' * 32}\n      size: {size}\n"
        for path, size in (("models/model.skops", 1_200_000), ("data/snapshot.bin", 800_000), ("data/raw.parquet", 9))
    )
    lock = f"schema: '2.0'\nstages:\n  train:\n    cmd: t\n    outs:\n{outs}".encode()
    assert bundle_sizes(lock) == {"models/model.skops": 1_200_000, "data/snapshot.bin": 800_000}
    assert list(champion_files(lock)) == ["models/model.skops"]
    assert (bundle_sizes(b""), champion_files(b"")) == ({}, {})


def numbers(bias: float, seed: int = 0, *, scale: float = 1.0) -> Holdout:
    """Return a hold-out of a regression whose predictions are too high by ``bias``, one shop's by as much again."""
    world, own = np.random.default_rng(7), np.random.default_rng(seed)
    labels = world.normal(0, 5, DAYS * A_DAY)
    predictions = labels + bias + own.normal(0, 1, len(labels)) + np.where(SHOPS == "south", bias, 0.0)
    days = np.arange(DAYS * A_DAY) // A_DAY
    return Holdout("regression", (), labels * scale, predictions * scale, days, {"shop": SHOPS})


@pytest.mark.parametrize(
    ("before", "after", "better"),
    [
        (18.8, 8.8, True),
        (8.8, 18.8, False),
        (-18.8, -8.8, True),
        (-8.8, 8.0, True),
        (2.0, -4.0, False),
        (-4.0, 2.0, True),
    ],
)
def test_a_bias_is_better_the_nearer_it_is_to_zero(before: float, after: float, better: bool) -> None:
    """Whatever its sign: the gain, its bounds, the rules and their words, of all rows and of slices."""
    rules = GateSettings(
        metrics={"bias": MetricRule(maximum_drop=0.5)},
        slices=[SliceRule(columns=["shop"], metric="bias", maximum_drop=0.5)],
    )
    pair = Pair(numbers(after / 1.5), numbers(before / 1.5, 1))
    metrics, violations = judged_metrics(pair, rules)
    bias = next(metric for metric in metrics if metric.metric == "bias")
    assert bias.gain is not None
    assert bias.low is not None
    assert bias.gain == pytest.approx(abs(before) - abs(after), abs=0.2)
    assert (bias.low > 0) is better
    assert reasons(violations) == ([] if better else [Reason.METRIC_DROPPED])
    slices, worse = judged_slices(pair, rules)
    assert all((part.gain or 0.0) > 0 for part in slices) is better
    assert {violation.reason for violation in worse} == (set() if better else {Reason.SLICE_DROPPED})
    words = " ".join(violation.what for violation in [*violations, *worse])
    assert not words or "Allowed rise: 0.5" in words
    assert ("went farther from 0 by" in words) is (not better and min(before, after) < 0)


@pytest.mark.parametrize("bias", [1.0, -1.0, 3.0, -3.0])
def test_the_floor_of_a_bias_holds_on_both_sides(bias: float) -> None:
    """It is the farthest that a bias may be from 0."""
    violations = judged_metrics(Pair(numbers(bias / 1.5), None), gate(bias={"floor": 2.0}))[1]
    assert reasons(violations) == ([Reason.FLOOR_MISSED] if abs(bias) > 2 else [])
    assert not violations or "Required: at most 2 from 0" in violations[0].what


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_figures_of_a_regression_are_readable_at_any_scale(scale: float) -> None:
    """In the unit of the label, with the digits that tell, and without a word of labels."""
    pair = Pair(numbers(2, scale=scale), numbers(1, 1, scale=scale))
    metrics, violations = judged_metrics(pair, gate(mae={"maximum_drop": 0.0}))
    text = "\n".join(Gated("b", "h", tuple(violations), metrics=tuple(metrics), unit_of="delay").lines())
    assert "0.0000 ->   0.0000" not in text
    assert "to 0.0000" not in text
    assert "errors and bias are in the unit of `delay`" in text
    assert "gain" not in text
