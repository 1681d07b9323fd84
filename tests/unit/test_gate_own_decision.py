"""The decision in a pipeline of one's own: the best evidence that both sides allow, and what spoils it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import pytest

from leverframe.domain.review.gate.gate_result import Gated
from leverframe.domain.review.gate.own_decision import FIGURES, PAIRED, SAME_ROWS, run
from leverframe.domain.review.gate.role_rows import Predicted, Roles
from leverframe.domain.review.gate.rules import BASE, Rules
from leverframe.domain.verdict import Failed, Passed, Reason, Skipped
from leverframe.errors import SourceError
from leverframe.settings.levers import GateSettings, MetricRule, SliceRule
from leverframe.settings.pipeline import HoldoutRole, ModelRole, PipelineSettings, PredictionsRole

ROWS, DAYS = 2000, 40
DRAW = np.random.default_rng(0)
X = DRAW.normal(size=ROWS)
Y = (X + DRAW.normal(size=ROWS) > 0).astype(int)
PREDICTIONS = PredictionsRole(path="p.parquet", kind="binary", label="y", score="p", key=["id"], block="day")
SETTINGS = PipelineSettings(predictions=PREDICTIONS)
RULE = {"auc": MetricRule(maximum_drop=0.01)}


def rows(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": np.arange(ROWS),
            "day": np.arange(ROWS) * DAYS // ROWS,
            "country": np.where(np.arange(ROWS) % 3, "north", "south"),
            "x": X,
            "y": Y,
            "p": 1 / (1 + np.exp(-2 * X)),
        }
        | columns
    )


@dataclass
class Side:
    """A revision in memory: tables by path, the content of metrics, and a model that is a factor."""

    settings: PipelineSettings = SETTINGS
    tables: Mapping[str, pl.DataFrame] = field(default_factory=lambda: {"p.parquet": rows()})
    figures: Mapping[str, Any] = field(default_factory=lambda: {"m.json": {"accuracy": 0.8}})
    factor: float | None = None

    def metrics(self) -> Mapping[str, Any]:
        return self.figures

    def table(self, path: str) -> pl.DataFrame:
        if path not in self.tables:
            raise SourceError(f"nobody has {path}", why="it was not pushed", next="push it")
        return self.tables[path]

    def predicted(self, _: Roles, table: Any) -> Predicted:
        if self.factor is None:
            raise SourceError("the model cannot be opened", why="it is damaged", next="train it")
        return Predicted(table, 1 / (1 + np.exp(-self.factor * table.get_column("x").to_numpy())), ("0", "1"))


def gated(ours: Side, theirs: Side | None, settings: GateSettings | None = None, megabytes: float = 0.0) -> Gated:
    rules = Rules(settings or GateSettings(metrics=RULE), BASE)
    return run(("b", "h"), (ours, theirs), rules, megabytes)


def reasons(result: Gated) -> tuple[Reason, ...]:
    return result.verdict.reasons if isinstance(result.verdict, Failed) else ()


def test_predictions_of_both_are_paired_by_key_whatever_their_order() -> None:
    shuffled = rows().sample(fraction=1.0, shuffle=True, seed=1)
    result = gated(Side(tables={"p.parquet": shuffled}), Side())
    assert isinstance(result.verdict, Passed)
    assert (result.evidence, result.rows, result.days, result.blocks) == (PAIRED, ROWS, DAYS, "values of `day`")
    assert result.metrics[0].gain == 0
    assert result.holdout is not None
    assert not result.holdout.differs


def test_a_worse_model_fails_with_an_interval() -> None:
    worse = rows(p=np.where(np.arange(ROWS) % 2, rows()["p"], 0.5))
    result = gated(Side(tables={"p.parquet": worse}), Side())
    assert reasons(result) == (Reason.METRIC_DROPPED,)
    assert result.metrics[0].low is not None


def test_both_models_predict_the_same_rows_where_they_can_be_opened() -> None:
    settings = PipelineSettings(
        holdout=HoldoutRole(path="h.parquet", label="y", kind="binary", block="day"),
        model=ModelRole(path="m"),
        predictions=PREDICTIONS,
    )
    tables = {"h.parquet": rows().drop("p"), "p.parquet": rows()}
    good, bad = Side(settings, tables, factor=2.0), Side(settings, tables, factor=-2.0)
    assert (gated(good, good).evidence, isinstance(gated(good, good).verdict, Passed)) == (SAME_ROWS, True)
    assert reasons(gated(bad, good)) == (Reason.METRIC_DROPPED,)
    closed = Side(settings, tables)
    spoilt = gated(closed, good)
    assert reasons(spoilt) == (Reason.NOT_COMPARABLE, Reason.METRIC_MISSING)
    weaker = gated(good, closed)
    assert (weaker.evidence, isinstance(weaker.verdict, Passed)) == (PAIRED, True)
    assert "could not predict the rows of this change: the model cannot be opened" in weaker.notes[0]


def test_figures_alone_decide_where_the_base_has_no_rows_and_that_is_said() -> None:
    rule = GateSettings(metrics={"accuracy": MetricRule(maximum_drop=0.01)})
    result = gated(Side(), Side(tables={}), rule)
    assert (result.evidence, isinstance(result.verdict, Passed)) == (FIGURES, True)
    assert any("Nobody has what the base branch predicted" in note for note in result.notes)
    assert any("No interval can be given" in note for note in result.notes)
    worse = gated(Side(figures={"m.json": {"accuracy": 0.7}}), Side(tables={}), rule)
    assert reasons(worse) == (Reason.METRIC_DROPPED,)


def test_a_change_that_loses_its_predictions_is_not_comparable() -> None:
    rule = GateSettings(metrics={"accuracy": MetricRule(maximum_drop=0.01)})
    assert reasons(gated(Side(tables={}), Side(), rule)) == (Reason.NOT_COMPARABLE,)
    without = rows().drop("y")
    assert reasons(gated(Side(tables={"p.parquet": without}), Side(), rule)) == (Reason.NOT_COMPARABLE,)


@pytest.mark.parametrize("bad", [float("nan"), 1.5, -0.1])
def test_predictions_that_cannot_be_are_not_comparable(bad: float) -> None:
    odd = rows(p=np.where(np.arange(ROWS) == 7, bad, rows()["p"]))
    assert reasons(gated(Side(tables={"p.parquet": odd}), Side()))[0] is Reason.NOT_COMPARABLE


def test_labels_and_rows_that_changed_fail_unless_that_is_allowed() -> None:
    relabelled = rows(y=np.where(np.arange(ROWS) < 100, 1, Y))
    result = gated(Side(tables={"p.parquet": relabelled}), Side())
    assert Reason.HOLDOUT_CHANGED in reasons(result)
    assert "relabelled" in result.violations[0].what
    fewer = gated(Side(tables={"p.parquet": rows().head(1500)}), Side())
    assert Reason.HOLDOUT_CHANGED in reasons(fewer)
    allowed = GateSettings(metrics=RULE, maximum_holdout_change=1)
    assert isinstance(gated(Side(tables={"p.parquet": rows().head(1500)}), Side(), allowed).verdict, Passed)


def test_mostly_other_rows_are_not_comparable() -> None:
    others = rows(id=np.arange(ROWS) + ROWS - 100)
    result = gated(Side(tables={"p.parquet": others}), Side())
    assert Reason.NOT_COMPARABLE in reasons(result)
    assert "`pipeline.predictions.key`" in result.violations[0].next


def test_without_a_key_rows_are_paired_by_position() -> None:
    settings = PipelineSettings(predictions=PREDICTIONS.model_copy(update={"key": []}))
    assert "paired by position" in gated(Side(settings), Side(settings)).how
    short = gated(Side(settings, {"p.parquet": rows().head(1999)}), Side(settings))
    assert reasons(short)[0] is Reason.NOT_COMPARABLE
    assert "`pipeline.predictions.key`" in short.violations[0].next


def test_what_groups_rows_is_a_block_a_day_or_their_place() -> None:
    predictions = PREDICTIONS.model_copy(update={"block": None, "time": "at"})
    stamps = pl.Series("at", np.datetime64("2026-01-01", "us") + np.arange(ROWS) * np.timedelta64(1, "h"))
    by_day = gated(*(Side(PipelineSettings(predictions=predictions), {"p.parquet": rows(at=stamps)}),) * 2)
    assert (by_day.blocks, by_day.days) == ("days", ROWS // 24 + 1)
    by_place = gated(*(Side(PipelineSettings(predictions=predictions)),) * 2)
    assert (by_place.blocks, by_place.days) == ("groups of rows", 1000)
    assert "1,000 groups of rows" in by_place.method


def test_slices_are_judged_by_a_rule_and_shown_without_one() -> None:
    ruled = GateSettings(slices=[SliceRule(columns=["country"], maximum_drop=0.02)])
    worse = rows(p=np.where(rows()["country"] == "south", 0.5, rows()["p"]))
    result = gated(Side(tables={"p.parquet": worse}), Side(), ruled)
    assert Reason.SLICE_DROPPED in reasons(result)
    shown = PipelineSettings(predictions=PREDICTIONS.model_copy(update={"slices": ["country"]}))
    unruled = gated(Side(shown), Side(shown))
    assert {(part.value, part.passed, part.low) for part in unruled.slices} == {
        ("north", True, None),
        ("south", True, None),
    }


def test_the_first_model_is_held_by_floors_alone() -> None:
    low = GateSettings(metrics={"auc": MetricRule(floor=0.99)})
    assert reasons(gated(Side(), None, low)) == (Reason.FLOOR_MISSED,)
    assert isinstance(gated(Side(), None).verdict, Passed)
    assert any("no champion" in note for note in gated(Side(), None).notes)


def test_without_a_rule_nothing_fails_and_both_sides_are_shown() -> None:
    result = gated(Side(), Side(), GateSettings())
    assert isinstance(result.verdict, Skipped)
    assert "declares no rule" in result.because
    assert len(result.metrics) > 5


def test_classes_are_read_from_columns_that_share_a_prefix() -> None:
    names = np.array(["low", "high", "none"])
    labels = names[np.arange(ROWS) % 3]
    sure = {f"p_{name}": np.where(labels == name, 0.8, 0.1) for name in names}
    role = PredictionsRole(path="p.parquet", kind="multiclass", label="y", score="p_", key=["id"], block="day")
    settings = PipelineSettings(predictions=role)
    side = Side(settings, {"p.parquet": rows(y=labels, **sure)})
    rule = GateSettings(metrics={"accuracy": MetricRule(maximum_drop=0.01)})
    result = gated(side, side, rule)
    assert (isinstance(result.verdict, Passed), result.metrics[0].candidate) == (True, 1.0)
    mixed = {f"p_{name}": np.where(labels == name, 0.3, 0.35) for name in names}
    worse = Side(settings, {"p.parquet": rows(y=labels, **mixed)})
    assert reasons(gated(worse, side, rule)) == (Reason.METRIC_DROPPED,)


def test_a_change_of_roles_is_said() -> None:
    other = PipelineSettings(predictions=PREDICTIONS.model_copy(update={"score": "q"}))
    tables = {"p.parquet": rows(q=rows()["p"])}
    result = gated(Side(other, tables), Side())
    assert "`pipeline.predictions.score`: `p` to `q`" in result.notes[0]
    figures_alone = PipelineSettings()
    added = gated(Side(), Side(figures_alone)).notes[0]
    assert (added.count("`pipeline."), "`pipeline.predictions` is new" in added) == (1, True)
    assert "`pipeline.predictions` is gone" in " ".join(gated(Side(figures_alone), Side()).notes)


def test_a_model_beyond_its_size_fails() -> None:
    small = GateSettings(metrics=RULE, maximum_megabytes=5)
    assert reasons(gated(Side(), Side(), small, megabytes=6)) == (Reason.BUNDLE_TOO_LARGE,)
    assert isinstance(gated(Side(), Side(), small, megabytes=4).verdict, Passed)
