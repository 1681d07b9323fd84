"""The figures of the reference case hold on its real data: of September in every run, of the whole year every night."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import monitored_year, retrained_year

ROOT = Path(__file__).parents[2]


def replayed(*options: str) -> dict[str, Any]:
    """Return what the benchmark prints; every rule of its own must hold."""
    command = [sys.executable, "-m", "benchmarks.replay", "--json", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    report: dict[str, Any] = json.loads(done.stdout)
    assert [name for name, met in report["met"].items() if not met] == [], report["ratios"]
    return report


@pytest.mark.deep
def test_september_decays_and_its_unit_bug_does_not_retrain() -> None:
    """The champion drops and a retraining is due; in degrees Celsius a table is broken, nothing drifts or is due."""
    report = replayed("--quick")
    assert set(report["met"]) == {
        "september_champion_auc", "september_says_that_performance_dropped", "celsius_names_the_table",
        "celsius_raises_no_drift_alarm", "celsius_retrains_nothing", "the_decay_of_september_is_due",
    }  # fmt: skip
    assert report["sizes"]["september_champion"] > 25_000


@pytest.mark.deep
def test_the_reference_case_reaches_its_figures() -> None:
    """Measures help, retraining recovers September and hurts December, and the monitor says so in the right months.

    The tables of two guides are those of this year.
    """
    facts = replayed()
    assert len(facts["met"]) == 14
    assert facts["sizes"]["late15"] > 100_000
    seen, decided = facts["absolute"]["year"], [retrained_year.Decided(**row) for row in facts["absolute"]["retrained"]]
    for guide, table in (("monitor", monitored_year.lines(seen)), ("retrain", retrained_year.lines(decided))):
        assert "\n".join(table) in (ROOT / f"docs/guides/{guide}.md").read_text(encoding="utf-8")
