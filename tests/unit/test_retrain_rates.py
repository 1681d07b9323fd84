"""Retraining in simulated histories, by fixed seeds: far fewer of them than ``benchmarks.retrain`` has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.retrain import CHANGED, QUIET, REVERTED, TARGETS, line, markdown, reverts
from benchmarks.retrain_worlds import LOST, history, predicted, turn
from leverframe.domain.model.evaluate.metrics import measured

NOTE = Path(__file__).parents[2] / "docs/decisions/0021-a-retraining-must-be-worth-it.md"


def test_a_history_without_a_change_opens_nothing_and_one_with_a_change_does() -> None:
    quiet, changed = line(QUIET[0], 1), line(CHANGED[0], 2)
    assert quiet["ready"]["rate"] == 0.0
    assert changed["ready_before"] == 0
    assert changed["ready_within"]["rate"] == 1.0
    assert 28 + 7 <= changed["days_to_half"] <= changed["days_to_90_percent"] <= CHANGED[0].within
    after = reverts(REVERTED[0], 4)
    assert after["false"]["rate"] == 0.0
    assert after["reverted"]["rate"] > 0.5
    table = {
        "absolute": {"without_change": [quiet], "with_change": [changed], "aftercare": [after], "policies": [changed]}
    }
    text = markdown(table)
    assert f"| {quiet['world']} | expanding |" in text
    assert "100.0% in" in text
    assert _heads(text) == _heads(NOTE.read_text(encoding="utf-8").split("--markdown -->\n")[1].split("<!-- end")[0])


def _heads(text: str) -> list[str]:
    """Return the heads of the tables in a text, with the lines below them."""
    lines = text.splitlines()
    return [line for at, head in enumerate(lines) for line in lines[at - 1 : at + 1] if head.startswith("| ---")]


def test_a_change_costs_the_champion_what_it_says() -> None:
    assert turn(0.0) == 0.0
    rows = history(LOST, 1)
    weights = [-1.4, 0.9, 0.6, -0.5, 0.3, 0.2]
    areas = []
    for part in (rows.between(0, 150), rows.between(200, 329)):
        scores = predicted(np.array(weights), rows.features[part])
        areas.append(float(measured("binary", rows.labels[part], scores).values[0]))
    assert areas[0] - areas[1] == pytest.approx(0.05, abs=0.01)


def test_the_goals_are_those_of_the_issue() -> None:
    assert TARGETS["ready_without_change"] == TARGETS["reverted_though_equal"] == 0.05
    assert TARGETS["missed_within_days"] == 0.1
