"""What the decision card costs: against the DVC calls a user would make, and against the size of the run cache.

Whole processes in alternating rounds. ``card`` is `leverframe report` over what the levers left on the
shop of the tests after a change of a parameter; its peer are `dvc status`, `metrics diff`, `params diff`
and `plots diff` together, which show less. ``check`` stands against `dvc status`, both on the reference
case after a change of a setting, digests warm on both sides. The last figure is the no-op `leverframe
reproduce` of a job whose remote holds 500 entries of a run cache, against the same with none.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.alternate import Measure, alternate, machine, medians, met, ratio
from benchmarks.status import whole
from leverframe.adapters.git import Git
from leverframe.adapters.working_tree import WorkingTree
from leverframe.local.repository import TemporaryRepository
from tests.integration.shop import made

ROOT = Path(__file__).parents[1]
TARGETS = {"card_cpu_vs_four_dvc_calls": 0.25, "check_cpu_vs_dvc_status": 0.20, "no_op_with_500_run_entries": 1.2}
GATE = "\ngate:\n  metrics:\n    auc: {maximum_drop: 0.03}\n"


def main() -> None:
    """Print the figures as one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON, which is the only form there is")
    parser.add_argument("--quick", action="store_true", help="2 rounds")
    print(json.dumps(figures(rounds=2 if parser.parse_args().quick else 5), indent=2))


def figures(*, rounds: int) -> dict[str, Any]:
    """Return the figures, measured turn by turn."""
    with tempfile.TemporaryDirectory() as folder:
        repository = _changed(Path(folder))
        reference = _reference(Path(folder))
        for lever in ("check", "reproduce", "gate"):
            repository.run(sys.executable, "-m", "leverframe", lever)
        calls = (("status", "-q"), ("metrics", "diff", "main"), ("params", "diff", "main"), ("plots", "diff", "main"))
        sides: dict[str, Callable[[], Measure]] = {
            "card": partial(whole, repository, "leverframe", "report", "--publisher", "file"),
            "dvc": lambda: _together([whole(repository, "dvc", *call) for call in calls]),
            "check": partial(whole, reference, "leverframe", "check", "--base", "main"),
            "dvc status": partial(whole, reference, "dvc", "status", "-q"),
        }
        measures = alternate(sides, rounds)
        jobs = {name: _job(Path(folder), repository, entries) for name, entries in (("none", 0), ("500", 500))}
        no_op = {name: partial(whole, job, "leverframe", "reproduce") for name, job in jobs.items()}
        repeated = alternate(no_op, rounds)
    ratios = {
        "card_cpu_vs_four_dvc_calls": ratio(measures["card"], measures["dvc"], "cpu"),
        "card_wall_vs_four_dvc_calls": ratio(measures["card"], measures["dvc"], "wall"),
        "check_cpu_vs_dvc_status": ratio(measures["check"], measures["dvc status"], "cpu"),
        "no_op_with_500_run_entries": ratio(repeated["500"], repeated["none"], "wall"),
    }
    return {
        "name": "report",
        "machine": machine(),
        "sizes": {"stages": 22, "stages_of_check": 43, "rounds": rounds},
        "ratios": ratios,
        "absolute": {
            **medians(measures),
            **{f"no-op, {name} entries": usage for name, usage in medians(repeated).items()},
        },
        "targets": TARGETS,
        "met": met(ratios, TARGETS),
    }


def _together(measures: list[Measure]) -> Measure:
    return Measure(
        sum(measure.wall for measure in measures),
        sum(measure.cpu for measure in measures),
        max(measure.peak for measure in measures),
    )


def _changed(folder: Path) -> TemporaryRepository:
    """Return a shop on a branch whose parameter was changed, run and pushed."""
    repository = made(folder).repository
    remote = f"['remote \"store\"']\n    url = {folder / 'remote'}\n"
    repository.write(".dvc/config", f"[core]\n    remote = store\n    analytics = false\n{remote}")
    repository.write("leverframe.yaml", GATE)
    repository.dvc("repro")
    repository.commit("Reproduced")
    repository.git("checkout", "--quiet", "-b", "change")
    repository.write("params.yaml", repository.read("params.yaml").replace("iterations: 5", "iterations: 9"))
    repository.dvc("repro")
    repository.commit("More trees")
    repository.dvc("push")
    return repository


def _reference(folder: Path) -> TemporaryRepository:
    """Return a clone of this repository with its data, on a branch that changes a setting which no stage reads."""
    place = folder / "reference"
    (place / "home").mkdir(parents=True)
    Git(ROOT).copied(Git(ROOT).named("HEAD"), place / "repository")
    repository = TemporaryRepository(place / "repository", place / "home")
    WorkingTree.around(ROOT).lend(repository.root)
    repository.git("checkout", "--quiet", "-B", "main")
    repository.dvc("checkout", "--quiet")
    repository.git("checkout", "--quiet", "-b", "change")
    levers = repository.read("leverframe.yaml").replace("publisher: auto", "publisher: github")
    repository.write("leverframe.yaml", levers)
    repository.commit("Post by GitHub's interface")
    time.sleep(3)  # what was written less than two seconds ago is hashed again, by design
    return repository


def _job(folder: Path, origin: TemporaryRepository, entries: int) -> TemporaryRepository:
    """Return a clone with data, whose remote of its own holds that many entries of a run cache."""
    place = folder / f"job-{entries}"
    (place / "home").mkdir(parents=True)
    origin.run("git", "clone", "--quiet", str(origin.root), str(place / "repository"))
    job = TemporaryRepository(place / "repository", place / "home")
    shutil.copytree(folder / "remote", place / "remote")
    for number in range(entries):
        key = f"{number:064x}"
        entry = place / "remote" / "files" / "md5" / "runs" / key[-2:] / key / f"{number + 1:064x}"
        entry.parent.mkdir(parents=True)
        entry.write_text(f"cmd: step {number}\n", encoding="utf-8")
    job.write(".dvc/config.local", f"['remote \"store\"']\n    url = {place / 'remote'}\n")
    job.dvc("pull", "--quiet")
    return job


if __name__ == "__main__":
    main()
