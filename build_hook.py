"""Record in a wheel the commit that it is built from: by that `leverframe init` pins the actions."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CommitHook(BuildHookInterface[Any]):
    """Adds ``leverframe/commit.txt`` where the source is a checkout of git; an editable install reads git itself."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the file beside what the build makes, and let the wheel have it."""
        asked = ["git", "-C", self.root, "rev-parse", "--verify", "--quiet", "HEAD"]
        ours = (Path(self.root) / ".git").exists()  # else git would find a repository around an unpacked source
        process = subprocess.run(asked, capture_output=True, text=True, check=False) if ours else None
        if version != "editable" and process is not None and process.returncode == 0:
            file = Path(self.directory) / "commit.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(process.stdout, encoding="utf-8")
            build_data["force_include"][str(file)] = "leverframe/commit.txt"

    def finalize(self, *_: object) -> None:
        """Remove the file again: what is left there would be uploaded with the wheel."""
        (Path(self.directory) / "commit.txt").unlink(missing_ok=True)
