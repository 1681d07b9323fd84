"""A stale lock, missing data and a lock that does not match are three things with three remedies."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from leverframe.domain.pipeline.status.reasons import Finding, PipelineStatus, StageStatus, StaleReason, State
from leverframe.domain.pipeline.status.resolved import Artefact, ParameterFile, Recorded, Stage
from leverframe.domain.review.check import (
    Checked,
    all_suspects,
    always_notes,
    data_violations,
    lock_violations,
    refused,
    run,
    suspects,
    uncommitted_notes,
)
from leverframe.domain.review.dvc_settings import edited
from leverframe.domain.review.pushed import Pushed, RequiredOutput
from leverframe.domain.review.tracked_data import heavy_notes
from leverframe.domain.verdict import Failed, Passed, Reason
from leverframe.errors import DefinitionError, LeakError, LeverframeError, SettingsError

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
    violations = lock_violations(status(State.CHANGED, Finding(StaleReason.PARAMETER_CHANGED, "train.depth", "1", "2")))
    assert [violation.reason for violation in violations] == [Reason.LOCK_STALE]
    assert "train.depth: 1 -> 2" in violations[0].what
    assert violations[0].next.startswith("`dvc repro")
    assert Checked("c", tuple(violations)).verdict == Failed((Reason.LOCK_STALE,))


def test_a_report_that_is_not_what_the_lock_says_is_a_mismatch() -> None:
    """A file of git that was edited by hand; cached data that differ are merely stale."""
    edited = lock_violations(status(State.CHANGED, Finding(StaleReason.OUTPUT_CHANGED, REPORT.path)))
    assert [violation.reason for violation in edited] == [Reason.LOCK_MISMATCH]
    assert "dvc repro -f -s train" in edited[0].next
    other = lock_violations(status(State.CHANGED, Finding(StaleReason.OUTPUT_CHANGED, MODEL.path)))
    assert [violation.reason for violation in other] == [Reason.LOCK_STALE]


def test_data_that_nobody_pushed() -> None:
    """They are counted, and few are named."""
    assert data_violations([], "store") == []
    (violation,) = data_violations([f"data/{n}" for n in range(9)], "store")
    assert violation.reason is Reason.DATA_MISSING
    assert "lacks 9 outputs" in violation.what
    assert "and 4 more" in violation.what
    assert "dvc push" in violation.next


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
        violation = refused(kind("what", why="why", next="next"))
        assert (violation.reason, violation.what, violation.next) == (reason, "what: why", "next")


def test_the_verdict_for_a_terminal() -> None:
    """Two lines a violation, then what was not looked at."""
    report = Checked("c", tuple(data_violations(["data/a"], "store")), notes=("no remote",))
    assert report.lines()[0] == "check failed"
    assert report.lines()[1].startswith("data-missing: ")
    assert report.lines()[2].startswith("  next: run `dvc push`")
    assert report.lines()[3] == "note: no remote"


@dataclass
class Tree:
    """A change as the test wants it; what is looked at is written down."""

    files: dict[str, tuple[str, str]] = field(default_factory=dict)  # by path: before, now
    faults: dict[str, LeverframeError] = field(default_factory=dict)
    answer: Pushed = field(default_factory=Pushed)
    looked: list[str] = field(default_factory=list)
    revealing: list[str] = field(default_factory=list)

    has_case: bool = True
    config: str = ".dvc/config"

    def head(self) -> str:
        return "c"

    def before(self, path: str) -> str:
        return self.files.get(path, ("", ""))[0]

    def now(self, path: str) -> str:
        return self.files.get(path, ("", ""))[1]

    def changed(self) -> dict[str, str]:
        return {path: "M" for path, (before, now) in self.files.items() if before != now}

    def uncommitted(self) -> list[str]:
        return []

    def read_settings(self) -> None:
        self._look("settings")

    def check_rules(self) -> None:
        self._look("rules")

    def check_definition(self) -> None:
        self._look("definition")

    def undeclared(self) -> list[str]:
        return self.revealing

    def status(self) -> PipelineStatus:
        self._look("status")
        return status(State.FRESH)

    def tracked(self) -> list[str]:
        return [REPORT.path]

    def untracked(self, paths: object) -> list[str]:
        raise AssertionError(paths)  # the stage reads nothing

    def git_ignores(self, path: str) -> bool:
        raise AssertionError(path)

    def heavy(self) -> list[str]:
        return []

    def pushed(self, outputs: object) -> Pushed:
        self._look("remote")
        assert outputs == [RequiredOutput(MODEL.path, Recorded("abc", 5))]
        return self.answer

    def _look(self, what: str) -> None:
        self.looked.append(what)
        if what in self.faults:
            raise self.faults[what]


PARAMS = "data: {first: 1}\nfeatures: {a: 1}\ntrain: {estimator: a}\nevaluate: {seed: 0}\n"


@pytest.mark.parametrize(
    ("path", "before", "now", "looked"),
    [
        ("README.md", "a", "b", []),
        ("leverframe.yaml", "gate: {}", "gate: {seed: 1}", ["settings", "rules"]),
        ("params.yaml", PARAMS, PARAMS.replace("seed: 0", "seed: 1"), ["settings"]),
        ("params.yaml", PARAMS, PARAMS.replace("first: 1", "first: 2"), ["settings", "definition"]),
        ("params.yaml", PARAMS, PARAMS.replace("estimator: a", "estimator: b"), ["settings", "definition"]),
        ("params.yaml", PARAMS, "data: [", ["settings", "definition"]),
        ("knobs.py", "RATE = 1", "RATE = 2", ["settings", "definition"]),
        ("case/star.yaml", "a", "b", ["settings", "definition"]),
    ],
)
def test_only_what_a_change_can_have_altered_is_looked_at(path: str, before: str, now: str, looked: list[str]) -> None:
    """Settings where a file of them changed, the definition where what it is derived from did; the lock always."""
    change = Tree({path: (before, now)})
    assert run(change).verdict == Passed()
    assert change.looked == [*looked, "status", "remote"]


def test_invalid_settings_end_the_check_and_are_its_reason() -> None:
    """What follows reads the settings as well, so nothing else is said."""
    fault = SettingsError("unknown setting", why="nobody reads it", next="remove it")
    change = Tree({"params.yaml": (PARAMS, "data: [")}, {"settings": fault})
    assert run(change).verdict == Failed((Reason.SETTINGS_INVALID,))
    assert change.looked == ["settings"]


def test_a_lock_that_cannot_be_read_is_the_fault_of_the_change() -> None:
    """It is a violation, not an error of the command."""
    change = Tree(faults={"status": DefinitionError("cannot determine the state", why="conflict", next="merge it")})
    assert run(change).verdict == Failed((Reason.DEFINITION_INVALID,))


def test_data_are_looked_for_in_the_remote_and_a_note_says_where_that_was_impossible() -> None:
    """Passed with a note, or failed with what is missing."""
    unseen = run(Tree(answer=Pushed(notes=["`store` does not answer"])))
    assert unseen.verdict == Passed()
    assert unseen.notes == ("`store` does not answer",)
    lacking = run(Tree(answer=Pushed({"store": [MODEL.path], "other": ["x"]})))
    assert lacking.verdict == Failed((Reason.DATA_MISSING,))
    assert ["`store`" in violation.what for violation in lacking.violations] == [True, False]
    assert run(Tree()).notes == ()


def test_columns_that_nobody_declared_are_noted_where_declarations_changed() -> None:
    """Not again in every change, and not beside what is invalid."""
    star = {"pipelines/shop/star.yaml": ("a", "b")}
    assert "late" in run(Tree(star, revealing=["late"])).notes
    assert "late" not in run(Tree({"README.md": ("a", "b")}, revealing=["late"])).notes
    broken: dict[str, LeverframeError] = {"definition": DefinitionError("what", why="why", next="next")}
    assert "late" not in run(Tree(star, broken, revealing=["late"])).notes


def test_settings_of_dvc_that_a_change_edits_are_noted_without_their_values() -> None:
    """Where data come from, and that nobody verifies them any more; an address may hold a password."""
    before = "[core]\n    remote = storage\n['remote \"storage\"']\n    url = s3://ours\n    verify = true\n"
    after = before.replace("s3://ours", "https://me:hunter2@theirs").replace("verify = true", "verify = false")
    assert edited(before, before) == ()
    assert edited(before, after) == (
        "this change edits `remote.storage.url` in `.dvc/config`: data come from another place",
        "this change edits `remote.storage.verify` in `.dvc/config`: "
        "data of the remote are no longer verified by their digests",
    )
    removed = edited(before, before.replace("    verify = true\n", ""))
    assert removed == (
        "this change removes `remote.storage.verify` in `.dvc/config`: "
        "data of the remote are no longer verified by their digests",
    )
    assert edited("", "[core]\n    autostage = true\n") == ("this change adds `core.autostage` in `.dvc/config`",)
    many = edited("", "[core]\n" + "".join(f"    key{number} = 1\n" for number in range(9)))
    assert (len(many), many[-1]) == (6, "4 more settings of `.dvc/config` are edited")
    assert edited(before, "no section\n")[0].startswith("this change removes")


def test_a_pipeline_of_ones_own_has_no_settings_but_those_of_levers() -> None:
    """Whatever its `params.yaml` and code become: these are the user's; a rule is looked at where a lever's file is."""
    for path in ("params.yaml", "train.py", "dvc.yaml", "star.yaml"):
        change = Tree({path: ("train: {seed: 1}", "train: [")}, has_case=False)
        assert run(change).verdict == Passed()
        assert change.looked == ["status", "remote"]
    levers = Tree({"leverframe.yaml": ("", "gate: {}")}, has_case=False)
    assert run(levers).verdict == Passed()
    assert levers.looked == ["settings", "rules", "status", "remote"]


def test_remedies_name_the_files_of_the_stage() -> None:
    """Its lock, wherever that is, and what git keeps of its outputs; nothing that only Leverframe's stages have."""
    outputs = (Artefact("eval/out.json", "out.json"), Artefact("eval/model.bin", "model.bin", cached=True))
    stage = Stage("eval/dvc.yaml:test", "eval/dvc.yaml", "run", outputs=outputs)

    def found(reason: StaleReason, subject: str) -> tuple[str, str]:
        state = PipelineStatus((StageStatus(stage, State.CHANGED, (Finding(reason, subject),)),))
        (violation,) = lock_violations(state)
        return violation.what, violation.next

    assert found(StaleReason.COMMAND_CHANGED, "cmd")[1] == (
        "`dvc repro --recursive . && git add eval/dvc.lock eval && git commit -m 'Reproduce'`"
    )
    what, following = found(StaleReason.OUTPUT_CHANGED, "eval/out.json")
    assert what == "`eval/out.json` in git does not match `eval/dvc.lock`"
    assert following == "run `dvc repro -f -s eval/dvc.yaml:test`; commit what it writes, and `eval/dvc.lock`"


def test_the_remedy_commits_the_edits_that_made_a_lock_stale() -> None:
    """Without them the lock would be stale for everybody else; what no stage reads is nobody's concern here."""
    stage = replace(
        STAGE,
        dependencies=(Artefact("src/net", "src/net", cached=False),),
        parameters=(ParameterFile("params.yaml", "params.yaml", ("train",)),),
    )
    finding = Finding(StaleReason.PARAMETER_CHANGED, "train.depth", "1", "2")
    state = PipelineStatus((StageStatus(stage, State.CHANGED, (finding,)),))
    edits = ["README.md", "dvc.lock", "params.yaml", "reports/metrics.json", "src/net/my layers.py"]
    (violation,) = lock_violations(state, uncommitted=edits)
    assert violation.next == (
        "`dvc repro && git add params.yaml 'src/net/my layers.py' dvc.lock reports && git commit -m 'Reproduce'`"
    )


def test_every_lock_has_suspects() -> None:
    """By the names that DVC gives stages from the root."""
    change = Tree({"dvc.lock": (lock("a"), lock("b")), "eval/dvc.lock": (lock("a"), lock("b"))})
    names = [("train", "dvc.yaml"), ("eval/dvc.yaml:other", "eval/dvc.yaml")]
    stages = tuple(StageStatus(Stage(name, file, "run"), State.FRESH) for name, file in names)
    assert all_suspects(change, PipelineStatus(stages)) == ("train", "eval/dvc.yaml:train")


def test_large_files_in_git_are_noted() -> None:
    """The largest first."""
    assert heavy_notes({}) == []
    (note,) = heavy_notes({"a.csv": 11_000_000, "b.parquet": 52_000_000})
    assert "`b.parquet` (52 MB), `a.csv` (11 MB)" in note
    assert "dvc add" in note


def test_a_stage_that_always_runs_is_a_note() -> None:
    """No commit can make it fresh, so it is no violation; what else is against it is."""
    stage = Stage("clock", "dvc.yaml", "date", outputs=(MODEL,), always_changed=True)
    always, edited = Finding(StaleReason.ALWAYS_RUNS, "clock"), Finding(StaleReason.COMMAND_CHANGED, "cmd", "a", "b")
    state = PipelineStatus((StageStatus(stage, State.CHANGED, (always,)),))
    assert lock_violations(state) == []
    assert always_notes(state)[0].startswith("clock: runs always")
    assert always_notes(status(State.FRESH)) == []
    (stale,) = lock_violations(PipelineStatus((StageStatus(stage, State.CHANGED, (always, edited)),)))
    assert stale.reason is Reason.LOCK_STALE


@pytest.mark.parametrize(
    ("edited", "named"),
    [
        (["README.md", "models.py"], ""),
        (["params.yaml"], "`git add params.yaml`"),
        (["dvc.yaml", "dvc.lock"], "`git add dvc.yaml dvc.lock`"),
        (["src/net/layers.py", "README.md"], "`git add src/net/layers.py`"),
    ],
)
def test_edits_that_no_commit_has_are_named_where_locks_are_of_them(edited: list[str], named: str) -> None:
    """A lock that is fresh here is stale in a pull request without the parameters that it is of."""
    stage = replace(
        STAGE,
        dependencies=(Artefact("src/net", "src/net", cached=False),),
        parameters=(ParameterFile("params.yaml", "params.yaml", ("train",)),),
    )
    notes = uncommitted_notes(PipelineStatus((StageStatus(stage, State.FRESH),)), edited)
    assert (len(notes), named in "".join(notes)) == (bool(named), True)
