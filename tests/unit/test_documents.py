"""Documents survive their JSON, files that were committed keep their bytes, and what does not fit is refused."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leverframe.documents import loaded, parsed, plain, validated
from leverframe.domain import layout
from leverframe.domain.features.snapshot.packed import Form
from leverframe.domain.features.snapshot.store import SnapshotInfo
from leverframe.domain.features.star import Star
from leverframe.domain.features.training_set import LearningSet, TrainingSet
from leverframe.domain.model.bundle.bundle_manifest import Manifest
from leverframe.domain.model.bundle.conversion import Conversion
from leverframe.domain.model.bundle.schema import Schema
from leverframe.domain.model.train import ModelDescription
from leverframe.domain.pipeline.stage_log import StageRecord
from leverframe.domain.release.serve import Running
from leverframe.domain.review.check import Checked
from leverframe.domain.review.gate.gate_result import Gated
from leverframe.domain.review.report.card import Card
from leverframe.domain.review.reproduce import Reproduced
from leverframe.errors import SettingsError

ROOT = Path(__file__).parents[2]
KINDS = (
    SnapshotInfo, Card, Checked, Conversion, Form, Gated, LearningSet, Manifest, ModelDescription, Reproduced, Running,
    Schema, StageRecord, TrainingSet,
)  # fmt: skip
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    float: FLOATS,
    int: st.integers(-(2**53), 2**53),
    bool: st.booleans(),
    type(None): st.none(),
    Any: st.none() | st.booleans() | FLOATS | TEXTS | st.lists(st.integers(), max_size=2),
}


def values(kind: Any) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - one return a kind of annotation
    """Return values of an annotation: of dataclasses every field, of containers at most two items."""
    if kind in SIMPLE:
        return SIMPLE[kind]
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        return st.builds(kind, **{field.name: values(hints[field.name]) for field in fields(kind)})
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return st.sampled_from(inner)
    if origin in (Union, UnionType):
        return st.one_of(*map(values, inner))
    if origin is Mapping:
        return st.dictionaries(*map(values, inner), max_size=2)
    if origin is tuple and inner[-1] is not ...:
        return st.tuples(*map(values, inner))
    if origin is tuple:
        return st.lists(values(inner[0]), max_size=2).map(tuple)
    return st.from_type(kind)


def written(content: Any) -> bytes:
    """Return a file as stages write it."""
    return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a machine may be busy
@given(data=st.data())
def test_a_document_survives_json(kind: type[Any], data: st.DataObject) -> None:
    """Every field, whatever is in it, in the order of the fields; what may be left out may be left out."""
    made = data.draw(values(kind))
    content = plain(made)
    assert list(content) == [field.name for field in fields(kind)]
    read = parsed(kind, written(content))
    assert read == made
    assert written(plain(read)) == written(content)
    if kind is Schema:
        assert parsed(Schema, written(plain(made, without_none=True))) == made


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (layout.TRAINING_SET, TrainingSet),
        (layout.LEARNING_SET, LearningSet),
        (layout.MODEL_DESCRIPTION, ModelDescription),
    ],
)
def test_files_in_git_keep_their_bytes(path: Path, kind: type[Any]) -> None:
    """What stages wrote before is read, and written again byte by byte."""
    data = (ROOT / path).read_bytes()
    assert written(plain(parsed(kind, data), without_none=kind is not ModelDescription)) == data


def test_the_report_of_a_bundle_keeps_its_bytes() -> None:
    """Its part that is a document of its own."""
    data = (ROOT / layout.BUNDLE_REPORT).read_bytes()
    content = json.loads(data)
    content["conversion"] = plain(parsed(Conversion, json.dumps(content["conversion"])), without_none=True)
    assert written(content) == data


CONVERSION = Conversion("onnx", 10, 1e-7, 0, 1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rows": "10"}, "`rows`: Input should be a valid integer"),
        ({"rows": 10.5}, "`rows`: Input should be a valid integer"),
        (
            {"engine": "java"},
            "`engine`: Input should be 'onnx', 'skops', 'xgboost'",
        ),
        ({"rowz": 1}, "`rowz`: Unexpected keyword argument"),
        ({"largest": "far"}, "`largest`: Input should be a valid number"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], words: str) -> None:
    """The field and what is wrong with it, in an error that says what to do."""
    data = written(plain(CONVERSION) | change)
    with pytest.raises(ValueError, match=words):
        parsed(Conversion, data)
    with pytest.raises(SettingsError) as error:
        loaded(Conversion, data, name="a.json")
    assert error.value.what == "a.json is not what Leverframe writes"
    assert words in error.value.why


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff", b'{"engine": "onnx"}', b"<<<<<<< HEAD\n{}"])
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^`.+`: "):
        parsed(Conversion, data)


def test_a_value_of_another_type_is_not_written() -> None:
    """It could not be read again."""
    with pytest.raises(ValueError, match="Expected `int`"):
        plain(replace(CONVERSION, rows="many"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not JSON compliant"):
        written(plain(replace(CONVERSION, largest=math.nan)))


def test_status_loads_no_pydantic() -> None:
    """It costs more than half of what `status` takes."""
    code = (
        "import sys\nfrom leverframe.cli import main\nsys.argv = ['leverframe', 'status', '--json']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\nprint('pydantic' in sys.modules, file=sys.stderr)"
    )
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert process.stderr.splitlines()[-1] == "False"
    assert json.loads(process.stdout)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"spine": {"table": "visits", "key": "visit", "columns": ["Gebühr"]}}, "the transform of its source renames"),
        ({"spine": {"table": "Visits", "key": "visit"}}, "a name has small letters from a to z"),
        (
            {"spine": {"table": "visits", "key": "visit", "calendar": ["hour"]}},
            "a mapping is needed with keys of parts",
        ),
        ({"spine": ["visits"]}, "a mapping is needed with keys of calendar, columns, key"),
        ({"spine": {"table": "visits", "key": "visit", "columns": "channel"}}, "a list is needed"),
        ({"facts": ["outcome"]}, "a mapping is needed with keys of your own names"),
    ],
)
def test_what_does_not_fit_is_told_in_the_words_of_yaml(change: dict[str, Any], reason: str) -> None:
    star = {"entities": {"visit": ["visit"]}, "spine": {"table": "visits", "key": "visit"}, **change}
    with pytest.raises(SettingsError) as caught:
        validated(Star, star, name="star.yaml")
    assert reason in caught.value.why
    assert not re.search(r"\^|instance|dictionary", caught.value.why)
