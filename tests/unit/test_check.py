"""A stale lock, missing data and a lock that does not match are three things with three remedies."""

from __future__ import annotations

from leverframe.domain.pipeline.status.reasons import Finding, PipelineStatus, StageStatus, StaleReason, State
from leverframe.domain.pipeline.status.resolved import Artefact, Recorded, Stage
from leverframe.domain.review.check import Checked, data_violations, kept_elsewhere, lock_violations, refused, suspects
from leverframe.domain.verdict import Failed, Passed, Reason
from leverframe.errors import DefinitionError, LeakError, SettingsError

REPORT = Artefact("reports/metrics.json", "reports/metrics.json", cached=False)
MODEL = Artefact("models/model.skops", "models/model.skops", cached=True)
STAGE = Stage("train", "dvc.yaml", "run", outputs=(REPORT, MODEL))


def status(state: State, *findings: Finding) -> PipelineStatus:
    """Return the status of one stage."""
    return PipelineStatus((StageStatus(STAGE, state, findings),), recorded={MODEL.path: Recorded("abc", 5)})


def lock(output: str, parameter: int = 1) -> str:
    """Return a lock of one stage."""
    return (
        f"schema: '2.0'\nstages:\n  train:\n    cmd: run\n    params:\n      params.yaml:\n        train: {parameter}\n"
        f"    outs:\n    - path: models/model.skops\n      hash: md5\n      md5: {output}\n      size: 5\n"
    )


def test_a_fresh_lock_has_nothing_against_it() -> None:
    """Data that are not here are no fault."""
    assert lock_violations(status(State.FRESH)) == []
    assert lock_violations(status(State.MISSING, Finding(StaleReason.OUTPUT_ABSENT, MODEL.path))) == []
    assert Checked("c").verdict == Passed()


def test_a_stale_stage_is_named_with_its_reason_and_the_command() -> None:
    """What changed, from what to what, and what to run."""
    found = lock_violations(status(State.CHANGED, Finding(StaleReason.PARAMETER_CHANGED, "train.depth", "1", "2")))
    assert [each.reason for each in found] == [Reason.LOCK_STALE]
    assert "train.depth: 1 -> 2" in found[0].what
    assert found[0].next.startswith("`dvc repro")
    assert Checked("c", tuple(found)).verdict == Failed((Reason.LOCK_STALE,))


def test_a_report_that_is_not_what_the_lock_says_is_a_mismatch() -> None:
    """A file of git that was edited by hand; cached data that differ are merely stale."""
    edited = lock_violations(status(State.CHANGED, Finding(StaleReason.OUTPUT_CHANGED, REPORT.path)))
    assert [each.reason for each in edited] == [Reason.LOCK_MISMATCH]
    assert "dvc repro -f -s train" in edited[0].next
    other = lock_violations(status(State.CHANGED, Finding(StaleReason.OUTPUT_CHANGED, MODEL.path)))
    assert [each.reason for each in other] == [Reason.LOCK_STALE]


def test_data_that_nobody_pushed() -> None:
    """Each cached output must be elsewhere; what git holds need not."""
    assert kept_elsewhere(status(State.FRESH), {MODEL.path: Recorded("abc", 5), REPORT.path: Recorded("d", 1)}) == {
        MODEL.path: Recorded("abc", 5)
    }
    assert data_violations([], "store") == []
    (found,) = data_violations([f"data/{n}" for n in range(9)], "store")
    assert found.reason is Reason.DATA_MISSING
    assert "lacks 9 outputs" in found.what
    assert "and 4 more" in found.what
    assert "dvc push" in found.next


def test_other_outputs_from_the_same_inputs_are_suspect() -> None:
    """A changed parameter explains another output; nothing changed does not."""
    assert suspects(lock("a"), lock("a")) == ()
    assert suspects(lock("a"), lock("b", parameter=2)) == ()
    assert suspects(lock("a"), lock("b")) == ("train",)
    assert suspects("", lock("b")) == ()


def test_errors_of_definitions_are_violations() -> None:
    """Each kind has its reason."""
    for kind, reason in (
        (SettingsError, Reason.SETTINGS_INVALID),
        (LeakError, Reason.LEAK_FOUND),
        (DefinitionError, Reason.DEFINITION_INVALID),
    ):
        found = refused(kind("what", why="why", next="next"))
        assert (found.reason, found.what, found.next) == (reason, "what: why", "next")


def test_the_verdict_for_a_terminal() -> None:
    """Two lines a violation, then what was not looked at."""
    found = Checked("c", tuple(data_violations(["data/a"], "store")), notes=("no remote",))
    assert found.lines()[0] == "check failed"
    assert found.lines()[1].startswith("data-missing: ")
    assert found.lines()[2].startswith("  next: run `dvc push`")
    assert found.lines()[3] == "note: no remote"
