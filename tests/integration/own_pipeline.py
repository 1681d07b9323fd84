"""A repository with a pipeline of its own, three scripts and a CSV file, in which the world changes at a known day.

Until the change the label follows ``x1``, afterwards ``x2``; with ``change`` None it always follows ``x1``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from leverframe.documents import plain
from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from tests.fakes.monitored import quiet
from tests.integration.shop import Shop
from tests.warm import WarmRepository

FIRST, DAYS, PER_DAY = date(2026, 1, 1), 118, 24
CHANGE = date(2026, 3, 1)
NOW = "2026-04-29T05:00Z"  # the newest whole day is the last of the data
PREPARE = """
import csv, sys, yaml

split = yaml.safe_load(open("config/split.yaml"))["split"]
rows = list(csv.DictReader(open("rows.csv")))
seen = [row for row in rows if row["at"][:10] <= str(split["holdout_last"])]
bad = [row["at"] for row in seen if not -9 < float(row["x1"]) < 9]
if bad:
    words = f"error: x1 of {bad[0]} is out of range\\n  why:  nobody is that tall\\n  next: fix the source"
    print(words, file=sys.stderr)
    sys.exit(14)
for name in ("train", "holdout"):
    first, last = str(split[f"{name}_first"]), str(split[f"{name}_last"])
    with open(f"{name}.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row for row in rows if first <= row["at"][:10] <= last)
"""
TRAIN = """
import csv, json, os, pathlib, time

import numpy as np

held = pathlib.Path(os.environ.get("HOLD", "nothing"))
if held.exists():
    held.with_suffix(".pid").write_text(str(os.getpid()))
while held.exists():
    time.sleep(0.05)
rows = list(csv.DictReader(open("train.csv")))
x = np.array([[float(row["x1"]), float(row["x2"]), 1.0] for row in rows])
y = np.array([int(row["y"]) for row in rows])
weights, penalty = np.zeros(3), np.diag([1.0, 1.0, 0.0])
for _ in range(25):  # a logistic regression by Newton's method; a library would take a second to import
    p = 1 / (1 + np.exp(-(x @ weights)))
    slope = x.T @ (p - y) + penalty @ weights
    weights -= np.linalg.solve((x.T * (p * (1 - p))) @ x + penalty, slope)
json.dump(list(weights), open("model.json", "w"))
"""
PREDICT = """
import csv, json, math

one, two, zero = json.load(open("model.json"))
with open("predictions.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["at", "x1", "x2", "y", "p"])
    for row in csv.DictReader(open("holdout.csv")):
        score = 1 / (1 + math.exp(-(one * float(row["x1"]) + two * float(row["x2"]) + zero)))
        writer.writerow([row["at"], row["x1"], row["x2"], row["y"], f"{score:.9f}"])
"""
PIPELINE = """
stages:
  prepare:
    cmd: python prepare.py
    deps: [prepare.py, rows.csv]
    params: [{config/split.yaml: [split]}]
    outs: [train.csv, holdout.csv]
  train:
    cmd: python train.py
    deps: [train.py, train.csv]
    outs: [model.json]
  predict:
    cmd: python predict.py
    deps: [predict.py, model.json, holdout.csv]
    outs: [predictions.csv]
"""
SPLIT = """\
split: # moved by retraining
  train_first: '2026-01-01'
  train_last: '2026-01-31'   # inclusive
  holdout_first: "2026-02-01"
  holdout_last: "2026-02-28"
"""
LEVERS = """\
pipeline:
  predictions: {path: predictions.csv, kind: binary, score: p, label: y, time: at, model: churn}
gate:
  metrics: {auc: {maximum_drop: 0.01}}
monitor: {every_hours: 24}
retrain:
  params:
    file: config/split.yaml
    period: day
    train_first: split.train_first
    train_last: split.train_last
    holdout_first: split.holdout_first
    holdout_last: split.holdout_last
"""


def made(folder: Path, change: date | None = CHANGE) -> Shop:
    """Return the repository, reproduced and committed, with what the monitor found of the newest day."""
    shop = Shop(WarmRepository.create(folder))
    repository = shop.repository
    for path, content in files(change).items():
        repository.write(path, content)
    repository.dvc("repro")
    repository.commit("A pipeline")
    noticed(shop)
    return shop


def files(change: date | None = CHANGE) -> dict[str, str]:
    """Return the files of the pipeline by path, before it was run."""
    texts = {
        "prepare.py": PREPARE, "train.py": TRAIN, "predict.py": PREDICT, "dvc.yaml": PIPELINE,
        "leverframe.yaml": LEVERS, "config/split.yaml": SPLIT, "rows.csv": rows(change),
        ".gitignore": "/.leverframe/\n", ".dvcignore": ".leverframe\n",
    }  # fmt: skip
    return {path: content.lstrip("\n") for path, content in texts.items()}


def rows(change: date | None) -> str:
    """Return the rows of all days as CSV."""
    draw = np.random.default_rng(0)
    lines = ["at,x1,x2,y"]
    for number in range(DAYS * PER_DAY):
        at = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC) + timedelta(hours=24 * number / PER_DAY)
        one, two, noise = draw.normal(size=3)
        cause = two if change is not None and at.date() >= change else one
        lines.append(f"{at:%Y-%m-%dT%H:%M:%SZ},{one:.6f},{two:.6f},{int(2 * cause + noise > 0)}")
    return "\n".join(lines) + "\n"


def noticed(shop: Shop, *findings: Finding, at: str = "2026-04-29T04:00:00+00:00") -> None:
    """Let the last run of the monitor have found something; by default that the model got worse."""
    worse = Finding(Kind.PERFORMANCE, "auc", Severity.CRITICAL, "2026-04-28", "2026-03-02", "AUC fell.", "look")
    monitored = replace(quiet(), model="churn", environment="local", at=at, findings=findings or (worse,), alerts=())
    shop.repository.write(".leverframe/monitor/local/monitor.json", json.dumps(plain(monitored)))
