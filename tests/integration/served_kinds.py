"""A case with columns of every kind that a model can learn from and keys of every kind, bundled in process."""

from __future__ import annotations

import fcntl
import json
import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from leverframe.adapters.git import Git
from leverframe.adapters.sklearn import SklearnModels
from leverframe.application.build import build
from leverframe.application.bundle import bundle
from leverframe.application.evaluate import evaluate
from leverframe.application.snapshot import snapshot
from leverframe.application.train import train
from leverframe.application.training_set import training_set
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.features.plan import compile_star
from leverframe.domain.features.star import read_star
from leverframe.serving.bundle import OpenBundle
from leverframe.settings.levers import read_levers
from leverframe.settings.params import read_params

BIG = 2**53
MONTHS = ("2024-01", "2024-02", "2024-03")
ROWS = 40  # of a month


@dataclass(frozen=True)
class Kind:
    """A type of column with values of it, None among them where it is nullable; a ``feature`` is one to learn from."""

    dtype: Any
    values: tuple[Any, ...]
    feature: bool = True


KINDS = {
    "flag": Kind(pl.Boolean, (True, False)),
    "maybe": Kind(pl.Boolean, (True, False, None)),
    "int64": Kind(pl.Int64, (BIG + 1, BIG + 2, -BIG - 1, 2**63 - 1, -(2**63))),
    "uint64": Kind(pl.UInt64, (2**63, 2**63 + 1, 2**64 - 1, 0, BIG + 1)),
    "counted": Kind(pl.Int64, (1, 2, 3, None)),
    "int8": Kind(pl.Int8, (-128, 0, 127)),
    "uint8": Kind(pl.UInt8, (0, 7, 255)),
    "float32": Kind(pl.Float32, tuple(float(np.float32(number)) for number in (0.1, -3.5, 1e-30, 1e30))),
    "decimal": Kind(pl.Decimal(12, 2), tuple(map(Decimal, ("0.10", "-0.30", "9999999999.99")))),
    "whole": Kind(pl.Decimal(20, 0), tuple(map(Decimal, (2**63 + 1, BIG + 1, 7)))),
    "category": Kind(pl.Categorical(), ("a", "é", None)),
    "enum": Kind(pl.Enum(["b", "a"]), ("a", "b")),
    "text": Kind(pl.String, ("", "a", "日本", "é'\"\\", "long " * 60, None)),
    "date": Kind(pl.Date, (date(2020, 2, 29), date(1970, 1, 1)), feature=False),
    "at": Kind(
        pl.Datetime("us", "UTC"),
        (datetime(2020, 1, 1, 3, 4, 5, 6, tzinfo=UTC), datetime(1969, 1, 1, tzinfo=UTC)),
        feature=False,
    ),
}  # fmt: skip
KEYS = [name for name in KINDS if name not in ("float32", "decimal")]  # what is no key is refused before it is built
LEARNT = [name for name, kind in KINDS.items() if kind.feature]
LAST = [name for name in LEARNT if name != "whole"]  # windows take decimals of 64 bits
CLASSES = ("spät", "früh", "nie")
_TIME = pl.Datetime("us", "UTC")
CONTRACT = f'''
"""A contract that names the type of each column of the spine."""

import pandera.polars as pa
import polars as pl

from leverframe.case import Contract
from {__name__} import KINDS

COLUMNS = {{f"{{side}}_{{name}}": pa.Column(kind.dtype, nullable=None in kind.values, required=False)
           for name, kind in KINDS.items() for side in "sk"}}
CONTRACTS = {{"visits": Contract(pa.DataFrameSchema(COLUMNS))}}
'''


def trees(features: Sequence[Any], *, seed: int = 0) -> Any:
    """Return boosted trees over ordinal codes: a leaf may hold a single row, so that each value counts."""
    texts = [feature.name for feature in features if feature.kind == "categorical"]
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
    columns = ColumnTransformer([("texts", codes, texts)], remainder="passthrough", verbose_feature_names_out=False)
    boosting = HistGradientBoostingClassifier(max_iter=30, early_stopping=False, min_samples_leaf=1, random_state=seed)
    return make_pipeline(columns, boosting)


class Wavering(DummyClassifier):  # type: ignore[misc]
    """Predicts something else each time."""

    calls = 0

    def predict_proba(self, inputs: Any) -> Any:
        """Return another probability at each call."""
        type(self).calls += 1
        first = np.full(len(inputs), 1 / (1 + type(self).calls))
        return np.stack([first, 1 - first], axis=1)


def star() -> dict[str, Any]:
    """Return the star: each kind on the spine, in a dimension of each kind of key, and as the last of a measure."""
    entities = {"visit": ["id"], "place": ["place"], **{f"by_{name}": [f"k_{name}"] for name in KEYS}}
    return {
        "entities": entities,
        "spine": {"table": "visits", "key": "visit", "columns": [f"s_{name}" for name in LEARNT]},
        "facts": {
            "outcome": {"table": "visits", "known_at": "settled_at", "max_lag": "3d", "reveals": ["y", "z"]},
            "events": {"table": "events", "known_at": "seen_at", "max_lag": "3d"},
        },
        "dimensions": {
            "place": {"table": "places", "key": "place", "columns": [f"d_{name}" for name in LEARNT]},
            **{f"by_{name}": {"table": f"t_{name}", "key": f"by_{name}", "columns": ["size"]} for name in KEYS},
        },
        "measures": {"m": {"fact": "events", "key": "place", "of": {f"e_{name}": ["last"] for name in LAST},
                           "windows": ["90d"]}},
        "labels": {"y": {"fact": "outcome", "column": "y", "kind": "binary"},
                   "z": {"fact": "outcome", "column": "z", "kind": "multiclass"}},
    }  # fmt: skip


def params(case: str, estimator: str, select: Sequence[str] = ("*",), **arguments: Any) -> dict[str, Any]:
    """Return the settings of a case for an estimator of this module; it is not converted, which takes seconds."""
    return {
        "data": {"case": case, "first": MONTHS[0], "last": MONTHS[-1], "timezone": "UTC"},
        "features": {
            "engine": "duckdb", "label": "y", "select": [*select],
            "train": {"first": MONTHS[0], "last": MONTHS[1]}, "holdout": {"first": MONTHS[2], "last": MONTHS[2]},
        },
        "train": {"estimator": f"{__name__}:{estimator}", "params": arguments},
        "evaluate": {"minimum_slice_rows": 1},
        "bundle": {"model": "kinds", "golden_rows": 12, "conversion": {"seconds": 0.001}},
    }  # fmt: skip


def case(root: Path) -> str:
    """Return the name of the case in a folder: a package of its own, as a process imports each name once."""
    return f"case_{root.name}"


def declare(root: Path, name: str, contracts: str, **changes: Any) -> None:
    """Write the declarations of a case, parts of its star replaced."""
    (root / name).mkdir(parents=True)
    (root / name / "star.yaml").write_text(yaml.safe_dump(star() | changes, sort_keys=False), encoding="utf-8")
    (root / name / "contracts.py").write_text(contracts, encoding="utf-8")


def _value(kind: Kind, draw: Any) -> Any:
    return kind.values[int(draw.integers(len(kind.values)))]


def _frame(rows: list[dict[str, Any]], types: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame({name: pl.Series(name, [row[name] for row in rows], dtype, strict=False)
                         for name, dtype in types.items()})  # fmt: skip


def write(root: Path) -> None:
    """Write the raw tables, as ingest would have, and the declarations."""
    draw = np.random.default_rng(0)
    declare(root, case(root), CONTRACT)
    chosen(root, "trees")
    times = {"event_time": _TIME, "known_at": _TIME}
    for month in MONTHS:
        first = datetime(int(month[:4]), int(month[5:]), 1, tzinfo=UTC)
        visits, events = [], []
        for number in range(ROWS):
            at = first + timedelta(hours=12 * number)
            row = {f"s_{name}": _value(KINDS[name], draw) for name in LEARNT}
            row |= {f"k_{name}": _value(KINDS[name], draw) for name in KEYS}
            row |= {
                "id": f"{month} {number}",
                "place": "xyz"[number % 3],
                "y": int(draw.integers(2)),
                "z": CLASSES[int(draw.integers(3))],
            }
            visits.append(row | {"settled_at": at + timedelta(hours=1), "event_time": at, "known_at": at})
            event = {f"e_{name}": _value(KINDS[name], draw) for name in LAST}
            before = at - timedelta(hours=1) if number else at
            event |= {"place": "xyz"[number % 3], "seen_at": before, "event_time": before, "known_at": before}
            events.append(event)
        types = {f"s_{name}": KINDS[name].dtype for name in LEARNT} | {f"k_{name}": KINDS[name].dtype for name in KEYS}
        types |= {"id": pl.String, "place": pl.String, "y": pl.Int64, "z": pl.String, "settled_at": _TIME}
        _write(root, "visits", month, _frame(visits, types | times))
        types = {f"e_{name}": KINDS[name].dtype for name in LAST} | {"place": pl.String, "seen_at": _TIME}
        _write(root, "events", month, _frame(events, types | times))
    places = [{"place": place} | {f"d_{name}": _value(KINDS[name], draw) for name in LEARNT} for place in "xyz"]
    types = {"place": pl.String} | {f"d_{name}": KINDS[name].dtype for name in LEARNT}
    _write(root, "places", layout.STATIC, _frame(places, types))
    for name in KEYS:
        known = [value for value in KINDS[name].values if value is not None][1:]  # the first one has no row
        rows = [{f"k_{name}": value, "size": float(math.sqrt(number + 2))} for number, value in enumerate(known)]
        _write(root, f"t_{name}", layout.STATIC, _frame(rows, {f"k_{name}": KINDS[name].dtype, "size": pl.Float64}))


def _write(root: Path, table: str, part: str, frame: pl.DataFrame) -> None:
    path = root / layout.raw(table, part)
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path)


def workspace(root: Path) -> Workspace:
    """Return the workspace of a folder."""
    return Workspace(
        root, Git(root), lambda: read_params(root / "params.yaml"), lambda: read_levers(root / "leverframe.yaml"),
        lambda path: compile_star(read_star(path)),
    )  # fmt: skip


def strict(features: Sequence[Any], *, encoder: str, model: str) -> Any:
    """Return an estimator that takes no category that it was not fitted to, and no missing value."""
    chosen = [feature.name for feature in features if feature.kind == "categorical" or encoder == "one hot of all"]
    encoders = {"one hot": OneHotEncoder(), "one hot of all": OneHotEncoder(), "ordinal": OrdinalEncoder()}
    models = {
        "logistic": make_pipeline(StandardScaler(), LogisticRegression()),
        "boosting": GradientBoostingClassifier(n_estimators=3, random_state=0),
        "histogram boosting": HistGradientBoostingClassifier(max_iter=3, early_stopping=False, random_state=0),
        "forest": RandomForestClassifier(3, random_state=0),
    }
    columns = ColumnTransformer([("codes", encoders[encoder], chosen)], remainder="passthrough", sparse_threshold=0)
    return make_pipeline(columns, models[model])


def built(factory: pytest.TempPathFactory, name: str, contracts: str = CONTRACT) -> Path:
    """Return a folder with the world as a case of its own: raw tables, features, a snapshot for all its timestamps.

    All workers of this test run copy the same one; the first to ask builds it.
    """
    shared = factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    ours, root = shared / "all_kinds", factory.mktemp(name)
    with (shared / "all_kinds.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another worker may be building it
        if not (ours / layout.SNAPSHOT).exists():
            write(ours)
            compute(ours)
    shutil.copytree(ours / "data", root / "data")
    declare(root, case(root), contracts)
    chosen(root, "trees")
    return root


def compute(root: Path) -> None:
    """Build the features, and the snapshot for all their timestamps."""
    place = workspace(root)
    for month in MONTHS:
        build(place, month)
    snapshot(place, None, f"{MONTHS[0]}-01T00:00Z", root / layout.SNAPSHOT, None, 0)


def chosen(root: Path, estimator: str, select: Sequence[str] = ("*",), **arguments: Any) -> None:
    """Write the settings for an estimator of this module and the features that it learns from."""
    settings = params(case(root), estimator, select, **arguments)
    (root / "params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")


def trained(root: Path) -> Workspace:
    """Train and evaluate by the settings in a folder that is built."""
    place = workspace(root)
    training_set(place)
    train(place)
    evaluate(place)
    return place


def bundled(root: Path) -> OpenBundle:
    """Train, evaluate and bundle by the settings in a folder that is built, and open the bundle."""
    bundle(trained(root))
    return OpenBundle(root / layout.BUNDLE)


def table(root: Path) -> pl.DataFrame:
    """Return all rows of the training set and of the hold-out."""
    return pl.concat([pl.read_parquet(root / layout.TRAIN), pl.read_parquet(root / layout.HOLDOUT)])


def predicted(root: Path, rows: pl.DataFrame) -> Any:
    """Return what the trained model itself predicts, a probability a row."""
    described = json.loads((root / layout.MODEL_DESCRIPTION).read_text())
    model = SklearnModels(root).load((root / layout.MODEL).read_bytes())
    types: dict[Any, Any] = {
        feature["name"]: pl.String if feature["kind"] == "categorical" else pl.Float64
        for feature in described["features"]
    }
    return model.predict_proba(rows.select(list(types)).cast(types))[:, 1]


def replace_settings(root: Path, old: str, new: str) -> None:
    """Replace a text in the settings."""
    settings = (root / "params.yaml").read_text()
    assert old in settings
    (root / "params.yaml").write_text(settings.replace(old, new))


def sent(rows: pl.DataFrame, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return columns of rows as inputs of the V2 protocol, each in the datatype of its own type."""
    return [
        {"name": name, "shape": [rows.height], "datatype": _datatype(rows[name].dtype), "data": _listed(rows[name])}
        for name in names
    ]


_DATATYPES = {
    pl.Boolean: "BOOL", pl.Int8: "INT8", pl.UInt8: "UINT8", pl.Int64: "INT64", pl.UInt64: "UINT64",
    pl.Float32: "FP32", pl.Float64: "FP64", pl.Decimal: "FP64", pl.Datetime: "INT64",
}  # fmt: skip


def _datatype(dtype: Any) -> str:
    return next((name for kind, name in _DATATYPES.items() if dtype == kind), "BYTES")


def _listed(column: pl.Series) -> list[Any]:
    """Return values as JSON has them: a decimal as its nearest double, a date as text, a timestamp in microseconds."""
    if isinstance(column.dtype, pl.Datetime):
        return column.dt.epoch("us").to_list()
    if isinstance(column.dtype, pl.Date):
        return column.cast(pl.String).to_list()
    return [float(value) if isinstance(value, Decimal) else value for value in column.to_list()]
