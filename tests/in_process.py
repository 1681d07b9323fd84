"""The command line run in this process: what it printed, and the code that it ended with."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from leverframe import cli


@dataclass(frozen=True)
class Ran:
    """How a command ended: its exit code, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output as JSON."""
        return json.loads(self.out)


@dataclass(frozen=True)
class InProcess:
    """Runs `leverframe` in this process, and never takes a traceback or a bug for an answer."""

    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    def __call__(self, folder: Path, environment: Mapping[str, str], *arguments: str) -> Ran:
        """Run a command in a folder, with these variables beside those that are there."""
        self.capture.readouterr()
        with self.patch.context() as patch:
            patch.chdir(folder)
            patch.setattr(sys, "argv", ["leverframe", *arguments])
            for name, value in environment.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                cli.main()
        out, err = self.capture.readouterr()
        assert isinstance(ended.value.code, int)
        assert "Traceback" not in err
        assert "a bug in leverframe" not in err, err
        return Ran(ended.value.code, out, err)
