"""Deployments under load: what sixteen clients notice of six deployments and two rollbacks in a row.

A copy of this repository's head gets a second bundle, made of the first, and a server of its own. The
clients ask by entity keys at a constant rate before, during and after. The figures are the clients' own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.alternate import machine, met
from leverframe.local.bundles import sealed
from leverframe.local.repository import TemporaryRepository
from leverframe.local.traffic import TimedRequest, Times, Traffic

NAME = "benchmarks.deploy"
ENVIRONMENT = (
    "  verify_seconds: 2\n  environments:\n    bench: {record: false, port: 0, grpc_port: 0, metrics_port: 0}\n"
)
CLIENTS = 16
TARGETS = {"failed_requests": 0, "longest_beyond_usual_ms": 300, "rollback_ms": 1000}


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(prog=f"python -m {NAME}", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON, which is the only form there is")
    parser.add_argument("--quick", action="store_true", help="a fifth of the requests before and after")
    quiet = 600 if parser.parse_args().quick else 3000
    with tempfile.TemporaryDirectory() as folder:
        repository = two_releases(Path(folder))
        try:
            ours = under_load(repository, quiet)
        finally:
            run(repository, "serve", "--stop", "--name", "bench")
    absolute = {
        "before": asdict(ours.before), "during": asdict(ours.during), "after": asdict(ours.after),
        "requests": len(ours.responses), "failed": [asdict(response) for response in ours.failed[:5]],
        "deployments_s": ours.deployments, "rollbacks_ms": ours.rollbacks,
    }  # fmt: skip
    values = {
        "failed_requests": len(ours.failed),
        "longest_beyond_usual_ms": round(ours.during.longest - ours.before.p50, 1),
        "rollback_ms": max(ours.rollbacks),
    }
    ratios = {
        "p50_during_vs_before": round(ours.during.p50 / ours.before.p50, 3),
        "p99_during_vs_before": round(ours.during.p99 / ours.before.p99, 3),
    }
    print(json.dumps({
        "name": "deploy", "machine": machine(), "sizes": {"clients": CLIENTS, "deployments": 6, "rollbacks": 2},
        "ratios": ratios, "absolute": {**values, **absolute}, "targets": TARGETS, "met": met(values, TARGETS),
    }, indent=1))  # fmt: skip


class Measured:
    """What the clients saw, and how long each deployment and rollback took."""

    def __init__(self, traffic: Traffic, times: tuple[float, float]) -> None:
        began, over = times
        self.responses, self.failed = traffic.responses, traffic.failed
        self.before = self._of(lambda response: response.began < began)
        self.during = self._of(lambda response: began <= response.began <= over)
        self.after = self._of(lambda response: response.began > over)
        self.deployments: list[float] = []
        self.rollbacks: list[float] = []

    def _of(self, wanted: Callable[[TimedRequest], bool]) -> Times:
        return Times.of([response for response in self.responses if wanted(response)])


def two_releases(folder: Path) -> TemporaryRepository:
    """Return a clone of this repository with tags `one` and `two`, whose bundles differ."""
    repository = TemporaryRepository(folder / "repository", folder / "home")
    repository.home.mkdir()
    subprocess.run(["git", "clone", "--quiet", "--shared", ".", str(repository.root)], check=True)
    (repository.root / ".dvc/config.local").write_text(f"[cache]\n    dir = {Path('.dvc/cache').resolve()}\n")
    levers = repository.read("leverframe.yaml")
    repository.write("leverframe.yaml", levers.replace("  environments:\n", ENVIRONMENT, 1))
    repository.commit("An environment of the benchmark's own")
    repository.git("tag", "one")
    repository.dvc("checkout", "--quiet", "--allow-missing")
    bundle = repository.root / "models/bundle"
    files = {path.name: path.read_bytes() for path in bundle.iterdir()}
    shutil.rmtree(bundle)
    bundle.mkdir()
    for name, data in sealed({**files, "model-card.md": files["model-card.md"] + b"\nThe same once more.\n"}).items():
        (bundle / name).write_bytes(data)
    repository.dvc("commit", "--quiet", "--force", "bundle")
    repository.commit("Another bundle")
    repository.git("tag", "two")
    return repository


def under_load(repository: TemporaryRepository, quiet: int) -> Measured:
    """Deploy six times and go back twice while clients ask; ``quiet`` requests come before and after."""
    deploy(repository, "one")
    status = json.loads(run(repository, "serve", "--status", "--json", "--name", "bench"))
    path = f"/v2/models/{next(iter(status['models']))}/infer"
    traffic = Traffic(status["running"]["port"], path, json.dumps(status["example"]).encode(), clients=CLIENTS)
    deployments, rollbacks = [], []
    with traffic.running():
        wait(lambda: len(traffic.responses) > quiet)
        began = time.monotonic()
        deployments += [deploy(repository, tag) for tag in ("two", "one", "two")]
        for _ in range(2):
            report = json.loads(run(repository, "rollback", "--environment", "bench", "--json"))
            rollbacks.append(report["steps"][0]["seconds"] * 1000)
        deployments += [deploy(repository, tag, "--again") for tag in ("one", "two", "one")]
        over = time.monotonic()
        wait(lambda: len(traffic.responses) > 10_000)
        enough = len(traffic.responses) + quiet
        wait(lambda: len(traffic.responses) > enough)
    measurement = Measured(traffic, (began, over))
    measurement.deployments, measurement.rollbacks = deployments, rollbacks
    return measurement


def deploy(repository: TemporaryRepository, commit: str, *more: str) -> float:
    """Deploy a commit and return the seconds of its steps."""
    report: dict[str, Any] = json.loads(
        run(repository, "deploy", "--environment", "bench", "--commit", commit, "--json", *more)
    )
    taken: list[float] = [step["seconds"] for step in report["steps"]]
    return round(sum(taken), 2)


def run(repository: TemporaryRepository, *arguments: str) -> str:
    """Run `leverframe` in the clone with the package of this folder."""
    environment = {**os.environ, **repository.environment, "PYTHONPATH": str(Path("src").resolve())}
    command = [sys.executable, "-m", "leverframe", *arguments]
    done = subprocess.run(command, cwd=repository.root, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr[-1000:]}{done.stdout[-1000:]}")
    return done.stdout


def wait(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    until = time.monotonic() + 300
    while not condition():
        if time.monotonic() > until:
            raise RuntimeError("waited too long")
        time.sleep(0.05)


if __name__ == "__main__":
    main()
