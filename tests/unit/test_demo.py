"""The summary of demo is what a person reads: held as a golden file, with its edges beside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from leverframe.demo.showing import Looped
from leverframe.domain.features.training_set import Feature, Label, Split, TrainingSet
from leverframe.domain.pipeline.stage_log import Outcome, StageRecord
from leverframe.domain.pipeline.summary import Results, progress_line, summary

GOLDEN = Path(__file__).parents[1] / "golden" / "demo" / "summary.txt"


def check(verdict: str = "passed", severity: str = "error", **more: Any) -> dict[str, Any]:
    """Return one constraint as a contract report has it."""
    return {"check": "unique_key", "severity": severity, "verdict": verdict, **more}


def record(stage: str, partition: str, seconds: float, peak: float) -> StageRecord:
    """Return the record of a run; stages start one after the other."""
    return StageRecord(stage, partition, seconds, seconds, seconds, peak, "x.log", Outcome.DONE)


def results(**changes: Any) -> Results:
    """Return what a small pipeline left behind."""
    odd = check("failed", "warn", column="speed", samples=["1048"])
    scores = {"auc": 0.71234, "average_precision": 0.4, "brier": 0.1, "log_loss": 0.35, "calibration_error": 0.02}
    metrics: dict[str, Any] = {
        "rows": 1234, "days": 61, **scores, "base_rate": 0.2, "mean_score": 0.21,
        "interval": {
            name: {"low": value - 0.01, "high": value + 0.01}
            for name, value in {**scores, "base_rate": 0.2, "mean_score": 0.21}.items()
        },
        "slices": {},
    }  # fmt: skip
    given: dict[str, Any] = {
        "contracts": {
            "static": {"tables": {"planes": {"rows": 3322, "checks": [check()]}}},
            "2013-01": {"tables": {"flights": {"rows": 27004, "checks": [check(), odd]}}},
            "2013-02": {"tables": {"flights": {"rows": 24951, "checks": [check("skipped"), odd, odd, odd, odd]}}},
        },
        "training_set": TrainingSet(
            Label("late30", "binary"),
            (Feature("carrier", "categorical"), Feature("distance", "numeric")),
            "0123456789abcdef",
            Split("2013-01", "2013-01", 26000, 900, 104),
            Split("2013-02", "2013-02", 24000, 951, 0),
        ),
        "metrics": metrics,
        "records": [
            record("ingest", "static", 0.5, 150.0),
            record("ingest", "2013-01", 1.25, 310.5),
            record("train", "", 9.0, 402.0),
        ],
        "pictures": ["reports/pictures/roc.svg"],
    }  # fmt: skip
    return Results(**(given | changes))


def test_the_summary_is_the_golden_one() -> None:
    """Counts, constraints, training set, metrics with intervals, time with bars, and what to try next."""
    made = "\n".join(summary(results(), "2013-02")) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(made, encoding="utf-8")
    assert made == GOLDEN.read_text(encoding="utf-8")


def test_warnings_beyond_four_are_counted() -> None:
    """Five constraints fail with a warning: four are shown, one is counted, none counts as failed."""
    lines = summary(results(), "2013-02")
    assert sum(line.startswith("  warn ") for line in lines) == 4
    assert "  and 1 more in reports/contracts" in lines
    assert any("2 of 8 checks passed, 0 failed, 5 warnings, 1 skipped" in line for line in lines)


def test_a_failed_constraint_is_counted_as_failed() -> None:
    """Severity decides: an error is no warning."""
    contracts = {"2013-01": {"tables": {"flights": {"rows": 1, "checks": [check("failed")]}}}}
    assert any(
        "0 of 1 checks passed, 1 failed, 0 warnings" in line for line in summary(results(contracts=contracts), "x")
    )


def test_a_clone_that_ran_nothing_says_so() -> None:
    """Everything came from a remote: there are results and no times."""
    assert "  no stage ran on this machine yet" in summary(results(records=[]), "2013-02")


def test_the_longest_stage_fills_the_bar_and_others_are_in_proportion() -> None:
    """A stage of no measured time gets the smallest bar, also where all are such."""
    half = summary(results(records=[record("long", "", 2.0, 1.0), record("half", "", 1.0, 1.0)]), "2013-02")
    bars = [line.count("█") for line in half if "█" in line and " x " in line]
    assert sorted(bars) == [10, 20]
    none = summary(results(records=[record("none", "", 0.0, 1.0)]), "2013-02")
    assert [line.count("█") for line in none if "█" in line and " x " in line] == [1]


def test_progress_lines_line_up() -> None:
    """The counter is as wide as the total, so that a hundred lines make columns."""
    lines = [progress_line(7, 120, "ingest@2013-01", "  0.9 s"), progress_line(120, 120, "train", "  unchanged")]
    assert lines == ["[  7/120] ingest@2013-01         0.9 s", "[120/120] train                  unchanged"]


def test_the_whole_list_has_a_heading() -> None:
    """It follows the live log of the same steps, and looked like a second run."""
    lines = Looped((), (("dashboard", "x.html"),)).lines()
    assert lines[:2] == ["", "All that happened, partition by partition"]
