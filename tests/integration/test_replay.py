"""The figures of the reference case hold on the real data of the whole year."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_the_reference_case_reaches_its_figures() -> None:
    """Measures help, retraining recovers September and hurts December, and the monitor says so in the right months.

    A September in degrees Celsius is a broken table, and no drift.
    """
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "benchmarks.replay", "--json"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert [name for name, met in told["met"].items() if not met] == [], told["ratios"]
    assert told["sizes"]["late15"] > 100_000
