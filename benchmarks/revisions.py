"""Serving of this revision against an older one: did a request become dearer?

The older revision is a clone of its own with an environment of its own, made of its own lock file. Both servers
serve the same bundle at the same time; the same requests go to one and the other, in blocks of few, the order drawn
anew for each pair of blocks. Counted is the time on the clock of a client, and what the process of the server computed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psutil

from benchmarks.alternate import machine, met
from benchmarks.serving import BUNDLE, asked, environment, v2

NAME = "benchmarks.revisions"
KINDS: dict[str, tuple[str, int, int, int]] = {  # form, rows, calls of a block, connections
    "batch 1": ("columns", 1, 100, 1),
    "batch 1 keys": ("keys", 1, 100, 1),
    "batch 1000": ("columns", 1000, 10, 1),
    "8 connections": ("columns", 1, 20, 8),
}
ROUNDS = 12  # pairs of blocks of each kind, each time that the servers are started
BOUND = 1.05


@dataclass
class Side:
    """One revision that serves: where it listens, its process, and seconds of each block by kind of request."""

    port: int
    path: str
    process: psutil.Process
    wall: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)

    def block(self, kind: str, body: bytes, calls: int, connections: int) -> None:
        """Send a block of requests, and note the median of a request and what the server computed for one."""
        took: list[float] = []
        threads = [
            threading.Thread(target=lambda: took.extend(asked(self.port, self.path, body, calls)))
            for _ in range(connections)
        ]
        before = self._computed()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.wall.setdefault(kind, []).append(median(took))
        # three more are sent by each connection, which are not timed
        self.cpu.setdefault(kind, []).append((self._computed() - before) / (connections * (calls + 3)))

    def _computed(self) -> float:
        used = self.process.cpu_times()
        return float(used.user + used.system)


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(prog=f"python -m {NAME}", description=__doc__)
    parser.add_argument("older", help="the revision to compare with, as git knows it")
    parser.add_argument("--json", action="store_true", help="print JSON, which is the only form there is")
    parser.add_argument("--quick", action="store_true", help="start the servers twice, not eight times")
    parser.add_argument("--place", type=Path, help="keep clone and environment of the older revision there")
    options = parser.parse_args()
    starts = 2 if options.quick else 8
    with tempfile.TemporaryDirectory() as folder:
        older = checked_out(options.older, (options.place or Path(folder)).resolve())
        pairs = [compared(older, random.Random(start)) for start in range(starts)]  # noqa: S311 - an order, no secret
    kinds = [(kind, what) for kind in KINDS for what in ("wall", "cpu")]
    figures = {f"{what} of {kind}": [tuple(figure(side, kind, what) for side in pair) for pair in pairs]
            for kind, what in kinds}  # fmt: skip
    ratios = {name: round(median(ours / theirs for ours, theirs in values), 3) for name, values in figures.items()}
    absolute = {
        f"{name} ms": [[round(1000 * one, 3) for one in pair] for pair in values] for name, values in figures.items()
    }
    targets = dict.fromkeys(ratios, BOUND)
    print(json.dumps({
        "name": "revisions", "older": options.older, "machine": machine(),
        "sizes": {"starts": starts, "rounds": ROUNDS}, "ratios": ratios,
        "absolute": absolute, "targets": targets, "met": met(ratios, targets),
    }, indent=1))  # fmt: skip


def compared(older: Path, draw: random.Random) -> tuple[Side, Side]:
    """Return both sides, started for this, with a figure for each block; ``draw`` orders the blocks of a pair."""
    rows = [json.loads(line) for line in (BUNDLE / "golden.jsonl").read_text(encoding="utf-8").splitlines()]
    with ExitStack() as stack:
        sides = [stack.enter_context(served(root)) for root in (Path.cwd(), older)]
        for kind, (form, number, calls, connections) in KINDS.items():
            some = [row["inputs"] for row in rows if row["form"] == form]
            body = v2([some[place % len(some)] for place in range(number)])
            for _ in range(ROUNDS):
                for side in draw.sample(sides, 2):
                    side.block(kind, body, calls, connections)
    return sides[0], sides[1]


def figure(side: Side, kind: str, what: str) -> float:
    """Return the median over blocks of a request's seconds; of what was computed the mean, as its clock is coarse."""
    return median(side.wall[kind]) if what == "wall" else sum(side.cpu[kind]) / len(side.cpu[kind])


@contextmanager
def served(root: Path) -> Iterator[Side]:
    """Yield a revision that serves the bundle; its server ends with the block."""
    leverframe = runs(root)
    status = json.loads(leverframe("--port", "0", "--grpc-port", "0", "--metrics-port", "0", "--json"))
    try:
        path = f"/v2/models/{next(iter(status['models']))}/infer"
        yield Side(status["running"]["port"], path, psutil.Process(status["running"]["pid"]))
    finally:
        leverframe("--stop")


def runs(root: Path) -> Callable[..., str]:
    """Return what runs `leverframe serve` of a revision in its folder, for a server of our own name."""

    def run(*arguments: str) -> str:
        python = sys.executable if root == Path.cwd() else str(root / ".venv/bin/python")
        command = [python, "-m", "leverframe", "serve", "--name", "revisions", *arguments]
        path = os.pathsep.join([str(Path(python).parent), os.defpath])
        surroundings = {**environment(), "PYTHONPATH": "", "PATH": path}
        return subprocess.run(command, cwd=root, env=surroundings, capture_output=True, text=True, check=True).stdout

    return run


def checked_out(revision: str, place: Path) -> Path:
    """Return a clone at a revision with an environment of its own lock file, and our bundle; made once for a place."""
    named = ["git", "rev-parse", "--verify", f"{revision}^{{commit}}"]
    commit = subprocess.run(named, capture_output=True, text=True, check=True).stdout.strip()
    root = place / commit[:12]
    if not (root / ".venv/.ready").exists():
        shutil.rmtree(root, ignore_errors=True)
        subprocess.run(["git", "clone", "--quiet", "--shared", ".", str(root)], check=True)
        subprocess.run(["git", "checkout", "--quiet", "--detach", commit], cwd=root, check=True)
        python = Path(sys.executable).resolve()  # the same one: a build of Python differs from another by a fifth
        subprocess.run(["make", "setup", f"PYTHON={python}"], cwd=root, check=True, stdout=sys.stderr)
    shutil.rmtree(root / "models/bundle", ignore_errors=True)
    shutil.copytree(BUNDLE, root / "models/bundle")
    return root


if __name__ == "__main__":
    main()
