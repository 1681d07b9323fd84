"""A first leverframe.yaml: roles told by names and values of columns, and never a file that would be refused."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.adapters.polars.looked_at import columns_seen
from leverframe.domain.pipeline.own_draft import ColumnRoles, Figure, SeenModel, SeenTable, draft, roles_of
from leverframe.settings.levers import Levers, levers_of

ROWS = 60


def table(**columns: object) -> SeenTable:
    return SeenTable("eval/test.csv", columns_seen(pl.DataFrame(columns)))


def spread(count: int) -> list[float]:
    return [number % count / max(1, count - 1) for number in range(ROWS)]


IDS = list(range(ROWS))
BITS = [number % 2 for number in range(ROWS)]
SHARES = spread(30)
PER_CLASS = {f"prob_{number}": SHARES for number in range(3)}
CLASSES = ["cat", "dog", "emu"] * (ROWS // 3)


@pytest.mark.parametrize(
    ("columns", "kind", "label", "score"),
    [
        ({"id": IDS, "y": BITS, "p": SHARES}, "binary", "y", "p"),
        ({"y_true": BITS, "y_prob": SHARES}, "binary", "y_true", "y_prob"),
        ({"target": BITS, "prediction": SHARES}, "binary", "target", "prediction"),
        ({"label": [bit == 1 for bit in BITS], "churn_score": SHARES}, "binary", "label", "churn_score"),
        ({"order": IDS, "refunded": BITS, "p": SHARES}, "binary", "refunded", "p"),
        ({"actual": SHARES, "predicted": spread(20)}, "regression", "actual", "predicted"),
        ({"y": spread(7), "yhat": spread(50)}, "regression", "y", "yhat"),
        ({"label": CLASSES, "p_cat": SHARES, "p_dog": SHARES, "p_emu": SHARES}, "multiclass", "label", "p_"),
        ({"class": [number % 3 for number in IDS], **PER_CLASS}, "multiclass", "class", "prob_"),
    ],
)  # fmt: skip
def test_columns_tell_their_roles(columns: dict[str, object], kind: str, label: str, score: str) -> None:
    roles = roles_of(table(**columns))
    assert roles is not None
    assert (roles.kind, roles.label, roles.score) == (kind, label, score)


@pytest.mark.parametrize(
    "columns",
    [
        {"x": SHARES, "z": SHARES},
        {"y": BITS, "x": SHARES},
        {"refunded": BITS, "x": SHARES},
        {"refunded": BITS, "night": BITS, "p": SHARES},  # which of both was predicted, nobody can tell
        {"y": CLASSES, "p": SHARES},
        {"y": BITS, "p": [9.0 * share for share in SHARES]},
        {"y": [None] * ROWS, "p": SHARES},
        {},
    ],
)
def test_what_does_not_look_like_predictions_is_none(columns: dict[str, object]) -> None:
    assert roles_of(table(**columns)) is None


def test_key_block_time_and_slices_are_suggested() -> None:
    base = {"y": BITS, "p": SHARES, "order_id": IDS, "country": CLASSES, "note": [f"n{number}" for number in IDS]}
    assert roles_of(table(**base, user=[number // 4 for number in IDS])) == ColumnRoles(
        "eval/test.csv", "binary", "y", "p", "order_id", "user", "", ("country",)
    )
    times = pl.datetime_range(pl.datetime(2026, 1, 1), pl.datetime(2026, 3, 1), eager=True)
    timed = roles_of(table(**base, seen=times))
    assert timed is not None
    assert (timed.block, timed.time) == ("", "seen")


def read(text: str) -> Levers:
    return levers_of(text, name="leverframe.yaml")


def test_a_draft_with_predictions_has_a_rule_with_an_interval() -> None:
    text = draft(["m.json"], [table(id=IDS, y=BITS, p=SHARES)], [SeenModel("m.onnx", "onnx")], [])
    levers = read(text)
    assert levers.pipeline.predictions is not None
    assert (levers.pipeline.predictions.key, levers.pipeline.predictions.label) == (["id"], "y")
    assert levers.pipeline.model is not None
    assert levers.gate.metrics["auc"].maximum_drop == 0.01
    assert 'label: "y"' in text


def test_without_predictions_figures_get_a_rule_those_of_training_last() -> None:
    figures = [
        Figure("train.accuracy", 0.99, "higher"),
        Figure("rows", 5000.0, None),
        Figure("test.rmse", 120.0, "lower"),
        Figure("test.r2", 0.7, "higher"),
    ]
    text = draft(["m.json"], [table(x=SHARES)], [], figures)
    rules = read(text).gate.metrics
    assert {name: rule.maximum_drop for name, rule in rules.items()} == {"test.rmse": 2.0, "test.r2": 0.01}
    assert "eval/test.csv" in text


def test_a_pickle_is_named_and_not_taken() -> None:
    levers = read(draft([], [], [SeenModel("model.pkl", "pickle")], []))
    assert (levers.pipeline.model, levers.gate.metrics) == (None, {})


@given(
    st.lists(st.text(min_size=1, max_size=12), max_size=3),
    st.text(min_size=1, max_size=12),
    st.text(min_size=1, max_size=12),
)
def test_whatever_names_are_the_draft_can_be_read(metrics: list[str], path: str, figure: str) -> None:
    seen = SeenTable(path, columns_seen(pl.DataFrame({"y": BITS, "p": SHARES, f"{figure} id": IDS})))
    for tables in ([seen], []):
        read(draft(metrics, tables, [SeenModel(path, "onnx")], [Figure(figure, 1e300, "lower")]))
