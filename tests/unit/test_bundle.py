"""The bundle: a schema of requests, a manifest that names each byte, a conversion that is held to the model."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandera.polars as pa
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from leverframe.adapters.onnx.convert import converted
from leverframe.adapters.onnx.session import OnnxModel
from leverframe.adapters.pandera.fields import fields
from leverframe.adapters.polars import PolarsTables
from leverframe.documents import parsed, plain
from leverframe.domain.features.training_set import Feature, Label
from leverframe.domain.model.bundle.bundle_manifest import FILES, MANIFEST, ONNX, Manifest, read_manifest, sha256
from leverframe.domain.model.bundle.conversion import UNSEEN, compared, hard_rows, limits, spread
from leverframe.domain.model.bundle.golden_rows import as_sent
from leverframe.domain.model.bundle.input_check import Tensor, checked
from leverframe.domain.model.bundle.metadata import datatype, model_settings, released
from leverframe.domain.model.bundle.schema import Field, Schema, breaking, derived, from_json
from leverframe.errors import BundleError, RequestError

FEATURES = (Feature("place", "categorical"), Feature("size", "numeric"), Feature("fresh", "boolean"))
SCHEMA = derived(
    "shop",
    (Label("late", "binary"), ("0", "1")),
    FEATURES,
    {
        "place": Field("place", "text", nullable=False, allowed=("a", "b")),
        "size": Field("size", "number", whole=True, minimum=1, maximum=9),
    },
    [Field("place", "text"), Field("customer", "number")],
)

FREE = derived("shop", (Label("late", "binary"), ("0", "1")), FEATURES, {}, []).columns


class Constrained(pa.DataFrameModel):
    """A table with every kind of constraint that a field can have."""

    place: str = pa.Field(isin=["b", "a"])
    code: str = pa.Field(str_matches="^[A-Z]+$", str_length={"max_value": 3}, nullable=True)
    size: int = pa.Field(in_range={"min_value": 1, "max_value": 9, "include_max": False})
    price: float = pa.Field(gt=0, le=10)
    odd: float = pa.Field(ge=5, raise_warning=True)


def test_a_contract_becomes_fields() -> None:
    """The constraints of pandera on values hold for a request; a warning restricts nothing."""
    request_fields = fields(Constrained)
    assert request_fields["place"] == Field("place", "text", nullable=False, allowed=("a", "b"))
    assert request_fields["code"] == Field("code", "text", nullable=True, pattern="^[A-Z]+$", longest=3)
    assert request_fields["size"] == Field("size", "number", whole=True, nullable=False, minimum=1, below=9)
    assert request_fields["price"] == Field("price", "number", nullable=False, maximum=10, above=0)
    assert request_fields["odd"] == Field("odd", "number", nullable=False)


def test_limits_of_any_type_become_those_of_a_request() -> None:
    """Decimals, enums and categories have fields; what a check says becomes what JSON has."""
    schema = pa.DataFrameSchema(
        {
            "price": pa.Column(pl.Decimal(12, 2), [pa.Check.ge(Decimal("0.5")), pa.Check.lt(np.float32(9.5))]),
            "size": pa.Column(pl.Enum(["b", "a"]), nullable=True),
            "kind": pa.Column(pl.Categorical(), pa.Check.isin(["x", None, "w"])),
            "flag": pa.Column(pl.Boolean, pa.Check.isin([True])),
            "count": pa.Column(pl.UInt8, pa.Check.isin([np.int64(2), 1])),
        }
    )
    request_fields = fields(schema)
    assert request_fields == {
        "price": Field("price", "number", nullable=False, minimum=0.5, below=9.5),
        "size": Field("size", "text", nullable=True, allowed=("b", "a")),
        "kind": Field("kind", "text", nullable=False, allowed=("w", "x")),
        "flag": Field("flag", "boolean", nullable=False, allowed=(1,)),
        "count": Field("count", "number", whole=True, nullable=False, allowed=(1, 2)),
    }
    columns = tuple(request_fields.values())
    asked = from_json(plain(replace(SCHEMA, columns=columns), without_none=True))
    values = {"price": 1.5, "size": "a", "kind": "x", "flag": True, "count": 2}
    tensors = [Tensor(field.name, [1], datatype(field), [values[field.name]]) for field in columns]
    assert checked(asked, tensors).rows == 1


def test_a_schema_has_both_forms_and_survives_json() -> None:
    """Features as columns, what they are looked up by as keys, and the timestamp beside the keys."""
    assert [column.name for column in SCHEMA.columns] == ["place", "size", "fresh"]
    assert [key.name for key in SCHEMA.keys] == ["place", "customer", "as_of"]
    assert SCHEMA.columns[0].allowed == ("a", "b")
    assert not SCHEMA.columns[1].whole  # the model takes any number
    assert SCHEMA.columns[2].kind == "boolean"
    assert parsed(Schema, json.dumps(plain(SCHEMA, without_none=True))) == SCHEMA


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: replace(s, columns=s.columns[1:]), "`place` is gone"),
        (lambda s: replace(s, columns=(*s.columns, Field("new", "number"))), "`new` is new"),
        (lambda s: replace(s, columns=(replace(s.columns[0], kind="number"), *s.columns[1:])), "was text"),
        (
            lambda s: replace(s, keys=(s.keys[0], replace(s.keys[1], nullable=False), s.keys[2])),
            "may no longer be missing",
        ),
        (lambda s: replace(s, label=Label("lost", "binary")), "the label was `late`"),
        (lambda s: replace(s, classes=("1", "0")), "classes changed"),
    ],
)
def test_a_change_that_wrongs_a_client_is_named(change: object, message: str) -> None:
    """Each is an incompatibility, and the schema itself is none."""
    assert breaking(SCHEMA, SCHEMA) == []
    assert any(message in breach for breach in breaking(SCHEMA, change(SCHEMA)))  # type: ignore[operator]


def test_a_wider_schema_is_compatible() -> None:
    """What may be missing now, or have a fraction, was answered before and is answered still."""
    wider = replace(SCHEMA, columns=(replace(SCHEMA.columns[0], nullable=True), *SCHEMA.columns[1:]))
    assert breaking(SCHEMA, wider) == []


MANIFESTED = Manifest(
    "shop", "late", "onnx", 1e-5, "spec", {"onnx": "1"}, {name: sha256(name.encode()) for name in (*FILES, ONNX)}
)


def test_a_boolean_feature_is_sent_as_the_schema_has_it() -> None:
    """A model takes it as a number, which no request may hold."""
    sent = as_sent(np.array([1.0, 0.0, np.nan])).tolist()
    assert sent == [True, False, None]
    tensors = [Tensor("place", [3], "BYTES", ["a"] * 3), Tensor("size", [3], "FP64", [1.0] * 3)]
    tensors.append(Tensor("fresh", [3], datatype(SCHEMA.columns[2]), sent))
    assert checked(SCHEMA, tensors).rows == 3


def test_a_manifest_is_its_bytes() -> None:
    """The same bundle has the same digest, another file another one."""
    assert read_manifest(MANIFESTED.to_bytes(), "here") == MANIFESTED
    other = replace(MANIFESTED, files={**MANIFESTED.files, ONNX: sha256(b"other")})
    assert other.digest != MANIFESTED.digest


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"[]", b"null", b"{", MANIFESTED.to_bytes()[:-1], MANIFESTED.to_bytes() + b" ",
        replace(MANIFESTED, format=2).to_bytes(),
        replace(MANIFESTED, files={**MANIFESTED.files, "../evil": "x"}).to_bytes(),
        replace(MANIFESTED, files={}).to_bytes(),
        replace(MANIFESTED, engine="pickle").to_bytes(),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_another_manifest_is_refused(data: bytes) -> None:
    """Damaged, of another format, with a path in a name, or with a file too few: one error."""
    with pytest.raises(BundleError, match="cannot be used"):
        read_manifest(data, "here")


def test_settings_describe_every_input_once() -> None:
    """V2 metadata list each input with its form and limits, and a release adds number, folder, digests."""
    settings = model_settings(SCHEMA, "shop", "onnx", {"numpy": "1"})
    forms = {field["name"]: field["parameters"]["form"] for field in settings["inputs"]}
    assert forms == {"place": "both", "size": "columns", "fresh": "columns", "customer": "keys", "as_of": "keys"}
    assert [(output["name"], output["datatype"]) for output in settings["outputs"]] == [
        ("label", "INT64"),
        ("probability", "FP64"),
    ]
    extra = released(settings, MANIFESTED, 7, "../x", "abc")["parameters"]
    assert (extra["version"], extra["uri"], extra["extra"]["bundle"]) == ("7", "../x", MANIFESTED.digest)
    assert MANIFEST not in MANIFESTED.files
    assert "trusted" not in extra["extra"]
    trusting = released(settings, MANIFESTED, 7, "../x", "abc", ["shop.model.Clip"])["parameters"]
    assert trusting["extra"]["trusted"] == ["shop.model.Clip"]  # by the settings of the commit, not by the bundle


def _columns(rows: int, seed: int = 0) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    size = np.where(draw.random(rows) < 0.1, np.nan, draw.normal(size=rows) / 3)
    return {
        "place": np.array([("a", "b", "c")[n] for n in draw.integers(0, 3, rows)], object),
        "size": size,
        "fresh": draw.integers(0, 2, rows).astype(float),
    }


def _fitted(estimator: object, labels: Any, columns: dict[str, Any]) -> Any:
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    both = ColumnTransformer([("codes", codes, ["place"])], remainder="passthrough", verbose_feature_names_out=False)
    return make_pipeline(both, estimator).fit(PolarsTables.frame(PolarsTables.__new__(PolarsTables), columns), labels)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_boosting_converts_to_the_last_digits(kind: str) -> None:
    """Thresholds stay doubles, so a value beside one goes the same way; nulls and unseen categories too."""
    columns = _columns(3000)
    signal = np.nan_to_num(columns["size"]) + (columns["place"] == "b")
    labels = {"binary": (signal > 0.3).astype(int), "multiclass": np.digitize(signal, [0.0, 0.7]), "regression": signal}
    boosting = HistGradientBoostingRegressor if kind == "regression" else HistGradientBoostingClassifier
    model = _fitted(boosting(max_iter=20, early_stopping=False, random_state=0), labels[kind], columns)
    hard = hard_rows(columns, FREE)
    thresholds = np.concatenate([tree.nodes["num_threshold"] for trees in model[-1]._predictors for tree in trees])
    beside = _columns(len(thresholds), 1) | {"size": np.nextafter(thresholds, np.inf)}
    asked = {name: np.concatenate([columns[name], hard[name], beside[name]]) for name in columns}
    frame = PolarsTables.frame(PolarsTables.__new__(PolarsTables), asked)
    trained = model.predict(frame) if kind == "regression" else model.predict_proba(frame)
    conversion = compared(kind, np.asarray(trained), OnnxModel(converted(model, FEATURES)).predict(asked), 1e-5)  # type: ignore[arg-type]
    assert conversion.engine == "onnx", conversion
    assert conversion.largest is not None
    assert conversion.largest < 1e-6


def test_a_wrong_conversion_falls_back() -> None:
    """The trees' own categories convert without an error to something else: only the comparison sees it."""
    columns = _columns(3000)
    labels = (columns["place"] == "b").astype(int)
    model = _fitted(HistGradientBoostingClassifier(categorical_features=[0], early_stopping=False), labels, columns)
    frame = PolarsTables.frame(PolarsTables.__new__(PolarsTables), columns)
    try:
        answers = OnnxModel(converted(model, FEATURES)).predict(columns)
    except BundleError:
        return  # a later converter may refuse it, which is as good
    conversion = compared("binary", model.predict_proba(frame), answers, 1e-5)
    assert conversion.engine == "skops"
    assert "another label" in conversion.why
    assert "scikit-learn itself" in conversion.line()


def test_a_forest_converts_too() -> None:
    """Trees that compare 32-bit floats are left as the converter wrote them, and answer alike for such floats."""
    columns = _columns(500) | {"size": np.linspace(-1, 1, 500).astype(np.float32).astype(float)}
    model = _fitted(RandomForestClassifier(5, random_state=0), (columns["size"] > 0).astype(int), columns)
    frame = PolarsTables.frame(PolarsTables.__new__(PolarsTables), columns)
    answers = OnnxModel(converted(model, FEATURES)).predict(columns)
    assert np.abs(answers - model.predict_proba(frame)).max() < 1e-6


def test_what_cannot_be_converted_is_said() -> None:
    """A model that the converter does not know is an error that names it; bytes that are no model as well."""
    with pytest.raises(BundleError, match="cannot be converted"):
        converted(object(), FEATURES)
    with pytest.raises(BundleError, match="cannot be opened"):
        OnnxModel(b"nonsense")


def test_hard_rows_miss_and_surprise() -> None:
    """Every feature is missing once, every category unseen once, and all are missing together once."""
    hard = hard_rows(_columns(10), FREE, rows=2)
    assert {len(column) for column in hard.values()} == {2 * 6}
    assert hard["place"].tolist().count(UNSEEN) == 2
    assert np.isnan(hard["size"]).sum() >= 4


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(1e-4, 1e-2))
def test_any_difference_beyond_the_tolerance_is_found(values: list[float], apart: float) -> None:
    """Whatever the answers, one that is moved by more than the tolerance keeps the converted model from serving."""
    trained = np.array([[1 - value, value] for value in values])
    moved = trained.copy()
    moved[-1] += (apart, -apart)
    assert compared("binary", trained, trained.copy(), 1e-5).engine == "onnx"
    assert compared("binary", trained, moved, 1e-5).engine == "skops"
    moved[0] = np.nan
    assert compared("binary", trained, moved, 1e9).engine == "skops"


def test_schema_is_a_plain_value() -> None:
    """Two schemas of the same fields are equal, which is what a digest rests on."""
    assert isinstance(SCHEMA, Schema)
    written = plain(SCHEMA, without_none=True)
    assert written == plain(from_json(written), without_none=True)
    assert None not in written["columns"][0].values()


def test_a_feature_called_as_a_column_of_the_converter_is_an_error_of_ours() -> None:
    """The converter gives the input another name, which nobody would find; scikit-learn then serves the model."""
    numbers = np.random.default_rng(0).normal(size=(200, 2))
    table = pl.DataFrame(numbers, schema=["variable", "other"])
    columns = ColumnTransformer([("numbers", "passthrough", ["variable", "other"])], verbose_feature_names_out=False)
    model = make_pipeline(columns, HistGradientBoostingRegressor(max_iter=3)).fit(table, numbers[:, 0])
    with pytest.raises(BundleError) as caught:
        converted(model, [Feature("variable", "numeric"), Feature("other", "numeric")])
    assert "`variable`" in caught.value.why


NUMBERS = st.lists(st.floats(-100, 100), min_size=8, max_size=40)


@given(NUMBERS, st.sampled_from([1e-6, 1.0, 500.0, 1e9]), st.sampled_from([0.0, 500.0, -1e6]), st.floats(1e-4, 1e-2))
def test_numbers_are_held_to_the_same_digits_at_any_scale(
    values: list[float], scale: float, offset: float, apart: float
) -> None:
    """Neither unit nor offset of a label decides whether a difference of a share of its spread is seen."""
    labels = np.array(values) * scale + offset * scale
    width = spread(labels)
    conversion = compared("regression", labels, labels.copy(), 1e-5, width)
    assert (conversion.engine, conversion.flips) == ("onnx", None)
    moved = labels.copy()
    middle = int(np.argsort(labels)[len(labels) // 2])
    moved[middle] += apart * width
    assert compared("regression", labels, moved, 1e-5, width).engine == "skops"
    allowed = limits(labels, 1e-5, width)
    assert not (np.abs(moved - labels) <= allowed)[middle]
    assert (allowed >= 1e-5 * width * (1 - 1e-9)).all()


def test_a_spread_is_that_of_most_numbers_and_never_nothing() -> None:
    """A few that lie far out do not widen it; where most are the same, wider quantiles count."""
    many = np.concatenate([np.linspace(0, 1, 1000), [1e9]])
    assert spread(many) == pytest.approx(0.5, rel=0.01)
    assert spread(np.concatenate([np.zeros(900), np.linspace(1, 2, 100)])) == pytest.approx(1.5, rel=0.1)
    assert spread(np.concatenate([np.zeros(999), [7.0]])) == 7.0
    assert spread(np.full(9, 1e9)) == 1e9
    assert spread(np.zeros(9)) == spread(np.array([])) == 1.0


def test_the_manifest_of_a_regression_has_its_scale_and_that_of_a_classification_none() -> None:
    """The bytes of the latter are those that earlier versions wrote."""
    assert b"scale" not in MANIFESTED.to_bytes()
    scaled = replace(MANIFESTED, scale=46.9)
    assert read_manifest(scaled.to_bytes(), "here").scale == 46.9


@pytest.mark.parametrize(
    ("pattern", "fits", "does_not"),
    [
        ("^[A-Z0-9]{2}$", "B6", "B6\n"),
        ("^a$|^b$", "b", "b\n"),
        (r"^\$[$]$", "$$", "$$\n"),
        (r"^[]$]$", "$", "$\n"),
        (r"^[^\]$]$", "x", "$"),
        ("(?m)^a$", "a\n", "ab"),
    ],
)
def test_the_end_of_a_pattern_is_the_end_of_the_text(pattern: str, fits: str, does_not: str) -> None:
    """As for the tables, which the contract was held against: no newline behind it."""
    schema = replace(SCHEMA, columns=(Field("code", "text", pattern=pattern),), keys=())
    assert checked(schema, [Tensor("code", [1], "BYTES", [fits])]).rows == 1
    with pytest.raises(RequestError) as refused:
        checked(schema, [Tensor("code", [1], "BYTES", [does_not])])
    assert "must match the pattern" in refused.value.why
