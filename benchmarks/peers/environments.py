"""Environments of peers that cannot live beside our own packages: made when they are missing or pinned anew."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def python_of(what: str, place: Path, pins: Path, *wanted: str) -> str:
    """Return the Python of an environment in ``place`` that holds ``wanted`` within the versions of ``pins``.

    Ends the process where it cannot be made, naming ``what``: there would be nothing to compare with.
    """
    python, ready, text = place / "bin/python", place / ".ready", pins.read_text(encoding="utf-8")
    if ready.is_file() and ready.read_text(encoding="utf-8") == text:
        return str(python)
    uv = [sys.executable, "-m", "uv"]
    for command in (
        [*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(place)],
        [*uv, "pip", "install", "--quiet", "--python", str(python), "--constraint", str(pins), *wanted],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(
                f"{what} cannot be installed into {place}, so there is nothing to compare with\n"
                f"why: {done.stderr.strip()[-1000:]}\n"
                "next: see that packages can be installed here, or leave this benchmark out"
            )
    ready.write_text(text, encoding="utf-8")
    return str(python)
