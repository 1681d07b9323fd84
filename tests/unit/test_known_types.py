"""Which types a stored model may hold, that all others are named at once, and what a crafted file cannot do."""

from __future__ import annotations

import datetime
import decimal
import fractions
import pathlib
import types
import uuid
import zoneinfo
from collections import ChainMap, Counter, OrderedDict, defaultdict, deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import BallTree, KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from leverframe.adapters.sklearn import SklearnModels
from leverframe.adapters.sklearn.known_types import LIBRARIES, SCIKIT_LEARN, STANDARD, known
from leverframe.adapters.sklearn.storing import check_types, dumped, types_to_trust
from leverframe.adapters.sklearn.tree_bounds import sound
from leverframe.errors import EstimatorError
from leverframe.imports import load

HERE = __name__
NOW = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)
VALUES = (
    OrderedDict(a=1), defaultdict(list, {"a": [1]}), Counter("aab"), ChainMap({"a": 1}), {1, "a"}, frozenset({1, "a"}),
    range(3), bytearray(b"x"), NOW, NOW.date(), NOW.time(), datetime.timedelta(2), decimal.Decimal("1.25"),
    fractions.Fraction(1, 3), uuid.UUID(int=3), pathlib.PurePosixPath("a/b"), zoneinfo.ZoneInfo("Europe/Paris"),
    types.SimpleNamespace(a=1),
)  # fmt: skip


class Own:
    """A type of a case."""

    def __init__(self, value: int) -> None:
        self.value = value


class Other(Own):
    """Another one."""


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_of_the_standard_library_is_stored_and_opened(value: Any) -> None:
    """By whoever declares nothing, as it was."""
    kept = SklearnModels(Path()).load(dumped({"value": value}))["value"]
    assert type(kept) is type(value)
    assert repr(kept) == repr(value) or kept == value


def test_all_types_that_are_not_trusted_are_named_at_once() -> None:
    """With the line of the settings that trusts them; what was declared stays in it."""
    data = dumped([Own(1), Other(2), FunctionTransformer(_doubled), OrderedDict()])
    unknown = [f"{HERE}.Other", f"{HERE}.Own", f"{HERE}._doubled"]
    with pytest.raises(EstimatorError) as caught:
        SklearnModels(Path()).load(data)
    assert all(f"`{name}`" in caught.value.what for name in unknown)
    assert f"trusted_types: [{', '.join(unknown)}]` under `train` in params.yaml" in caught.value.next
    with pytest.raises(EstimatorError) as caught:
        SklearnModels(Path(), unknown[:1]).load(data)
    assert f"2 types `{unknown[1]}`, `{unknown[2]}`" in caught.value.what
    assert f"[{', '.join(unknown)}]" in caught.value.next
    assert SklearnModels(Path(), unknown).load(data)[0].value == 1


def _doubled(rows: Any) -> Any:
    return 2 * rows


def test_what_skops_stores_without_its_content_is_refused() -> None:
    """A deque comes back empty, so that the model that is opened would be another one."""
    with pytest.raises(EstimatorError, match="deque"):
        check_types(types_to_trust(dumped([deque([1, 2])])), ())


def test_every_known_type_of_the_installed_libraries_exists() -> None:
    """A name that a release moved would be trusted for nothing."""
    for name in sorted(STANDARD | SCIKIT_LEARN):
        module, _, attribute = name.rpartition(".")
        assert load(f"{module}:{attribute}", Path(), said_by="a test") is not None


def test_nothing_is_known_that_calls_what_it_is_given() -> None:
    """Nor is a whole package."""
    for name in (
        "functools.partial",
        "operator.methodcaller",
        "builtins.eval",
        "os.system",
        "sklearn.datasets.load_files",
    ):
        assert not known(name)
    assert not any(name.endswith(("*", ".")) for name in STANDARD | SCIKIT_LEARN | LIBRARIES)
    assert {name.partition(".")[0] for name in LIBRARIES} == {"catboost", "imblearn", "lightgbm", "xgboost"}


@pytest.mark.parametrize("algorithm", ["kd_tree", "ball_tree"])
def test_a_tree_of_neighbours_that_points_outside_of_itself_is_refused(algorithm: str) -> None:
    """It is followed by compiled code that looks at no bounds."""
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(100, 3))
    model = Pipeline([("model", KNeighborsClassifier(algorithm=algorithm, leaf_size=5).fit(rows, rows[:, 0] > 0))])
    opened = SklearnModels(Path()).load(dumped(model))
    np.testing.assert_array_equal(opened.predict_proba(rows), model.predict_proba(rows))
    tree = opened["model"]._tree
    kind: Any = type(tree)
    for change in (_far_row, _far_node, _few_nodes):
        state = list(tree.__getstate__())
        crafted = kind.__new__(kind)
        change(state)
        crafted.__setstate__(tuple(state))
        assert not sound({"tree": crafted}), change
    assert sound({"tree": BallTree(rows)})


def _far_row(state: list[Any]) -> None:
    state[1] = np.array(state[1])
    state[1][3] = 10_000_000


def _far_node(state: list[Any]) -> None:
    state[2] = np.array(state[2])
    state[2]["idx_end"][0] = 10_000_000


def _few_nodes(state: list[Any]) -> None:
    state[6] += 2
