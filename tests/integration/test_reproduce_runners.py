"""Stages on two machines: outputs travel by the remote of DVC alone, and the result is that of one machine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.machines import LEVERS, PIPELINE, ROWS, Author, Machine, Phase, made
from tests.integration.shop import copied, finished

Left = dict[int, str]


@pytest.fixture(scope="module")
def author(tmp_path_factory: pytest.TempPathFactory) -> Author:
    """Return the repository that machines are clones of."""
    return made(tmp_path_factory.mktemp("runners"))


@pytest.fixture(scope="module")
def two(author: Author) -> tuple[Machine, Machine, Phase]:
    """Return the machines of the first two phases of a change of the rows, and how the second one ended."""
    author.propose("rows", **{"rows.csv": ROWS + "41,1\n"})
    small, gpu = author.machine("small", "rows"), author.machine("gpu", "rows")
    first = small.reproduce("--phase", "1/3")
    assert (first.needed, first.how["prepare"], first.reasons) == ([2], "ran", [])
    return small, gpu, gpu.reproduce("--phase", "2/3", left=first.left)


def test_three_machines_make_what_one_makes(author: Author, two: tuple[Machine, Machine, Phase]) -> None:
    """The lock is that of one `dvc repro` byte for byte; the stage of the other machine runs there alone."""
    small, gpu, second = two
    assert second.needed == []
    last = author.machine("last", "rows")
    third = last.reproduce("--phase", "3/3", left=second.left)
    assert third.how == {"prepare": "ran", "train": "ran", "evaluate": "ran"}, third
    assert (small.trained, gpu.trained, last.trained) == (0, 1, 0)
    assert all(stage["seconds"] > 0 for stage in third.result["stages"])  # those of other machines as well
    assert third.reasons == []
    assert "`train` ran on the runner `gpu`" in third.result["notes"]
    alone = author.whole("rows")
    assert last.repository.read("dvc.lock") == alone.read("dvc.lock")
    for path in ("metrics.json", "model.bin"):
        assert last.repository.read(path) == alone.read(path)


def test_a_machine_that_nothing_needs_is_not_started(author: Author) -> None:
    """A change that its stages do not read names no phase, and the last one runs all that is left."""
    author.propose("words", **{"README.md": "Words.\n", "dvc.yaml": PIPELINE.replace("cut -c1-6", "cut -c1-7")})
    small = author.machine("small-words", "words")
    first = small.reproduce("--phase", "1/3")
    assert (first.needed, set(first.how.values())) == ([], {"unchanged"})
    last = author.machine("last-words", "words").reproduce("--phase", "3/3", left=first.left)
    assert last.how == {"prepare": "unchanged", "train": "unchanged", "evaluate": "ran"}
    assert last.reasons == []


@pytest.mark.deep
def test_what_an_author_ran_is_verified_on_that_machine(author: Author) -> None:
    """Entries that are not the base's run again, each where it belongs; forged metrics are found at the end."""
    repository = author.propose("honest", **{"params.yaml": "rounds: 4\n"})
    repository.dvc("repro", "--no-run-cache")
    repository.dvc("push")
    repository.commit("Reproduced")
    repository.git("checkout", "--quiet", "-B", "forged")
    lock = repository.read("dvc.lock")
    repository.write("metrics.json", '{"accuracy":0.999}\n')
    repository.dvc("commit", "--force", "evaluate")
    assert repository.read("dvc.lock") != lock
    repository.commit("Better")
    gpu = author.machine("gpu-honest", "honest")
    second = gpu.reproduce(
        "--phase", "2/3", left=author.machine("small-honest", "honest").reproduce("--phase", "1/3").left
    )
    assert (gpu.trained, second.how["train"], second.reasons) == (1, "verified", [])
    last = author.machine("last-honest", "honest").reproduce("--phase", "3/3", left=second.left)
    assert (last.how["train"], last.how["evaluate"], last.reasons) == ("verified", "verified", [])
    left = {number: text.replace(_head(text), _commit(author, "forged")) for number, text in second.left.items()}
    last = author.machine("last-forged", "forged").reproduce("--phase", "3/3", left=left)
    assert last.reasons == ["metrics-forged"]


def _head(text: str) -> str:
    return str(json.loads(text)["head"])


def _commit(author: Author, branch: str) -> str:
    return author.repository.git("rev-parse", branch).strip()


def test_a_machine_that_was_lost_is_a_violation(author: Author, two: tuple[Machine, Machine, Phase]) -> None:
    """Nothing that reads its outputs runs; what would be without the phases before it: tests/workflows."""
    last = author.machine("lost", "rows")
    third = last.reproduce("--phase", "3/3", left={1: two[2].left[1]})
    assert third.reasons == ["not-judged"]
    assert "`train` did not run on the runner `gpu`" in third.result["violations"][0]["what"]
    assert third.how == {"prepare": "ran", "train": "unchanged", "evaluate": "unchanged"}
    assert last.trained == 0


def _edited(left: Left, number: int, edit: Callable[[dict[str, Any]], object]) -> Left:
    document = json.loads(left[number])
    edit(document)
    return left | {number: json.dumps(document)}


def _entry(old: str, new: str, stage: str = "train") -> Callable[[dict[str, Any]], None]:
    def edit(document: dict[str, Any]) -> None:
        assert old in document["entries"][stage]
        document["entries"][stage] = document["entries"][stage].replace(old, new)

    return edit


OTHER_BYTES = "path: train.csv\n      hash: md5\n      md5: "
FORGED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {  # more of them: tests/unit/test_handover.py
    "another commit": (lambda left: left.update(head="0" * 40), "ran another commit"),
    "another command": (_entry("cmd: echo", "cmd: touch /tmp/here; echo"), "is not one of what dvc.yaml defines"),
    "other inputs": (_entry(OTHER_BYTES, f"{OTHER_BYTES}{'ab' * 16} #"), "are not those of the files"),
    "an unknown field": (lambda left: left.update(more=1), "is not what Leverframe writes"),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_a_phase_could_not_have_left_is_refused(
    author: Author, two: tuple[Machine, Machine, Phase], name: str
) -> None:
    """No file is written, nothing runs, and the result of the lever says why."""
    edit, words = FORGED[name]
    last = author.machine("forged", "rows")
    third = last.reproduce("--phase", "3/3", left=_edited(two[2].left, 2, edit))
    assert third.reasons in (["not-judged"], ["settings-invalid"]), third
    assert words in third.result["violations"][0]["what"]
    assert third.result["stages"] == []
    assert last.repository.git("status", "--porcelain", "params.yaml", "dvc.yaml", "dvc.lock") == ""


def test_an_output_of_other_bytes_than_the_lock_has_is_refused(
    author: Author, two: tuple[Machine, Machine, Phase], tmp_path: Path
) -> None:
    """Whoever may write to the remote can put other bytes there: they are hashed, whatever DVC takes for verified."""
    digest = json.loads(two[2].left[2])["entries"]["train"].rpartition("md5: ")[2].split()[0]
    stored = author.folder / "store/files/md5" / digest[:2] / digest[2:]
    shutil.copy(stored, tmp_path / "kept")
    stored.chmod(0o644)
    stored.write_bytes(b"x" * stored.stat().st_size)
    stored.chmod(0o444)
    try:
        last = author.machine("spoilt", "rows")
        third = last.reproduce("--phase", "3/3", left=two[2].left)
    finally:
        stored.unlink()
        shutil.copy(tmp_path / "kept", stored)
    assert third.reasons == ["not-judged"]
    assert "model.bin: not in the remote, or not with the bytes of the lock" in third.result["violations"][0]["what"]
    assert last.repository.git("status", "--porcelain", "dvc.lock") == ""


@pytest.mark.usefixtures("two")
def test_a_workflow_with_other_phases_is_told_so(author: Author) -> None:
    """The line that renews it is printed; a commit without runners runs as ever, in the last phase."""
    first = author.machine("five", "rows").reproduce("--phase", "1/5")
    assert first.reasons == ["settings-invalid"]
    assert "`leverframe init --renew`" in first.result["violations"][0]["next"]
    author.propose("older", **{"leverframe.yaml": "report: {slices: 8}\n"})
    machine = author.machine("older", "older")
    assert machine.reproduce("--phase", "1/3").result["stages"] == []
    assert machine.reproduce("--phase", "3/3").how["evaluate"] == "verified"
    ended = author.machine("odd", "older").repository
    with pytest.raises(AssertionError, match="a phase is written as 2/3"):
        ended.run("leverframe", "reproduce", "--phase", "3/2")


def test_outputs_that_cannot_travel_stop_the_run(author: Author) -> None:
    """Without a shared remote, or where it takes nothing, the other machine is not started in vain."""
    rows = {"rows.csv": ROWS + "42,0\n"}
    author.propose("alone", **rows, **{".dvc/config": ""})
    first = author.machine("alone", "alone").reproduce("--phase", "1/3")
    assert (first.reasons, first.needed) == (["data-missing"], [])
    assert "no remote that is shared" in first.result["violations"][0]["what"]
    author.propose("full", **rows, **{".dvc/config": "[core]\n    remote = store\n['remote \"store\"']\n"
                                      f"    url = {author.folder / 'repository/dvc.yaml/below'}\n"})  # fmt: skip
    first = author.machine("full", "full").reproduce("--phase", "1/3")
    assert (first.reasons, first.needed) == (["data-missing"], [])
    assert "`prepare` were not pushed to the default remote" in first.result["violations"][0]["what"]
    last = author.machine("last-full", "full").reproduce("--phase", "3/3", left=first.left)
    assert last.reasons == ["data-missing"]


def test_training_that_is_not_deterministic_runs_twice_where_it_can(author: Author) -> None:
    """The last phase knows of it, and accuses nobody of a forgery; the metrics of one run are nobody's again."""
    random = PIPELINE.replace('echo "${rounds}', 'echo "$(od -An -N8 -tx8 /dev/urandom) ${rounds}')
    repository = author.propose("random", **{"dvc.yaml": random})
    repository.dvc("repro", "--no-run-cache")
    repository.dvc("push")
    repository.commit("Reproduced")
    gpu = author.machine("gpu-random", "random")
    second = gpu.reproduce(
        "--phase", "2/3", left=author.machine("small-random", "random").reproduce("--phase", "1/3").left
    )
    assert gpu.trained == 2
    last = author.machine("last-random", "random").reproduce("--phase", "3/3", left=second.left)
    assert last.reasons == ["not-deterministic"], last
    assert "`train`" in last.result["violations"][0]["what"]


@pytest.mark.deep
def test_outputs_travel_by_the_remote_that_is_named(author: Author) -> None:
    """A place of its own, which anybody who opens a pull request may write to, keeps the one of main as it is."""
    folder = author.folder / "travel"
    config = author.repository.git("show", "main:.dvc/config") + f"['remote \"travel\"']\n    url = {folder}\n"
    levers = LEVERS + "  remote: travel\n"
    author.propose("travel", **{"rows.csv": ROWS + "43,1\n", ".dvc/config": config, "leverframe.yaml": levers})
    before = sorted((author.folder / "store").rglob("*"))
    left: Left = {}
    for number in (1, 2, 3):
        phase = author.machine(f"travel-{number}", "travel").reproduce("--phase", f"{number}/3", left=left)
        left = phase.left
    assert phase.reasons == []
    assert sorted((author.folder / "store").rglob("*")) == before
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 2  # both copies of the rows, and the model


def test_a_stage_behind_one_that_wrote_the_same_does_not_run(tmp_path: Path) -> None:
    """On the other machine as on one: it is neither run nor verified, although its outputs are not there."""
    pipeline = """\
stages:
  train: {cmd: head -2 rows.csv > model.bin && echo train >> "$RAN", deps: [rows.csv], outs: [model.bin]}
  tune: {cmd: cp model.bin tuned.bin && echo tune >> "$RAN", deps: [model.bin], outs: [tuned.bin]}
  score: {cmd: "wc -c < tuned.bin > score.yaml", deps: [tuned.bin], outs: [{score.yaml: {cache: false}}]}
"""
    levers = "reproduce: {runners: {gpu: {stages: [train, tune], runs_on: gpu}}}\n"
    author = made(tmp_path, pipeline, levers, **{".gitignore": "/.leverframe/\n/model.bin\n/tuned.bin\n"})
    author.propose("rows", **{"rows.csv": ROWS + "45,1\n"})
    first = author.machine("first", "rows").reproduce("--phase", "1/3")
    assert (first.needed, set(first.how.values())) == ([2], {"unchanged"})
    gpu = author.machine("second", "rows")
    second = gpu.reproduce("--phase", "2/3", left=first.left)
    assert (gpu.trained, second.how["train"], second.how["tune"]) == (1, "ran", "unchanged")
    third = author.machine("third", "rows").reproduce("--phase", "3/3", left=second.left)
    assert (third.how, third.reasons) == ({"train": "ran", "tune": "unchanged", "score": "unchanged"}, [])


@pytest.mark.deep
def test_machines_may_alternate(tmp_path: Path) -> None:
    """Five phases, with an output of the second that git keeps; every stage once where it belongs, `--full` too."""
    pipeline = """\
stages:
  a: {cmd: cp rows.csv a.csv, deps: [rows.csv], outs: [a.csv]}
  b: {cmd: "wc -l < a.csv > b.txt && mkdir -p kept/in && cp a.csv kept/in/x && cp b.txt b.json", deps: [a.csv],
      outs: [b.txt, kept, {b.json: {cache: false}}]}
  c: {cmd: cat b.txt b.json kept/in/x > c.txt, deps: [b.txt, b.json, kept], outs: [c.txt]}
  d: {cmd: cp c.txt d.txt, deps: [c.txt], outs: [d.txt]}
  e: {cmd: "echo \\"{\\\\\\"n\\\\\\": $(wc -l < d.txt)}\\" > metrics.json", deps: [d.txt],
      metrics: [{metrics.json: {cache: false}}]}
"""
    levers = "reproduce: {runners: {gpu: {stages: [b, d], runs_on: gpu}}}\n"
    ignored = "/.leverframe/\n/a.csv\n/b.txt\n/kept\n/c.txt\n/d.txt\n"
    author = made(tmp_path, pipeline, levers, **{".gitignore": ignored})
    author.propose("rows", **{"rows.csv": ROWS + "44,0\n"})
    for branch, more in (("rows", []), ("main", ["--full"])):
        left: Left = {}
        for number in range(1, 6):
            machine = author.machine(f"{branch}-{number}", branch)
            phase = machine.reproduce("--phase", f"{number}/5", *(more if number == 1 else []), left=left)
            left = phase.left
            assert phase.needed == [2, 4][number // 2 :], (number, phase)
        assert phase.reasons == [], phase
        assert set(phase.how.values()) == {"ran"}
        alone = author.whole(branch)
        assert machine.repository.read("dvc.lock") == alone.read("dvc.lock")


@pytest.mark.deep
def test_a_case_trains_on_another_machine(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Its reports travel as files, its tables and models by the remote; the lock is that of one machine."""
    shop = copied(finished(tmp_path_factory), tmp_path)
    config = f"[core]\n    remote = store\n['remote \"store\"']\n    url = {tmp_path / 'store'}\n"
    shop.repository.write(".dvc/config", config)
    shop.repository.write("leverframe.yaml", "reproduce: {runners: {gpu: {stages: [train], runs_on: gpu}}}\n")
    shop.repository.dvc("push")
    shop.repository.commit("A remote, and a runner")
    author = Author(shop.repository, tmp_path)
    params = shop.repository.read("params.yaml").replace("iterations: 5", "iterations: 6")
    author.propose("trees", **{"params.yaml": params})
    left: Left = {}
    for number in (1, 2, 3):
        machine = author.machine(f"case-{number}", "trees")
        phase = machine.reproduce("--phase", f"{number}/3", left=left)
        left = phase.left
    assert phase.reasons == [], phase
    assert (phase.how["train"], phase.how["evaluate"], phase.how["bundle"]) == ("ran", "ran", "ran")
    alone = author.whole("trees")
    assert machine.repository.read("dvc.lock") == alone.read("dvc.lock")
    assert machine.repository.read("reports/metrics.json") == alone.read("reports/metrics.json")
