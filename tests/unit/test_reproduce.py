"""What is run to find out whether a change says the truth, and what the differences mean."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from leverframe.domain.review.reproduce import How, Order, Reproduced, StageRun, run
from leverframe.domain.verdict import Failed, Passed, Reason
from leverframe.errors import PipelineBusyError, PipelineError

METRICS = "reports/metrics.json"


def lock(model: str, metrics: str, parameter: int = 1) -> str:
    """Return a lock of training and evaluation."""
    return (
        "schema: '2.0'\nstages:\n"
        f"  train:\n    cmd: t\n    params:\n      params.yaml:\n        train: {parameter}\n"
        f"    outs:\n    - path: model\n      hash: md5\n      md5: {model}\n      size: 1\n"
        f"  evaluate:\n    cmd: e\n    deps:\n    - path: model\n      hash: md5\n      md5: {model}\n      size: 1\n"
        f"    outs:\n    - path: {METRICS}\n      hash: md5\n      md5: {metrics}\n      size: 1\n"
    )


@dataclass
class Scripted:
    """A pipeline of the test's own: what each call of `dvc repro` does to its files is written down."""

    files: dict[str, str]
    script: list[Callable[[Scripted], dict[str, How]]]
    asked: list[tuple[str, ...]] = field(default_factory=list)
    fetched: list[Sequence[str]] = field(default_factory=list)
    ended: list[StageRun] = field(default_factory=list)

    def repro(self, *arguments: str) -> None:
        self.asked.append(arguments)
        done = self.script.pop(0)(self)
        self.ended = [StageRun(name, how, 1.0) for name, how in done.items()]
        if "failed" in done.values():
            raise PipelineError("stage `train` failed", why="no data", next="look")

    def checkout(self) -> None:
        self.asked.append(("checkout",))

    def fetch(self, paths: Sequence[str]) -> None:
        self.fetched.append(paths)

    def text(self, path: str) -> str:
        return self.files.get(path, "")

    def runs(self) -> list[StageRun]:
        found, self.ended = self.ended, []
        return found


def fresh(_: Scripted) -> dict[str, How]:
    """Nothing to do."""
    return {"train": "unchanged", "evaluate": "unchanged"}


def same(_: Scripted) -> dict[str, How]:
    """The evaluation gives what it gave."""
    return {"evaluate": "ran"}


def writes(metrics: float, digest: str = "m2") -> Callable[[Scripted], dict[str, How]]:
    """Return a run of the evaluation that gives another figure."""

    def done(pipeline: Scripted) -> dict[str, How]:
        pipeline.files[METRICS] = json.dumps({"auc": metrics, "rows": 10})
        pipeline.files["dvc.lock"] = pipeline.files["dvc.lock"].replace("m1", digest)
        return {"evaluate": "ran"}

    return done


def reproduced(*script: Callable[[Scripted], dict[str, How]], **order: object) -> tuple[Reproduced, Scripted]:
    """Run the room over a pipeline that claims an area of 0.8."""
    files = {"dvc.lock": lock("a1", "m1"), METRICS: json.dumps({"auc": 0.8, "rows": 10})}
    pipeline = Scripted(files, list(script))
    return run(pipeline, Order("c" * 40, **order)), pipeline  # type: ignore[arg-type]


def test_the_evaluation_is_run_in_any_case() -> None:
    """Although nothing is stale; and where it gives the same, all is well."""
    found, pipeline = reproduced(fresh, same, pull=True)
    assert found.verdict == Passed()
    assert pipeline.asked == [
        ("--no-run-cache", "--pull", "--allow-missing"),
        ("--no-run-cache", "--force", "--single-item", "evaluate"),
    ]
    assert pipeline.fetched == [["model"]]
    assert [(each.stage, each.how) for each in found.stages] == [("train", "unchanged"), ("evaluate", "verified")]


def test_forged_figures_are_found() -> None:
    """The reason names the figure, what was claimed, and what is true."""
    found, _ = reproduced(fresh, writes(0.7), pull=True)
    assert found.verdict == Failed((Reason.METRICS_FORGED,))
    assert "`auc` 0.8 in git, 0.7 computed" in found.violations[0].what


def test_last_digits_are_a_note() -> None:
    """Another processor; within the tolerance the figures agree."""
    found, _ = reproduced(fresh, writes(0.800001), pull=True)
    assert found.verdict == Passed()
    assert "bytes differ" in found.notes[0]


def test_a_stale_evaluation_is_not_run_twice() -> None:
    """A stage that ran anyway needs no second run."""
    found, pipeline = reproduced(lambda _: {"train": "ran", "evaluate": "ran"}, pull=True)
    assert found.verdict == Passed()
    assert len(pipeline.asked) == 1


def test_a_suspect_is_run_and_convicted() -> None:
    """A model of other bytes from the same inputs, which the stage does not give."""

    def another_model(pipeline: Scripted) -> dict[str, How]:
        pipeline.files["dvc.lock"] = pipeline.files["dvc.lock"].replace("md5: a1", "md5: a9", 1)
        return {"train": "ran", "evaluate": "ran"}

    found, pipeline = reproduced(fresh, another_model, pull=True, suspects=("train",))
    assert pipeline.asked[1][-2:] == ("train", "evaluate")
    assert found.verdict == Failed((Reason.LOCK_MISMATCH,))


def test_without_a_remote_everything_is_made_anew() -> None:
    """What the cache has comes from there; nothing is pulled."""
    found, pipeline = reproduced(fresh, same)
    assert found.rebuilt
    assert pipeline.asked[0] == ("checkout",)
    assert all("--pull" not in each for each in pipeline.asked)
    assert pipeline.fetched == []
    assert "--force" in reproduced(fresh, same, full=True)[1].asked[1]


def test_a_failed_stage_is_a_violation_and_a_busy_pipeline_an_error() -> None:
    """The change is refused for the one; the other says nothing about it."""
    found, _ = reproduced(lambda _: {"train": "failed"}, pull=True)
    assert found.verdict == Failed((Reason.STAGE_FAILED,))
    assert found.stages[0].how == "failed"

    def busy(_: Scripted) -> dict[str, How]:
        raise PipelineBusyError("busy", why="another", next="wait")

    with pytest.raises(PipelineBusyError):
        reproduced(busy, pull=True)


@pytest.mark.parametrize("claimed", ["", "no json", "{}", '{"auc": null, "rows": 10}', '{"auc": 0.8}'])
def test_missing_figures_are_forged_too(claimed: str) -> None:
    """Whatever git holds in their place."""
    pipeline = Scripted({"dvc.lock": lock("a1", "m1"), METRICS: claimed}, [fresh, writes(0.7)])
    assert run(pipeline, Order("c" * 40, pull=True)).verdict == Failed((Reason.METRICS_FORGED,))
