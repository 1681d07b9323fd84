"""A repository of somebody else's shape that trains with one of four libraries, and its server."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leverframe.adapters.mlserver import V2
from leverframe.documents import parsed
from leverframe.domain.model.bundle.schema import Schema
from leverframe.domain.release.serve import request
from leverframe.domain.release.smoke import numbers
from tests.integration.shop import Shop
from tests.warm import WarmRepository

TEST = "artifacts/test.parquet"
INPUTS = ("tenure", "spend", "calls")
_CUSTOMERS, _LEARNT = 1200, 800
_TRAIN = """\
import json
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

rows = pd.read_csv("data/customers.csv")
settings = yaml.safe_load(open("conf/model.yaml"))
train, test = rows[:{learnt}], rows[{learnt}:]
inputs, labels = train[{inputs}], train["churned"].to_numpy()
labels = np.where(np.random.default_rng(0).random(len(labels)) < settings["mistakes"], 1 - labels, labels)
Path("artifacts").mkdir(exist_ok=True)
test.to_parquet("{test}")
{fit}
"""
_MLFLOW = """\
import xgboost

folder = Path("artifacts/model")
folder.mkdir(exist_ok=True)
model = xgboost.XGBClassifier(n_estimators=settings["trees"], max_depth=3, n_jobs=1).fit(inputs, labels)
model.save_model(folder / "model.ubj")
flavours = {"python_function": {"data": "model.ubj", "loader_module": "mlflow.xgboost"},
            "xgboost": {"data": "model.ubj", "model_class": "xgboost.sklearn.XGBClassifier"}}
(folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavours, "mlflow_version": "3.17.2"}))"""
_XGBOOST = """\
import xgboost

model = xgboost.XGBClassifier(n_estimators=settings["trees"], max_depth=3, n_jobs=1).fit(inputs, labels)
model.save_model("artifacts/model.ubj")"""
_LIGHTGBM = """\
import lightgbm

model = lightgbm.LGBMClassifier(n_estimators=settings["trees"], num_leaves=8, n_jobs=1, verbose=-1)
model.fit(inputs, labels).booster_.save_model("artifacts/model.txt")"""
_CATBOOST = """\
import catboost

model = catboost.CatBoostClassifier(
    iterations=settings["trees"], depth=3, thread_count=1, verbose=0, allow_writing_files=False, random_seed=0
)
model.fit(inputs, labels).save_model("artifacts/model.cbm")"""
PIPELINE = """\
stages:
  train:
    cmd: python src/train.py
    deps: [src/train.py, data/customers.csv]
    params: [{{conf/model.yaml: [trees, mistakes]}}]
    outs: [{model}, {test}]
  bundle:
    cmd: leverframe bundle --model {model} --sample {test} --label churned
    deps: [{model}, {test}]
    outs: [models/bundle]
"""
LEVERS = """\
pipeline:
  predictions: {{path: {test}, kind: binary, label: churned, model: churn}}
  holdout: {{path: {test}, label: churned, block: day, key: [id]}}
  model: {{path: {model}}}
gate: {{metrics: {{auc: {{maximum_drop: 0.01}}}}}}
deploy: {{verify_seconds: 0}}
serve: {{port: 0, grpc_port: 0, metrics_port: 0}}
"""
CONF = "trees: {trees}\nmistakes: {mistakes}\n"


def _by_xgboost(file: Path, rows: pl.DataFrame) -> Any:
    import xgboost  # noqa: PLC0415 - each test needs one of the libraries

    library = xgboost.XGBClassifier()
    library.load_model(file / "model.ubj" if file.is_dir() else file)
    return library.predict_proba(rows.to_pandas())[:, 1]


def _by_lightgbm(file: Path, rows: pl.DataFrame) -> Any:
    import lightgbm  # noqa: PLC0415 - as above

    return lightgbm.Booster(model_file=str(file)).predict(rows.to_pandas())


def _by_catboost(file: Path, rows: pl.DataFrame) -> Any:
    import catboost  # noqa: PLC0415 - as above

    return catboost.CatBoostClassifier().load_model(str(file)).predict_proba(rows.to_pandas())[:, 1]


@dataclass(frozen=True)
class Library:
    """How a script trains with a library, where it leaves the model, and how the library itself predicts with that."""

    model: str
    fit: str
    predict: Callable[[Path, pl.DataFrame], Any]


LIBRARIES: Mapping[str, Library] = {
    "xgboost": Library("artifacts/model.ubj", _XGBOOST, _by_xgboost),
    "lightgbm": Library("artifacts/model.txt", _LIGHTGBM, _by_lightgbm),
    "catboost": Library("artifacts/model.cbm", _CATBOOST, _by_catboost),
    "mlflow": Library("artifacts/model", _MLFLOW, _by_xgboost),
}


def customers() -> pl.DataFrame:
    """Return 1,200 customers over 60 days, of whom those churn who call often and spend little."""
    draw = np.random.default_rng(7)
    tenure, calls = draw.integers(1, 60, _CUSTOMERS), draw.poisson(2, _CUSTOMERS)
    spend = draw.gamma(2.0, 30.0, _CUSTOMERS).round(2)
    score = calls - spend / 30 - tenure / 40 + draw.normal(0, 0.7, _CUSTOMERS)
    return pl.DataFrame({
        "id": np.arange(_CUSTOMERS), "day": np.arange(_CUSTOMERS) // 20, "tenure": tenure,
        "spend": [None if number % 11 == 0 else value for number, value in enumerate(spend.tolist())],
        "calls": calls, "churned": (score > np.median(score)).astype(int),
    })  # fmt: skip


def made(folder: Path, library: Library) -> Shop:
    """Return the repository, reproduced and committed on ``main``."""
    repository = WarmRepository.create(folder)
    parts = {"inputs": list(INPUTS), "learnt": _LEARNT, "test": TEST, "fit": library.fit, "model": library.model}
    for path, content in (
        ("data/customers.csv", customers().write_csv()), ("src/train.py", _TRAIN), ("dvc.yaml", PIPELINE),
        ("leverframe.yaml", LEVERS), ("conf/model.yaml", CONF), (".gitignore", "/.leverframe\n"),
    ):  # fmt: skip
        filled = content if path.endswith((".csv", "ignore")) else content.format(**parts, trees=25, mistakes=0.1)
        repository.write(path, filled)
    repository.dvc("repro", "--quiet")
    repository.commit("Train a model")
    return Shop(repository)


def changed(shop: Shop, branch: str, trees: int, mistakes: float, *stages: str) -> None:
    """Train with other settings, on a branch of its own from ``main``; ``stages`` are those to run, by default all."""
    shop.repository.git("checkout", "--quiet", "-b", branch, "main")
    shop.repository.write("conf/model.yaml", CONF.format(trees=trees, mistakes=mistakes))
    shop.repository.dvc("repro", "--quiet", *stages)
    shop.repository.commit(f"Train with {trees} trees")


def gated(shop: Shop, code: int = 0) -> dict[str, Any]:
    """Return what the gate says of the branch that is checked out."""
    ended = shop.run("gate", "--base", "main", "--json")
    assert ended.code == code, ended.stdout + ended.stderr
    result: dict[str, Any] = json.loads(ended.stdout)
    return result


def deployed(shop: Shop, command: str = "deploy", *more: str) -> dict[str, Any]:
    """Deploy the commit that is checked out, or roll back, and return the report."""
    ended = shop.run(command, *more, "--json")
    assert ended.code == 0, ended.stdout + ended.stderr
    report: dict[str, Any] = json.loads(ended.stdout)
    return report


def served(shop: Shop, rows: pl.DataFrame) -> NDArray[np.float64]:
    """Return what the server that was deployed to predicts for rows."""
    state = json.loads(shop.run("serve", "--status", "--name", "local", "--json").stdout)
    release = max((Path(state["folder"]) / "models/churn").iterdir(), key=lambda path: int(path.name))
    settings = json.loads((release / "model-settings.json").read_bytes())
    schema = parsed(Schema, (release / settings["parameters"]["uri"] / "schema.json").read_bytes())
    body = json.dumps(request(schema, rows.to_dicts())).encode()
    status, answer = V2("127.0.0.1", state["running"]["port"], state["running"]["metrics_port"], "").infer(
        "churn", body
    )
    assert status == 200, answer
    return np.array(numbers(schema, answer))[:, 0]


def rows_of(shop: Shop) -> pl.DataFrame:
    """Return the rows of the test set that the model sees."""
    return pl.read_parquet(shop.root / TEST).select(INPUTS)


def engine_of(shop: Shop) -> str:
    """Return which engine serves the bundle that is checked out."""
    engine: str = json.loads((shop.root / "models/bundle/MANIFEST.json").read_bytes())["engine"]
    return engine
