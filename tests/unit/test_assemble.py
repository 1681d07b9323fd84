"""A card is put together from what git and the levers left: what is damaged costs its section, not the card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from leverframe.domain import layout
from leverframe.domain.pipeline.status.reasons import PipelineStatus, StageStatus
from leverframe.domain.pipeline.status.resolved import Stage
from leverframe.domain.review.diff.diff_result import Diff
from leverframe.domain.review.report.assemble import assembled
from leverframe.domain.review.report.card import Card, Constraints, ParameterChange, StageNode
from leverframe.domain.review.reproduce import Reproduced, StageRun
from leverframe.errors import DefinitionError

BASE, HEAD = "a" * 40, "b" * 40
CONTRACT = f"{layout.CONTRACTS.as_posix()}/2024-01.json"
ROC = f"{layout.PLOTS.as_posix()}/roc.csv"


def card(files: Mapping[str, bytes], before: Mapping[str, Any] | None = None, **after: Any) -> Card:
    """Return the card of a change with these files at its head, and these parameters; nothing else can be read."""

    def no_status() -> Any:
        raise DefinitionError("no plan", why="it is gone", next="write one")

    def no_diff() -> Diff:
        raise KeyError("tables")

    sides = ({ROC: files[ROC]} if ROC in files else {}, files)
    return assembled((BASE, HEAD), (None, None, None), sides, (before or {}, after), (no_status, no_diff))


def contract(*checks: dict[str, str]) -> dict[str, bytes]:
    """Return a report of the contracts of January with these checks of the orders."""
    whole = [{"check": "unique_key", "verdict": "passed", "severity": "error"} | check for check in checks]
    return {CONTRACT: json.dumps({"tables": {"orders": {"checks": whole}}}).encode()}


def test_what_cannot_be_read_is_a_note() -> None:
    """An error of ours says what it is, any other its kind; the card is there all the same."""
    assert card({}).notes == ("the stages cannot be shown: no plan", "the data diff cannot be shown: KeyError")
    assert card({CONTRACT: b"{}"}).notes[-1] == "the contracts cannot be shown: KeyError"
    assert (card({}).constraints, card({}).curves, card({}).nodes) == (None, (), ())


def test_constraints_are_counted_and_those_that_failed_named() -> None:
    """Passed, skipped, failed and warned; without a report or a check there is nothing to show."""
    assert card(contract()).constraints is None
    files = contract(
        {},
        {"verdict": "skipped"},
        {"verdict": "failed"},
        {"verdict": "failed", "severity": "warn", "check": "volume", "column": "amount"},
    )
    expected = Constraints(1, 1, ("`2024-01 orders`: `unique_key`",), ("`2024-01 orders`: `volume` of `amount`",))
    assert card(files).constraints == expected


def test_parameters_that_differ_are_told_and_the_gate_is_told_elsewhere() -> None:
    """Added, taken away and changed ones, by name; texts as they are and other values as JSON."""
    before = {"train": {"trees": 5, "kind": "a"}, "gate": {"floor": 1}, "old": True}
    changes = card({}, before, train={"trees": 7, "kind": "a"}, gate={"floor": 2}, new="x").parameters
    assert changes == (
        ParameterChange("new", None, "x"),
        ParameterChange("old", "true", None),
        ParameterChange("train.trees", "5", "7"),
    )


def test_curves_have_points_at_the_same_places() -> None:
    """Between two points a curve is straight; what has one point, or is no table, is none."""
    (curve,) = card({ROC: b"fpr,tpr\n0,0\n0.5,0.8\n1,1\n"}).curves
    assert curve.base == curve.head
    points = dict(curve.head)
    assert (points[0.0], points[0.25], points[0.5], points[0.75], points[1.0]) == (0.0, 0.4, 0.8, 0.9, 1.0)
    assert card({ROC: b"fpr,tpr\n0,0\n"}).curves == card({ROC: b"\xff"}).curves == ()


def test_a_group_of_stages_is_one_node_that_counts_what_happened_to_its_members() -> None:
    """Two partitions ran, one failed, the training was verified; seconds add up, and edges join the groups."""
    build = [Stage(f"build@{key}", "dvc.yaml", "x", "build", key) for key in ("1", "2", "3")]
    train = Stage("train", "dvc.yaml", "x")
    stages = tuple(StageStatus.of(stage, []) for stage in (*build, train))
    status = PipelineStatus(stages, tuple((stage.name, "train") for stage in build))
    runs = (
        StageRun("build@1", "ran", 1.5),
        StageRun("build@2", "ran", 2.0),
        StageRun("build@3", "failed", 0.5),
        StageRun("train", "verified", 3.0),
    )

    def no_diff() -> Diff:
        raise KeyError("tables")

    levers = (None, Reproduced(HEAD, runs), None)
    made = assembled((BASE, HEAD), levers, ({}, {}), ({}, {}), (lambda: status, no_diff))
    assert made.nodes == (StageNode("build", 3, 2, 0, 1, 4.0), StageNode("train", 1, 0, 1, 0, 3.0))
    assert made.edges == (("build", "train"),)
