"""The two files of settings: ``params`` is what stages read and DVC tracks, ``levers`` what levers read."""

from __future__ import annotations

from pathlib import Path

PARAMS = Path("params.yaml")  # what stages read
LEVERS = Path("leverframe.yaml")  # what levers read
