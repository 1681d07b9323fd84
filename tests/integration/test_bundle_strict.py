"""Models that do not take every value are bundled, and their server refuses what they do not take by name."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.adapters.polars import PolarsTables
from leverframe.adapters.snapshot_file import SnapshotFile
from leverframe.application.bundle import bundle
from leverframe.application.training_set import training_set
from leverframe.domain import layout
from leverframe.domain.features.request import required
from leverframe.domain.features.training_set import Label
from leverframe.domain.model.bundle.golden_rows import by_keys
from leverframe.domain.model.bundle.input_check import Tensor, checked
from leverframe.domain.model.bundle.metadata import datatype
from leverframe.domain.model.bundle.schema import AS_OF, derived
from leverframe.errors import BundleError, RequestError
from leverframe.serving.bundle import OpenBundle
from leverframe.serving.served import Predicted
from tests.integration import own_case
from tests.integration import served_kinds as kinds
from tests.integration.test_serve_kinds import by_keys as keys_of

NOW = datetime(2024, 4, 1, tzinfo=UTC)
SELECT = ["s_flag", "s_int8", "s_uint8", "s_enum", "place_d_int8", "place_d_enum"]  # none of them is ever missing
MODELS = [
    ("one hot", "logistic"), ("ordinal", "boosting"), ("one hot", "histogram boosting"), ("ordinal", "forest"),
    ("one hot of all", "logistic"),
]  # fmt: skip
LIMITED = """
import pandera.polars as pa
import polars as pl

from leverframe.case import Contract

CONTRACTS = {"visits": Contract(pa.DataFrameSchema({"s_int8": pa.Column(pl.Int8, pa.Check.le(100))}))}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the world, built."""
    return kinds.built(tmp_path_factory, "strict", "CONTRACTS = {}\n")


@pytest.fixture(scope="module", params=MODELS, ids=" ".join)
def strict(world: Path, request: pytest.FixtureRequest) -> OpenBundle:
    """Return the bundle of an estimator without an imputer, and with an encoder that knows what it was fitted to."""
    encoder, model = request.param
    kinds.chosen(world, "strict", SELECT, encoder=encoder, model=model)
    if model == "boosting":
        kinds.replace_settings(world, "seconds: 0.001", "seconds: 300")
    bundle = kinds.bundled(world)
    assert bundle.manifest.engine == ("onnx" if model == "boosting" else "skops")
    return bundle


def ask(bundle: OpenBundle, inputs: list[dict[str, Any]]) -> Predicted:
    """Return what a bundle answers to inputs."""
    return bundle.predict(checked(bundle.schema, [Tensor(**tensor) for tensor in inputs]), NOW)


def changed(inputs: list[dict[str, Any]], name: str, row: int, value: Any) -> list[dict[str, Any]]:
    """Return inputs with another value in one row."""
    return [
        {**tensor, "data": [value if at == row else old for at, old in enumerate(tensor["data"])]}
        if tensor["name"] == name
        else tensor
        for tensor in inputs
    ]


def test_what_training_had_is_served(strict: OpenBundle, world: Path) -> None:
    """By columns and by keys."""
    table = kinds.table(world)
    expected = kinds.predicted(world, table)
    for inputs in (kinds.sent(table, SELECT), keys_of(strict, table)):
        np.testing.assert_allclose(ask(strict, inputs).predictions[:, 1], expected, atol=1e-6)


def test_a_value_that_the_model_does_not_take_is_refused(strict: OpenBundle, world: Path) -> None:
    """Of each feature a missing value and an unseen one are answered as scikit-learn does, or refused by name."""
    table = kinds.table(world).head(3)
    inputs = kinds.sent(table, SELECT)
    fields = {field.name: field for field in strict.schema.columns}
    unseen = {"s_int8": 5, "s_uint8": 9, "s_enum": "z", "place_d_int8": 77, "place_d_enum": "z"}
    for name, value in [*((name, None) for name in SELECT), *unseen.items()]:
        refused = not fields[name].nullable if value is None else fields[name].allowed is not None
        try:
            kinds.predicted(world, _replaced(table, name, value))
            taken = True
        except ValueError:
            taken = False
        assert taken is not refused, (name, value)
        if refused:
            with pytest.raises(RequestError, match=f"`{name}` in row 1"):
                ask(strict, changed(inputs, name, 1, value))
        else:
            assert np.isfinite(ask(strict, changed(inputs, name, 1, value)).predictions).all()


def _replaced(table: pl.DataFrame, name: str, value: Any) -> pl.DataFrame:
    """Return the table with another value in the second row."""
    dtype = pl.String if isinstance(value, str) else table[name].dtype
    values = table[name].cast(dtype).to_list()
    return table.with_columns(pl.Series(name, [values[0], value, *values[2:]], dtype))


def test_an_unknown_key_is_refused_with_the_feature_that_it_lacks(strict: OpenBundle, world: Path) -> None:
    """On the fast path and on the batch path; the feature may be sent beside the keys."""
    table = kinds.table(world)
    for rows in (3, 100):
        inputs = changed(keys_of(strict, table.head(rows)), "place", 2, "nowhere")
        with pytest.raises(RequestError, match=r"`place_d_.*` in row 2 has no value"):
            ask(strict, inputs)
        given_too = kinds.sent(table.head(rows), ["place_d_int8", "place_d_enum"])
        assert np.isfinite(ask(strict, [*inputs, *given_too]).predictions).all()


@settings(max_examples=20)
@given(data=st.data())
def test_no_request_makes_the_model_fail(strict: OpenBundle, world: Path, data: Any) -> None:
    """Whatever is sent is answered or refused; nothing else is raised."""
    inputs = kinds.sent(kinds.table(world).head(2), SELECT)
    values = {
        "BOOL": st.none() | st.booleans(), "INT8": st.none() | st.integers(), "UINT8": st.none() | st.floats(),
        "BYTES": st.none() | st.sampled_from(["a", "b", ""]) | st.text(),
    }  # fmt: skip
    for tensor in list(inputs):
        inputs = changed(inputs, tensor["name"], 1, data.draw(values[tensor["datatype"]]))
    with suppress(RequestError):
        assert np.isfinite(ask(strict, inputs).predictions).all()


def test_golden_rows_by_keys_are_rows_that_have_everything(world: Path) -> None:
    """Rows for which the tables lack what the model needs are left out; where all are, the feature is named."""
    kinds.chosen(world, "trees")
    place = kinds.workspace(world)
    features, store = training_set(place).features, SnapshotFile(world / layout.SNAPSHOT)
    fields = PolarsTables(world).masked(layout.HOLDOUT, [*required(place.plan), AS_OF])
    schema = derived("m", (Label("y", "binary"), ("0", "1")), features, {}, [])
    looked_in = (place.plan, store, features)

    def needing(name: str, **limits: Any) -> Any:
        columns = [replace(field, **limits) if field.name == name else field for field in schema.columns]
        return replace(schema, columns=tuple(columns))

    def predict(columns: Any) -> Any:
        return np.zeros(len(columns["by_int64_size"]))

    every = by_keys(schema, predict, fields, looked_in, 4)
    some = by_keys(needing("by_int64_size", nullable=False), predict, fields, looked_in, 4)
    assert len(every) == 4
    assert {row["inputs"]["k_int64"] for row in some} <= set(kinds.KINDS["int64"].values[1:])
    with pytest.raises(BundleError) as caught:
        by_keys(needing("by_int64_size", nullable=False, allowed=()), predict, fields, looked_in, 4)
    assert "by its keys" in caught.value.what
    assert "`by_int64_size`" in caught.value.why


def test_a_contract_that_the_hold_out_breaks_fails_the_bundle(world: Path) -> None:
    """Whatever trained: a server would refuse these rows, and this is said here, with column and value."""
    kinds.chosen(world, "strict", SELECT, encoder="ordinal", model="forest")
    kinds.declare(world, "limited", LIMITED)
    kinds.replace_settings(world, kinds.case(world), "limited")
    place = kinds.trained(world)
    with pytest.raises(BundleError) as caught:
        bundle(place)
    assert "`s_int8` in row" in caught.value.what
    assert "is 127" in caught.value.what
    assert "at most 100" in caught.value.why
    assert "contracts.py" in caught.value.next


def test_a_model_that_no_server_could_serve_is_not_bundled(world: Path) -> None:
    """It predicts otherwise each time, so no server could prove itself with its golden rows; the old bundle stays."""
    kinds.chosen(world, "strict", SELECT, encoder="ordinal", model="forest")
    before = kinds.bundled(world).digest
    kinds.chosen(world, "Wavering", SELECT)
    trusted = f"trusted_types: [{kinds.__name__}.Wavering]"
    kinds.replace_settings(world, f"  estimator: {kinds.__name__}", f"  {trusted}\n  estimator: {kinds.__name__}")
    place = kinds.trained(world)
    with pytest.raises(BundleError, match="no server could serve the packed model") as caught:
        bundle(place)
    assert "golden row" in caught.value.why
    assert OpenBundle(world / layout.BUNDLE).digest == before
    assert list((world / layout.BUNDLE).parent.glob(".bundle*")) == []


def test_several_classes_are_named_in_the_order_of_their_probabilities(world: Path) -> None:
    """In the answer, as scikit-learn has them."""
    kinds.chosen(world, "strict", SELECT, encoder="ordinal", model="histogram boosting")
    kinds.replace_settings(world, "label: y", "label: z")
    served = kinds.bundled(world)
    rows = kinds.sent(kinds.table(world).head(5), SELECT)
    label, probability = served.outputs(ask(served, rows).predictions)
    classes = probability["parameters"]["classes"]
    assert classes == sorted(kinds.CLASSES)
    assert probability["shape"] == [5, 3]
    best = np.array(probability["data"]).reshape(5, 3).argmax(axis=1)
    assert label["data"] == [classes[place] for place in best]


def test_a_model_that_needs_no_key_is_asked_with_a_timestamp_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Features of the calendar and of all events together: its golden rows by keys have nothing else."""
    root = kinds.built(tmp_path_factory, "keyless")
    calendar = {"timezone": "UTC", "parts": ["hour", "weekday"]}
    kinds.declare(
        root, "keyless", kinds.CONTRACT, entities={"visit": ["id"], "all": []}, dimensions={},
        spine={"table": "visits", "key": "visit", "columns": [], "calendar": calendar},
        measures={"m": {"fact": "events", "key": "all", "of": {"e_int8": ["mean"]}, "windows": ["90d"]}},
    )  # fmt: skip
    kinds.replace_settings(root, kinds.case(root), "keyless")
    kinds.compute(root)
    served = kinds.bundled(root)
    assert [field.name for field in served.schema.keys] == [AS_OF]
    asked = [{"name": AS_OF, "shape": [1], "datatype": "BYTES", "data": ["2024-04-01T00:00Z"]}]
    assert np.isfinite(ask(served, asked).predictions).all()


def test_the_case_of_the_guide_with_a_boolean_and_large_ids_is_served(tmp_path: Path) -> None:
    """As a new user had it: `member` of customers, and ids from 2**53 on that the CSV files hold as numbers."""
    case, raw = own_case.files_of("your-own-case.md"), own_case.raw_files()
    changed = {
        "pipelines/shop/sources.py": (', types={"customer": pl.String}', ""),
        "pipelines/shop/contracts.py": ("customer: str", "customer: int"),
        "pipelines/shop/star.yaml": ("columns: [age]", "columns: [age, member]"),
    }
    case |= {name: case[name].replace(*change) for name, change in changed.items()}
    ids = {name: "\n".join(map(_large, text.splitlines())) + "\n" for name, text in raw.items()}
    case["params.yaml"] = case["params.yaml"].replace("{model: shop}", "{model: shop, conversion: {seconds: 0.001}}")
    place = own_case.place_of(tmp_path, case | ids)
    own_case.built(place)
    own_case.bundled(place)
    served = OpenBundle(tmp_path / layout.BUNDLE)
    assert {field.name: datatype(field) for field in served.schema.columns}["who_member"] == "BOOL"
    assert {field.name: datatype(field) for field in served.schema.keys}["customer"] == "INT64"


def _large(line: str) -> str:
    """Return a line of a file of the case with a large id, and of a customer whether it is a member."""
    if line.startswith("customer,"):
        return f"{line},member"
    parts = line.split(",")
    place = 0 if len(parts) == 2 else 1
    if parts[place].isdigit():
        number = int(parts[place])
        parts[place] = str(2**53 + number)
        return ",".join(parts + (["true" if number % 2 else "false"] if place == 0 else []))
    return line
