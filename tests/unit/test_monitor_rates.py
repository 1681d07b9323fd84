"""False alarms and detection in simulated months, by fixed seeds: fewer trials than ``benchmarks.drift`` has."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from benchmarks.drift import TARGETS, line, markdown, trial
from benchmarks.drift_worlds import BASE, DEPENDENT, SEASONAL, WORLDS, DriftWorld, counts, drawn, rows
from tests.profiles import by_day

TRIALS = 16
LARGER = replace(BASE, volume=10.0)


@cache
def rates(world: DriftWorld) -> dict[str, Any]:
    return line(world, TRIALS)


@pytest.mark.parametrize(
    ("world", "detected"),
    by_day(
        [(BASE, 0.95), (replace(BASE, reference=20), 0.85), (SEASONAL, 0.9), (DEPENDENT, 0.5), (LARGER, 0.9)],
        (BASE, 0.95),
        (SEASONAL, 0.9),
    ),
    ids=["days vary", "20 days", "weekly season", "AR 0.7", "ten times the volume"],
)
def test_false_alarms_are_rare_and_shifts_are_found(world: DriftWorld, detected: float) -> None:
    ours = rates(world)["leverframe"]
    assert ours["false_alarms"]["bounds"][0] <= 0.05
    assert ours["false_alarms"]["rate"] <= 0.2
    assert ours["detected"]["rate"] >= detected


def test_rules_of_others_alarm_always_or_never() -> None:
    figures = rates(BASE)
    assert figures["alibi-detect"]["false_alarms"]["rate"] == 1.0
    assert figures["psi"]["detected"]["rate"] == 0.0


def test_a_trial_says_the_same_again() -> None:
    assert trial(replace(BASE, rows=500, reference=20), 3) == trial(replace(BASE, rows=500, reference=20), 3)


def test_counts_are_drawn_as_rows_are() -> None:
    """The share of rows below zero, and of the first level, agree between counts and single rows."""
    world = replace(BASE, rows=20_000, reference=2, columns=3)
    draw = np.random.default_rng(0)
    days = drawn(world, draw)
    binned = counts(world, days.effects[0], days.sizes[0], draw)
    single = list(rows(world, days.effects[0], days.sizes[0], draw))
    for day in range(2):
        for column in range(3):
            whole = binned[column][day]
            below = whole[:50].sum() if column < 2 else whole[0]
            same = (single[day][column] < (0 if column < 2 else 0.5)).mean()
            assert below / whole.sum() == pytest.approx(same, abs=0.02)


def test_the_table_names_every_world() -> None:
    table = [line(replace(world, rows=200, columns=3), 2) for world in WORLDS[:3]]
    text = markdown({"absolute": {"table": table, "peers": []}})
    assert text.count(BASE.name) == 3
    assert set(TARGETS) >= {"false_alarms_a_month", "missed_in_a_week"}
