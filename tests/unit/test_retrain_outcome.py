"""What a comparison says of a candidate, how sure the next attempt must be, and what is said after a merge."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.model.evaluate.holdout import Holdout
from leverframe.domain.monitoring.finding import Severity
from leverframe.domain.retraining.aftercare import aftercare, by_band, deciding_metric, look_confidence, looks
from leverframe.domain.retraining.attempt import Attempt, Cause, Comparison, Evidence, Outcome, RetrainWindow
from leverframe.domain.retraining.outcome import GateMisses, confidence_of, outcome
from leverframe.domain.retraining.trigger_rule import timestamp
from leverframe.domain.review.gate.paired import Pair
from leverframe.domain.verdict import Reason, Violation
from leverframe.settings.levers import GateSettings, MetricRule
from leverframe.settings.retrain import RetrainSettings
from tests.fakes.attempts import NOW, attempt, comparison
from tests.fakes.monitored import dropped, quiet

SETTINGS = RetrainSettings()
GATE = GateSettings(metrics={"auc": MetricRule(maximum_drop=0.01), "brier": MetricRule(maximum_drop=0.002)})


def violation(reason: Reason) -> Violation:
    return Violation(reason, f"a rule says {reason}", "improve the model")


def judged(
    compared: Comparison, *here: Reason, on_base: tuple[Reason, ...] = (), gain: float = 0.0
) -> tuple[Outcome, str]:
    missed = GateMisses(tuple(violation(reason) for reason in here), tuple(violation(reason) for reason in on_base))
    settings = RetrainSettings(minimum_gain=gain)
    result, why = outcome(compared, missed, settings, GATE)
    assert why.endswith(".")
    return result, why


def failing(compared: Comparison) -> Comparison:
    return replace(compared, metrics=tuple(replace(metric, passed=False) for metric in compared.metrics))


BETTER, SAME, UNSURE, WORSE = (
    comparison(0.02, 0.015), comparison(0.001, 0.005), failing(comparison(0.001, 0.03)), comparison(-0.02, 0.015)
)  # fmt: skip


def test_the_lower_bound_decides_what_is_better() -> None:
    outcome, why = judged(BETTER)
    assert outcome is Outcome.BETTER
    assert why == (
        "AUC on 12,345 rows of 28 days that neither model saw rose by 0.0200 (0.7000 to 0.7200; "
        "97.5 % lower bound +0.0050)."
    )
    assert judged(BETTER, gain=0.02)[0] is Outcome.BETTER
    small = judged(BETTER, gain=0.021)
    assert small[0] is Outcome.NOT_WORSE
    assert "The gain of 0.0200 is below 0.021, `retrain.minimum_gain`." in small[1]


@pytest.mark.parametrize(("before", "after", "ready"), [(0.37, 0.39, False), (0.48, 0.5, False), (0.49, 0.51, True)])
def test_a_model_that_ranks_by_chance_is_a_draft(before: float, after: float, *, ready: bool) -> None:
    """However much better than the champion it is: a person looks, and nothing merges by itself."""
    metric = replace(BETTER.metrics[0], champion=before, candidate=after)
    outcome, why = judged(replace(BETTER, metrics=(metric,)))
    assert outcome is (Outcome.BETTER if ready else Outcome.NOT_WORSE)
    assert (f"But its AUC of {after:.4f} is no better than that of a coin, 0.5." in why) is not ready
    loss = replace(metric, metric="brier", better="lower")
    assert judged(replace(BETTER, metric="brier", metrics=(loss,)))[0] is Outcome.BETTER


@pytest.mark.parametrize(("after", "usual", "ready"), [(0.62, 0.76, False), (0.63, 0.76, True), (0.55, None, True)])
def test_a_model_without_most_of_the_usual_skill_is_a_draft(after: float, usual: float | None, *, ready: bool) -> None:
    """Half of what is usual beyond chance is the least, whichever metric decides."""
    auc = replace(BETTER.metrics[0], champion=0.5, candidate=after)
    outcome, why = judged(replace(BETTER, metrics=(auc,), usual=usual))
    assert outcome is (Outcome.BETTER if ready else Outcome.NOT_WORSE)
    assert ("where 0.7600 is usual: most of what was lost stays lost." in why) is not ready
    loss = replace(auc, metric="brier", better="lower")
    other = judged(replace(BETTER, metric="brier", metrics=(auc, loss), usual=usual))[0]
    assert other is (Outcome.BETTER if ready else Outcome.NOT_WORSE)


@pytest.mark.parametrize(("gain", "ready"), [(0.0049, False), (0.005, True)])
def test_a_gain_that_nobody_would_notice_makes_a_draft(gain: float, *, ready: bool) -> None:
    """The gate allows a drop of 0.01; a gain below half of it is not worth a change, however sure it is."""
    result, why = judged(comparison(gain, 0.0001))
    assert result is (Outcome.BETTER if ready else Outcome.NOT_WORSE)
    assert ("The gain of 0.0049 is below 0.005, half of the drop that the gate allows." in why) is not ready
    for rules in (GateSettings(), GateSettings(metrics={"auc": MetricRule(floor=0.6)})):
        assert outcome(comparison(gain, 0.0001), GateMisses(), SETTINGS, rules)[0] is Outcome.BETTER


@pytest.mark.parametrize("reason", [Reason.METRIC_DROPPED, Reason.SLICE_DROPPED])
def test_a_rule_that_is_significantly_violated_makes_it_worse(reason: Reason) -> None:
    for compared in (BETTER, SAME, UNSURE):
        outcome, why = judged(compared, reason)
        assert outcome is Outcome.WORSE
        assert f"A rule says {reason}." in why


@pytest.mark.parametrize("reason", [Reason.FLOOR_MISSED, Reason.METRIC_UNCERTAIN, Reason.BUNDLE_TOO_LARGE])
def test_another_violation_makes_a_better_model_a_draft_with_the_reason(reason: Reason) -> None:
    outcome, why = judged(BETTER, reason)
    assert outcome is Outcome.NOT_WORSE
    assert f"A rule says {reason}." in why


def test_a_drop_on_the_old_test_set_makes_a_draft() -> None:
    outcome, why = judged(BETTER, on_base=(Reason.METRIC_DROPPED,))
    assert outcome is Outcome.NOT_WORSE
    assert "A rule says metric-dropped." in why


def test_not_worse_is_shown_by_the_rule_of_the_gate() -> None:
    assert judged(SAME)[0] is Outcome.NOT_WORSE
    assert judged(SAME, Reason.FLOOR_MISSED)[0] is Outcome.NOT_WORSE
    assert judged(SAME, Reason.METRIC_UNCERTAIN)[0] is Outcome.UNDECIDED
    assert outcome(SAME, GateMisses(), SETTINGS, GateSettings())[0] is Outcome.UNDECIDED
    floor = GateSettings(metrics={"auc": MetricRule(floor=0.6)})
    assert outcome(SAME, GateMisses(), SETTINGS, floor)[0] is Outcome.UNDECIDED


def test_what_lies_between_is_undecided() -> None:
    outcome, why = judged(UNSURE, Reason.METRIC_UNCERTAIN)
    assert outcome is Outcome.UNDECIDED
    assert why.endswith("Too little evidence that the candidate is better or worse.")


def test_the_upper_bound_decides_what_is_worse() -> None:
    outcome, why = judged(WORSE)
    assert outcome is Outcome.WORSE
    assert "fell by 0.0200 (0.7000 to 0.6800; 97.5 % upper bound -0.0050)" in why


@pytest.mark.parametrize(
    ("gain", "bound"), [(0.02, "97.5 % upper bound -0.0050"), (-0.02, "97.5 % lower bound +0.0050")]
)
def test_bounds_of_a_loss_have_its_direction(gain: float, bound: str) -> None:
    known = comparison(gain, 0.015)
    metric = replace(known.metrics[0], metric="brier", title="Brier score", better="lower", candidate=0.7 - gain)
    _, why = outcome(replace(known, metric="brier", metrics=(metric,)), GateMisses(), SETTINGS, GATE)
    assert ("fell" if gain > 0 else "rose") in why
    assert bound in why


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"labelled": 499}, "499 rows with a label. Required: 500."),
        ({"days": 13}, "13 days with a label. Required: 14."),
        ({"metric": "brier"}, "`brier`, which decides, was not computed"),
        ({"metrics": (replace(BETTER.metrics[0], gain=None),)}, "undefined"),
        ({"metrics": (replace(BETTER.metrics[0], low=None, high=None),)}, "too few independent days"),
    ],
)
def test_too_few_labels_decide_nothing(change: dict[str, object], says: str) -> None:
    outcome, why = judged(replace(BETTER, **change), Reason.METRIC_DROPPED)  # type: ignore[arg-type]
    assert outcome is Outcome.TOO_FEW_LABELS
    assert says in why


def test_broken_data_come_before_all() -> None:
    outcome, why = judged(BETTER, Reason.CONTRACT_BROKEN)
    assert (outcome, why) == (Outcome.BROKEN_DATA, "A rule says contract-broken.")


OUTCOMES = st.sampled_from([Outcome.BETTER, Outcome.NOT_WORSE, Outcome.UNDECIDED, Outcome.WORSE])


FINDING, AGE = (Evidence(cause, "", "", "", "a sentence") for cause in (Cause.CONCEPT, Cause.AGE))


def recorded(outcomes: list[tuple[Outcome, bool]], settings: RetrainSettings, gap: float = 7.0) -> list[Attempt]:
    """Return attempts ``gap`` days apart, each as sure as it must be; those of a finding are marked."""
    made: list[Attempt] = []
    for number, (end, speaks) in enumerate(outcomes):
        causes = (AGE, FINDING) if speaks else (AGE,)
        at = attempt(end, gap * (len(outcomes) - number), causes=causes)
        sure = confidence_of(causes, made, settings, timestamp(at.at))
        made.append(replace(at, comparison=comparison(0.0, 0.1, confidence=sure)))
    return made


@given(st.lists(st.tuples(OUTCOMES, st.booleans()), max_size=30), st.floats(0.8, 0.999))
def test_attempts_until_one_is_better_share_an_error(outcomes: list[tuple[Outcome, bool]], confidence: float) -> None:
    spent = {True: 0.0, False: 0.0}
    for at in recorded(outcomes, RetrainSettings(confidence=confidence), gap=180 / 31):
        assert at.comparison is not None
        assert at.comparison.confidence >= confidence - 1e-12
        speaks = FINDING in at.causes
        spent[speaks] += 1 - at.comparison.confidence
        # A thousandth of the error is always left, so that a large gain is found after any number of attempts.
        assert spent[speaks] <= (1 + speaks + 30 / 1024) * (1 - confidence) + 1e-12
        spent = dict.fromkeys(spent, 0.0) if at.outcome is Outcome.BETTER else spent


def test_each_attempt_takes_half_of_what_is_left_and_half_a_year_gives_it_back() -> None:
    assert confidence_of([FINDING], [], SETTINGS, NOW) == pytest.approx(0.975)
    assert confidence_of([AGE], [], SETTINGS, NOW) == pytest.approx(1 - 0.025 / 2)
    recent = recorded([(Outcome.UNDECIDED, True)] * 2, SETTINGS)
    assert confidence_of([FINDING], recent, SETTINGS, NOW) == pytest.approx(1 - 0.025 / 4)
    assert confidence_of([AGE], recent, SETTINGS, NOW) == pytest.approx(1 - 0.025 / 2)
    old = [replace(at, at="2013-06-01T00:00:00+00:00") for at in recent]
    assert confidence_of([FINDING], old, SETTINGS, NOW) == pytest.approx(0.975)
    without = [replace(at, comparison=None) for at in recent]
    assert confidence_of([FINDING], without, SETTINGS, NOW) == pytest.approx(0.975)


def test_an_attempt_that_learnt_nothing_of_the_change_does_not_spend_what_the_change_will_need() -> None:
    changed = (replace(FINDING, since="2013-11-01"),)
    before, after = (RetrainWindow("2013-01-01", last, "", "") for last in ("2013-11-13", "2013-11-14"))
    assert confidence_of(changed, [], SETTINGS, NOW, before) == pytest.approx(1 - 0.025 / 2)
    unseen = attempt(Outcome.UNDECIDED, 9, causes=changed, window=before)
    unseen = replace(unseen, comparison=comparison(0.0, 0.1, confidence=1 - 0.025 / 2))
    assert confidence_of(changed, [unseen], SETTINGS, NOW, before) == pytest.approx(1 - 0.025 / 4)
    assert confidence_of(changed, [unseen], SETTINGS, NOW, after) == pytest.approx(0.975)
    seen = replace(unseen, window=after, comparison=comparison(0.0, 0.1, confidence=0.975))
    assert confidence_of(changed, [unseen, seen], SETTINGS, NOW, after) == pytest.approx(1 - 0.025 / 2)


def pair(days: int, worse: float, rows: int = 200, seed: int = 0) -> Pair:
    """Return a served model that errs by ``worse`` more in log odds than the one before it."""
    draw = np.random.default_rng(seed)
    of = np.repeat(np.arange(days), rows)
    signal = draw.normal(-1, 1.5, len(of))
    labels = (draw.random(len(of)) < 1 / (1 + np.exp(-signal))).astype(np.float64)
    sides = [
        Holdout("binary", ("0", "1"), labels, 1 / (1 + np.exp(-signal - noise * draw.standard_normal(len(of)))), of, {})
        for noise in (0.5 + worse, 0.5)
    ]
    return Pair(sides[0], sides[1])


def test_a_worse_model_is_found_after_two_weeks_and_not_before() -> None:
    assert not aftercare(pair(13, 3.0), SETTINGS, "auc").worse
    early = aftercare(pair(13, 3.0), RetrainSettings(minimum_rows=50), "auc")
    assert (early.worse, early.comparison) == (False, None)
    look = aftercare(pair(14, 3.0), SETTINGS, "auc")
    assert look.worse
    assert "upper bound -" in look.why
    assert look.comparison is not None
    assert look.comparison.days == 14
    assert not aftercare(pair(28, 0.0), SETTINGS, "auc").worse
    assert (
        "compared from 14 days and 5,000,000 rows"
        in aftercare(pair(28, 3.0), RetrainSettings(minimum_rows=5_000_000), "auc").why
    )


@given(st.integers(0, 6), st.integers(0, 3))
def test_a_run_a_day_says_the_same_all_week(day: int, week: int) -> None:
    settings = RetrainSettings(watch_days=28, minimum_rows=50)
    whole = pair(40, 0.3, rows=20)
    seen = np.flatnonzero(whole.candidate.days < 14 + 7 * week + day)
    sides = [
        replace(side, labels=side.labels[seen], predictions=side.predictions[seen], days=side.days[seen])
        for side in (whole.candidate, whole.champion)
        if side is not None
    ]
    look = aftercare(Pair(sides[0], sides[1]), settings, "auc")
    assert look.comparison is not None
    assert look.comparison.days == min(28, 14 + 7 * week)


@given(st.floats(0, 400))
def test_the_looks_of_a_watch_share_the_error_of_two(watch: float) -> None:
    at = looks(watch)
    assert all(14 <= day <= watch for day in at)
    sure = look_confidence(watch, SETTINGS)
    assert sure >= SETTINGS.confidence
    assert len(at) * (1 - sure) <= 2 * (1 - SETTINGS.confidence) + 1e-12
    allowed = 1 - SETTINGS.confidence
    assert 1 - sure == pytest.approx(allowed if len(at) <= 2 else 2 * allowed / len(at))


@pytest.mark.parametrize(
    ("since", "worse"),
    [("2013-12-24", True), ("2013-12-23", False), ("2013-12-24T05", True), ("2013-W52", False), ("2014-W01", True),
     ("2013-12", False), ("2014-01", True), ("", False)],
)  # fmt: skip
def test_where_no_model_can_be_asked_the_monitor_decides_by_windows_since_the_merge(since: str, *, worse: bool) -> None:
    merged = datetime(2013, 12, 23, 18, tzinfo=UTC)
    realised = replace(dropped().findings[0], since=since)
    result = by_band(replace(dropped(), findings=(realised, *dropped().findings[1:])), merged)
    assert result.worse is worse
    assert "band of the reference" in result.why
    assert (realised.what in result.why) is worse


def test_the_monitor_decides_by_realised_findings_that_nothing_explains() -> None:
    merged = datetime(2013, 12, 1, tzinfo=UTC)
    realised, concept, late = dropped().findings
    others = [replace(realised, explained_by="table:flights"), replace(realised, severity=Severity.INFO), concept, late]
    assert not by_band(replace(dropped(), findings=tuple(others)), merged).worse
    assert by_band(replace(dropped(), findings=(*others, realised)), merged).worse
    assert not by_band(quiet(), merged).worse
    assert "no result of the monitor" in by_band(None, merged).why


def test_the_metric_that_decides_is_declared_or_the_first_of_the_gate() -> None:
    assert deciding_metric("binary", RetrainSettings(metric="log_loss"), GATE) == "log_loss"
    assert deciding_metric("binary", SETTINGS, GATE) == "auc"
    brier = GateSettings(metrics={"brier": MetricRule(maximum_drop=0.1)})
    assert deciding_metric("binary", SETTINGS, brier) == "brier"
    assert deciding_metric("regression", SETTINGS, brier) == "mae"


def test_a_reason_stays_short_however_many_slices_dropped() -> None:
    """The comparison has every violation; the sentence names three."""
    dropped = [Violation(Reason.SLICE_DROPPED, f"AUC of `carrier = {number}` fell", "improve") for number in range(30)]
    result, why = outcome(comparison(-0.1, 0.05), GateMisses(tuple(dropped)), RetrainSettings(), GateSettings())
    assert result is Outcome.WORSE
    assert why.endswith("AUC of `carrier = 2` fell. 27 more rules are violated.")
