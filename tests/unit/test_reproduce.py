"""What is run to find out whether a change says the truth, and what the differences mean."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.pipeline.status.lock import entries
from leverframe.domain.pipeline.status.resolved import Locked, Recorded
from leverframe.domain.review.reproduce import How, Reproduced, RunOptions, StageRun, run
from leverframe.domain.review.same_outputs import SameModel, State, alike, differences, in_order
from leverframe.domain.verdict import Failed, Passed, Reason
from leverframe.errors import PipelineBusyError, PipelineError
from leverframe.settings.params import TrainSettings

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
    tables: dict[str, float] = field(default_factory=dict)

    def repro(self, *arguments: str) -> None:
        self.asked.append(arguments)
        done = self.script.pop(0)(self) if self.script else {}  # then it gives what it gave
        self.ended += [StageRun(name, how, 1.0) for name, how in done.items()]
        if "failed" in done.values():
            raise PipelineError("stage `train` failed", why="no data", next="look")

    def checkout(self) -> None:
        self.asked.append(("checkout",))

    def fetch(self, paths: Sequence[str]) -> None:
        self.fetched.append(paths)

    def lock(self) -> dict[str, Locked]:
        return entries(self.files.get("dvc.lock", ""), "dvc.lock")

    def texts(self, paths: Sequence[str]) -> dict[str, str]:
        return {
            name: text
            for name, text in self.files.items()
            if any(name == path or name.startswith(f"{path}/") for path in paths)
        }

    def same_table(self, path: str, claimed: Recorded, tolerance: float) -> bool | None:
        """A table is one number here; the cache has those that the test names by digest."""
        ours, theirs = self.tables.get(claimed.md5), self.tables.get(self.now(path))
        return None if ours is None or theirs is None else abs(ours - theirs) <= tolerance

    def same_model(self, path: str, claimed: Recorded, tolerance: float) -> SameModel | None:
        """A model predicts one number here, as the test has it by digest, for each of ten rows."""
        if claimed.md5 not in self.tables or self.now(path) not in self.tables:
            return None
        ours, theirs = self.tables[claimed.md5], self.tables[self.now(path)]
        return SameModel(10, 0 if abs(ours - theirs) <= tolerance else 10, abs(ours - theirs))

    def now(self, path: str) -> str:
        """Return the digest of an output."""
        known = entries(self.files["dvc.lock"], "").values()
        return next(entry.outputs[path].md5 for entry in known if path in entry.outputs)

    def runs(self) -> list[StageRun]:
        runs, self.ended = self.ended, []
        return runs


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
    order.setdefault("base", entries(files["dvc.lock"], ""))
    return run(pipeline, RunOptions("c" * 40, **order)), pipeline  # type: ignore[arg-type]


def test_the_evaluation_is_run_in_any_case() -> None:
    """Although nothing is stale; and where it gives the same, all is well."""
    rerun, pipeline = reproduced(fresh, same, pull=True)
    assert rerun.verdict == Passed()
    assert pipeline.asked == [
        ("--no-run-cache", "--pull", "--allow-missing"),
        ("--no-run-cache", "--force", "--single-item", "evaluate"),
    ]
    assert pipeline.fetched == [["model"]]
    assert [(run.stage, run.how) for run in rerun.stages] == [("train", "unchanged"), ("evaluate", "verified")]


def test_forged_figures_are_found() -> None:
    """The reason names the figure, what was claimed, and what is true."""
    rerun, _ = reproduced(fresh, writes(0.7), pull=True)
    assert rerun.verdict == Failed((Reason.METRICS_FORGED,))
    assert "`auc` 0.8 in git, 0.7 computed" in rerun.violations[0].what


def test_what_a_failed_run_left_is_told_with_the_way_back() -> None:
    """The next `git commit --all` would commit it; where nothing was written there is nothing to tell."""
    left = "this folder has what the run wrote"
    flags = [any(left in note for note in rerun.notes) for rerun in (
        reproduced(fresh, writes(0.7), pull=True)[0], reproduced(fresh, same, pull=True)[0],
        reproduced(fresh, writes(0.800001), pull=True)[0],
    )]  # fmt: skip
    assert flags == [True, False, False]


def test_a_stage_that_ran_stays_one_that_ran() -> None:
    """A later command of the same run finds it done; its time counts for each time that it ran."""
    rerun, pipeline = unseeded(0.9)
    runs = {run.stage: (run.how, run.seconds) for run in rerun.stages}
    assert len(pipeline.asked) > 2
    assert runs["train"] == ("ran", 3.0)
    assert "2 of 2 stages ran" in rerun.lines()[0]


def test_last_digits_are_a_note() -> None:
    """Another processor; within the tolerance the figures agree."""
    rerun, _ = reproduced(fresh, writes(0.800001), pull=True)
    assert rerun.verdict == Passed()
    assert rerun.notes == (
        f"the bytes differ from `dvc.lock`, all numbers agree within 0.0001: `{METRICS}` of `evaluate`",
    )


def test_a_stale_evaluation_is_not_run_twice() -> None:
    """A stage that ran anyway needs no second run."""
    rerun, pipeline = reproduced(lambda _: {"train": "ran", "evaluate": "ran"}, pull=True)
    assert rerun.verdict == Passed()
    assert len(pipeline.asked) == 1


def test_a_suspect_is_run_and_convicted() -> None:
    """A model of other bytes from the same inputs, which the stage does not give."""

    def another_model(pipeline: Scripted) -> dict[str, How]:
        pipeline.files["dvc.lock"] = pipeline.files["dvc.lock"].replace("md5: a1", "md5: a9", 1)
        return {"train": "ran", "evaluate": "ran"}

    rerun, pipeline = reproduced(fresh, another_model, pull=True, base=entries(lock("a0", "m1"), ""))
    assert pipeline.asked[1][-2:] == ("train", "evaluate")
    assert rerun.verdict == Failed((Reason.LOCK_MISMATCH,))


def test_without_a_remote_everything_is_made_anew() -> None:
    """What the cache has comes from there; nothing is pulled."""
    rerun, pipeline = reproduced(fresh, same)
    assert rerun.rebuilt
    assert pipeline.asked[0] == ("checkout",)
    assert all("--pull" not in arguments for arguments in pipeline.asked)
    assert pipeline.fetched == []
    assert "--force" in reproduced(fresh, same, full=True)[1].asked[1]


def test_a_failed_stage_is_a_violation_and_a_busy_pipeline_an_error() -> None:
    """The change is refused for the one; the other says nothing about it."""
    rerun, _ = reproduced(lambda _: {"train": "failed"}, pull=True)
    assert rerun.verdict == Failed((Reason.STAGE_FAILED,))
    assert rerun.stages[0].how == "failed"

    def busy(_: Scripted) -> dict[str, How]:
        raise PipelineBusyError("busy", why="another", next="wait")

    with pytest.raises(PipelineBusyError):
        reproduced(busy, pull=True)


@pytest.mark.parametrize("claimed", ["", "no json", "{}", '{"auc": null, "rows": 10}', '{"auc": 0.8}'])
def test_missing_figures_are_forged_too(claimed: str) -> None:
    """Whatever git holds in their place."""
    pipeline = Scripted({"dvc.lock": lock("a1", "m1"), METRICS: claimed}, [fresh, writes(0.7)])
    assert run(pipeline, RunOptions("c" * 40, pull=True)).verdict == Failed((Reason.METRICS_FORGED,))


Step = Callable[[Scripted], dict[str, How]]
CHAIN = {  # outputs of each stage in the lock, and what it reads
    "build": ("data/features.parquet", ()),
    "validate": ("reports/profiles/a.json", ("data/features.parquet",)),
    "train": ("models/model.skops", ("data/features.parquet",)),
    "evaluate": (METRICS, ("models/model.skops", "data/features.parquet")),
    "plots": ("reports/plots", ("models/model.skops",)),
    "snapshot": ("data/snapshot.bin", ("data/features.parquet",)),
    "contract": ("reports/contracts/b.json", ("data/features.parquet",)),
    "parity": ("reports/parity.json", ("data/snapshot.bin",)),
}


def chain(digests: dict[str, str], parameter: int = 1, changed: Sequence[str] = ()) -> str:
    """Return a lock in which every output has a digest: `x` where none is given; ``changed`` stages have a setting."""

    def recorded(path: str) -> str:
        return f"    - path: {path}\n      hash: md5\n      md5: {digests.get(path, 'x')}\n      size: 1\n"

    text = "schema: '2.0'\nstages:\n"
    for name, (output, inputs) in CHAIN.items():
        value = f"{parameter}, changed" if name in changed else parameter
        text += f"  {name}:\n    cmd: {name}\n    params:\n      params.yaml:\n        {name}: {value}\n"
        text += "".join(["    deps:\n", *map(recorded, inputs)]) if inputs else ""
        text += f"    outs:\n{recorded(output)}"
    return text


FILES = {
    METRICS: json.dumps({"auc": 0.8, "rows": 10}),
    "reports/profiles/a.json": json.dumps({"rows": 10, "mean": 3.25}),
    "reports/contracts/b.json": json.dumps({"rows": 10, "broken": 0}),
    "reports/parity.json": json.dumps({"rows": 10, "differing": 0}),
    "reports/plots/roc.csv": "fpr,tpr\n0.0,0.0\n0.25,0.75\n1.0,1.0\n",
    "reports/plots/note.md": "model `0123456789abcdef0123456789abcdef` of 10 rows\n",
}


def runs_all(*other: str, **texts: str) -> Step:
    """Return a run of every stage that writes other bytes for some outputs; texts are named by their last part."""

    def done(pipeline: Scripted) -> dict[str, How]:
        pipeline.files["dvc.lock"] = chain(dict.fromkeys(other, "y"))
        pipeline.files.update({name: texts[PurePath(name).stem] for name in FILES if PurePath(name).stem in texts})
        return dict.fromkeys(CHAIN, "ran")

    return done


def whole(step: Step, *, full: bool = True, tables: dict[str, float] | None = None, **claimed: str) -> Reproduced:
    """Return what a run of every stage says of a lock in which all outputs have the digest `x`."""
    files = {name: claimed.get(PurePath(name).stem, text) for name, text in FILES.items()}
    pipeline = Scripted({"dvc.lock": chain({}), **files}, [step], tables=tables or {})
    return run(pipeline, RunOptions("c" * 40, full=full, pull=True))


FEATURES, MODEL, PLOTS = "data/features.parquet", "models/model.skops", "reports/plots"
EVERYTHING = tuple(output for output, _ in CHAIN.values())
PERFECT = json.dumps({"auc": 1.0, "rows": 10})


def test_a_full_run_that_finds_everything_as_claimed_says_nothing() -> None:
    """No violation and no note."""
    rerun = whole(runs_all())
    assert (rerun.verdict, rerun.notes) == (Passed(), ())


@pytest.mark.parametrize("full", [True, False])
def test_metrics_are_compared_although_the_stages_before_wrote_other_bytes(full: bool) -> None:
    """The first stage writes other bytes, so all later ones have other inputs; what is claimed is still not true."""
    rerun = whole(runs_all(*EVERYTHING, metrics=json.dumps({"auc": 0.9108, "rows": 10})), full=full, metrics=PERFECT)
    assert rerun.verdict == Failed((Reason.METRICS_FORGED,))
    assert "`auc` 1.0 in git, 0.9108 computed" in rerun.violations[0].what
    assert "dvc repro -f -s evaluate" in rerun.violations[0].next
    assert not any(METRICS in note for note in rerun.notes if "agree" in note)


def test_a_full_run_goes_on_behind_the_first_stage_that_differs() -> None:
    """Every output is listed, with what is known of it: nothing that nobody read is called equal."""
    rerun = whole(
        runs_all(
            FEATURES, MODEL, PLOTS, METRICS, "data/snapshot.bin",
            metrics=json.dumps({"auc": 0.8000001, "rows": 10}),
            roc=FILES["reports/plots/roc.csv"].replace("0.25", "0.5"),
            note="model `ffffffffffffffffffffffffffffffff` of 10 rows\n",
        )
    )  # fmt: skip
    assert rerun.verdict == Failed((Reason.LOCK_MISMATCH,))
    assert "`reports/plots/roc.csv` of `plots`" in rerun.violations[0].what
    assert rerun.lines()[1] == "every output of these stages was compared, whatever became of its inputs"
    assert rerun.notes[:2] == (
        f"the bytes differ from `dvc.lock`, all numbers agree within 0.0001: `{METRICS}` of `evaluate`",
        "the bytes differ from `dvc.lock`, and the contents were not compared: `data/features.parquet` of `build`; "
        "`models/model.skops` of `train`; `data/snapshot.bin` of `snapshot`; and 1 more",
    )


@pytest.mark.parametrize(
    ("outputs", "texts", "path"),
    [
        (["reports/profiles/a.json"], {"a": '{"rows": 10, "mean": 3.75}'}, "reports/profiles/a.json"),
        ([PLOTS], {"roc": "fpr,tpr\n0.0,0.0\n0.0,1.0\n"}, "reports/plots/roc.csv"),
        ([PLOTS], {"note": "model of 11 rows\n"}, "reports/plots/note.md"),
        ([], {"a": '{"rows": 11, "mean": 3.25}'}, "reports/profiles/a.json"),  # the lock has the true digest
    ],
)
def test_a_report_that_its_inputs_do_not_give_is_a_mismatch(
    outputs: list[str], texts: dict[str, str], path: str
) -> None:
    """Written by hand, from the same inputs: whoever runs the stage reads it."""
    for full in (True, False):
        rerun = whole(runs_all(*outputs, **texts), full=full)
        assert rerun.verdict == Failed((Reason.LOCK_MISMATCH,))
        assert path in rerun.violations[0].what


@pytest.mark.parametrize(("made", "how"), [("b1", []), ("b2", ["bytes"])])
def test_texts_of_what_dvc_keeps_are_not_compared_where_it_was_not_here(made: str, how: list[str]) -> None:
    """A checkout without cache and remote has no bundle: its digest alone tells whether the stage wrote the same."""
    path, text = "models/bundle", {"models/bundle/MANIFEST.json": "{}"}
    claimed, wrote = ({"bundle": Locked("run", {}, {}, {path: Recorded(f"{md5}.dir")})} for md5 in ("b1", made))
    changes = differences(State(claimed, {}), State(wrote, text), {"bundle"}, 1e-4, Scripted({}, []))
    assert [(difference.path, difference.how) for difference in changes] == [(path, word) for word in how]


def test_last_digits_of_a_report_are_a_note() -> None:
    """Another processor, in any number of any text."""
    rerun = whole(runs_all("reports/profiles/a.json", a='{"rows": 10, "mean": 3.2500001}'))
    assert rerun.verdict == Passed()
    assert "all numbers agree" in rerun.notes[0]


@pytest.mark.parametrize("full", [True, False])
def test_models_of_other_bytes_are_compared_by_their_predictions(full: bool) -> None:
    """The same ones are a note, and excuse nothing behind them; others are a mismatch with figures."""
    alike = whole(runs_all(MODEL), full=full, tables={"x": 0.5, "y": 0.50001})
    assert alike.verdict == Passed()
    note = "the bytes differ from `dvc.lock`, the predictions agree within 0.0001"
    assert alike.notes == (f"{note}: `{MODEL}` of `train` (on 10 rows)",)
    behind = whole(
        runs_all(MODEL, PLOTS, note="model of 11 rows\n"), full=full, tables={"x": 0.5, "y": 0.5}
    )  # fmt: skip
    assert behind.verdict == Failed((Reason.LOCK_MISMATCH,))
    rerun = whole(runs_all(MODEL), full=full, tables={"x": 0.5, "y": 0.75})
    assert rerun.verdict == Failed((Reason.LOCK_MISMATCH,))
    words = "`models/model.skops` of `train` (predictions differ on 10 of 10 rows, by up to 0.25)"
    assert words in rerun.violations[0].what
    assert "dvc repro -f -s train" in rerun.violations[0].next


def test_stages_that_did_not_run_are_named_as_not_compared() -> None:
    """A frozen evaluation: its metrics are not called the same."""

    def frozen(pipeline: Scripted) -> dict[str, How]:
        runs_all(FEATURES, MODEL)(pipeline)
        return {name: "unchanged" if name == "evaluate" else "ran" for name in CHAIN}

    def ended(_: Scripted) -> dict[str, How]:
        return {"evaluate": "unchanged"}

    pipeline = Scripted({"dvc.lock": chain({}), **FILES}, [frozen, ended])
    rerun = run(pipeline, RunOptions("c" * 40, full=True, pull=True))
    assert "the metrics were not compared: their stage did not run, or its inputs changed" in rerun.notes
    assert "not compared, as the stages did not run: `evaluate`" in rerun.notes
    assert not any("agree" in note for note in rerun.notes)


def test_a_full_run_that_fails_still_compares_what_ran() -> None:
    """The failure is not the only thing that is wrong."""

    def breaks(pipeline: Scripted) -> dict[str, How]:
        runs_all("reports/profiles/a.json", a="{}")(pipeline)
        return {"build": "ran", "validate": "ran", "train": "failed"}

    rerun = whole(breaks)
    assert rerun.verdict == Failed((Reason.STAGE_FAILED, Reason.LOCK_MISMATCH))
    assert any("`evaluate`" in note for note in rerun.notes if "did not run" in note)


def test_metrics_of_a_changed_setting_are_not_compared_with_those_of_before() -> None:
    """An honest change whose stages nobody ran: the metrics in git are those of before, and nothing is claimed."""

    def changed(pipeline: Scripted) -> dict[str, How]:
        runs_all(*EVERYTHING, metrics=json.dumps({"auc": 0.9, "rows": 10}))(pipeline)
        pipeline.files["dvc.lock"] = chain(dict.fromkeys(EVERYTHING, "y"), parameter=2)
        return dict.fromkeys(CHAIN, "ran")

    assert whole(changed, full=False).verdict == Passed()
    assert whole(changed).verdict == Failed((Reason.METRICS_FORGED,))


@pytest.mark.parametrize("setting", ["train", "evaluate", "build"])
def test_a_full_run_compares_whatever_the_inputs_became(setting: str) -> None:
    """A setting is edited, the lock still has that of before: a figure of 0.9108 that is claimed to be 1.0 is found.

    So is a report; a run of what changed cannot tell it from an honest change whose stages nobody ran.
    """

    def changed(pipeline: Scripted) -> dict[str, How]:
        computed = json.dumps({"auc": 0.9108, "rows": 10})
        runs_all(*EVERYTHING, metrics=computed, a=json.dumps({"rows": 9, "mean": 3.25}))(pipeline)
        pipeline.files["dvc.lock"] = chain(dict.fromkeys(EVERYTHING, "y"), changed=[setting])
        return dict.fromkeys(CHAIN, "ran")

    rerun = whole(changed, metrics=PERFECT)
    assert rerun.verdict == Failed((Reason.METRICS_FORGED, Reason.LOCK_MISMATCH))
    assert "`auc` 1.0 in git, 0.9108 computed" in rerun.violations[0].what
    assert "`reports/profiles/a.json`" in rerun.violations[1].what
    assert rerun.full


def forged(
    changed: str, claimed: dict[str, str], truth: dict[str, str], tables: dict[str, float] | None = None, **texts: str
) -> tuple[Reproduced, Scripted]:
    """Run a change that edits the setting of one stage and writes its lock by hand; ``texts`` are what is true."""

    def nothing(_: Scripted) -> dict[str, How]:
        return dict.fromkeys(CHAIN, "unchanged")

    def computes(pipeline: Scripted) -> dict[str, How]:
        pipeline.files["dvc.lock"] = chain(truth, changed=[changed])
        pipeline.files.update({name: texts[PurePath(name).stem] for name in FILES if PurePath(name).stem in texts})
        arguments = pipeline.asked[-1]
        return dict.fromkeys(arguments[arguments.index("--single-item") + 1 :], "ran")

    def follows(_: Scripted) -> dict[str, How]:
        return {name: "ran" if {truth.get(path) for path in CHAIN[name][1]} - {None} else "unchanged" for name in CHAIN}

    files = {"dvc.lock": chain(claimed, changed=[changed]), **FILES}
    pipeline = Scripted(files, [nothing, computes, follows], tables=tables or {})
    return run(pipeline, RunOptions("c" * 40, pull=True, base=entries(chain({}), ""))), pipeline


WORSE = json.dumps({"auc": 0.7, "rows": 10})


@pytest.mark.parametrize(
    ("changed", "claimed", "truth", "texts", "reason"),
    [
        pytest.param("train", {MODEL: "h"}, {MODEL: "t"}, {"metrics": WORSE}, Reason.METRICS_FORGED, id="on-holdout"),
        pytest.param("train", {}, {MODEL: "t"}, {"metrics": WORSE}, Reason.METRICS_FORGED, id="setting-without-a-run"),
        pytest.param("build", {FEATURES: "flipped"}, {FEATURES: "y"}, {}, Reason.LOCK_MISMATCH, id="labels-flipped"),
        pytest.param("build", {}, {FEATURES: "y"}, {}, Reason.LOCK_MISMATCH, id="declaration-without-a-run"),
        pytest.param("validate", {}, {}, {"a": '{"rows": 11, "mean": 3.25}'}, Reason.LOCK_MISMATCH, id="profile"),
        pytest.param("contract", {}, {}, {"b": '{"rows": 10, "broken": 4}'}, Reason.LOCK_MISMATCH, id="contract"),
        pytest.param("parity", {}, {}, {"parity": '{"rows": 10, "differing": 4}'}, Reason.LOCK_MISMATCH, id="parity"),
        pytest.param("plots", {}, {}, {"roc": "fpr,tpr\n0.0,0.0\n"}, Reason.LOCK_MISMATCH, id="plot"),
    ],
)  # fmt: skip
def test_a_changed_input_excuses_no_output(
    changed: str, claimed: dict[str, str], truth: dict[str, str], texts: dict[str, str], reason: Reason
) -> None:
    """`dvc commit --force` beside any edited setting makes a consistent lock; only running the stage tells."""
    rerun, pipeline = forged(changed, claimed, truth, {"x": 1.0, "y": 2.0, "flipped": 1.5}, **texts)
    assert changed in pipeline.asked[1]
    assert rerun.verdict == Failed((reason,))


def test_an_honest_change_passes_and_runs_no_stage_of_the_base() -> None:
    """Only what the base has not so runs again, writers first, and once."""
    made = {MODEL: "t", METRICS: "mt", PLOTS: "pt"}
    rerun, pipeline = forged("train", made, made)
    assert (rerun.verdict, rerun.notes) == (Passed(), ())
    assert pipeline.asked[1:] == [("--no-run-cache", "--force", "--single-item", "train", "evaluate", "plots")]


@pytest.mark.parametrize(
    ("tables", "note"),
    [
        ({"c": 1.0, "y": 1.00001}, "all numbers agree within 0.0001: `data/features.parquet` of `build`"),
        ({"y": 1.0}, "the contents were not compared: `data/features.parquet` of `build`"),
    ],
)
def test_a_table_of_other_bytes_is_read_where_the_cache_has_what_is_claimed(
    tables: dict[str, float], note: str
) -> None:
    """Last digits are a note; so is a table that nobody can read, which is never called equal."""
    rerun, pipeline = forged("build", {FEATURES: "c"}, {FEATURES: "y"}, tables)
    assert rerun.verdict == Passed()
    assert any(note in sentence for sentence in rerun.notes)
    assert FEATURES in pipeline.fetched[0]


def test_a_table_of_other_bytes_and_the_same_values_excuses_no_report() -> None:
    """Who writes the table anew with the same values cannot write the report of it by hand."""
    rerun, _ = forged(
        "build", {FEATURES: "c"}, {FEATURES: "y"}, {"c": 1.0, "y": 1.0}, a='{"rows": 11, "mean": 3.25}'
    )  # fmt: skip
    assert rerun.verdict == Failed((Reason.LOCK_MISMATCH,))
    assert "reports/profiles/a.json" in rerun.violations[0].what


@given(names=st.permutations(list(CHAIN)))
def test_stages_run_after_those_whose_outputs_they_read(names: list[str]) -> None:
    """In whatever order the lock has them."""
    known = entries(chain({}), "")
    order = in_order({name: known[name] for name in names}, names)
    writers = {output: name for name, (output, _) in CHAIN.items()}
    assert sorted(order) == sorted(CHAIN)
    assert all(order.index(writers[path]) < order.index(name) for name in order for path in CHAIN[name][1])


@given(number=st.floats(-1e9, 1e9), factor=st.sampled_from([0.0, 1e-7, 1e-2]))
def test_texts_are_alike_up_to_last_digits_of_their_numbers(number: float, factor: float) -> None:
    """Whatever the number and however it is written; another word is another text."""
    one, other = (json.dumps({"name": "a1", "value": value}) for value in (number, number * (1 + factor)))
    assert alike(one, other, 1e-4) is (factor < 1e-4 or abs(number) * factor <= 1e-4)
    assert not alike(one, other.replace("a1", "b1"), 1e-4)
    assert not alike(one, other + "x", 1e-4)


def trained(number: int, *, metrics: float | None = None) -> Step:
    """Return a run that trains a model of its own, and evaluates it where that gives a metric."""

    def done(pipeline: Scripted) -> dict[str, How]:
        pipeline.files["dvc.lock"] = lock(f"a{number}", f"m{number}")
        if metrics is not None:
            pipeline.files[METRICS] = json.dumps({"auc": metrics, "brier": metrics / 7, "rows": 10})
        return {"train": "ran", **({} if metrics is None else {"evaluate": "ran"})}

    return done


def unseeded(metrics: float, **declared: float) -> tuple[Reproduced, Scripted]:
    """Run a training that gives another model each time, whose third evaluation gives a metric; 0.8 is in git."""
    return reproduced(trained(2, metrics=0.7), trained(3), trained(3, metrics=metrics), declared=declared, pull=True)


def test_unseeded_training_is_told_from_a_forgery() -> None:
    """The stage is run twice; the remedy is a seed, or a tolerance of the base branch."""
    rerun, pipeline = unseeded(0.79)
    assert rerun.verdict == Failed((Reason.NOT_DETERMINISTIC,))
    assert "two runs of `train` from the same inputs give different outputs" in rerun.violations[0].what
    assert "`auc` 0.8 in git, 0.79 computed" in rerun.violations[0].what
    assert "`params: {random_state: 0}` and `threads: 1` below `train`" in rerun.violations[0].next
    TrainSettings.model_validate({"estimator": "a:b", "params": {"random_state": 0}, "threads": 1})  # as it says
    assert "reproduce: {tolerance:" in rerun.violations[0].next
    assert pipeline.asked[1] == ("--no-run-cache", "--force", "--single-item", "train", "evaluate")
    assert pipeline.asked[2] == ("--no-run-cache", "--pull", "--allow-missing")


def test_a_forged_metric_of_a_seeded_training_stays_one() -> None:
    """A second run gives what the first one gave, whatever is declared."""
    for declared in ({}, {"auc": 0.5}):
        rerun, _ = reproduced(trained(2, metrics=0.7), lambda _: {"train": "ran"}, declared=declared, pull=True)
        assert rerun.verdict == Failed((Reason.METRICS_FORGED,))


@pytest.mark.parametrize(("metric", "passes"), [(0.78, True), (0.82, True), (0.77, False), (0.9, False)])
def test_a_declared_tolerance_decides_where_training_is_not_deterministic(metric: float, passes: bool) -> None:
    """Within it the change passes with a note, beyond it fails; metrics without one are not compared, and named so."""
    rerun, _ = unseeded(metric, auc=0.02)
    assert (rerun.verdict == Passed()) is passes
    if passes:
        assert any("within `reproduce.tolerance`: `auc` 0.8 in git" in note for note in rerun.notes)
        assert any("other metrics were not compared" in note for note in rerun.notes)
    else:
        assert rerun.verdict == Failed((Reason.NOT_DETERMINISTIC,))
        assert "at most 0.02 apart allowed" in rerun.violations[0].what


def test_a_tolerance_for_a_metric_that_nobody_computes_fails() -> None:
    """A misspelled name would let everything pass."""
    assert unseeded(0.8, acu=1.0)[0].verdict == Failed((Reason.NOT_DETERMINISTIC,))


def test_a_model_that_differs_by_itself_is_no_mismatch_where_metrics_agree() -> None:
    """Threads move last digits of a model; its lock does not accuse anybody."""
    rerun, _ = reproduced(
        trained(2, metrics=0.8),
        trained(3),
        trained(3, metrics=0.8),
        base=entries(lock("a0", "m1"), ""),
        pull=True,
        declared={"auc": 0.1},
    )
    assert rerun.verdict == Passed()
