"""Games with the hold-out: rewritten labels and dropped rows win on the candidate's rows and lose on the base's."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from leverframe.adapters.disk import Disk
from leverframe.adapters.polars import PolarsTables
from leverframe.adapters.sklearn import SklearnModels
from leverframe.domain import layout
from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.review.gate.decision import Evidence, run
from leverframe.domain.review.gate.gate_result import Gated
from leverframe.domain.review.gate.holdout_change import Declared
from leverframe.domain.review.gate.pairing import GateInputs, Side
from leverframe.domain.review.gate.rules import rules_in_force
from leverframe.settings.params import TrainSettings
from tests.integration.small_case import HERE, REPOSITORY, TREES, TRUSTED, SmallCase, make

GOOD = TREES.model_copy(update={"params": {**TREES.params, "iterations": 40}})
POOR = TrainSettings(estimator=f"{HERE}:logistic")  # without the gate, which matters most
AUC = {"auc": {"maximum_drop": 0.02}}


def micro(month: int, day: int = 1) -> int:
    """Return a day of 2024 in microseconds since the epoch."""
    return int(datetime(2024, month, day, tzinfo=UTC).timestamp()) * 1_000_000


DECLARED = Declared((), (micro(1), micro(3)), (micro(3), micro(7)))


def champion(folder: Path, kind: LabelKind = "binary", settings: TrainSettings = GOOD) -> SmallCase:
    """Return a case with a good model, as the base branch has it."""
    case = make(folder, kind, rows=1500)
    case.train(settings)
    case.evaluate()
    return case


def copied(case: SmallCase, folder: Path) -> SmallCase:
    """Return a copy of a case, in which a change is made."""
    return SmallCase(Path(shutil.copytree(case.root, folder)))


def gated(
    candidate: SmallCase, base: SmallCase, *, after: Declared = DECLARED, metrics: Any = None, **rules: Any
) -> Gated:
    """Return the decision of the gate on two folders."""
    sides = tuple(Side(PolarsTables(case.root), Disk(case.root)) for case in (candidate, base))
    gate = {"metrics": AUC if metrics is None else metrics, **rules}
    question = GateInputs("a" * 40, "b" * 40, "Europe/Paris", after, DECLARED)
    evidence = Evidence({}, None, None, {})
    models = SklearnModels(REPOSITORY, TRUSTED)
    return run(question, (sides[0], sides[1]), models, rules_in_force({"gate": gate}, {}), evidence)


def reasons(decision: Gated) -> list[str]:
    """Return the reasons in the order of the violations."""
    return [violation.reason.value for violation in decision.violations]


def retrained(case: SmallCase, settings: TrainSettings = GOOD) -> SmallCase:
    """Train and evaluate a case again."""
    case.train(settings)
    case.evaluate()
    return case


def test_an_unchanged_holdout_is_compared_once(tmp_path: Path) -> None:
    """No second comparison, and nothing to tell."""
    base = champion(tmp_path / "base")
    decision = gated(copied(base, tmp_path / "change"), base)
    assert reasons(decision) == []
    assert decision.on_base is None
    assert decision.notes == ()
    assert decision.holdout is not None
    assert not decision.holdout.differs


def test_a_column_that_reveals_the_label_does_not_pass(tmp_path: Path) -> None:
    """Rows and labels stay, and both models look good; but one feature alone says the label.

    The base branch may allow it, the change may not; what the base has already is only noted.
    """
    base = champion(tmp_path / "base")
    change = copied(base, tmp_path / "change")
    for path in (layout.TRAIN, layout.HOLDOUT):
        change.replace(path, wind=10 * pl.col("label").cast(pl.Float64))
    decision = gated(retrained(change), base)
    assert decision.holdout is not None
    assert not decision.holdout.differs
    assert "The same rows have other features in this change" in decision.notes[0]
    assert reasons(decision) == ["leak-suspected"]
    (violation,) = decision.violations
    assert "`wind` alone predicts the label almost perfectly (AUC 1.0000)" in violation.what
    assert "`reveals: [wind]`" in violation.next
    assert "`gate: {allowed_predictors: [wind]}`" in violation.next
    unruled = gated(change, base, metrics={})
    assert (reasons(unruled), unruled.lines()[0]) == (["leak-suspected"], "gate failed")
    assert "no metric was judged: `gate` in `leverframe.yaml` declares no rule" in unruled.notes
    assert reasons(gated(change, base, allowed_predictors=["wind"])) == []
    merged = gated(change, change)
    assert reasons(merged) == []
    assert "`wind` alone predicts the label almost perfectly (AUC 1.0000), as on the base branch." in merged.notes


def test_rewritten_outcomes_do_not_pass(tmp_path: Path) -> None:
    """The label becomes what one feature says: a perfect model of a wrong label, better than the champion on it."""
    base = champion(tmp_path / "base")
    change = copied(base, tmp_path / "change")
    for path in (layout.TRAIN, layout.HOLDOUT):
        change.replace(
            path, label=pl.col("terminal").eq("T1").and_(pl.col("gate").eq_missing(pl.lit("A"))).cast(pl.Int64)
        )
    decision = gated(retrained(change), base)
    assert decision.metrics[0].gain is not None
    assert decision.metrics[0].gain > 0.05  # it wins by its own labels
    assert reasons(decision) == ["metric-dropped", "holdout-changed"]
    assert decision.violations[0].what.startswith("on the hold-out of the base branch: AUC fell")
    assert decision.holdout is not None
    assert decision.holdout.relabelled > 300
    assert decision.on_base is not None
    assert decision.on_base.metrics[0].gain is not None
    assert decision.on_base.metrics[0].gain < -0.05


@pytest.mark.parametrize("features", ["the same", "others"])
def test_dropped_rows_do_not_pass(tmp_path: Path, features: str) -> None:
    """A poor model keeps the rows that it ranks well; with other features they are judged by the base's labels."""
    base = champion(tmp_path / "base")
    change = retrained(copied(base, tmp_path / "change"), POOR)
    predictions = change.table(layout.PREDICTIONS)
    high = predictions["score"] > predictions["score"].median()
    hard = (predictions["label"] == 1) != high
    change.table(layout.HOLDOUT).filter(~hard).write_parquet(change.root / layout.HOLDOUT)
    if features == "others":
        for path in (layout.TRAINING_SET, layout.LEARNING_SET):
            described = json.loads((change.root / path).read_text())
            (change.root / path).write_text(json.dumps(described | {"spec": "f" * 16}))
    decision = gated(retrained(change, POOR), base)
    assert decision.holdout is not None
    assert (decision.holdout.removed, decision.holdout.added, decision.holdout.relabelled) == (int(hard.sum()), 0, 0)
    assert "holdout-changed" in reasons(decision)
    assert decision.on_base is not None
    assert decision.on_base.rows == (1500 if features == "the same" else 1500 - int(hard.sum()))
    if features == "the same":
        assert "on the hold-out of the base branch" in decision.violations[0].what


def test_features_of_another_meaning_are_judged_from_the_candidates_own(tmp_path: Path) -> None:
    """The wind is in other units, and one row is lost: the base's features would make nonsense of an equal model."""
    base = champion(tmp_path / "base")
    change = copied(base, tmp_path / "change")
    for path in (layout.TRAIN, layout.HOLDOUT):
        change.replace(path, wind=100 - 40 * pl.col("wind"))
    change.table(layout.HOLDOUT).head(1499).write_parquet(change.root / layout.HOLDOUT)
    decision = gated(retrained(change), base)
    assert reasons(decision) == []
    assert decision.on_base is not None
    assert decision.on_base.rows == 1499
    assert "from its own features" in decision.on_base.how


def test_a_moved_period_is_compared_on_the_rows_that_nobody_learnt_from(tmp_path: Path) -> None:
    """Training took March, so April and May of the base are left; an equal model passes, a poor one does not."""
    base = champion(tmp_path / "base")
    change = copied(base, tmp_path / "change")
    april = change.table(layout.HOLDOUT).filter(pl.col("as_of") >= datetime(2024, 4, 1, tzinfo=UTC))
    later = april.with_columns(as_of=pl.col("as_of") + pl.duration(days=91))
    pl.concat([april, later]).write_parquet(change.root / layout.HOLDOUT)
    after = Declared((), (micro(1), micro(4)), (micro(4), micro(10)))
    decision = gated(retrained(change), base, after=after)
    assert reasons(decision) == []
    assert decision.holdout is not None
    assert (decision.holdout.rows, decision.holdout.moved_in, decision.holdout.changed) == (
        april.height,
        april.height,
        0,
    )
    assert decision.on_base is not None
    assert (decision.on_base.rows, decision.on_base.days) == (april.height, 63)
    few = gated(change, base, after=Declared((), (micro(1), micro(5, 28)), (micro(5, 28), micro(10))))
    assert few.on_base is not None
    assert few.on_base.how.endswith("too few days to judge, 14 are needed")
    assert reasons(few) == []
    worse = gated(retrained(change, POOR), base, after=after, metrics={"auc": {"maximum_drop": 0.001}})
    assert "metric-dropped" in reasons(worse)
    away = gated(change, base, after=Declared((), (micro(1), micro(7)), (micro(7), micro(10))))
    assert away.on_base is not None
    assert away.on_base.rows == 0
    assert "the candidate learnt from them" in away.on_base.how


def test_the_owner_may_allow_any_change(tmp_path: Path) -> None:
    """A new meaning of the label, declared on the base branch first: told, and judged on its own rows alone."""
    base = champion(tmp_path / "base")
    change = copied(base, tmp_path / "change")
    for path in (layout.TRAIN, layout.HOLDOUT):
        change.replace(path, label=1 - pl.col("label"))
    decision = gated(retrained(change), base, maximum_holdout_change=1)
    assert "holdout-changed" not in reasons(decision)
    assert decision.on_base is None
    assert decision.holdout is not None
    assert decision.holdout.relabelled == 1500


@pytest.mark.parametrize(("kind", "metric"), [("multiclass", "log_loss"), ("regression", "mae")])
def test_other_kinds_of_labels(tmp_path: Path, kind: LabelKind, metric: str) -> None:
    """Classes that the champion never saw, and numbers: the candidate is judged by the labels of the base."""
    forest = TrainSettings(estimator=f"{HERE}:forest", params={"trees": 20}) if kind == "multiclass" else None
    settings = forest or TrainSettings(estimator=f"{HERE}:regressor")
    base = champion(tmp_path / "base", kind, settings)
    change = copied(base, tmp_path / "change")
    label = pl.when(pl.col("night")).then(pl.lit("new") if forest else 0.0).otherwise(pl.col("label"))
    for path in (layout.TRAIN, layout.HOLDOUT):
        change.replace(path, label=label)
    decision = gated(retrained(change, settings), base, metrics={metric: {"maximum_drop": 0.01}})
    assert "holdout-changed" in reasons(decision)
    assert decision.on_base is not None
    assert next(comparison.passed for comparison in decision.on_base.metrics if comparison.metric == metric) is False
    assert decision.holdout is not None
    assert decision.holdout.rate.startswith("share of `new`" if forest else "mean label")


def test_another_label_says_so_and_counts_no_relabelled_rows(tmp_path: Path) -> None:
    """Labels of two meanings cannot be compared row by row."""
    base = champion(tmp_path / "base")
    change = champion(tmp_path / "change", "regression", TrainSettings(estimator=f"{HERE}:regressor"))
    decision = gated(change, base)
    assert reasons(decision) == ["not-comparable"]
    assert decision.holdout is not None
    assert decision.holdout.relabelled == 0


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda table: table.with_columns(label=pl.lit(None, pl.Int64)), "not-comparable"),
        (lambda table: table.with_columns(label=pl.lit("x")), "not-comparable"),
        (lambda table: table.drop("label"), "not-comparable"),
        (lambda table: table.drop("as_of"), "not-comparable"),
        (lambda table: table.clear(), "not-comparable"),
    ],
)
def test_a_holdout_that_cannot_be_judged_is_an_answer(tmp_path: Path, damage: Any, reason: str) -> None:
    """Labels that are missing or of another kind, and missing columns: a violation, never a traceback."""
    base = champion(tmp_path / "base")
    change = copied(base, tmp_path / "change")
    damage(change.table(layout.HOLDOUT)).write_parquet(change.root / layout.HOLDOUT)
    assert reason in reasons(gated(change, base))
