"""A warm `dvc` is the installed one without its start: what it writes is the same to the byte."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psutil
import pytest

from leverframe.local.repository import TemporaryRepository
from tests.integration.shop import wait_for
from tests.warm import WarmRepository, costs_of, warm

FILE = Path(__file__).relative_to(Path(__file__).parents[2]).as_posix()  # as pytest names it
SETTINGS = "wide: {name: \"it's 5: a, b\", when: 12:30, none: ~, flag: yes, list: [1, 2.50, 1e-3], text: '0123'}\n"
STAGE = """
  {name}:
    cmd: "cp {reads} {name}.txt && echo '{word}' >> {name}.txt"
    deps: [{reads}]
    params: [{params}]
    outs: [{name}.txt]
"""


def locked(repository: TemporaryRepository, params: str) -> str:
    """Run three stages, change what the second reads, run again, and return the lock file."""
    repository.write("params.yaml", SETTINGS)
    repository.write("start.txt", "start\n")
    names, reads = ("first", "second", "third"), ("start.txt", "first.txt", "second.txt")
    for word in ("one", "two #2"):
        stages = (STAGE.format(name=a, reads=b, word=word, params=params) for a, b in zip(names, reads, strict=True))
        repository.write("dvc.yaml", "stages:" + "".join(stages))
        repository.dvc("repro")
        repository.write("params.yaml", SETTINGS.replace("1e-3", "1e-4"))
    return repository.read("dvc.lock")


@pytest.mark.parametrize(("params", "anchors"), [("wide", 0), ("wide, wide.list", 3)])
def test_a_warm_dvc_writes_what_the_installed_one_writes(tmp_path: Path, params: str, anchors: int) -> None:
    """Settings of every kind, also one at two places; several stages, and a second run over the file of the first."""
    warm = locked(WarmRepository.create(tmp_path / "warm"), params)
    cold = locked(TemporaryRepository.create(tmp_path / "cold"), params)
    assert warm == cold
    assert "third" in warm
    assert warm.count("&id") == anchors


def test_what_a_warm_program_computes_is_a_cost_of_its_test(tmp_path: Path) -> None:
    """Also where DVC starts it, as a stage: no child of this process, yet counted."""
    repository = WarmRepository.create(tmp_path)
    repository.write("dvc.yaml", "stages: {told: {cmd: leverframe --version > told.txt, outs: [told.txt]}}\n")
    before = costs_of(os.environ).get(FILE, 0.0)
    repository.run("leverframe", "--version")
    alone = costs_of(os.environ)[FILE]
    repository.dvc("repro")
    assert "leverframe" in repository.read("told.txt")
    assert 0 <= before < alone < costs_of(os.environ)[FILE]


def test_a_program_that_cannot_start_says_why(tmp_path: Path) -> None:
    """It ends as Python does, also before it is what was asked for."""
    ended = warm().run("leverframe", ["--version"], tmp_path / "gone", os.environ)
    assert ended.returncode == 1
    assert "FileNotFoundError" in ended.stderr
    assert "leverframe" in warm().run("leverframe", ["--version"], tmp_path, os.environ).stdout  # the server goes on


def test_a_program_ends_with_who_asked_for_it(tmp_path: Path) -> None:
    """By force, as `kill -9` would end the program itself."""
    repository = WarmRepository.create(tmp_path)
    repository.write("dvc.yaml", "stages: {long: {cmd: 'echo $$ > told.part; mv told.part told; sleep 600'}}\n")
    client = subprocess.Popen(
        ["python", "-m", "dvc", "repro", "--quiet"],
        cwd=repository.root, env=warm().around(repository.environment), stderr=subprocess.DEVNULL,
    )  # fmt: skip
    pid_file = repository.root / "told"
    wait_for(lambda: pid_file.exists() or client.poll() is not None)
    shell = psutil.Process(int(pid_file.read_text()))
    program = shell.parent()
    client.kill()
    client.wait()
    wait_for(lambda: program is None or not program.is_running())
    for process in (*shell.children(), shell):  # DVC leaves them running
        process.kill()
    assert program is not None
    assert program.pid != client.pid
