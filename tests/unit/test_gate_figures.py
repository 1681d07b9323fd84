"""Figures that a pipeline wrote: which direction is better by their names, and rules without an interval."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.review.gate.figures import direction_of, figures_of, judged_figures, named
from leverframe.domain.verdict import Reason
from leverframe.settings.levers import GateSettings, MetricRule

HIGHER = (
    "accuracy", "test.accuracy", "f1_macro", "weighted.f1-score", "rocAuc", "top5", "precision@10", "recall_at_5", "r2",
    "class_0.recall",
)  # fmt: skip
LOWER = (
    "brier_score", "val_loss", "mean_absolute_error", "error_rate", "false_positive_rate", "log_loss", "latency_ms",
    "RMSE",
)  # fmt: skip


def settings(**rules: MetricRule) -> GateSettings:
    return GateSettings(metrics=rules)


@pytest.mark.parametrize("name", HIGHER)
def test_a_name_tells_that_more_is_better(name: str) -> None:
    assert direction_of(name) == "higher"


@pytest.mark.parametrize("name", LOWER)
def test_a_name_tells_that_less_is_better(name: str) -> None:
    assert direction_of(name) == "lower"


@pytest.mark.parametrize("name", ["rows", "loss_weight", "accuracy_of_what", "x", "", "epochs", "model.depth"])
def test_what_a_name_does_not_tell_is_not_guessed(name: str) -> None:
    assert direction_of(name) is None


def test_a_negated_error_is_better_the_higher_it_is() -> None:
    assert direction_of("neg_mean_squared_error") == "higher"


def test_figures_are_numbers_by_dotted_path() -> None:
    content = {"a": {"b": 1, "c": True, "d": "x", "e": [1, 2]}, 3: 2.5, "huge": 10**400}
    assert dict(figures_of(content)) == {"a.b": 1.0, "3": 2.5, "huge": math.inf}


def test_a_figure_that_two_files_have_is_called_by_its_file() -> None:
    figures = named({"x.json": {"auc": 1, "n": 2}, "y.json": {"auc": 3}})
    assert figures == {"x.json:auc": 1.0, "n": 2.0, "y.json:auc": 3.0}


def test_a_rule_on_a_figure_passes_and_fails() -> None:
    rules = settings(accuracy=MetricRule(maximum_drop=0.01, floor=0.5), loss=MetricRule(minimum_gain=0.1))
    compared, missed = judged_figures({"accuracy": 0.80, "loss": 0.5}, {"accuracy": 0.805, "loss": 0.7}, rules, ())
    assert not missed
    assert [(figure.metric, figure.passed, round(figure.gain or 0, 3)) for figure in compared] == [
        ("accuracy", True, -0.005),
        ("loss", True, 0.2),
    ]
    _, missed = judged_figures({"accuracy": 0.4, "loss": 0.65}, {"accuracy": 0.805, "loss": 0.7}, rules, ())
    assert [violation.reason for violation in missed] == [
        Reason.FLOOR_MISSED,
        Reason.METRIC_DROPPED,
        Reason.GAIN_MISSED,
    ]
    assert missed[1].what == "`accuracy` fell from 0.8050 to 0.4000. Allowed drop: 0.01."


def test_a_rule_needs_its_figure_and_a_direction() -> None:
    rules = settings(accurac=MetricRule(maximum_drop=0.01), gain_of_us=MetricRule(maximum_drop=0.1))
    _, missed = judged_figures({"accuracy": 1.0, "gain_of_us": 2.0}, {}, rules, ())
    assert [violation.reason for violation in missed] == [Reason.METRIC_MISSING, Reason.SETTINGS_INVALID]
    assert "`accuracy`" in missed[0].next
    assert "gate.metrics.gain_of_us.direction" in missed[1].next
    directed = settings(gain_of_us=MetricRule(maximum_drop=0.1, direction="lower"))
    compared, missed = judged_figures({"gain_of_us": 2.0}, {"gain_of_us": 1.0}, directed, ())
    assert [violation.reason for violation in missed] == [Reason.METRIC_DROPPED]
    assert compared[0].rule == "allowed rise: 0.1"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_no_number_fails_its_rule_on_either_side(value: float) -> None:
    rules = settings(accuracy=MetricRule(maximum_drop=0.01))
    for sides in (({"accuracy": value}, {"accuracy": 1.0}), ({"accuracy": 1.0}, {"accuracy": value})):
        _, missed = judged_figures(*sides, rules, ())
        assert [violation.reason for violation in missed] == [Reason.METRIC_MISSING]


def test_a_figure_that_the_base_has_not_is_held_by_its_floor_alone() -> None:
    rules = settings(accuracy=MetricRule(maximum_drop=0.01, floor=0.9))
    for before in (None, dict[str, float]()):
        compared, missed = judged_figures({"accuracy": 0.8}, before, rules, ())
        assert [violation.reason for violation in missed] == [Reason.FLOOR_MISSED]
        assert compared[0].champion is None


def test_a_rule_that_rows_decided_is_not_judged_again() -> None:
    rules = settings(auc=MetricRule(maximum_drop=0.01))
    compared, missed = judged_figures({"auc": 0.1, "n": 1.0}, {"auc": 0.9}, rules, {"auc"})
    assert (not missed, [figure.metric for figure in compared]) == (True, ["n"])


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_rule_fails_exactly_where_more_is_lost_than_allowed(before: float, after: float, drop: float) -> None:
    rules = settings(accuracy=MetricRule(maximum_drop=drop))
    _, missed = judged_figures({"accuracy": after}, {"accuracy": before}, rules, ())
    lost = before - after
    if abs(lost - drop) > 1e-9:
        assert bool(missed) is (lost > drop)
