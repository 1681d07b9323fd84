"""A merged retraining and the model before it on logged requests whose labels came true."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from leverframe.adapters.polars import PolarsTables
from leverframe.application.aftercare import MergedRetraining, watched
from leverframe.domain import layout
from leverframe.domain.retraining.aftercare import Aftercare
from tests.integration.shop import LEVERS, Shop, copied, finished
from tests.integration.watched import place

AT = datetime(2024, 6, 1, 12, tzinfo=UTC)
DAYS, ROWS = 28, 60
NOW = AT + timedelta(days=DAYS + 2)
MONITOR = """
monitor:
  log: .leverframe/log
  labels: {path: .leverframe/labels.csv, on: [id, row]}
"""


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop whose newest commit has a model of one split, with a log that comes true as the model before predicts."""
    shop = copied(finished(tmp_path_factory), tmp_path_factory.mktemp("merged"))
    shop.repository.write("leverframe.yaml", LEVERS + MONITOR)
    shop.repository.commit("Say where the log is")
    traffic(shop.root)
    shop.replace("pipelines/shop/model.py", "max_iter=iterations", "max_leaf_nodes=2, learning_rate=0.01, max_iter=1")
    shop.repository.dvc("repro", "--single-item", "train")
    shop.repository.commit("Retrain")
    return shop


def traffic(root: Path) -> None:
    """Write a request a day with rows of the hold-out, and labels that are likely where the model of now says so."""
    draw, tables = np.random.default_rng(3), PolarsTables(root)
    holdout, score = tables.read(layout.HOLDOUT), tables.read(layout.PREDICTIONS)["score"].to_numpy()
    described = json.loads((root / layout.MODEL_DESCRIPTION).read_text(encoding="utf-8"))
    names = [feature["name"] for feature in described["features"]]
    labels: list[dict[str, Any]] = []
    for day in range(DAYS):
        at, chosen = AT + timedelta(days=1 + day), draw.integers(0, holdout.height, ROWS)
        rows = holdout.select(names)[chosen]
        record = {
            "at": at.isoformat(), "id": f"request {day}", "model": "shop", "version": "2", "bundle": "b" * 64,
            "form": "keys", "rows": ROWS, "columns": {"product": rows["product"].to_list()},
            "features": {name: rows[name].to_list() for name in names}, "predictions": [[0.5, 0.5]] * ROWS,
            "milliseconds": 2.0,
        }  # fmt: skip
        path = root / f".leverframe/log/dt={at:%Y-%m-%d}/000000-1-0001.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(record) + "\n", encoding="utf-8")
        late = (score[chosen] > np.quantile(score, 0.7)) != (draw.random(ROWS) < 0.1)
        labels += [{"id": f"request {day}", "row": row, "label": int(is_late)} for row, is_late in enumerate(late)]
    pl.DataFrame(labels).write_csv(root / ".leverframe/labels.csv")


def judged(shop: Shop, commit: str = "HEAD", now: datetime = NOW) -> Aftercare:
    return watched(place(shop.root), "local", MergedRetraining(commit, f"{commit}^1", AT), None, now, lambda _: None)


def test_a_model_that_is_worse_on_labels_is_found_with_figures(merged: Shop) -> None:
    result = judged(merged)
    assert result.worse, result.why
    assert result.comparison is not None
    assert (result.comparison.labelled, result.comparison.days) == (DAYS * ROWS, DAYS)
    assert "AUC on 1,680 rows of 28 days" in result.why
    assert "upper bound -" in result.why
    champion = result.comparison.metrics[0].champion
    assert champion is not None
    assert champion > 0.85  # the model before is what the labels were drawn from


def test_the_model_before_as_a_merge_is_not_worse(merged: Shop, tmp_path: Path) -> None:
    shop = copied(merged, tmp_path)
    shop.repository.git("revert", "--no-edit", "HEAD")
    result = judged(shop)
    assert not result.worse
    assert result.comparison is not None
    gain = result.comparison.metrics[0].gain
    assert gain is not None
    assert gain > 0.02


def test_what_cannot_be_compared_says_why(merged: Shop, tmp_path: Path) -> None:
    assert "no whole day since the merge" in judged(merged, now=AT + timedelta(hours=20)).why
    assert "of 5 days have a label" in judged(merged, now=AT + timedelta(days=5, hours=22)).why
    shop = copied(merged, tmp_path)
    levers = (LEVERS + MONITOR) + "serve: {log: {deny: [quantity]}}\n"
    shop.repository.write("leverframe.yaml", levers)
    assert "the log may not hold the feature `quantity`" in judged(shop).why
    shop.repository.write("leverframe.yaml", LEVERS)
    assert "names no labels" in judged(shop).why
    shop.repository.write("leverframe.yaml", LEVERS + MONITOR.replace("log: .leverframe/log", "log: elsewhere"))
    assert "there is no log at elsewhere" in judged(shop).why
    assert "names no commit" in judged(merged, commit="HEAD~50").why
