"""Models that others trained predict as their own library does, in a process of their own, and no pickle is opened."""

from __future__ import annotations

import pickle
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xgboost

from leverframe.application.opened_model import open_model
from leverframe.domain.own_model.opened import ModelInfo, as_inputs, format_of, matched, outcome
from leverframe.errors import EstimatorError
from leverframe.serving.formats import model_in, opened
from leverframe.settings.pipeline import ModelFormat, ModelRole
from tests.fakes.own_models import FORMATS, LABELS, trained

MLFLOW = Path(__file__).parents[1] / "golden/mlflow"  # written by mlflow-skinny 3.17.2: `mlflow.xgboost.save_model`
INPUTS = ["active", "plan", "age", "amount"]  # in another order than that of training
EXACT = {"onnx": 1e-5}  # a float of 32 bits; all others are the library itself


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("format", FORMATS)
def test_a_model_predicts_as_its_library_does(format: ModelFormat, kind: str, tmp_path: Path) -> None:
    """To the last bit, whatever the order of the columns, and the file says which columns it takes."""
    model = trained(format, kind, tmp_path)
    file_format, data = model_in(model.file)
    native = opened(file_format, data)
    names = ["amount", "age"] if format in ("skops", "onnx") else INPUTS
    columns = as_inputs(model.rows, matched(native.about, names))
    predictions = outcome(native.predict(columns), model.rows.height, native.about.kind)
    largest = float(np.abs(predictions - model.predictions).max())
    print(f"{format}, {kind}: largest difference {largest:.1e}")
    assert file_format == format
    assert native.about.kind == kind
    assert native.about.classes == {"binary": ("0", "1"), "multiclass": ("0", "1", "2")}.get(kind, ())
    assert predictions.shape == model.predictions.shape
    assert largest <= EXACT.get(format, 0.0)


@pytest.mark.parametrize("format", ["xgboost", "lightgbm"])
def test_missing_and_unseen_categories_are_predicted_as_the_library_does(format: ModelFormat, tmp_path: Path) -> None:
    """Both are missing to LightGBM; CatBoost refuses a missing one."""
    model = trained(format, "binary", tmp_path)
    native = opened(*model_in(model.file))
    for value in (None, "never seen"):
        rows = model.rows.with_columns(pl.lit(value, pl.String).alias("plan"))
        assert np.isfinite(native.predict(as_inputs(rows, matched(native.about, INPUTS)))).all()
    boosted = trained("catboost", "binary", tmp_path)
    strict = opened(*model_in(boosted.file))
    rows = boosted.rows.with_columns(pl.lit(None, pl.String).alias("plan"))
    with pytest.raises(EstimatorError, match="CatBoost cannot predict"):
        strict.predict(as_inputs(rows, matched(strict.about, INPUTS)))


def test_a_folder_of_mlflow_is_opened_without_mlflow(tmp_path: Path) -> None:
    """In a process of its own; one that names a pickle is refused, and so is one that leads out of its folder."""
    rows = pl.DataFrame({"age": [30.0, 61.0, 44.0], "amount": [0.5, None, -1.0]})
    predictions = open_model(MLFLOW.parent, ModelRole(path="mlflow")).predict(rows, rows.columns)
    library = xgboost.XGBClassifier()
    library.load_model(MLFLOW / "model.ubj")
    np.testing.assert_array_equal(predictions, library.predict_proba(rows.select("amount", "age").to_numpy())[:, 1])
    for before, after, why in (("model.ubj", "model.pkl", "pickle"), ("model.ubj", "../model.ubj", "outside")):
        shutil.copytree(MLFLOW, tmp_path, dirs_exist_ok=True)
        (tmp_path / "MLmodel").write_text((MLFLOW / "MLmodel").read_text().replace(before, after))
        with pytest.raises(EstimatorError) as caught:
            model_in(tmp_path)
        assert why in caught.value.what + caught.value.why


def test_a_function_of_the_repository_predicts_in_a_process_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets the rows as an Arrow table; what it raises, ends with or does not give is told."""
    monkeypatch.setenv("GITHUB_TOKEN", "a-secret")
    (tmp_path / "own.py").write_text(
        "import os\n"
        "def score(rows):\n    assert 'GITHUB_TOKEN' not in os.environ\n    return rows['a'].to_numpy() / 2\n"
        "def fails(rows):\n    raise KeyError('no such column')\n"
        "def ends(rows):\n    os.kill(os.getpid(), 9)\n"
    )
    rows = pl.DataFrame({"a": [1.0, 0.5]})
    np.testing.assert_array_equal(
        open_model(tmp_path, ModelRole(predict="own:score")).predict(rows, ["a"]), [0.5, 0.25]
    )
    for name, words in (("fails", "KeyError"), ("ends", "signal 9"), ("none", "own:none")):
        with pytest.raises(EstimatorError) as caught:
            open_model(tmp_path, ModelRole(predict=f"own:{name}")).predict(rows, ["a"])
        assert words in caught.value.what + caught.value.why


@pytest.mark.parametrize(
    ("body", "seconds", "why"),
    [("while True: pass", 3.0, "took longer than 3 seconds"), ("return bytes(6 << 30)", 60.0, "MemoryError")],
)
def test_a_function_has_a_limit_of_time_and_of_memory(tmp_path: Path, body: str, seconds: float, why: str) -> None:
    (tmp_path / "endless.py").write_text(f"def predict(rows, model):\n    {body}\n")
    role = ModelRole(path="model.pkl", predict="endless:predict")
    opened = open_model(tmp_path, role, seconds)
    limited = replace(opened, order=replace(opened.order, megabytes=4096))
    with pytest.raises(EstimatorError) as caught:
        limited.predict(pl.DataFrame({"x": [1.0]}), ["x"])
    assert why in caught.value.why


def test_no_pickle_is_opened_and_what_is_no_model_is_named(tmp_path: Path) -> None:
    """Whatever it is called, and whatever the settings say it is."""
    (tmp_path / "model.ubj").write_bytes(pickle.dumps([1]))
    (tmp_path / "model.joblib").write_bytes(b"\x78\x9c")
    for role in (ModelRole(path="model.ubj", format="xgboost"), ModelRole(path="model.joblib")):
        with pytest.raises(EstimatorError, match="pickle") as caught:
            open_model(tmp_path, role)
        assert "predict: module:function" in caught.value.next
    with pytest.raises(EstimatorError, match="no model of a format"):
        format_of("notes.txt", b"tree house")
    with pytest.raises(EstimatorError, match="cannot be read"):
        open_model(tmp_path, ModelRole(path="none.onnx"))


@pytest.mark.parametrize("data", [b"tree\nversion=v4\nTree=0\n", b"CBM1", b'{"learner": {}}', b"\x08\x07", b"PK"])
def test_a_damaged_file_is_no_model(data: bytes, tmp_path: Path) -> None:
    """Of each format: the error says what cannot be opened."""
    (tmp_path / "model").write_bytes(data)
    with pytest.raises(EstimatorError, match="cannot be"):
        opened(*model_in(tmp_path / "model"))


def test_what_crashes_ends_no_process_but_its_own(tmp_path: Path) -> None:
    """Trees that point outside of themselves crash the library, which looks at no bounds."""
    model = trained("lightgbm", "binary", tmp_path)
    outside = re.sub(rb"left_child=\d+", b"left_child=90000000", model.file.read_bytes())
    (tmp_path / "bad.txt").write_bytes(outside)
    with pytest.raises(EstimatorError, match="ended without a result") as caught:
        open_model(tmp_path, ModelRole(path="bad.txt")).predict(model.rows, INPUTS)
    assert "signal" in caught.value.why


def test_columns_are_matched_by_name_else_by_place() -> None:
    """LightGBM has written `_` for a space; a model without names takes as many columns as it was trained with."""
    assert matched(ModelInfo(("a_b", "c")), ["c", "a b"]) == ["a b", "c"]
    assert matched(ModelInfo(None, 2), ["x", "y"]) == ["x", "y"]
    with pytest.raises(EstimatorError, match="no column `d`"):
        matched(ModelInfo(("d",)), ["c"])
    with pytest.raises(EstimatorError, match="takes 3 columns, and there are 2"):
        matched(ModelInfo(None, 3), ["x", "y"])
    for values, words in ((np.zeros((2, 2, 2)), "shape (2, 2, 2)"), ([0.0, float("nan")], "row 1 is no finite")):
        with pytest.raises(EstimatorError) as caught:
            outcome(values, 2, None)
        assert words in caught.value.why
    assert outcome([[0.25, 0.75]], 1, "binary").tolist() == [0.75]
    assert outcome([[0.25, 0.75]], 1, "multiclass").tolist() == [[0.25, 0.75]]
