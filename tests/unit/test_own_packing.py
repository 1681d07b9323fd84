"""What a bundle of a model that was trained elsewhere holds, and which models become ONNX."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.bundle.bundle_manifest import MANIFEST, SCHEMA, read_manifest, sha256
from leverframe.domain.model.bundle.schema import Accepted
from leverframe.domain.own_model.opened import ModelInfo, as_inputs
from leverframe.domain.own_model.own_packing import DeclaredModel, OwnBundle, Sample, Served, features_of, packed
from leverframe.domain.own_model.runtime_form import RuntimeForm, datatypes_of
from leverframe.errors import BundleError, SourceError
from leverframe.files import write_folder
from leverframe.serving.formats import model_in, opened
from leverframe.serving.opening import open_bundle
from leverframe.serving.own_bundle import OwnBundle as OpenOwnBundle
from leverframe.serving.own_conversion import to_onnx
from tests.fakes.own_models import LABELS, trained

TABLE = pl.DataFrame({"x": [1.0, None, 3.0], "town": ["a", "b", None], "y": ["low", "mid", "high"]})
TWO, THREE = np.array([0.1, 0.5, 0.9]), np.full((3, 3), 1 / 3)


def bundled(about: ModelInfo, predictions: object, kind: LabelKind | None = None, label: str | None = "y") -> OwnBundle:
    """Return the bundle of a model that predicts so for the three rows of the table."""
    served = Served("onnx", b"data", "onnx", "as it is", {"onnxruntime": "1"})
    return packed(Sample(TABLE, about, np.asarray(predictions)), served, DeclaredModel("model", kind, label, 64, 1e-5))


def test_the_schema_holds_what_the_model_takes() -> None:
    """In the order of the model, without the label; limits of the sample are none of the schema."""
    about = ModelInfo(("town", "x"), kind="binary", accepts={"town": Accepted(nullable=True, values=("a", "b"))})
    made = bundled(about, TWO)
    assert [(field.name, field.kind, field.nullable, field.allowed) for field in made.schema.columns] == [
        ("town", "text", True, ("a", "b")),
        ("x", "number", True, None),
    ]
    assert made.schema.keys == ()
    golden = [json.loads(line) for line in made.files["golden.jsonl"].splitlines()]
    assert [row["prediction"] for row in golden] == [[0.9, 0.1], [0.5, 0.5], [1 - 0.9, 0.9]]
    assert golden[1] == {"form": "columns", "inputs": {"town": "b", "x": None}, "prediction": [0.5, 0.5]}
    assert read_manifest(made.files[MANIFEST], "here").own
    with pytest.raises(SourceError, match="no column `z`"):
        bundled(about, TWO, label="z")


def test_the_label_is_told_by_the_file_or_by_a_person() -> None:
    """What neither tells, and what both tell otherwise, is refused."""
    unknown, names = ModelInfo(), ModelInfo(classes=("0", "1", "2"), kind="multiclass")
    assert bundled(unknown, TWO, "binary").schema.classes == ("0", "1")
    assert bundled(unknown, TWO, "regression").manifest.scale
    assert bundled(names, THREE).schema.classes == ("high", "low", "mid")  # sorted, as libraries number them
    assert bundled(names, THREE, label=None).schema.classes == ("0", "1", "2")
    assert bundled(replace(names, classes=("c", "b", "a")), THREE).schema.classes == ("c", "b", "a")
    with pytest.raises(BundleError, match="not known what the model predicts"):
        bundled(unknown, TWO)
    for about, predictions in ((ModelInfo(kind="regression"), 2 * TWO), (names, THREE)):
        with pytest.raises(BundleError, match="does not predict a binary label"):
            bundled(about, predictions, "binary")


def test_code_that_a_bundle_names_is_imported_only_where_the_settings_name_it_too(tmp_path: Path) -> None:
    """The bundle says what it needs; no part of it says what is allowed, and its parts do not contradict each other."""
    form = RuntimeForm("shop.scoring:predict", "model.pkl", datatypes_of(TABLE, ["x", "town"]))
    assert dict(form.datatypes) == {"x": "FP64", "town": "BYTES"}
    served = Served("runtime", b"data", "runtime", "as it is", {}, form)
    made = packed(Sample(TABLE, ModelInfo(), TWO), served, DeclaredModel("model", "binary", "y", 64, 1e-5))
    assert (made.manifest.runtime, made.manifest.model_file) == ("shop.scoring:predict", "model.tar")
    write_folder(tmp_path / "bundle", made.files)
    for trusted in ((), ("shop.scoring:predict",), ("runtime:shop.scoring",)):
        with pytest.raises(BundleError, match="cannot be used") as caught:
            OpenOwnBundle(tmp_path / "bundle", trusted=trusted)
        assert "is not one that the settings let serve" in caught.value.why
    manifest = replace(made.manifest, runtime="shop.other:predict")
    write_folder(tmp_path / "other", {**made.files, MANIFEST: manifest.to_bytes()})
    with pytest.raises(BundleError, match="cannot be used") as caught:
        OpenOwnBundle(tmp_path / "other", trusted=("runtime:shop.other:predict",))
    assert "name different runtimes" in caught.value.why


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize(("format", "converts"), [("xgboost", True), ("catboost", True), ("lightgbm", False)])
def test_trees_become_onnx_where_that_is_exact(format: str, converts: bool, kind: str, tmp_path: Path) -> None:
    """Thresholds of LightGBM have 64 bits and those of ONNX 32: rows that lie there tell, and it serves itself."""
    model = trained(format, kind, tmp_path, categories=False)
    file_format, data = model_in(model.file)
    native = opened(file_format, data)
    names = ["amount", "age", "active"]
    rows = features_of(model.rows, names), as_inputs(model.rows, names)
    onnx, words = to_onnx(file_format, native, native.about, rows, 1e-5)
    print(format, kind, words)
    assert (onnx is not None, "ONNX matches" in words) == (converts, converts)
    assert converts or "ONNX differs" in words


def test_a_bundle_that_is_not_whole_or_ends_its_library_is_refused(tmp_path: Path) -> None:
    """Trees that point outside of themselves end the process that tries them, and not the one that serves."""
    model = trained("lightgbm", "binary", tmp_path)
    native = opened("lightgbm", model.file.read_bytes())
    names = ["amount", "age", "plan", "active"]
    sample = Sample(model.rows.select(names), native.about, model.predictions)
    served = Served("lightgbm", model.file.read_bytes(), "lightgbm", "", {"lightgbm": "4"})
    files = dict(packed(sample, served, DeclaredModel("model", None, None, 8, 1e-5)).files)
    write_folder(tmp_path / "good", files)
    OpenOwnBundle(tmp_path / "good", tried=True)
    write_folder(tmp_path / "other", {**files, "model.txt": b"tree\n"})
    with pytest.raises(BundleError) as caught:
        open_bundle(tmp_path / "other")
    assert "another SHA-256" in caught.value.why
    outside = re.sub(rb"left_child=\d+", b"left_child=90000000", files["model.txt"])
    for name, data, words in (("model.txt", outside, "signal"), (SCHEMA, b"{}", "is invalid")):
        whole = {**files, name: data}
        manifest = read_manifest(files[MANIFEST], "here")
        whole[MANIFEST] = replace(manifest, files={**manifest.files, name: sha256(data)}).to_bytes()
        write_folder(tmp_path / "bad", whole)
        with pytest.raises(BundleError) as caught:
            open_bundle(tmp_path / "bad")
        assert words in caught.value.why


def test_samples_hold_dates_only_where_the_model_does_not_see_them() -> None:
    """A column that is no number, boolean or text is an input of no model."""
    table = pl.from_pandas(pd.DataFrame({"x": [1.0], "day": pd.to_datetime(["2024-01-01"])}))
    assert list(as_inputs(table, ["x"])) == ["x"]
    with pytest.raises(Exception, match="the column `day` is of type Datetime"):
        as_inputs(table, ["day"])
