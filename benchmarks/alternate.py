"""How two or more ways of doing the same work are compared: in child processes, turn by turn.

A benchmark module runs itself as a child for each side, which prepares its work, imports included,
and hands it to ``measured``. Rounds alternate, so
that a busy machine slows all sides alike, and the median of the ratios of a round is what counts.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Measure:
    """What one child used: seconds of the work, and the gigabytes its process peaked at.

    ``wall`` and ``cpu`` leave out the start of Python and what was prepared; ``peak`` does not. ``result``
    is what the work returned.
    """

    wall: float
    cpu: float
    peak: float
    result: dict[str, Any] = field(default_factory=dict)


def measured(work: Callable[[], dict[str, Any]]) -> None:
    """Do the work in this child process and print its ``Measure`` as JSON."""
    cpu, wall = time.process_time(), time.perf_counter()
    facts = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    unit = 1e9 if sys.platform == "darwin" else 1e6  # bytes there, kilobytes elsewhere
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    print(json.dumps(asdict(Measure(wall, cpu, peak, facts))))


def child(module: str, *arguments: str, python: str = sys.executable) -> Measure:
    """Run a module as a child process and return the ``Measure`` on the last line it prints.

    The caller must stay small: on Linux the peak of a child begins at that of its parent.
    """
    command = [python, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return Measure(**json.loads(done.stdout.splitlines()[-1]))


def alternate(sides: Mapping[str, Callable[[], Measure]], rounds: int) -> dict[str, list[Measure]]:
    """Run every side once a round, the order reversed from round to round, and return all measures."""
    measures: dict[str, list[Measure]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: 1 if number % 2 == 0 else -1]:
            measures[name].append(sides[name]())
    return measures


def ratio(ours: Sequence[Measure], theirs: Sequence[Measure], what: str) -> float:
    """Return the median over rounds of our ``wall``, ``cpu`` or ``peak`` over theirs."""
    ratios: list[float] = [getattr(one, what) / getattr(other, what) for one, other in zip(ours, theirs, strict=True)]
    return round(median(ratios), 3)


def medians(sides: Mapping[str, Sequence[Measure]]) -> dict[str, dict[str, float]]:
    """Return the median seconds and gigabytes of each side."""
    kinds = {"wall": "wall_s", "cpu": "cpu_s", "peak": "peak_gb"}
    return {
        name: {unit: round(median(getattr(measure, kind) for measure in measures), 3) for kind, unit in kinds.items()}
        for name, measures in sides.items()
    }


def machine() -> dict[str, Any]:
    """Return what a reader needs to judge the seconds: processors, load, memory in GB, versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "memory_gb": round(memory, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def met(values: Mapping[str, float], targets: Mapping[str, float]) -> dict[str, bool]:
    """Tell of each target, an upper bound, whether the value of the same name keeps it."""
    return {name: values[name] <= bound for name, bound in targets.items()}
