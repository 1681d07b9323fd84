"""The benchmark of the gate's errors: its worlds have the truth that they state, and its table names each cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.gate import JUDGED, Cell, beyond, cells, judged, markdown, row, slices, trial, truth, wilson
from benchmarks.gate_worlds import SLICES, WORLDS, draw
from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.evaluate.holdout import Holdout
from leverframe.domain.model.evaluate.metrics import METRICS
from leverframe.domain.model.evaluate.scores import scored
from leverframe.settings.params import EvaluateSettings
from tests.profiles import by_day

GUIDE = Path(__file__).parents[2] / "docs/guides/gate.md"
BY_NAME = {world.name: world for world in WORLDS}


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_the_third_model_is_truly_worse(kind: LabelKind) -> None:
    """By every judged metric, and the first two are equal within noise."""
    figures = truth(kind, BY_NAME["independent"], 4)
    for number, metric in enumerate(METRICS[kind]):
        if metric.name in JUDGED[kind]:
            loss = (figures[0] - figures[1])[number] * (-1 if metric.better == "lower" else 1)
            assert loss > 0, metric.name


def test_the_difference_of_equal_models_depends_on_the_day_before() -> None:
    """With a memory of 0.8, the daily gain has an autocorrelation that independent days do not have."""
    correlations = {}
    for name in ("independent", "memory 0.8"):
        drawn = draw(BY_NAME[name], "regression", 400, 1)
        first, second = (np.abs(predictions - drawn.labels) for predictions in drawn.predictions[:2])
        gain = np.bincount(drawn.days, weights=first - second) / np.bincount(drawn.days)
        correlations[name] = float(np.corrcoef(gain[1:], gain[:-1])[0, 1])
    assert abs(correlations["independent"]) < 0.15
    assert correlations["memory 0.8"] > 0.35


@pytest.mark.parametrize("metric", by_day(["brier", "log_loss"], "log_loss"))
def test_stated_intervals_hold_the_truth_although_days_depend_on_each_other(metric: str) -> None:
    """Base rate and quality remember the day before by 0.8: of intervals from resampled days 64 of 100 held."""
    world, number = BY_NAME["memory 0.8"], [measure.name for measure in METRICS["binary"]].index(metric)
    expected, held = truth("binary", world, 100)[0, number], 0
    for seed in range(100):
        drawn = draw(world, "binary", 120, seed)
        champion = Holdout("binary", ("0", "1"), drawn.labels, drawn.predictions[0], drawn.days, {})
        stated = scored(champion, EvaluateSettings()).figures["interval"][metric]
        held += stated["low"] <= expected <= stated["high"]
    assert held >= 87


def test_a_cell_has_every_rate_with_its_bounds() -> None:
    """Of a few trials; what is decided about half the drop is what the rule itself would decide."""
    cell = Cell("binary", BY_NAME["small days"], 40)
    lines = row(cell, trials=3)
    assert [entry["metric"] for entry in lines] == list(JUDGED["binary"])
    for line in lines:
        for rate in ("equal_dropped", "equal_uncertain", "exact_passed", "twice_passed", "covered"):
            low, high = line[rate]["bounds"]
            assert 0 <= low <= line[rate]["rate"] <= high <= 1
        assert list(beyond(line)) == []
    truths = truth("binary", cell.world, 15)
    drawn = draw(cell.world, "binary", 40, 0)
    champion, _, worse = (
        Holdout("binary", ("0", "1"), drawn.labels, predictions, drawn.days, {}) for predictions in drawn.predictions
    )
    half = {name: abs(float(truths[0, n] - truths[1, n])) / 2 for n, name in enumerate(JUDGED["binary"])}
    verdicts = {name: float(not reason) for name, (reason, _) in judged(worse, champion, half).items()}
    assert verdicts == {name: rates["twice_passed"] for name, rates in trial(cell, truths, 0).items()}


def test_the_tables_of_the_guide_name_each_world() -> None:
    """One line for each world and number of days, one for each world of slices."""
    rate = {"rate": 0.05, "bounds": wilson(1, 20), "trials": 20}
    rates = dict.fromkeys(("equal_dropped", "equal_uncertain", "exact_passed", "twice_passed", "covered"), rate)
    table = [{"world": cell.world.name, "days": cell.days, **rates} for cell in cells()]
    tables = markdown({"absolute": {"table": table, "slices": [slices(SLICES[-1], trials=1)]}})
    assert all(f"| {world.name} | {days} | 5.0% |" in tables for world in WORLDS for days in (40, 120))
    assert "one worse, 30 slices of 1,000 rows" in tables
    shown = (
        GUIDE.read_text(encoding="utf-8").split("<!-- python -m benchmarks.gate --markdown -->\n")[1].split("<!--")[0]
    )
    named = [[line.split("|")[1:3] for line in text.splitlines() if "%" in line] for text in (shown, tables)]
    assert named[0][: len(WORLDS) * 2] == named[1][: len(WORLDS) * 2]
    assert all(world.name in shown for world in SLICES)
