"""`leverframe retrain` in a pipeline of one's own: real git, real DVC, and a world that changes at a known day."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from leverframe.adapters.git import Git
from leverframe.application.retrain_watch import serves_since
from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from leverframe.domain.monitoring.monitor_result import ReleaseMarker
from leverframe.domain.retraining.pulls.pull_state import StandingBranch, branch_of
from leverframe.files import md5
from leverframe.settings.pipeline import PredictionsRole
from tests.fakes.monitored import quiet
from tests.integration import own_pipeline
from tests.integration.own_pipeline import NOW
from tests.integration.shop import Ended, Shop, alive, copied, wait_for

ROLE = PredictionsRole(path="predictions.csv", kind="binary")
BRANCH = "refs/leverframe/retrain/churn"
FOLDER = Path(".leverframe/monitor/local")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The one repository of this module; nobody may change it."""
    return own_pipeline.made(tmp_path_factory.mktemp("own"))


@pytest.fixture
def own(finished: Shop, tmp_path: Path) -> Shop:
    """A copy for one test."""
    return copied(finished, tmp_path)


def retrain(shop: Shop, *options: str, **how: Any) -> Ended:
    return shop.run("retrain", "--as-of", NOW, *options, **how)


def tried(shop: Shop) -> list[dict[str, Any]]:
    """Return the recorded attempts."""
    path = shop.root / FOLDER / "retrain.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def outcome(shop: Shop, *options: str) -> tuple[str, str]:
    """Retrain, and return what the only attempt came to, and why."""
    ended = retrain(shop, *options)
    assert ended.code == 0, ended.stderr
    assert tidy(shop)
    (attempt,) = tried(shop)
    return attempt["outcome"], attempt["why"]


def tidy(shop: Shop) -> bool:
    """Tell whether nothing is left of a run: no work folder, no process, no change of the working tree."""
    work = shop.root / ".leverframe/retrain/work"
    left = [process for process in psutil.process_iter(["cwd"]) if str(process.info["cwd"]).startswith(str(work))]
    return not work.exists() and not left and not shop.repository.git("status", "--porcelain")


def everything(root: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in root.rglob("*") if path.is_file()}


def changed_data(shop: Shop, change: Callable[[list[str]], list[str]]) -> None:
    """Change the rows and merge them, the champion staying what it is where its rows do."""
    lines = shop.repository.read("rows.csv").splitlines()
    shop.repository.write("rows.csv", "\n".join([lines[0], *change(lines[1:])]) + "\n")
    shop.repository.dvc("repro")
    shop.repository.commit("Other rows")


def settings(shop: Shop, more: str) -> None:
    shop.replace("leverframe.yaml", "retrain:\n", f"retrain:\n{more}")
    shop.repository.commit("Other settings")


def test_a_better_candidate_is_kept_and_nothing_is_tried_twice(own: Shop) -> None:
    """One attempt with figures; the working tree, however dirty, is neither read nor changed."""
    own.repository.write("train.py", "raise SystemExit('somebody works on this')\n")
    own.repository.write("notes.txt", "mine")
    own.replace("leverframe.yaml", "model: churn", "model: other")
    dirty, head = own.repository.git("status", "--porcelain"), own.repository.git("rev-parse", "HEAD")
    ended = retrain(own, "--json")
    assert ended.code == 0, ended.stderr
    report = json.loads(ended.stdout)
    attempt = report["attempt"]
    assert (report["verdict"], attempt["outcome"]) == ("passed", "better")
    assert attempt["window"] == {
        "train_first": "2026-01-01", "train_last": "2026-03-31", "holdout_first": "2026-04-01",
        "holdout_last": "2026-04-28",
    }  # fmt: skip
    comparison = attempt["comparison"]
    assert (comparison["metric"], comparison["labelled"], comparison["days"]) == ("auc", 672, 28)
    assert comparison["metrics"][0]["low"] > 0
    assert own.repository.git("status", "--porcelain") == dirty
    assert own.repository.git("rev-parse", "HEAD") == head
    assert not (own.root / ".leverframe/retrain/work").exists()
    shown = own.repository.git("show", "--format=%an %s", "--stat", BRANCH)
    assert shown.startswith("leverframe Train on the window that ends in 2026-03-31\n")
    assert "config/split.yaml" in shown
    assert "train.py" not in shown
    assert own.repository.git("rev-parse", f"{BRANCH}^") == head
    page, metrics = (own.repository.read(str(FOLDER / name)) for name in ("dashboard.html", "metrics.prom"))
    assert "<h2>Retraining</h2>" in page
    assert 'outcome="better"} 1' in metrics
    again = retrain(own)
    assert "cooling down" in again.stdout
    assert len(tried(own)) == 1
    forced = retrain(own, "--force", "--dry-run")  # only a person gets the same again
    assert "a candidate is due" in forced.stdout


@pytest.mark.deep
def test_without_a_change_there_is_nothing_to_propose_as_better(own: Shop) -> None:
    """More rows of the same world: no ready pull request, however the monitor cried."""
    changed_data(own, lambda _: own_pipeline.rows(None).splitlines()[1:])
    assert outcome(own)[0] in ("not-worse", "undecided")


def test_a_worse_candidate_is_recorded_and_not_kept(own: Shop) -> None:
    """The world changed for a month and back: a candidate of that month is worse, and the next one waits longer."""
    before = own_pipeline.rows(None).splitlines()[1:]
    changed_data(
        own, lambda rows: [old if old[:7] == "2026-04" else row for old, row in zip(before, rows, strict=True)]
    )
    settings(own, "  window: {policy: sliding, days: 31}\n")
    result, why = outcome(own)
    assert result == "worse"
    assert "fell by" in why
    assert BRANCH not in own.repository.git("for-each-ref")
    waiting = own.run("retrain", "--as-of", "2026-05-08T05:00Z")
    assert "14 days, as 1 in a row did not help" in waiting.stdout or "unmonitored" in waiting.stdout


@pytest.mark.deep
def test_a_person_is_asked_for_after_three_that_did_not_help(own: Shop) -> None:
    """On the dashboard, in a note, and where alerts are kept, once."""
    own.replace("predict.py", "import csv", "raise SystemExit('no memory left')\nimport csv")
    own.repository.commit("A mistake")
    outputs = [retrain_at(own, at) for at in ("2026-04-29T05:00Z", "2026-04-29T06:00Z", "2026-04-29T07:00Z")]
    assert ["a person should look" in output for output in outputs] == [False, False, True]
    (alert,) = json.loads(own.repository.read(str(FOLDER / "alerts.json")))["issues"]
    assert (alert["title"], alert["labels"]) == ("[churn/local] retraining does not help", ["needs-human"])
    assert "no memory left" in alert["body"]
    assert "A person should look at this model." in own.repository.read(str(FOLDER / "dashboard.html"))
    assert "retrain_needs_human" in own.repository.read(str(FOLDER / "metrics.prom"))
    retrain_at(own, "2026-04-29T08:00Z")
    assert len(json.loads(own.repository.read(str(FOLDER / "alerts.json")))["issues"]) == 1


def retrain_at(shop: Shop, at: str) -> str:
    ended = shop.run("retrain", "--as-of", at, "--force")
    assert ended.code == 0, ended.stderr
    return ended.stdout


@pytest.mark.deep
def test_a_base_that_lost_its_gate_proposes_nothing_as_better(own: Shop) -> None:
    """The rules of before are in force, as they are for a pull request, and that they are gone is a violation."""
    levers = own.repository.read("leverframe.yaml")
    before, _, after = levers.partition("gate:\n")
    rest = after.splitlines(keepends=True)
    while rest and rest[0].startswith((" ", "-")):
        rest.pop(0)
    own.repository.write("leverframe.yaml", before + "".join(rest))
    own.repository.commit("No gate")
    result, _ = outcome(own)
    assert result != "better"
    (attempt,) = tried(own)
    assert any("`gate` is no longer in" in violation for violation in attempt["comparison"]["violations"])


@pytest.mark.deep
def test_too_few_labels_are_no_failure(own: Shop) -> None:
    """Labels of most rows are not known yet."""

    def late(rows: list[str]) -> list[str]:
        return [row[: row.rindex(",") + 1] if row[:7] == "2026-04" and row[8:10] > "20" else row for row in rows]

    changed_data(own, late)
    result, why = outcome(own)
    assert result == "too-few-labels"
    assert "480 rows with a label. Required: 500." in why


def test_broken_data_are_not_learnt(own: Shop) -> None:
    """A stage that finds a violated contract says so with its exit code, and its words are recorded."""
    changed_data(own, lambda rows: [row.replace("Z,", "Z,99,", 1) if row[:10] == "2026-04-10" else row for row in rows])
    result, why = outcome(own)
    assert result == "broken-data"
    assert why.startswith("stage `prepare` failed: x1 of 2026-04-10T00:00:00Z is out of range: nobody is that tall")


def test_a_stage_that_fails_is_a_failed_attempt(own: Shop) -> None:
    """Of whatever kind; with the exit code when it is asked for."""
    own.replace("predict.py", "import csv", "raise SystemExit('no memory left')\nimport csv")
    own.repository.commit("A mistake")
    ended = retrain(own, "--exit-code")
    assert ended.code == 30
    (attempt,) = tried(own)
    assert attempt["outcome"] == "failed"
    assert "stage `predict` failed" in attempt["why"]
    assert "no memory left" in attempt["why"]
    assert "no memory left" in own.repository.read(".leverframe/retrain/repro.log")  # the work folder is gone
    assert tidy(own)


@pytest.mark.deep
def test_other_rows_cannot_be_paired(own: Shop) -> None:
    """A pipeline that drops rows by what it learnt compares apples with pears."""
    dropping = "        if abs(float(row['x1'])) > 2 * abs(one):\n            continue\n"
    own.replace("predict.py", "        score =", f"{dropping}        score =")
    own.repository.commit("Predict some rows alone")
    result, why = outcome(own)
    assert result == "failed"
    assert "the two runs predicted other rows: predictions.csv has" in why


def test_a_dry_run_writes_nothing(own: Shop) -> None:
    """It says why, on which rows, and what would be done."""
    before = everything(own.root)
    ended = retrain(own, "--dry-run")
    assert everything(own.root) == before
    assert "trained on 2026-01-01 to 2026-03-31, judged on 2026-04-01 to 2026-04-28" in ended.stdout


@pytest.mark.parametrize(
    ("findings", "at", "standstill", "words"),
    [
        ((Finding(Kind.SCHEMA, "x1", Severity.CRITICAL, "2026-04-28", "2026-04-28", "`x1` is in cm.", "fix"),),
         "2026-04-29T04:00:00+00:00", "broken-data", "a candidate would learn the fault"),
        ((Finding(Kind.DRIFT, "other", Severity.INFO, "2026-04-28", "2026-04-28", "`other` moved.", "see"),),
         "2026-04-29T04:00:00+00:00", "quiet", "no finding of performance"),
        ((), "2026-04-20T04:00:00+00:00", "unmonitored", "is 9 days old"),
    ],
)  # fmt: skip
def test_what_does_not_call_for_a_candidate(
    own: Shop, findings: tuple[Finding, ...], at: str, standstill: str, words: str
) -> None:
    """Broken data, nothing that matters, or a monitor that is silent: nothing is trained, and why is told."""
    own_pipeline.noticed(own, *findings, at=at)
    ended = retrain(own, "--json")
    report = json.loads(ended.stdout)
    assert (report["verdict"], report["attempt"], report["waiting"]["standstill"]) == ("skipped", None, standstill)
    assert words in report["waiting"]["why"]
    assert tried(own) == []


def start(shop: Shop, **more: str) -> subprocess.Popen[str]:
    """Start a run for real, in a process that a test may kill."""
    return subprocess.Popen(
        [sys.executable, "-m", "leverframe", "retrain", "--as-of", NOW],
        cwd=shop.root,
        env={**cold(shop), **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def cold(shop: Shop) -> dict[str, str]:
    inherited = dict(shop.repository.environment)
    inherited["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return inherited


def until(process: subprocess.Popen[str], words: str) -> Iterator[str]:
    assert process.stderr is not None
    for line in process.stderr:
        yield line
        if words in line:
            return
    raise AssertionError(f"it ended without {words!r}")


@pytest.mark.deep
@pytest.mark.parametrize("words", ["checking", "running the pipeline:", "keep"])
def test_a_run_that_is_killed_is_as_if_it_had_not_been(own: Shop, words: str) -> None:
    """After any of its steps: nothing goes on, and the next run leaves one attempt, one branch and no folder."""
    killed = start(own)
    list(until(killed, words))
    children = psutil.Process(killed.pid).children(recursive=True)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    wait_for(lambda: not alive(children))
    ended = retrain(own)
    assert ended.code == 0, ended.stderr
    assert [attempt["outcome"] for attempt in tried(own)] == ["better"]
    assert own.repository.git("rev-list", "--count", f"HEAD..{BRANCH}").strip() == "1"
    assert tidy(own)


@pytest.mark.deep
def test_two_at_once_and_a_kill_within_a_stage(own: Shop, tmp_path: Path) -> None:
    """The second run is refused at once; a script that knows nothing of Leverframe ends with the first."""
    hold = tmp_path / "hold"
    hold.touch()
    first = start(own, HOLD=str(hold))
    wait_for(lambda: hold.with_suffix(".pid").exists() and hold.with_suffix(".pid").read_text())
    script = psutil.Process(int(hold.with_suffix(".pid").read_text()))
    second = retrain(own)
    assert second.code == 40
    assert second.error()[0] == "another run trains the model anew"
    first.send_signal(signal.SIGKILL)
    first.wait()
    wait_for(lambda: not alive([script]))
    hold.unlink()
    assert outcome(own)[0] == "better"


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("  params:\n    file: config/split.yaml\n    period: day\n    train_first: split.train_first\n"
         "    train_last: split.train_last\n    holdout_first: split.holdout_first\n"
         "    holdout_last: split.holdout_last\n", "  auto: propose\n", "does not say how to move the training window"),
        ("split.train_last", "split.train_end", "there is no `split.train_end` in config/split.yaml"),
        ("config/split.yaml", "config/other.yaml", "has no config/other.yaml"),
        ("  params:\n", "  metric: aux\n  params:\n", "`retrain.metric: aux` is no metric"),
        ("period: day", "period: month", "`2026-01-31` is not a partition"),
        ("  params:\n    file: config/split.yaml\n    period: day\n    train_first: split.train_first\n",
         "  window: {policy: sliding}\n  params:\n    file: config/split.yaml\n", "moves the first training row"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_are_named(own: Shop, old: str, new: str, what: str) -> None:
    """The sentence says which file of which commit, and what to write there."""
    own.replace("leverframe.yaml", old, new)
    own.repository.commit("Other settings")
    ended = retrain(own)
    assert ended.code == 10
    assert what in ended.error()[0]


@pytest.mark.deep
def test_a_detached_shallow_clone_will_do(own: Shop, tmp_path: Path) -> None:
    """As a runner of CI has it."""
    clone = tmp_path / "clone"
    own.repository.git("clone", "--quiet", "--depth=1", f"file://{own.root}", str(clone))
    shop = Shop(replace(own.repository, root=clone))
    shop.repository.git("checkout", "--quiet", "--detach")
    (clone / FOLDER).mkdir(parents=True)
    (clone / FOLDER / "monitor.json").write_bytes((own.root / FOLDER / "monitor.json").read_bytes())
    (clone / ".dvc/config.local").write_text(f"[cache]\n    dir = {own.root / '.dvc/cache'}\n")
    assert outcome(shop)[0] == "better"


@pytest.mark.deep
def test_a_folder_of_a_larger_repository_and_two_parameters_will_do(own: Shop, tmp_path: Path) -> None:
    """The commit has the whole repository; without a parameter for the first row, that never moves."""
    own.replace("leverframe.yaml", "    train_first: split.train_first\n", "")
    top = tmp_path / "larger"
    shutil.copytree(own.root, top / "models/churn", symlinks=True)
    shutil.rmtree(top / "models/churn/.git")
    whole = replace(own.repository, root=top)
    (top / "README.md").write_text("A larger one.\n")
    whole.git("init", "--quiet", "--initial-branch=main", "--template=")
    whole.commit("All of it")
    shop = Shop(replace(own.repository, root=top / "models/churn"))
    assert outcome(shop)[0] == "better"
    branch = branch_of("refs/leverframe/retrain/{model}", "models/churn/churn")  # another folder may have a `churn` too
    assert whole.git("for-each-ref", "--format=%(refname)", "refs/leverframe/retrain").split() == [branch]
    changed = whole.git("diff", "--name-only", "HEAD", branch).split()
    assert changed == ["models/churn/config/split.yaml", "models/churn/dvc.lock"]
    assert "train_first: '2026-01-01'" in shop.repository.git("show", f"{branch}:./config/split.yaml")
    assert tried(shop)[0]["window"]["train_first"] == ""


def test_a_full_disk_is_no_attempt(own: Shop) -> None:
    """It says nothing of the candidate, so nothing is recorded, and the next run tries again."""
    ended = retrain(own, limit=4096)
    assert ended.code in (17, 18, 19)
    ended.error()
    assert tried(own) == []
    assert tidy(own)


def test_lines_that_cannot_be_read_are_told(own: Shop) -> None:
    """They do not count, and the run goes on."""
    own.repository.write(str(FOLDER / "retrain.jsonl"), '{"model": "churn"\n')
    ended = retrain(own, "--dry-run")
    assert ended.code == 0, ended.stderr
    assert "1 line of retrain.jsonl cannot be read" in ended.stdout


def test_releases_of_the_same_model_go_on_with_it(own: Shop) -> None:
    """The champion serves since the first of them; a release whose commit is not known is another model."""
    git, head = Git(own.root), own.repository.git("rev-parse", "HEAD").strip()
    own.repository.write("notes.txt", "a release of the same model")
    again = own.repository.commit("Notes")
    workspace: Any = SimpleNamespace(git=git)
    base: Any = SimpleNamespace(champion=md5(own.root / "predictions.csv"), own=SimpleNamespace(role=ROLE))
    there = StandingBranch("x", "main", head, "", ours=False)
    for commits, begins in (
        (("", head, again), "02"), ((head, "", again), "03"), ((again, head, ""), "03"), ((head, again), "01"),
        (("--help", "f" * 40), "02"), ((), ""),
    ):  # fmt: skip
        markers = tuple(
            ReleaseMarker(f"2026-04-0{day}T00:00:00+00:00", str(day), commit, "")
            for day, commit in enumerate(commits, 1)
        )
        since = serves_since(workspace, base, there, replace(quiet(), releases=markers))
        assert (since.strftime("%d") if since else "") == begins, commits
