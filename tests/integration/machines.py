"""A repository whose stages need two machines, and machines: clones that share nothing but remotes of git and DVC."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from leverframe.local.repository import TemporaryRepository
from tests.integration.shop import Ended
from tests.warm import WarmRepository, warm

PIPELINE = """\
stages:
  prepare:
    cmd: sed 1d rows.csv > train.csv && cp train.csv holdout.csv
    deps: [rows.csv]
    outs: [train.csv, holdout.csv]
  train:
    cmd: echo "${rounds} $(cat train.csv | wc -l)" > model.bin && echo train >> "$RAN"
    deps: [train.csv]
    params: [rounds]
    outs: [model.bin]
  evaluate:
    cmd: echo "{\\"accuracy\\":0.$(cat model.bin holdout.csv | md5sum | tr -dc 1-9 | cut -c1-6)}" > metrics.json
    deps: [model.bin, holdout.csv]
    metrics: [{metrics.json: {cache: false}}]
"""
LEVERS = """\
reproduce:
  runners:
    gpu: {stages: [train], runs_on: [self-hosted, gpu]}
"""


@dataclass(frozen=True)
class Author:
    """Who has all of it on one machine: a clone that pushes to both remotes."""

    repository: TemporaryRepository
    folder: Path

    def propose(self, branch: str, **files: str) -> TemporaryRepository:
        """Commit changed files on a branch of their own, without a run of any stage, and return the repository."""
        repository = self.repository
        repository.git("checkout", "--quiet", "-B", branch, "main")
        for path, content in files.items():
            repository.write(path, content)
        repository.commit(f"Change {branch}")
        return repository

    def whole(self, branch: str) -> WarmRepository:
        """Return another clone of a branch in which `dvc repro` ran at once."""
        alone = self.machine(f"alone-{branch}", branch)
        alone.repository.dvc("pull", "--allow-missing")
        alone.repository.dvc("repro", "--no-run-cache")
        return alone.repository

    def machine(self, name: str, branch: str) -> Machine:
        """Return a new machine with a clone of a branch, and nothing else."""
        place = self.folder / "machines" / name
        shutil.rmtree(place, ignore_errors=True)
        (place / "home").mkdir(parents=True)
        clone = _Machine(place / "repository", place / "home")
        self.repository.git("clone", "--quiet", "--branch", branch, str(self.repository.root), str(clone.root))
        return Machine(clone)


class _Machine(WarmRepository):
    """A clone whose stages write into a file which of them ran."""

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment with the name of that file."""
        return super().environment | {"RAN": str(self.home / "ran")}


@dataclass(frozen=True)
class Machine:
    """A machine that runs one job."""

    repository: _Machine

    @property
    def trained(self) -> int:
        """Return how often the stage that needs the other machine ran here."""
        ran = self.repository.home / "ran"
        return len(ran.read_text(encoding="utf-8").split()) if ran.exists() else 0

    def reproduce(self, *arguments: str, left: Mapping[int, str] | None = None) -> Phase:
        """Run `leverframe reproduce` with what earlier phases left, and return how that ended."""
        root, outputs = self.repository.root, self.repository.home / "outputs"
        for number, text in (left or {}).items():
            self.repository.write(f".leverframe/handover/{number}.json", text)
        environment = self.repository.environment | {"GITHUB_OUTPUT": str(outputs)}
        done = warm().run("leverframe", ["reproduce", "--base", "origin/main", "--json", *arguments], root, environment)
        assert done.returncode in (0, 30), done.stderr
        lines = outputs.read_text(encoding="utf-8").splitlines()
        folder = root / ".leverframe/handover"
        return Phase(
            Ended(done.returncode, done.stdout, done.stderr),
            json.loads(done.stdout),
            json.loads(next(value for value, name in pairwise(reversed(lines)) if name.startswith("phases<<"))),
            {int(file.stem): file.read_text(encoding="utf-8") for file in folder.glob("*.json")},
        )


@dataclass(frozen=True)
class Phase:
    """How a phase ended: its result, the later phases that are needed, and what all phases until now left."""

    ended: Ended
    result: dict[str, Any]
    needed: list[int]
    left: dict[int, str]

    @property
    def reasons(self) -> list[str]:
        """Return the reasons of the violations."""
        return [violation["reason"] for violation in self.result["violations"]]

    @property
    def how(self) -> dict[str, str]:
        """Return what became of each stage."""
        return {stage["stage"]: stage["how"] for stage in self.result["stages"]}


def made(folder: Path, pipeline: str = PIPELINE, levers: str = LEVERS, **files: str) -> Author:
    """Return the repository of an author, reproduced, pushed and committed on main."""
    repository = _Machine.create(folder)
    config = f"[core]\n    remote = store\n['remote \"store\"']\n    url = {folder / 'store'}\n"
    texts = {"dvc.yaml": pipeline, "leverframe.yaml": levers, "params.yaml": "rounds: 3\n", "rows.csv": ROWS,
             ".gitignore": "/.leverframe/\n/train.csv\n/holdout.csv\n/model.bin\n", ".dvcignore": ".leverframe\n",
             ".dvc/config": config}  # fmt: skip
    for path, content in {**texts, **files}.items():
        repository.write(path, content)
    repository.dvc("repro", "--no-run-cache")
    repository.dvc("push")
    repository.commit("A pipeline")
    return Author(repository, folder)


ROWS = "x,y\n" + "".join(f"{number},{number % 2}\n" for number in range(40))
