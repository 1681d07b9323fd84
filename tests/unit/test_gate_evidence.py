"""What the gate says where evidence is scarce: days that depend on each other, few positives, many small slices."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from leverframe.domain.model.evaluate.holdout import Holdout
from leverframe.domain.review.gate.paired import Pair, judged_metrics
from leverframe.domain.review.gate.sliced import judged_slices
from leverframe.domain.verdict import Reason
from leverframe.settings.levers import GateSettings, MetricRule, SliceRule
from tests.profiles import by_day

Floats = NDArray[np.float64]


def pair(seed: int, *, days: int = 60, rows: int = 40, worse: float = 0.0, memory: float = 0.0) -> Pair:
    """Return two models with errors of their own, whose size remembers the day before; the candidate's is larger."""
    draw = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), rows)
    odds = draw.normal(-1, 1.5, len(day))
    labels = (draw.random(len(day)) < 1 / (1 + np.exp(-odds))).astype(float)
    sides = []
    for more in (worse, 0.0):
        shocks, size = draw.normal(size=days), np.zeros(days)
        for number in range(days):
            size[number] = memory * size[max(0, number - 1)] + np.sqrt(1 - memory**2) * shocks[number]
        logits = odds + draw.normal(size=len(day)) * (0.5 + more) * np.exp(0.5 * size)[day]
        sides.append(Holdout("binary", ("0", "1"), labels, 1 / (1 + np.exp(-logits)), day, {}))
    return Pair(sides[0], sides[1])


def rules(metric: str, **rule: float) -> GateSettings:
    """Return one rule for a metric."""
    return GateSettings(metrics={metric: MetricRule.model_validate(rule)})


def spread(seed: int, slices: int, rows: int, odds: float, worse: dict[int, float] | None = None) -> Pair:
    """Return two equal models in slices of so many rows over 60 days, the candidate worse in some of them."""
    draw = np.random.default_rng(seed)
    of = np.repeat(np.arange(slices), rows)
    signal = odds + draw.normal(0, 1.5, len(of))
    labels = (draw.random(len(of)) < 1 / (1 + np.exp(-signal))).astype(float)
    noise = np.array([(worse or {}).get(number, 0.5) for number in range(slices)])[of]
    names, days = np.char.add("s", of.astype(str)), draw.integers(0, 60, len(of))
    chances = [1 / (1 + np.exp(-signal - own * draw.normal(size=len(of)))) for own in (noise, np.full(len(of), 0.5))]
    sides = [Holdout("binary", ("0", "1"), labels, predictions, days, {"k": names}) for predictions in chances]
    return Pair(sides[0], sides[1])


SLICES = GateSettings(slices=[SliceRule(columns=["k"], maximum_drop=0.03)])


def test_equal_models_are_not_said_to_have_dropped() -> None:
    """A gain beyond the allowed drop that chance explains is uncertain, which sends nobody to look for a fault."""
    outcomes = []
    for seed in range(60):
        compared, violations = judged_metrics(pair(seed, days=40, rows=15), rules("auc", maximum_drop=0.005))
        gain = compared[0].gain
        assert gain is not None
        outcomes.append((gain < -0.005, [violation.reason for violation in violations]))
    beyond = [reasons for is_beyond, reasons in outcomes if is_beyond]
    assert len(beyond) > 10
    assert sum(reasons == [Reason.METRIC_DROPPED] for reasons in beyond) <= 6


@pytest.mark.parametrize("metric", ["auc", "average_precision", "brier", "log_loss"])
def test_models_that_lose_twice_what_is_allowed_do_not_pass_although_days_depend_on_each_other(metric: str) -> None:
    """A memory of 0.8 from day to day: at most one in ten of these passes, where independent days would pass more."""
    lost = [judged_metrics(pair(seed, worse=0.4, memory=0.8), rules(metric, maximum_drop=1))[0] for seed in range(60)]
    number = [comparison.metric for comparison in lost[0]].index(metric)
    drop = -float(np.mean([metrics[number].gain or 0.0 for metrics in lost])) / 2
    passed = [metrics[number].low is not None and (metrics[number].low or 0.0) >= -drop for metrics in lost]
    assert sum(passed) <= 6


def test_what_is_uncertain_says_how_many_days_would_do() -> None:
    """The number of independent days, and how many more would narrow the bound enough at the present variance."""
    one = pair(1, days=40)
    gain = judged_metrics(one, rules("auc", maximum_drop=1))[0][0]
    assert gain.gain is not None
    assert gain.low is not None
    (violation,) = judged_metrics(one, rules("auc", maximum_drop=-(gain.gain + gain.low) / 2))[1]
    assert violation.reason == Reason.METRIC_UNCERTAIN
    match = re.search(
        r"the 40 days tell as much as about (\d+) independent ones; about ([\d,]+) more days", violation.what
    )
    assert match is not None
    assert 4 <= int(match[1]) <= 40
    assert 5 <= int(match[2].replace(",", "")) <= 500
    close = judged_metrics(one, rules("auc", maximum_drop=max(0.0, -gain.gain + 1e-7)))[1]
    assert "more than ten years would be needed" in close[0].what or "more days would do" in close[0].what


@pytest.mark.parametrize("share", [1.0, 0.8])
def test_positives_of_one_day_are_too_few_independent_periods(share: float) -> None:
    """Ranking metrics have no bound then: the interval was 0.007 wide. Metrics of all rows keep theirs."""
    one = pair(3)
    day = one.candidate.days
    rare = np.random.default_rng(4).random(len(day)) < np.where(day == 20, 0.3 * share, 0.004 * (1 - share))
    sides = [replace(side, labels=rare.astype(float)) for side in (one.candidate, one.champion) if side]
    compared, violations = judged_metrics(Pair(sides[0], sides[1]), rules("auc", maximum_drop=0.2))
    auc = next(comparison for comparison in compared if comparison.metric == "auc")
    assert (auc.low, auc.high, auc.passed) == (None, None, False)
    assert [violation.reason for violation in violations] == [Reason.METRIC_UNCERTAIN]
    assert "too few independent periods" in violations[0].what
    assert next(comparison for comparison in compared if comparison.metric == "mean_score").low is not None


def test_slices_with_few_positives_are_shown_and_not_judged() -> None:
    """100 slices of 300 rows with about two positives: of equal models 81 % were blocked."""
    slices, violations = judged_slices(spread(0, 100, 300, -6.3), SLICES)
    assert violations == []
    assert len(slices) == 100
    assert all("rows of the rarest class" in part.note or "undefined" in part.note for part in slices)
    assert all(part.low is None for part in slices)


@pytest.mark.parametrize("odds", by_day([-2.0, -4.0], -4.0))
def test_equal_models_pass_whatever_number_of_slices(odds: float) -> None:
    """Not one of 20 pairs with 40 slices is blocked, although an allowed drop of 0 leaves no room."""
    strict = GateSettings(slices=[SliceRule(columns=["k"], maximum_drop=0.0)])
    blocked = [seed for seed in range(20) if judged_slices(spread(seed, 40, 300, odds), strict)[1]]
    assert len(blocked) <= 3


def test_a_slice_that_is_truly_worse_is_found_among_many() -> None:
    """One of 40 loses 0.13, and others of equal models keep their peace; several worse ones are all found."""
    outcomes = [judged_slices(spread(seed, 40, 600, -1.5, {7: 2.5}), SLICES)[1] for seed in range(20)]
    assert sum("`k = s7`" in "".join(violation.what for violation in violations) for violations in outcomes) >= 14
    assert sum(len(violations) > 1 for violations in outcomes) <= 2
    several = judged_slices(spread(1, 40, 600, -1.5, dict.fromkeys(range(12), 3.0)), SLICES)[1]
    assert len(several) >= 10


def test_slices_that_only_one_side_has_are_shown_and_can_fail() -> None:
    """One that the base had fails; one that only this change has is held to its floor."""
    one = spread(2, 3, 600, -1.0)
    assert one.champion is not None
    gone = replace(one, before={"k": np.array(["s0"] * 300 + ["away"] * 300 + ["tiny"] * 9)})
    slices, violations = judged_slices(gone, SLICES)
    assert [violation.reason for violation in violations] == [Reason.METRIC_MISSING]
    assert "`k = away` has no row in the hold-out; the hold-out of the base has 300 rows of it" in violations[0].what
    assert [(part.value, part.rows, part.passed) for part in slices][-1] == ("away", 0, False)
    kept = np.flatnonzero(one.candidate.slices["k"] != "s2")
    shared = [
        replace(side, labels=side.labels[kept], predictions=side.predictions[kept], days=side.days[kept],
                slices={"k": side.slices["k"][kept]})
        for side in (one.candidate, one.champion)
    ]  # fmt: skip
    rule = SliceRule(columns=["k"], maximum_drop=0.1, floor=0.99)
    slices, violations = judged_slices(Pair(shared[0], shared[1], whole=one.candidate), GateSettings(slices=[rule]))
    alone = next(part for part in slices if part.value == "s2")
    assert (alone.rows, alone.champion, alone.note) == (600, None, "the base has no such rows")
    assert [violation.what.split("`")[1] for violation in violations if violation.reason == Reason.FLOOR_MISSED] == [
        "k = s0", "k = s1", "k = s2",
    ]  # fmt: skip
