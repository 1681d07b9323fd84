"""Why a pipeline of 41 stages is stale: `leverframe status` against `dvc status`, whole processes.

Both tools start anew in every round, as a person or a CI job starts them; imports count. The
pipeline is made in a temporary folder and run by DVC first. ``fresh`` is the pipeline as it
was run, ``stale`` the same after a parameter and a source directory changed. Digests are warm
on both sides, as each tool keeps its own; ``cold_s`` is our first run, which hashes everything.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.alternate import Measure, alternate, machine, medians, met, ratio
from leverframe.local.repository import TemporaryRepository

TARGETS = {"cpu_vs_dvc_status": 0.2, "cpu_vs_dvc_status_stale": 0.2}
MONTHS = [f"2013-{month:02d}" for month in range(1, 13)]
STEP = """
import pathlib, sys
target, size, *sources = sys.argv[1:]
path = pathlib.Path(target)
path.parent.mkdir(parents=True, exist_ok=True)
line = target.encode() + b"".join(pathlib.Path(source).read_bytes()[:40] for source in sources) + b"\\n"
path.write_bytes((line * (int(size) // len(line) + 1))[: int(size)])
"""
PIPELINE = """
stages:
  ingest:
    foreach: {months}
    do:
      cmd: python src/step.py data/raw/${{item}}.bin {size} source.csv
      deps: [source.csv, src/step.py]
      params: [data]
      outs: ["data/raw/${{item}}.bin"]
  validate:
    foreach: {months}
    do:
      cmd: python src/step.py reports/${{item}}.json 100 data/raw/${{item}}.bin
      deps: ["data/raw/${{item}}.bin", src/package]
      metrics: ["reports/${{item}}.json": {{cache: false}}]
  build:
    foreach: {months}
    do:
      cmd: python src/step.py data/built/${{item}}.bin {size} data/raw/${{item}}.bin
      deps: ["data/raw/${{item}}.bin", "reports/${{item}}.json", src/package, src/step.py]
      params: [features]
      outs: ["data/built/${{item}}.bin"]
  split: {{cmd: python src/step.py data/train.bin {size}, deps: {built}, outs: [data/train.bin]}}
  train:
    cmd: python src/step.py model.bin 1000 data/train.bin
    deps: [data/train.bin, src/package]
    params: [train]
    outs: [model.bin]
  evaluate:
    cmd: python src/step.py metrics.json 100 model.bin
    deps: [model.bin, data/train.bin]
    metrics: [metrics.json: {{cache: false}}]
  card: {{cmd: python src/step.py card.md 100 metrics.json, deps: [metrics.json], outs: [card.md: {{cache: false}}]}}
  bundle: {{cmd: python src/step.py bundle.bin 1000 model.bin, deps: [model.bin], outs: [bundle.bin]}}
"""


def main() -> None:
    """Print the figures as one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.status", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON, which is the only form there is")
    parser.add_argument("--quick", action="store_true", help="files of 100 kB, 3 rounds")
    print(json.dumps(figures(quick=parser.parse_args().quick), indent=2))


def figures(*, quick: bool) -> dict[str, Any]:
    """Return the figures of both tools, measured turn by turn."""
    size, rounds = (100_000, 3) if quick else (8_000_000, 7)
    with tempfile.TemporaryDirectory() as folder:
        repository = made(Path(folder), size)
        cold = whole(repository, "leverframe", "status", "--exit-code")
        fresh = alternate(_sides(repository, stale=False), rounds)
        repository.write("src/package/module.py", "x = 2\n")
        repository.write("params.yaml", repository.read("params.yaml").replace("rate: 0.1", "rate: 0.2"))
        stale = alternate(_sides(repository, stale=True), rounds)
    ratios = {
        "cpu_vs_dvc_status": ratio(fresh["leverframe"], fresh["dvc"], "cpu"),
        "wall_vs_dvc_status": ratio(fresh["leverframe"], fresh["dvc"], "wall"),
        "cpu_vs_dvc_status_stale": ratio(stale["leverframe"], stale["dvc"], "cpu"),
    }
    return {
        "name": "status",
        "machine": machine(),
        "sizes": {"stages": 41, "bytes": 25 * size, "rounds": rounds},
        "ratios": ratios,
        "absolute": {"fresh": medians(fresh), "stale": medians(stale), "cold_s": round(cold.wall, 3)},
        "targets": TARGETS,
        "met": met(ratios, TARGETS),
    }


def made(folder: Path, size: int) -> TemporaryRepository:
    """Return a repository whose pipeline of 41 stages was run; each partition has ``size`` bytes."""
    repository = TemporaryRepository.create(folder)
    built = json.dumps([f"data/built/{month}.bin" for month in MONTHS])
    repository.write("dvc.yaml", PIPELINE.format(months=json.dumps(MONTHS), size=size, built=built))
    repository.write("params.yaml", "data: {first: 1}\nfeatures: {windows: [1, 2]}\ntrain: {rate: 0.1}\n")
    repository.write("source.csv", "1,2\n")
    repository.write("src/step.py", STEP)
    for number in range(20):
        repository.write(f"src/package/part{number}.py", f"x = {number}\n")
    repository.write("src/package/module.py", "x = 1\n")
    repository.write(".dvcignore", "__pycache__\n*.pyc\n.leverframe\n")
    repository.write(".gitignore", "/.leverframe/\n")
    repository.dvc("repro")
    repository.commit("Run the pipeline")
    time.sleep(3)  # what was written less than two seconds ago is hashed again, by design
    return repository


def whole(repository: TemporaryRepository, module: str, *arguments: str, code: int = 0) -> Measure:
    """Run a tool in the repository and return what the whole process used; ``code`` is what it must end with."""
    started = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=repository.root,
        # Both tools with their bytecode at hand: DVC is installed with it, the checkout must be let keep its own.
        env={**repository.environment, "PYTHONDONTWRITEBYTECODE": ""},
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != code:
        raise RuntimeError(f"{module} ended with {child.returncode}, not {code}")
    unit = 1e9 if sys.platform == "darwin" else 1e6  # bytes there, kilobytes elsewhere
    return Measure(time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / unit)


def _sides(repository: TemporaryRepository, *, stale: bool) -> dict[str, partial[Measure]]:
    return {
        "leverframe": partial(whole, repository, "leverframe", "status", "--exit-code", code=20 if stale else 0),
        "dvc": partial(whole, repository, "dvc", "status", "--quiet", code=int(stale)),
    }


if __name__ == "__main__":
    main()
