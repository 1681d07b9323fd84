"""The reference case watched for a year: what the monitor says at the end of each month, and why.

The model of January to March, evaluated on April, serves May to December. The traffic is every flight of those months
with the features of its time; labels arrive with the flights. In one more September the weather comes in degrees
Celsius. `python -m benchmarks.replay --markdown` prints the table of the guide.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from leverframe import wiring
from leverframe.adapters.polars import PolarsTables
from leverframe.adapters.sklearn import SklearnModels
from leverframe.application.evaluate import evaluate
from leverframe.application.monitor import MonitorOptions, monitor
from leverframe.application.train import train as fit
from leverframe.application.training_set import training_set
from leverframe.application.validate import validate
from leverframe.application.workspace import Workspace
from leverframe.documents import loaded
from leverframe.domain import layout
from leverframe.domain.model.evaluate.evaluation import predicted
from leverframe.domain.model.train import ModelDescription
from leverframe.domain.monitoring.finding import QUALITY, Kind, Severity
from leverframe.domain.monitoring.monitor_result import Monitored
from leverframe.domain.partition import Partition
from leverframe.domain.retraining.attempt import RetrainWindow

FIRST = RetrainWindow("2013-01", "2013-03", "2013-04", "2013-04")
MONTHS = range(5, 13)
_SHOWN = 2  # findings of a month in the table
SETTINGS = {
    "log": "log",
    "engine": "builtin",
    "lookback": 31,
    "columns": {"time": "as_of", "id": "id", "prediction": "score", "release": None, "milliseconds": None},
    "labels": {"path": "labels", "on": ["id"], "label": "label", "known_at": "known_at"},
    "performance": {"label_delay_days": 1.0, "metrics": ["auc", "average_precision", "brier"]},
}


@dataclass(frozen=True)
class Month:
    """What was found at the end of a month: findings that nothing explains, and those that others explain."""

    month: str
    verdict: str
    findings: tuple[str, ...]
    explained: tuple[str, ...]
    quality: tuple[str, ...]
    auc: float | None


@dataclass(frozen=True)
class Watched:
    """What the monitor found at the end of each month, by month, and of a September in degrees Celsius."""

    months: dict[str, Monitored]
    celsius: Monitored

    def content(self) -> dict[str, Any]:
        """Return it as the benchmark prints it."""
        months = [vars(summed_up(key, monitored)) for key, monitored in self.months.items()]
        return {"months": months, "celsius": vars(summed_up("2013-09", self.celsius))}


def year(given: dict[str, Any], months: Sequence[int] = MONTHS) -> Watched:
    """Train the model, replay the months in the current folder, whose features are built, and return what was said."""
    workspace = trained(given, FIRST)
    evaluate(workspace)
    validate(workspace, "static")
    seen = {f"2013-{number:02d}": watch(workspace, f"2013-{number:02d}") for number in months}
    return Watched(seen, _in_celsius(workspace))


def trained(given: dict[str, Any], window: RetrainWindow) -> Workspace:
    """Train a model on the rows of a window, and return the workspace with it."""
    features: dict[str, Any] = {"label": "late30", "select": ["*"]}
    features["train"] = {"first": window.train_first, "last": window.train_last}
    features["holdout"] = {"first": window.holdout_first, "last": window.holdout_last}
    Path("params.yaml").write_text(yaml.safe_dump(given | {"features": features, "evaluate": {}}), encoding="utf-8")
    Path("leverframe.yaml").write_text(yaml.safe_dump({"monitor": SETTINGS}), encoding="utf-8")
    workspace = wiring.workspace()
    training_set(workspace)
    fit(workspace)
    return workspace


def watch(workspace: Workspace, key: str, *, celsius: bool = False) -> Monitored:
    """Return what the monitor finds at the end of a month."""
    validate(workspace, key)
    end = Partition.of(key).plus(1).start(workspace.params.data.timezone).astimezone(UTC)
    _write_traffic(workspace, key, end, celsius=celsius)
    quiet = MonitorOptions(as_of=end.isoformat(), alerts=False)
    return monitor(workspace, quiet, lambda _: None, lambda _: None)[0]


def summed_up(key: str, monitored: Monitored) -> Month:
    """Return what was found at the end of a month, as the table shows it."""
    loud = [finding for finding in monitored.findings if finding.severity is not Severity.INFO]
    auc = next((series for series in monitored.performance if series.metric == "auc"), None)
    realised = [point.realised.value for point in auc.points if point.realised.value is not None] if auc else []
    return Month(
        key,
        type(monitored.verdict).__name__.lower(),
        tuple(f"{finding.key}: {finding.what}" for finding in loud if not finding.explained_by),
        tuple(f"{finding.key} by {finding.explained_by}" for finding in loud if finding.explained_by),
        tuple(finding.key for finding in loud if finding.kind in QUALITY and not finding.explained_by),
        round(sum(realised) / len(realised), 3) if realised else None,
    )


def _write_traffic(workspace: Workspace, key: str, end: datetime, *, celsius: bool) -> None:
    """Write the requests of a month with their predictions, and the labels that are known at its end."""
    model = loaded(ModelDescription, layout.MODEL_DESCRIPTION.read_bytes(), name=str(layout.MODEL_DESCRIPTION))
    rows = PolarsTables(workspace.root).read(layout.features(key)).filter(pl.col("as_of") < end)
    if celsius:
        warm = [pl.col(name).sub(32).truediv(1.8).alias(name) for name in ("weather_temp", "weather_dewp")]
        rows = rows.with_columns(warm)
    models = SklearnModels(workspace.root)
    with models.threads(1):
        scores = predicted(models, model, rows, layout.MODEL.read_bytes())
    rows = rows.with_columns(score=pl.Series(scores), id=key + "-" + pl.int_range(pl.len()).cast(pl.String))
    names = [feature.name for feature in model.features]
    for folder in ("log", "labels"):
        shutil.rmtree(folder, ignore_errors=True)
        Path(folder).mkdir()
    rows.select("as_of", "id", "score", *names).write_parquet("log/month.parquet")
    known = rows.filter(pl.col("late30").is_not_null(), pl.col("late30_known_at") < end)
    known.select("id", label="late30", known_at="late30_known_at").write_parquet("labels/month.parquet")


def _in_celsius(workspace: Workspace) -> Monitored:
    """Return what is found of a September whose weather came in degrees Celsius."""
    path = layout.raw("weather", "2013-09")
    kept = path.read_bytes()
    for later in (10, 11, 12):
        layout.contract_report(f"2013-{later}").unlink(missing_ok=True)
    frame = pl.read_parquet(path)
    frame.with_columns(pl.col("temp", "dewp").sub(32).truediv(1.8)).write_parquet(path)
    try:
        return watch(workspace, "2013-09", celsius=True)
    finally:
        path.write_bytes(kept)


def lines(content: dict[str, Any]) -> Sequence[str]:
    """Return the table of the guide."""
    rows = ["| month | verdict | mean daily AUC | what is said |", "| --- | --- | --- | --- |"]
    for month in (*content["months"], {**content["celsius"], "month": "2013-09 in °C"}):
        findings = [words.partition(": ")[2] for words in month["findings"]]
        more = [f"and {len(findings) - _SHOWN} more"] if len(findings) > _SHOWN else []
        cell = "<br>".join([*findings[:_SHOWN], *more]) or "nothing"
        rows.append(f"| {month['month']} | {month['verdict']} | {month['auc']} | {cell} |")
    return rows


def targets(content: dict[str, Any]) -> dict[str, bool]:
    """Return what must hold of the year: of September, and that December, whose newest day has no weather, says so."""
    by_month = {month["month"]: month for month in content["months"]}
    missing = f"{Kind.MISSING}:weather_temp" in by_month["2013-12"]["quality"]
    return {**of_september(content), "december_says_that_the_weather_is_missing": missing}


def of_september(content: dict[str, Any]) -> dict[str, bool]:
    """Return what must hold of September: it is a drop, and in other units a finding of the table and no drift."""
    celsius, by_month = content["celsius"], {month["month"]: month for month in content["months"]}
    drift = [words for words in celsius["findings"] if words.startswith((Kind.DRIFT, Kind.PREDICTION_DRIFT))]
    dropped = [words for words in by_month["2013-09"]["findings"] if words.startswith(Kind.PERFORMANCE)]
    return {
        "celsius_names_the_table": f"{Kind.TABLE}:weather" in celsius["quality"],
        "celsius_raises_no_drift_alarm": not drift,
        "september_says_that_performance_dropped": bool(dropped),
    }
