"""What the judge costs on the reference case: whole processes, from git objects to the card.

``re-score`` is a change of code: no stage of it is run, and its model, taken by digest, is scored against the champion.
``with-training`` is a change of a parameter: the judge trains, evaluates and packs the model anew, compares every
output, and scores both models. The cache is warm, as it is in a job that restored it. The case has to be reproduced.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.alternate import Measure, alternate, machine, medians, met
from benchmarks.status import whole
from leverframe.adapters.git import Git
from leverframe.adapters.working_tree import WorkingTree
from leverframe.local.repository import TemporaryRepository

ROOT = Path(__file__).parents[1]
TARGETS = {"re_score_seconds": 15.0, "with_training_seconds": 60.0}
BRANCHES = ("re-score", "with-training")


def main() -> None:
    """Print the figures as one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judge", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON, which is the only form there is")
    parser.add_argument("--quick", action="store_true", help="1 round")
    print(json.dumps(figures(rounds=1 if parser.parse_args().quick else 3), indent=2))


def figures(*, rounds: int) -> dict[str, Any]:
    """Return the figures, measured turn by turn."""
    with tempfile.TemporaryDirectory() as folder:
        repository = _reference(Path(folder))
        measures = alternate({name: partial(_judged, repository, name) for name in BRANCHES}, rounds)
        cards = {name: json.loads(repository.read(f".leverframe/{name}.json")) for name in BRANCHES}
    absolute = medians(measures)
    seconds = {f"{name.replace('-', '_')}_seconds": absolute[name]["wall_s"] for name in BRANCHES}
    return {
        "name": "judge",
        "machine": machine(),
        "sizes": {"rounds": rounds, "ran": {name: card["judged"]["ran"] for name, card in cards.items()}},
        "ratios": seconds,
        "absolute": absolute,
        "targets": TARGETS,
        "met": met(seconds, TARGETS),
    }


def _judged(repository: TemporaryRepository, name: str) -> Measure:
    return whole(repository, "leverframe", "judge", name, "--out", f".leverframe/{name}.json")


def _reference(folder: Path) -> TemporaryRepository:
    """Return a clone of this repository with its data and two changes, each run by its author; main is checked out."""
    (folder / "home").mkdir(parents=True)
    Git(ROOT).copied(Git(ROOT).named("HEAD"), folder / "repository")
    repository = TemporaryRepository(folder / "repository", folder / "home")
    WorkingTree.around(ROOT).lend(repository.root)
    os.environ["PYTHONPATH"] = str(repository.root / "src")  # the code of the base is that of the clone
    repository.git("checkout", "--quiet", "-B", "main")
    edits = {
        "re-score": ("pipelines/flights/model.py", "from __future__", "# A comment.\nfrom __future__"),
        "with-training": ("params.yaml", "iterations: 200", "iterations: 201"),
    }
    for name, (path, old, new) in edits.items():
        repository.git("checkout", "--quiet", "-b", name, "main")
        repository.dvc("checkout", "--quiet", "--force")
        repository.write(path, repository.read(path).replace(old, new, 1))
        repository.dvc("repro", "--quiet")
        repository.commit(name)
    repository.git("checkout", "--quiet", "main")
    repository.dvc("checkout", "--quiet", "--force")
    return repository


if __name__ == "__main__":
    main()
