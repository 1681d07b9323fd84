"""The reference case replayed: what measures add, what retraining recovers, and when it hurts.

Every scenario runs the stages as the pipeline does, with its own label, features and months: late
by 15 minutes with all features; and, without measures, the champion of January to April against
one retrained on the four months before, judged on September and on December. Then the monitor
watches the year, and the rules of retraining decide on what it finds. ``--quick`` replays September alone, in which
the champion decays, and the September in degrees Celsius.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks import monitored_year, retrained_year
from benchmarks.alternate import machine
from leverframe import wiring
from leverframe.adapters.duckdb.query import arrow_table
from leverframe.adapters.polars import PolarsFrames
from leverframe.application.build import build
from leverframe.application.evaluate import evaluate
from leverframe.application.train import train as fit
from leverframe.application.training_set import training_set
from leverframe.domain.data import ingest
from leverframe.local.repository import TemporaryRepository
from leverframe.settings.levers import GateSettings, read_levers

NAME = "benchmarks.replay"
CASE = "pipelines/flights"
NO_MEASURES = ["carrier", "origin", "dest", "distance", "sched_elapsed", "hour", "weekday", "plane_*", "weather_*"]

# Lower bounds, and for the two champions a band: better would be as odd as worse.
TARGETS = {
    "late15_auc": (0.77, 1.0),
    "late15_average_precision": (0.52, 1.0),  # without the own delay of flights that left early
    "september_champion_auc": (0.70, 0.73),
    "september_retrained_auc": (0.74, 0.77),
    "september_gain_auc": (0.03, 1.0),
    "december_gain_auc": (-1.0, 0.0),
}


@dataclass(frozen=True)
class Scenario:
    """One label and choice of features, months to learn from, and months to be judged on."""

    label: str
    select: tuple[str, ...]
    train: tuple[int, int]
    holdout: tuple[int, int]


SCENARIOS = {
    "late15": Scenario("late15", ("*",), (1, 8), (9, 12)),
    "september_champion": Scenario("late30", tuple(NO_MEASURES), (1, 4), (9, 9)),
    "september_retrained": Scenario("late30", tuple(NO_MEASURES), (5, 8), (9, 9)),
    "december_champion": Scenario("late30", tuple(NO_MEASURES), (1, 4), (12, 12)),
    "december_retrained": Scenario("late30", tuple(NO_MEASURES), (8, 11), (12, 12)),
}


def main() -> None:
    """Print the figures of every scenario."""
    parser = argparse.ArgumentParser(prog=f"python -m {NAME}", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON, which is the only form there is")
    parser.add_argument("--quick", action="store_true", help="September alone: which rules hold on it, and no table")
    parser.add_argument("--markdown", action="store_true", help="print the tables of the guides")
    asked = parser.parse_args()
    repository, gate = Path.cwd(), read_levers().gate
    with tempfile.TemporaryDirectory() as root:
        shutil.copytree(repository / CASE, Path(root, CASE))
        shutil.copy(repository / "params.yaml", root)
        os.chdir(root)  # the stages work on the folder they stand in
        repository_of_year = TemporaryRepository(Path(root), Path(root, "home"))
        repository_of_year.git("init", "--quiet", "--initial-branch=main")
        repository_of_year.git("commit", "--quiet", "--allow-empty", "--message", "Begin")
        try:
            content, tables = september(gate) if asked.quick else figures(gate)
            print("\n".join(tables) if asked.markdown else json.dumps(content, indent=2))
        finally:
            os.chdir(repository)


def figures(gate: GateSettings) -> tuple[dict[str, Any], list[str]]:
    """Build the features of the year, train and judge every scenario; return the figures, and the tables of guides."""
    given = _built(range(1, 13))
    results = {name: _judged(given, scenario) for name, scenario in SCENARIOS.items()}
    reached = {
        "late15_auc": results["late15"]["auc"],
        "late15_average_precision": results["late15"]["average_precision"],
        "september_champion_auc": results["september_champion"]["auc"],
        "september_retrained_auc": results["september_retrained"]["auc"],
        "september_gain_auc": results["september_retrained"]["auc"] - results["september_champion"]["auc"],
        "december_gain_auc": results["december_retrained"]["auc"] - results["december_champion"]["auc"],
    }
    watched = monitored_year.year(given)
    seen, decided = watched.content(), retrained_year.retrained_year(given, gate, watched)
    held = monitored_year.targets(seen) | retrained_year.targets(decided)
    content = _content(results, reached, held, seen, decided)
    return content, [*monitored_year.lines(seen), "", *retrained_year.lines(decided)]


def september(gate: GateSettings) -> tuple[dict[str, Any], list[str]]:
    """Replay September alone, on the months that its models learn from; return the figures, and no table."""
    given = _built((1, 2, 3, 4, 9))
    results = {"september_champion": _judged(given, SCENARIOS["september_champion"])}
    reached = {"september_champion_auc": results["september_champion"]["auc"]}
    watched = monitored_year.year(given, (9,))
    seen, decided = watched.content(), retrained_year.september(given, gate, watched)
    held = monitored_year.of_september(seen) | retrained_year.of_september(decided)
    return _content(results, reached, held, seen, decided), []


def _built(months: Sequence[int]) -> dict[str, Any]:
    """Ingest the year and build the features of the months; return the settings."""
    given: dict[str, Any] = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    workspace = wiring.workspace()
    frames = PolarsFrames(workspace.root, arrow_table)  # one of all months: they read one file
    for group in (None, *workspace.partitions.groups()):
        ingest.run(workspace.sources, group, workspace.partitions, frames, workspace.root)
    for month in months:
        build(wiring.workspace(), f"2013-{month:02d}")
    return given


def _content(
    results: dict[str, Any],
    reached: dict[str, float],
    held: dict[str, bool],
    seen: dict[str, Any],
    decided: Sequence[retrained_year.Decided],
) -> dict[str, Any]:
    """Return what is printed: figures of scenarios, and what the monitor and the rules of retraining said."""
    targets = {name: bounds for name, bounds in TARGETS.items() if name in reached}
    return {
        "name": "replay",
        "machine": machine(),
        "sizes": {name: result["rows"] for name, result in results.items()},
        "ratios": {name: round(value, 4) for name, value in reached.items()},
        "absolute": results | {"year": seen, "retrained": [vars(row) for row in decided]},
        "targets": targets | dict.fromkeys(held, True),
        "met": {name: low <= reached[name] <= high for name, (low, high) in targets.items()} | held,
    }


def _judged(given: dict[str, Any], scenario: Scenario) -> dict[str, Any]:
    """Run the stages of a scenario and return its metrics."""
    train, holdout = (
        {"first": f"2013-{first:02d}", "last": f"2013-{last:02d}"} for first, last in (scenario.train, scenario.holdout)
    )
    features = {"label": scenario.label, "select": list(scenario.select), "train": train, "holdout": holdout}
    params = given | {"features": features, "evaluate": {}}
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    workspace = wiring.workspace()  # anew: the settings of each scenario are others
    training_set(workspace)
    fit(workspace)
    metrics = evaluate(workspace).metrics
    return {name: metrics[name] for name in ("rows", "auc", "average_precision", "brier", "base_rate", "mean_score")}


if __name__ == "__main__":
    main()
