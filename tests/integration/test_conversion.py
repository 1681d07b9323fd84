"""Conversion to ONNX: what converts, that whatever happens ends, and that numbers are compared by their own scale."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier

from leverframe.adapters.onnx import Onnx
from leverframe.adapters.onnx.convert import converted
from leverframe.adapters.onnx.session import OnnxModel
from leverframe.adapters.sklearn.preparing import prepared as directly
from leverframe.adapters.sklearn.storing import dumped
from leverframe.adapters.sklearn.tree_bounds import split_on_missing
from leverframe.application.conversion import in_child
from leverframe.domain.features.training_set import Feature, LabelKind
from leverframe.domain.model.bundle.conversion import compared, spread
from leverframe.errors import BundleError
from leverframe.settings.params import ConversionSettings
from tests.integration.estimators import FEATURES, conversion, estimators, frame, prepared, stored, world

GUIDE = Path(__file__).parents[2] / "docs/guides/estimators.md"
BEGIN, END = "<!-- estimators: begin, written by a test -->\n", "<!-- end -->"
KINDS: dict[str, LabelKind] = {"b": "binary", "m": "multiclass", "r": "regression"}


def table() -> str:
    """Return which estimator is served by what, as Markdown."""
    rows, lines = world(), ["| estimator | label | served by |", "|---|---|---|"]
    for name, kinds, estimator in estimators():
        for kind in map(KINDS.__getitem__, kinds):
            fitted = stored(prepared(estimator).fit(rows.frame, rows.labels[kind]))
            outcome = conversion(kind, fitted, rows.columns, rows.labels[kind])
            lines.append(f"| `{name}` | {kind} | {'ONNX' if outcome.engine == 'onnx' else 'scikit-learn'} |")
    return "\n".join([*lines, ""])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.deep
def test_the_guide_says_what_converts() -> None:
    """Every estimator of the table is stored, opened and converted; `LEVERFRAME_GOLDEN=write` writes the table."""
    text = GUIDE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    written, _, after = rest.partition(END)
    measured = table()
    if os.environ.get("LEVERFRAME_GOLDEN") == "write":
        GUIDE.write_text(f"{before}{BEGIN}{measured}{END}{after}", encoding="utf-8")
    assert written == measured


def with_nulls(forest: Any, filled: Any = "passthrough") -> Any:
    """Return a forest that learned from missing numbers, where the converter looks for a threshold without end."""
    rows = world()
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    steps = ColumnTransformer([("codes", codes, ["place"])], remainder=filled)
    labels = np.isnan(rows.columns["size"]) | (rows.columns["price"] > 300)
    return make_pipeline(steps, forest).fit(rows.frame, labels.astype(int))


@pytest.mark.parametrize("forest", [
    RandomForestClassifier(5, random_state=0), RandomForestRegressor(5, random_state=0),
    DecisionTreeClassifier(random_state=0), BaggingClassifier(DecisionTreeClassifier(), 3, random_state=0),
])  # fmt: skip
def test_a_forest_that_learned_from_nulls_is_not_tried_and_the_way_on_is_said(forest: Any, tmp_path: Path) -> None:
    """The converter would never end; with an imputer before it, and without nulls, it converts."""
    assert split_on_missing(with_nulls(forest))
    assert not split_on_missing(with_nulls(HistGradientBoostingClassifier(max_iter=5)))
    filled = with_nulls(forest, SimpleImputer())
    assert not split_on_missing(filled)
    assert OnnxModel(converted(filled, FEATURES)).predict(world().columns).shape[0] == len(world().frame)
    if not isinstance(forest, RandomForestClassifier):
        return
    with pytest.raises(BundleError) as caught:
        Onnx(in_child(tmp_path), ConversionSettings(seconds=60)).convert(
            dumped(with_nulls(forest)), FEATURES, world().columns
        )
    assert "its trees learned from missing values" in caught.value.why
    assert "`SimpleImputer`" in caught.value.why


def test_a_long_conversion_is_told_of_and_ended_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that takes longer than it may; nothing is left of the child."""
    monkeypatch.setattr("leverframe.application.conversion._LONG", 0.1)
    messages: list[str] = []
    model = prepared(LogisticRegression()).fit(world().frame, world().labels["binary"])
    with pytest.raises(BundleError) as caught:
        Onnx(in_child(tmp_path, messages.append), ConversionSettings(seconds=0.4)).convert(
            dumped(model), FEATURES, world().columns
        )
    assert "took longer than 0.4 seconds, `bundle.conversion.seconds`, and was ended" in caught.value.why
    assert messages == ["converting the model to ONNX, for up to 0.4 seconds (`bundle.conversion.seconds`)"]


def test_a_crash_of_the_child_is_told_by_its_reason(tmp_path: Path) -> None:
    """Not by the last line of an error that is about something else; memory is named where a signal ended it."""
    (tmp_path / "order.json").write_text("{}", encoding="utf-8")
    code, why = in_child(tmp_path)(tmp_path, 60)
    assert (code, why.startswith("KeyError: 'megabytes'")) == (1, True), why
    for ended, memory in ((1, False), (-9, True)):
        with pytest.raises(BundleError) as caught:
            Onnx(lambda _, __, end=ended: (end, why), ConversionSettings()).convert(b"", FEATURES, world().columns)  # type: ignore[misc]
        assert "KeyError: 'megabytes'" in caught.value.why
        assert ("bundle.conversion.megabytes" in caught.value.why) is memory


def test_a_conversion_without_memory_ends_with_its_reason(tmp_path: Path) -> None:
    """The limit is that of the child alone."""
    model = prepared(LogisticRegression()).fit(world().frame, world().labels["binary"])
    converter = Onnx(in_child(tmp_path), ConversionSettings(megabytes=512))
    with pytest.raises(BundleError) as caught:
        converter.convert(dumped(model), FEATURES, world().columns)
    assert "512 megabytes, `bundle.conversion.megabytes`" in caught.value.why


def test_a_child_converts_and_predicts_as_this_process(tmp_path: Path) -> None:
    """What comes back is the model and its predictions, nulls among them."""
    rows = world()
    rows.columns["place"][:3] = None
    model = prepared(LogisticRegression()).fit(rows.frame, rows.labels["multiclass"])
    converter = Onnx(in_child(tmp_path), ConversionSettings())
    data, predictions = converter.convert(dumped(model), FEATURES, rows.columns)
    np.testing.assert_allclose(predictions, model.predict_proba(rows.frame), atol=1e-12)
    assert data.startswith(b"\x08")


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (50.0, 500.0), (1e-6, 1e-6), (3.0, 1e9), (1e12, 0.0)])
@pytest.mark.parametrize("estimator", [HistGradientBoostingRegressor(max_iter=5), LinearRegression()])
def test_a_number_is_compared_by_the_scale_of_its_label(estimator: Any, scale: float, offset: float) -> None:
    """Near 500, near a millionth, or far from zero: it converts, and a change of a thousandth of the spread is seen."""
    rows = world()
    labels = rows.labels["regression"] * scale + offset
    fitted = prepared(estimator).fit(rows.frame, labels)
    outcome = conversion("regression", fitted, rows.columns, labels)
    assert outcome.engine == "onnx", outcome
    moved = fitted.predict(rows.frame) + np.std(labels) / 1000
    predictions = OnnxModel(converted(fitted, FEATURES)).predict(rows.columns)
    other = compared("regression", moved, predictions, 1e-5, spread(labels))
    assert other.engine == "skops", other
    assert other.flips is None
    assert "another label" not in f"{other.line()} {outcome.line()}"
    assert "labels" not in f"{other.line()} {outcome.line()}"


@pytest.mark.parametrize("unknown", ["ignore", "infrequent_if_exist"])
@pytest.mark.parametrize("most", [None, 4])
def test_rare_missing_and_unseen_categories_convert(unknown: str, most: int | None) -> None:
    """A missing text is neither the empty one nor one that nobody has seen, and rare ones share a column."""
    rows, draw = world(), np.random.default_rng(1)
    names = np.array([None, "", "None", *"abcdefgh"], object)
    rows.columns["place"][:] = names[np.minimum(draw.geometric(0.25, len(rows.columns["place"])), len(names)) - 1]
    encoder = OneHotEncoder(handle_unknown=unknown, max_categories=most, sparse_output=False)
    steps = ColumnTransformer([("texts", encoder, ["place"]), ("numbers", SimpleImputer(), ["price", "fresh"])])
    labels = (rows.columns["place"] == "") | (rows.labels["binary"] == 1)
    fitted = make_pipeline(steps, LogisticRegression()).fit(rows.frame, labels.astype(int))
    outcome = conversion("binary", fitted, rows.columns, labels)
    assert (outcome.engine, outcome.flips) == ("onnx", 0), outcome


@pytest.mark.parametrize("encoder", [
    OneHotEncoder(), OneHotEncoder(handle_unknown="ignore"), OneHotEncoder(drop="first", sparse_output=False),
    OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=3), OneHotEncoder(dtype=np.int64),
    OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    make_pipeline(SimpleImputer(missing_values=None, strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")),
])  # fmt: skip
@pytest.mark.parametrize("texts", [2, 3])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("numbers", [0, 2])
def test_any_number_of_texts_and_numbers_converts(encoder: Any, texts: int, missing: bool, numbers: int) -> None:
    """Side by side into one step, with missing ones or none, to the last digits."""
    draw, rows = np.random.default_rng(0), 200
    columns = {f"t{place}": draw.choice(np.array(["a", "b", "c", "dé"], object), rows) for place in range(texts)}
    steps = [("texts", encoder, list(columns))]
    for name in [f"n{place}" for place in range(numbers)]:
        columns[name] = draw.normal(size=rows) * 1e6
    if numbers:
        steps.append(("numbers", SimpleImputer(), [name for name in columns if name[0] == "n"]))
    if missing:
        columns["t1"][:9] = None
    features = [Feature(name, "categorical" if name[0] == "t" else "numeric") for name in columns]
    labels = (columns["t0"] == "a") | (draw.random(rows) < 0.2)
    fitted = make_pipeline(ColumnTransformer(steps), DecisionTreeClassifier(max_depth=4, random_state=0))
    fitted.fit(frame(columns), labels.astype(int))
    predictions = OnnxModel(converted(fitted, features)).predict(columns)
    np.testing.assert_allclose(predictions, fitted.predict_proba(frame(columns)), atol=1e-6)


def test_a_class_that_is_named_directly_converts() -> None:
    """The preparation that is put before it is one that ONNX has."""
    rows = world()
    fitted = directly(LogisticRegression(), FEATURES).fit(rows.frame, rows.labels["multiclass"])
    assert conversion("multiclass", fitted, rows.columns, rows.labels["multiclass"]).engine == "onnx"


@pytest.mark.parametrize("encoded", [-1, -2, np.nan])
def test_an_ordinal_encoder_that_learned_a_missing_text_converts(encoded: float) -> None:
    """It is a category like others, whatever stands for numbers that are missing."""
    rows = world()
    rows.columns["place"][:40] = None
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1 if encoded != -1 else -3, encoded_missing_value=encoded
    )
    steps = ColumnTransformer([("texts", encoder, ["place"])], remainder="passthrough")
    fitted = make_pipeline(steps, HistGradientBoostingClassifier(max_iter=5)).fit(rows.frame, rows.labels["binary"])
    outcome = conversion("binary", fitted, rows.columns, rows.labels["binary"])
    assert outcome.engine == "onnx", outcome


@pytest.mark.parametrize("strategy", ["constant", "most_frequent"])
def test_an_imputer_of_texts_converts(strategy: str) -> None:
    """A missing text is filled as in training."""
    rows = world()
    rows.columns["place"][:40] = None
    filled = SimpleImputer(missing_values=None, strategy=strategy, fill_value="none")
    texts = make_pipeline(filled, OneHotEncoder(drop="first", handle_unknown="ignore"))
    steps = ColumnTransformer([("texts", texts, ["place"]), ("numbers", SimpleImputer(), ["price", "size"])])
    fitted = make_pipeline(steps, LogisticRegression(max_iter=300)).fit(rows.frame, rows.labels["binary"])
    outcome = conversion("binary", fitted, rows.columns, rows.labels["binary"])
    assert outcome.engine == "onnx", outcome


@pytest.mark.parametrize("estimator", [HistGradientBoostingClassifier(max_iter=5), GaussianNB()])
def test_an_estimator_of_numbers_without_a_step_before_it_converts(estimator: Any) -> None:
    """It takes one matrix, and a request has columns."""
    rows = world()
    features = [feature for feature in FEATURES if feature.kind != "categorical"]
    columns = {feature.name: np.nan_to_num(rows.columns[feature.name]) for feature in features}
    fitted = estimator.fit(frame(columns), rows.labels["binary"])
    predictions = OnnxModel(converted(fitted, features)).predict(columns)
    np.testing.assert_allclose(predictions, fitted.predict_proba(frame(columns)), atol=1e-6)
