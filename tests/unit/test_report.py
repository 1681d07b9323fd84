"""The decision card: golden pages, hostile content, sections on their own, and where a card goes."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.documents import loaded
from leverframe.domain.release.replay import Flip, Replayed
from leverframe.domain.review.check import Checked
from leverframe.domain.review.diff.diff_result import Change, ColumnDiff, Diff, Estimate, RowsDiff, TableDiff
from leverframe.domain.review.gate.gate_result import Compared, Gated, OnBase, SliceCompared
from leverframe.domain.review.gate.holdout_change import HoldoutChange
from leverframe.domain.review.gate.replay_comparison import ReplayComparison, against
from leverframe.domain.review.report import card_markdown as drawing
from leverframe.domain.review.report.card import Card, Constraints, Curve, ParameterChange, StageNode
from leverframe.domain.review.report.card_markdown import LIMIT, Shown, render
from leverframe.domain.review.report.publish import chosen, conclusion, title
from leverframe.domain.review.report.pull_of_run import NoPull, RunPull
from leverframe.domain.review.reproduce import Reproduced, StageRun
from leverframe.domain.verdict import Failed, Passed, Reason, Skipped, Violation
from leverframe.errors import PublishError, SettingsError
from tests.github_page import live
from tests.profiles import examples

GOLDEN = Path(__file__).parents[1] / "golden" / "report"
BASE, HEAD = "b" * 40, "c" * 40
RULE = "allowed drop: 0.01"


def compared(gain: float | None = 0.012, *, passed: bool = True) -> tuple[Compared, ...]:
    """Return two metrics, one of them under a rule."""
    champion = None if gain is None else 0.79
    low, high = (None, None) if gain is None else (gain - 0.004, gain + 0.004)
    auc = Compared("auc", "AUC", "higher", champion, 0.79 + (gain or 0), gain, low, high, RULE, passed)
    return auc, Compared("base_rate", "base rate", "neither", champion and 0.126, 0.126, gain and 0.0, low, high)


def card(**changed: Any) -> Card:
    """Return the card of a better model."""
    slices = (
        SliceCompared("carrier", "AA", "auc", 1200, 0.75, 0.77, 0.02, -0.01, 0.05),
        SliceCompared("carrier", "9E", "auc", 900, 0.74, 0.73, -0.01, -0.04, 0.02),
    )
    gated = Gated(
        BASE, HEAD, (), "", 109_619, 122, "both models predicted the same rows", 0.95, compared(), slices,
        "the base branch",
    )  # fmt: skip
    stages = (
        StageRun("train", "ran", 8.25),
        StageRun("evaluate", "verified", 3.5),
        StageRun("build@2013-01", "unchanged"),
    )
    nodes = (
        StageNode("build", 12, 0, 0, 0, 0.0),
        StageNode("train", 1, 1, 0, 0, 8.25),
        StageNode("evaluate", 1, 0, 1, 0, 3.5),
    )
    curve = Curve("ROC", "fpr", "tpr", ((0.0, 0.0), (0.5, 0.8), (1.0, 1.0)), ((0.0, 0.0), (0.5, 0.85), (1.0, 1.0)))
    whole = Card(
        BASE,
        HEAD,
        Checked(HEAD),
        Reproduced(HEAD, stages),
        gated,
        (ParameterChange("train.params.iterations", "200", "300"),),
        Constraints(1106, 11, (), ("`2013-01 sales`: `volume(z <= 8)`",)),
        Diff("bbbbbbbbbbbb", "the working tree"),
        (curve,),
        nodes,
        (("build", "train"), ("train", "evaluate")),
    )
    return replace(whole, **changed)


def refused(reason: Reason, what: str, following: str) -> tuple[Violation, ...]:
    """Return one violation."""
    return (Violation(reason, what, following),)


def gated(**changed: Any) -> Gated:
    """Return what the gate says of a better model, changed."""
    gate = card().gated
    assert gate is not None
    return replace(gate, **changed)


def comparison(**changed: Any) -> ReplayComparison:
    """Return what a log shows where few answers change, changed."""
    flips = (Flip("a3c1", 0, 0.4131, 0.6012), Flip("77fe", 4, 0.5204, 0.4467))
    replay = ReplayComparison(
        ".leverframe/servers/production/log", 0.2, 0, days=3, first="2024-05-01", last="2024-05-03",
        share=2 / 412, replayed=Replayed(200, 412, 2, 0, 0, flips, 0.413, 0.427),
    )  # fmt: skip
    return replace(replay, **changed)


CHANGE = HoldoutChange(
    937,
    0,
    104,
    21,
    0,
    0,
    3,
    "share of `on | time`",
    0.286,
    0.126,
    0.001,
    "the key `n` was of type Int64 and is of type String",
)
DIFFERS = comparison(
    log="logs",
    malformed=4,
    left_out="those by columns would be refused: columns: `amount` is gone",
    share=0.5,
    days=1,
    replayed=Replayed(50, 99, 49, 1, 2, (Flip("a3c1", 0, 0.1, 0.9),), 0.4, 0.4),
)


def written(content: Card) -> bytes:
    """Return a card as `leverframe report` writes it."""
    return json.dumps(asdict(content), indent=1).encode()


HOSTILE = (
    "`](http://x) <img src=x onerror=alert(1)> @everyone | --> ]]> ${{ github.token }} ::error:: \u202e\x00\n\n# h\n"
)
MANY = tuple(SliceCompared("customer", f"c{n}", "auc", 300, 0.7, 0.71, 0.01, 0.0, 0.02) for n in range(5000))
HUGE = {
    "parameters": tuple(ParameterChange(f"train.params.p{n}", "x" * 500, "y" * 500) for n in range(5000)),
    "gated": gated(
        replay=comparison(log="l" * 500_000, because="b" * 500_000),
        slices=MANY,
        rule_changes=tuple(f"`gate.metrics.m{n}.floor`: `1` to `2`" for n in range(5000)),
    ),
    "constraints": Constraints(9, 9, tuple(f"`2013-01 sales`: `check_{n}`" for n in range(5000)), ()),
    "nodes": tuple(StageNode(f"stage-{n}", 1, 1, 0, 0, 1.0) for n in range(5000)),
    "edges": tuple((f"stage-{n}", f"stage-{n + 1}") for n in range(4999)),
    "checked": Checked(
        HEAD, tuple(Violation(Reason.LOCK_STALE, f"`s{n}`: changed", "`dvc repro`") for n in range(5000))
    ),
    "diff": Diff(
        "b",
        "c",
        tuple(
            TableDiff(
                f"t{n}",
                RowsDiff(1, 2, Estimate(1, 1, 1)),
                {"2013-01": RowsDiff(1, 2)},
                (ColumnDiff("c", "2013-01", 1, 0.5, {"null_rate": 0.1}, {"null_rate": 0.2}),),
            )
            for n in range(5000)
        ),
        tuple(Change(f"t{n}", "the table is gone", True) for n in range(5000)),
    ),
    "curves": (card().curves[0],) * 200,
    "notes": ("a note",) * 5000,
}
UNMOVED = Replayed(9, 9, 0, 0, 0, (), 0.4, 0.4, numbers=True)
REGRESSION = (
    Compared("mae", "mean absolute error", "lower", 18.84, 8.82, 10.02, 9.31, 10.73, "allowed rise: 0.5"),
    Compared("rmse", "root mean squared error", "lower", 24510.3, 24498.9, 11.4, -3.2, 26.0),
    Compared("r2", "R²", "higher", 0.41, 0.55, 0.14, 0.1, 0.18),
    Compared("bias", "bias (predicted minus observed)", "nearer to 0", 18.8, 8.8028, 9.9972, 9.1, 10.9,
             "allowed rise: 0.5, at most 10 from 0"),
)  # fmt: skip
CLASSES = (
    Compared("accuracy", "accuracy", "higher", 0.71, 0.7, -0.01, -0.03, 0.01, "allowed drop: 0.02", passed=False),
    Compared("log_loss", "log loss", "lower", 0.8, 0.000052, 0.799948, 0.7, 0.9),
)
CASES: dict[str, Card] = {
    "regression": card(
        gated=gated(
            metrics=REGRESSION,
            slices=(SliceCompared("carrier", "AA", "mae", 1200, 20500.0, 18200.0, 2300.0, 1100.0, 3500.0),),
            unit_of="delay_minutes",
            replay=comparison(
                kind="regression",
                share=0.0,
                replayed=Replayed(200, 412, 0, 0, 0, (Flip("a3c1", 0, 41.31, 60.12),), 0.4, 0.4, numbers=True),
            ),
        ),
        curves=(),
        serving="served by scikit-learn itself: ONNX differs by up to 0.3 of the spread of the label, 46.9",
    ),
    "multiclass": card(
        gated=gated(
            metrics=CLASSES,
            violations=refused(Reason.METRIC_UNCERTAIN, "Accuracy fell by 0.0100 (0.7100 to 0.7000; ...)", "more days"),
        ),
        serving="ONNX matches scikit-learn on 3,003 rows: largest difference 1.1e-07, 0 labels differ",
    ),
    "better": card(),
    "worse": card(
        gated=gated(
            metrics=compared(-0.03, passed=False),
            violations=refused(
                Reason.METRIC_DROPPED,
                "AUC fell by 0.0300 (0.7900 to 0.7600; 95 % lower bound -0.0340). Allowed drop: 0.01.",
                "improve the model, or change the rule in a pull request of its own: a rule applies once it is merged",
            ),
        )
    ),
    "changed-holdout": card(
        gated=gated(
            holdout=CHANGE,
            on_base=OnBase(937, 60, "both models predicted the same rows", compared(-0.03, passed=False)),
            violations=(
                *refused(
                    Reason.METRIC_DROPPED, "on the hold-out of the base branch: AUC fell by 0.0300", "improve the model"
                ),
                *CHANGE.violations(),
            ),
        )
    ),
    "moved-holdout": card(
        gated=gated(
            holdout=replace(CHANGE, relabelled=0, removed=0, moved_in=480, moved_out=12),
            on_base=OnBase(how="no row of it can be compared"),
        )
    ),
    "no-change": card(gated=gated(metrics=compared(0.0)), parameters=(), curves=()),
    "first-model": card(
        gated=gated(
            metrics=compared(None),
            slices=(),
            how="no champion",
            notes=("The base branch has no model, so there is no champion: only floors apply.",),
        )
    ),
    "failed-contract": card(
        constraints=Constraints(1100, 11, ("`2013-02 sales`: `in_range(0, 10)` of `amount`",)),
        gated=gated(
            violations=refused(
                Reason.CONTRACT_BROKEN,
                "the data violate 1 constraint: `2013-02 sales`: `in_range(0, 10)` of `amount`",
                "fix the data at the source, or change the contract in `contracts.py`",
            )
        ),
    ),
    "forged-lock": card(
        reproduced=Reproduced(
            HEAD,
            violations=refused(
                Reason.METRICS_FORGED,
                "`reports/metrics.json` in git differs from what its stage computes: `auc` 0.99 in git, 0.79 computed",
                "run `dvc repro -f -s evaluate`; commit what it writes, and `dvc.lock`",
            ),
        )
    ),
    "stale-lock": card(
        checked=Checked(
            HEAD, refused(Reason.LOCK_STALE, "train: parameter train.params.iterations: 200 -> 300", "`dvc repro`")
        )
    ),
    "missing-data": card(
        checked=Checked(
            HEAD,
            refused(
                Reason.DATA_MISSING,
                "the remote `store` lacks 1 output of `dvc.lock`: `models/model.skops`",
                "run `dvc push` on the machine that ran the stages",
            ),
        )
    ),
    "replayed": card(gated=gated(replay=comparison())),
    "replay-differs": card(gated=gated(replay=DIFFERS, violations=tuple(against(DIFFERS)))),
    "replay-of-numbers": card(
        gated=gated(
            replay=comparison(
                kind="regression", share=0.0, replayed=Replayed(9, 9, 0, 0, 0, (), 0.4, 0.4, numbers=True)
            )
        )
    ),
    "nothing-to-replay": card(
        gated=gated(replay=ReplayComparison("logs", 0.2, 3, because="no closed file in it has a request to `shop`"))
    ),
    "huge": card(**HUGE),
    "nothing-to-compare": Card(BASE, HEAD, notes=("the data diff cannot be shown: no plan",)),
    "hostile": card(
        parameters=(ParameterChange(HOSTILE, HOSTILE, HOSTILE * 12_000),),
        gated=gated(
            violations=refused(Reason.METRIC_DROPPED, HOSTILE, HOSTILE),
            slices=(SliceCompared(HOSTILE, HOSTILE, "auc", 1, 0.1, 0.2, 0.1, 0.0, 0.2, passed=False),),
            rule_changes=(HOSTILE,),
            how=HOSTILE,
            replay=comparison(
                log=HOSTILE,
                left_out=HOSTILE,
                first=HOSTILE,
                last=HOSTILE,
                replayed=Replayed(1, 1, 1, 1, 1, (Flip(HOSTILE, 0, 0.1, 0.2),) * 5, 1.0, 1.0),
            ),
        ),
        constraints=Constraints(0, 0, (HOSTILE,)),
        nodes=(StageNode(HOSTILE, 1, 1, 0, 0, 1.0),),
        curves=(replace(card().curves[0], title=HOSTILE, x=HOSTILE),),
        notes=(HOSTILE,),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_page_is_the_golden_one(name: str) -> None:
    """`LEVERFRAME_GOLDEN=write` writes them; a reviewer reads the difference."""
    page, path = render(CASES[name]), GOLDEN / f"{name}.md"
    if os.environ.get("LEVERFRAME_GOLDEN") == "write":
        path.write_text(page, encoding="utf-8")
    assert page == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CASES)
def test_a_page_fits_into_a_comment_and_begins_with_the_verdict(name: str) -> None:
    """Whatever the size: the limit is kept, and the verdict with its reasons stands first."""
    page = render(CASES[name])
    assert len(page) <= LIMIT
    verdict = CASES[name].verdict
    assert page.startswith("## ✅" if isinstance(verdict, Passed) else "## ❌")
    if isinstance(verdict, Failed):
        assert all(f"`{reason.value}`" in page[:2000] for reason in verdict.reasons)


def test_hostile_text_stays_text() -> None:
    """No tag, link, mention, table cell or command comes out of what others wrote."""
    page = render(CASES["hostile"])
    assert live(page) == []
    assert "\u202e" not in page
    assert "\x00" not in page
    assert not re.search(r"^(::|# h)", page, re.MULTILINE)
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in rows} <= {4, 6, 7}


def test_a_card_with_megabytes_of_text_is_drawn_whole_in_the_summary_of_a_job() -> None:
    """Cut where it must be, with the word that says so."""
    page = render(CASES["huge"])
    assert "left out here" in page or "more" in page
    assert len(render(CASES["huge"], Shown(1000), limit=900_000)) <= 900_000


@pytest.mark.parametrize("limit", [3_000, 20_000, 65_000])
def test_a_card_is_counted_in_bytes(limit: int) -> None:
    """A letter outside of ASCII takes up to four of them; what is unfolded stays closed."""
    violations = tuple(Violation(Reason.METRIC_DROPPED, f"{number}: 数据 🚀" * 90, "next") for number in range(40))
    page = render(replace(card(), gated=replace(gated(), violations=violations)), limit=limit)
    assert len(page.encode()) <= limit
    assert page.startswith("## ❌ Leverframe: do not merge")
    assert page.count("<details") == page.count("</details>")


def test_sections_degrade_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that cannot be drawn says so; verdict and the others stand."""

    def broken(_: Card, __: int) -> str:
        raise KeyError("nothing")

    sections = [(name, broken if name == "Metrics" else section) for name, section in drawing._SECTIONS]
    monkeypatch.setattr(drawing, "_SECTIONS", tuple(sections))
    page = render(card())
    assert "could not be rendered: KeyError" in page
    assert "### Parameters" in page
    assert page.startswith("## ✅")


@given(limit=st.integers(3_000, 60_000))
@settings(max_examples=examples(0.1))
def test_no_limit_cuts_the_verdict(limit: int) -> None:
    """At any length the page fits, and the verdict stands."""
    for name in ("huge", "worse"):
        page = render(CASES[name], limit=limit)
        assert len(page) <= limit + 1
        assert page.startswith("## ❌ Leverframe: do not merge")


@pytest.mark.parametrize("name", CASES)
def test_a_card_survives_as_data(name: str) -> None:
    """What one job writes another reads, and draws the same page."""
    again = loaded(Card, written(CASES[name]), name="card")
    assert render(again) == render(CASES[name])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"base": 1}',
        written(card()).replace(b'"ran"', b'"flew"'),
        written(card())[:-40],
        b"\xff" * 9,
    ],
)
def test_what_is_no_card_is_refused(data: bytes) -> None:
    """One clear error, whatever the bytes."""
    with pytest.raises(SettingsError, match="is not what Leverframe writes"):
        loaded(Card, data, name="card")


def test_a_lever_without_a_result_refuses() -> None:
    """Nobody may take silence for consent."""
    assert card(gated=None).verdict == Failed((Reason.TOOL_BROKE,))
    assert card(gated=None, not_run=("gate",)).verdict == Failed((Reason.NOT_RUN,))
    assert card(not_run=("gate",)).verdict == Passed()
    assert card().verdict == Passed()
    assert card(gated=gated(because="no rule")).verdict == Skipped("no rule")


def test_the_check_is_the_gate() -> None:
    """The three verdicts as GitHub shows them."""
    failed = Failed((Reason.METRIC_DROPPED, Reason.LOCK_STALE))
    assert [conclusion(verdict) for verdict in (Passed(), failed, Skipped("x"))] == ["success", "failure", "neutral"]
    assert title(failed) == "do not merge: metric-dropped, lock-stale"


def test_who_posts() -> None:
    """Auto takes what is there; what was asked for and cannot be is an error that says what to do."""
    run = RunPull("o/r", 1, HEAD)

    def who(asked: Any, *, has_cml: bool = False, has_token: bool = True, run: RunPull | NoPull | None = run) -> str:
        return chosen(asked, has_cml=has_cml, has_token=has_token, run=run)

    assert who("auto", has_cml=True) == "cml"
    assert who("auto") == "github"
    assert who("auto", has_token=False) == "summary"
    assert who("auto", run=None) == "file"
    assert who("auto", run=NoPull("the event `schedule` is about no pull request")) == "summary"
    assert who("file", has_cml=True) == "file"
    with pytest.raises(PublishError, match="cannot post from here"):
        who("github", has_token=False)
    with pytest.raises(PublishError, match="cannot post from here"):
        who("cml", run=None)
    with pytest.raises(PublishError) as refused:
        who("github", run=NoPull("the event `schedule` is about no pull request"))
    assert "schedule" in refused.value.why
