"""A repository with a pipeline of its own, and its live traffic: what the monitor is tried on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml
from scipy.special import expit

from leverframe.adapters.git import Git
from leverframe.application.workspace import Workspace
from leverframe.domain.features.plan import compile_star
from leverframe.domain.features.star import read_star
from leverframe.local.repository import TemporaryRepository
from leverframe.settings import LEVERS, PARAMS
from leverframe.settings.levers import read_levers
from leverframe.settings.params import read_params

START = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
REFERENCE_DAYS, LIVE_DAYS = 40, 10
ROWS = 300  # a day
NOW = START + timedelta(days=REFERENCE_DAYS + LIVE_DAYS, hours=6)
PLANS = ("basic", "family", "pro", "team")
COUNTRIES = ("at", "be", "ch", "de", "es", "fr", "it", "nl", "pl", "se")


@dataclass
class Traffic:
    """Requests by day, each a record of the inference log, with their labels by id."""

    days: list[list[dict[str, Any]]]
    labels: dict[str, int] = field(default_factory=dict)

    def each(self, change: Callable[[dict[str, Any]], None], days: Sequence[int] = (7, 8, 9)) -> None:
        """Change every record of some days."""
        for day in days:
            for record in self.days[day]:
                change(record)


def rows(draw: np.random.Generator, day: int, count: int = ROWS) -> pl.DataFrame:
    """Return the rows of a day; every day the mean of a column is a little different."""
    amount = draw.normal(50 + draw.normal(0, 0.5), 10, count)
    visits = draw.poisson(3, count)
    plan = draw.choice(PLANS, count, p=(0.5, 0.25, 0.15, 0.1))
    odds = (amount - 50) / 10 + (plan == "pro") * 0.8 - 1.5
    score = expit(odds)
    at = START + timedelta(days=day)
    seconds = np.sort(draw.integers(0, 86_400, count))
    return pl.DataFrame({
        "id": [f"{day}-{number}" for number in range(count)],
        "at": [at + timedelta(seconds=int(second)) for second in seconds],
        "amount": amount.round(3),
        "visits": visits,
        "plan": plan,
        "country": draw.choice(COUNTRIES, count),
        "score": score,
        "label": (draw.random(count) < score).astype(int),
    })  # fmt: skip


def traffic(seed: int = 0, days: int = LIVE_DAYS) -> Traffic:
    """Return live traffic in which nothing changed."""
    draw = np.random.default_rng(1000 + seed)
    traffic = Traffic([])
    for day in range(days):
        table = rows(draw, REFERENCE_DAYS + day)
        traffic.days.append([_record(row) for row in table.iter_rows(named=True)])
        traffic.labels |= dict(zip(table["id"].to_list(), table["label"].to_list(), strict=True))
    return traffic


def _record(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "at": row["at"].isoformat(),
        "id": row["id"],
        "model": "churn",
        "version": "1",
        "bundle": "a" * 64,
        "schema": "b" * 64,
        "commit": "c" * 40,
        "form": "columns",
        "rows": 1,
        "columns": {name: [row[name]] for name in ("amount", "visits", "plan", "country")},
        "predictions": [[1 - row["score"], row["score"]]],
        "milliseconds": 2.0,
    }


def repository(folder: Path, **settings: Any) -> Path:
    """Make a repository whose predictions are a file, with ``settings`` of the monitor, and return its root."""
    made = TemporaryRepository.create(folder, dvc=False)
    draw = np.random.default_rng(7)
    (made.root / "eval").mkdir()
    reference = pl.concat([rows(draw, day) for day in range(REFERENCE_DAYS)]).drop("id")
    reference.write_parquet(made.root / "eval/test.parquet")
    write_settings(made.root, **settings)
    made.commit("Begin")
    return made.root


def write_settings(root: Path, alerts: dict[str, Any] | None = None, **settings: Any) -> None:
    """Write what the monitor reads."""
    role = {"path": "eval/test.parquet", "kind": "binary", "label": "label", "model": "churn"}
    monitor = {"log": "log", "lookback": LIVE_DAYS, "engine": "builtin", "classifier": {"every": "never"}} | settings
    levers = {"pipeline": {"predictions": role}, "monitor": monitor} | ({"alerts": alerts} if alerts else {})
    (root / "leverframe.yaml").write_text(yaml.safe_dump(levers), encoding="utf-8")


def place(root: Path) -> Workspace:
    """Return the workspace in a folder, wherever this process is."""
    return Workspace(
        root,
        Git(root),
        lambda: read_params(root / PARAMS),
        lambda: read_levers(root / LEVERS),
        lambda star: compile_star(read_star(star)),
    )


def write_log(folder: Path, traffic: Traffic) -> None:
    """Write a closed file a day, as a server does."""
    for number, day in enumerate(traffic.days):
        at = START + timedelta(days=REFERENCE_DAYS + number)
        path = folder / f"log/dt={at:%Y-%m-%d}/000000-1-0001.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(record) + "\n" for record in day), encoding="utf-8")


def write_labels(folder: Path, labels: dict[str, int], name: str = "labels.csv") -> None:
    """Write labels as they arrive."""
    pl.DataFrame({"id": list(labels), "label": list(labels.values())}).write_csv(folder / name)
