"""Models that others trained: bundled from a file and a sample, served, deployed and rolled back like one of a case."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import xgboost

from leverframe.adapters.mlserver import V2
from leverframe.documents import parsed
from leverframe.domain.model.bundle.bundle_manifest import read_manifest
from leverframe.domain.model.bundle.schema import Schema
from leverframe.domain.release.serve import request
from leverframe.domain.release.smoke import numbers
from tests.fakes.own_models import LABELS, Trained, trained
from tests.integration.shop import Shop
from tests.warm import WarmRepository

MLFLOW = Path(__file__).parents[1] / "golden/mlflow"
SERVED = (("lightgbm", "multiclass"), ("catboost", "regression"))  # test_own_libraries has that of XGBoost
LEVERS = """\
pipeline:
  predictions: {path: rows.parquet, kind: binary, label: binary, model: churn}
deploy: {verify_seconds: 0}
serve: {port: 0, grpc_port: 0, metrics_port: 0}
"""
CLUSTER = """\
deploy:
  verify_seconds: 0
  environments:
    local: {}
    cluster:
      kubernetes: {context: none, namespace: models, image: "host/server@sha256:DIGEST", remote: "https://host/storage"}
"""
PAGE = (Path(__file__).parents[2] / "docs/guides/own-model.md").read_text(encoding="utf-8")
PIPELINE = PAGE.partition("```yaml\nstages:")[2].partition("```")[0].replace("churned", "binary")


def of_mlflow(rows: pl.DataFrame) -> Trained:
    """Return the model in the folder of MLflow with rows, and what XGBoost predicts for these."""
    library = xgboost.XGBClassifier()
    library.load_model(MLFLOW / "model.ubj")
    inputs = rows.select("amount", pl.col("age").cast(float))
    return Trained(MLFLOW, inputs, library.predict_proba(inputs.to_numpy())[:, 1].astype(np.float64))


def written(model: Trained, folder: Path, label: str) -> Path:
    """Write the sample of a model with one label, and return its path."""
    model.rows.drop([name for name in LABELS if name != label], strict=False).write_parquet(folder / "rows.parquet")
    return folder / "rows.parquet"


def asked(running: dict[str, Any], name: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """Return status and content of the response of a server to a request."""
    return V2("127.0.0.1", running["port"], running["metrics_port"], "").infer(name, body)


def apart(running: dict[str, Any], name: str, schema: Schema, model: Trained) -> float:
    """Return the largest difference between what a server predicts and what the library does."""
    rows = model.rows.select([field.name for field in schema.columns]).fill_nan(None).to_dicts()
    status, answer = asked(running, name, json.dumps(request(schema, rows)).encode())
    assert status == 200, answer
    return float(np.abs(np.squeeze(np.array(numbers(schema, answer))) - model.predictions).max())


def test_models_of_every_library_are_bundled_and_served(tmp_path: Path) -> None:
    """From one server: predictions over REST are those of the library, to the last bit where it serves itself."""
    shop, models = Shop(WarmRepository.create(tmp_path)), {}
    for name, kind in SERVED:
        (tmp_path / name).mkdir()
        models[name] = trained(name, kind, tmp_path / name), ["--label", kind]
        written(models[name][0], tmp_path / name, kind)
    (tmp_path / "mlflow").mkdir()
    models["mlflow"] = of_mlflow(models["catboost"][0].rows), []
    written(models["mlflow"][0], tmp_path / "mlflow", "none")
    for name, (model, more) in models.items():
        sample, out = str(tmp_path / name / "rows.parquet"), str(tmp_path / "bundles" / name / "1")
        command = ("bundle", "--model", str(model.file), "--sample", sample, "--name", name, "--out", out, *more)
        ended = shop.run(*command)
        assert ended.code == 0, ended.stderr
    free = ("--port", "0", "--grpc-port", "0", "--metrics-port", "0")
    running = json.loads(shop.run("serve", str(tmp_path / "bundles"), *free, "--json").stdout)["running"]
    try:
        for name, (model, _) in models.items():
            schema = parsed(Schema, (tmp_path / "bundles" / name / "1/schema.json").read_bytes())
            largest = apart(running, name, schema, model)
            print(f"{name}: largest difference {largest:.1e}")
            assert largest <= (1e-6 if name == "mlflow" else 0.0)  # of numbers alone, so it was converted to ONNX
            status, answer = asked(running, name, b'{"inputs": []}')
            assert (status, "inputs" in answer["error"]) == (400, True)
    finally:
        shop.run("serve", "--stop")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Return a repository whose `params.yaml` is its own, and whose servers end with the test."""
    shop = Shop(WarmRepository.create(tmp_path))
    for path, content in (("params.yaml", "alpha: 1\n"), ("leverframe.yaml", LEVERS), (".gitignore", "/.leverframe\n")):
        shop.repository.write(path, content)
    yield shop
    shop.run("serve", "--stop", "--name", "local")


@pytest.mark.deep
def test_what_cannot_be_bundled_or_deployed_is_said_at_once(shop: Shop) -> None:
    """Options that miss each other, a pickle, rows without a column, and a library that a cluster has not."""
    model = trained("catboost", "binary", shop.root)
    written(model, shop.root, "binary")
    (shop.root / "model.pkl").write_bytes(b"\x80\x04.")
    model.rows.drop("age").write_parquet(shop.root / "few.parquet")
    name = model.file.name
    for options, code, words in (
        (("--dry-run",), 2, "belong together"),
        (("--model", name), 2, "belong together"),
        (("--model", "model.pkl", "--sample", "rows.parquet"), 16, "is a pickle"),
        (("--model", name, "--sample", "few.parquet"), 16, "no column `age`"),
        (("--model", name, "--sample", "rows.parquet", "--label", "no"), 13, "no column `no`"),
    ):
        ended = shop.run("bundle", *options)
        assert (ended.code, words in ended.stderr) == (code, True), ended.stderr
    tried = shop.run("bundle", "--model", name, "--sample", "rows.parquet", "--label", "binary", "--dry-run", "--json")
    assert (json.loads(tried.stdout)["engine"], (shop.root / "models").exists()) == ("catboost", False)
    assert "`plan` is a category" in json.loads(tried.stdout)["conversion"]
    shop.repository.write("dvc.yaml", f"stages:{PIPELINE.replace('model.ubj', name)}")
    shop.repository.write("leverframe.yaml", LEVERS.partition("deploy")[0] + CLUSTER.replace("DIGEST", "0" * 64))
    reproduced(shop, "one")
    ended = shop.run("deploy", "--environment", "cluster", "--dry-run")
    assert (ended.code, "no cluster can serve `churn` with catboost" in ended.stderr) == (28, True), ended.stderr
    assert shop.run("deploy", "--dry-run").code == 0


@pytest.mark.deep
@pytest.mark.parametrize("format", ["skops", "onnx"])
def test_a_model_of_a_format_is_deployed_and_rolled_back(shop: Shop, format: str) -> None:
    """A model, then one that was trained on other rows, and back to the first; test_own_libraries has the libraries."""
    models = [trained(format, "binary", shop.root)]
    written(models[0], shop.root, "binary")
    shop.repository.write("dvc.yaml", f"stages:{PIPELINE.replace('model.ubj', models[0].file.name)}")
    reproduced(shop, "one")
    first = deployed(shop)
    assert predicted(shop, models[0]) <= 1e-6
    models.append(trained(format, "binary", shop.root, seed=1))
    reproduced(shop, "two")
    second = deployed(shop)
    assert [step["step"] for step in second["steps"] if "replay" in step["step"]], second["steps"]
    assert predicted(shop, models[1]) <= 1e-6
    ended = shop.run("rollback", "--because", "a test", "--json")
    assert ended.code == 0, ended.stderr
    assert json.loads(ended.stdout)["serving"]["manifest"]["bundle"] == first["serving"]["manifest"]["bundle"]
    assert predicted(shop, models[0]) <= 1e-6


def reproduced(shop: Shop, message: str) -> None:
    """Run the stage of the repository and commit its lock."""
    shop.repository.dvc("repro", "--quiet")
    shop.repository.commit(message)


def deployed(shop: Shop) -> dict[str, Any]:
    """Deploy the commit that is checked out, and return the report."""
    ended = shop.run("deploy", "--json")
    assert ended.code == 0, ended.stdout + ended.stderr
    report: dict[str, Any] = json.loads(ended.stdout)
    return report


def predicted(shop: Shop, model: Trained) -> float:
    """Return how far the deployed server is from the library."""
    status = json.loads(shop.run("serve", "--status", "--name", "local", "--json").stdout)
    release = max((Path(status["folder"]) / "models/churn").iterdir(), key=lambda path: int(path.name))
    settings = json.loads((release / "model-settings.json").read_bytes())
    bundle = release / settings["parameters"]["uri"]
    assert read_manifest((bundle / "MANIFEST.json").read_bytes(), "here").own
    return apart(status["running"], "churn", parsed(Schema, (bundle / "schema.json").read_bytes()), model)
