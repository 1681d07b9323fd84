"""Evidently's and NannyML's side of ``benchmarks.drift``: their default rules on rows, a day at a time.

Runs in an environment of the peer's own, so that nothing of Leverframe but ``benchmarks.drift_worlds`` may be imported
here. Evidently compares each day with at most 20,000 reference rows; whether its columns drift goes by distances, which
hardly depend on how many there are. NannyML learns its thresholds from the reference days.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from typing import Any

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # before the imports: nothing is reported to anyone
os.environ["DO_NOT_TRACK"] = "1"

import numpy as np
import pandas as pd

from benchmarks.drift_worlds import MONTH, Drawn, DriftWorld, drawn, rows

MOST = 20_000


def main() -> None:
    """Print, a trial each, which rules raise an alarm in the quiet month, and find the columns that moved."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.drift_side", description=__doc__)
    parser.add_argument("--tool", choices=TOOLS, required=True)
    parser.add_argument("--world", type=json.loads, required=True)
    parser.add_argument("--trials", type=int, required=True)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    world = DriftWorld(**asked.world)
    print(json.dumps([trial(asked.tool, world, seed) for seed in range(asked.trials)]))


def trial(tool: str, world: DriftWorld, seed: int) -> dict[str, tuple[bool, bool]]:
    """Return by rule whether it raised an alarm in the quiet month, and found a column that moved in the last week."""
    draw = np.random.default_rng(seed)
    days = drawn(world, draw)
    parts = [frame(world, days, number, draw) for number in range(3)]
    beyond = TOOLS[tool](world, parts[0], pd.concat(parts[1:]))
    any_column = beyond["any"]
    alarms = {
        f"{tool}, any column": (bool(any_column[:MONTH].any()), bool(any_column[MONTH:, list(world.moved)].any())),
    }
    if "dataset" in beyond:
        alarms[f"{tool}, share of columns"] = (
            bool(beyond["dataset"][:MONTH].any()),
            bool(beyond["dataset"][MONTH:].any()),
        )
    return alarms


def frame(world: DriftWorld, days: Drawn, number: int, draw: np.random.Generator) -> Any:
    """Return the rows of a part as a data frame with a timestamp."""
    listed = list(rows(world, days.effects[number], days.sizes[number], draw))
    columns = [np.concatenate(parts) for parts in zip(*listed, strict=True)]
    table = pd.DataFrame(dict(zip(names(world), columns, strict=True)))
    for name in names(world)[world.numeric :]:
        table[name] = table[name].astype(int).map("level {}".format)
    starts = pd.date_range("2024-01-01", periods=1000)[days.first[number] :]
    table["at"] = np.repeat(starts[: len(listed)], days.sizes[number])
    return table


def names(world: DriftWorld) -> list[str]:
    """Return the names of the columns."""
    return [f"{'x' if at < world.numeric else 'c'}{at}" for at in range(world.columns)]


def evidently(world: DriftWorld, reference: Any, live: Any) -> dict[str, Any]:
    """Return on which days which columns drift, and whether half of them do: Evidently's defaults."""
    from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415 - only one peer is installed
    from evidently.metrics import DriftedColumnsCount, ValueDrift  # noqa: PLC0415

    kinds = DataDefinition(
        numerical_columns=names(world)[: world.numeric], categorical_columns=names(world)[world.numeric :]
    )
    kept = Dataset.from_pandas(reference.sample(min(MOST, len(reference)), random_state=0), data_definition=kinds)
    columns, dataset = [], []
    for _, day in live.groupby("at"):
        asked = [DriftedColumnsCount(), *(ValueDrift(column=names(world)[at]) for at in world.moved)]
        metrics = Report(asked).run(Dataset.from_pandas(day, data_definition=kinds), kept).dict()["metrics"]
        beyond = np.zeros(world.columns, bool)
        beyond[list(world.moved)] = [float(metric["value"]) > 0.1 for metric in metrics[1:]]  # its default threshold
        others = np.setdiff1d(np.arange(world.columns), world.moved)
        beyond[others[: max(0, int(metrics[0]["value"]["count"]) - int(beyond.sum()))]] = True
        columns.append(beyond)
        dataset.append(metrics[0]["value"]["share"] >= 0.5)
    return {"any": np.array(columns), "dataset": np.array(dataset)}


def nannyml(world: DriftWorld, reference: Any, live: Any) -> dict[str, Any]:
    """Return on which days which columns leave NannyML's thresholds: its defaults, by day."""
    from nannyml import UnivariateDriftCalculator  # noqa: PLC0415 - only one peer is installed

    drift = UnivariateDriftCalculator(column_names=names(world), timestamp_column_name="at", chunk_period="D")
    table = drift.fit(reference).calculate(live).filter(period="analysis").to_df()
    alerts = table.xs("alert", axis=1, level=2)
    columns = [alerts[name].to_numpy().any(axis=1) for name in names(world)]
    return {"any": np.stack(columns, axis=1)[: MONTH + 7]}


TOOLS = {"evidently": evidently, "nannyml": nannyml}

if __name__ == "__main__":
    main()
