"""Jobs of workflows on this machine, their steps run by ``runner.mjs``."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
WORKFLOWS = ROOT / ".github/workflows"
STUBS = {
    "actions/checkout": "nothing",  # the workspace is a checkout already
    "astral-sh/setup-uv": "nothing",
    "actions/cache": "nothing",
    "actions/cache/restore": "nothing",
    "iterative/setup-cml": "nothing",
    "hashicorp/setup-terraform": "nothing",
    "actions/upload-artifact": "upload",
    "actions/upload-pages-artifact": "upload",
    "actions/deploy-pages": "nothing",
    "actions/create-github-app-token": "nothing",
    "actions/download-artifact": "download",
}


@dataclass(frozen=True)
class Job:
    """How a job ended: its status, its steps by name with outcome, outputs and log, and the summary page."""

    status: str
    steps: dict[str, dict[str, Any]]
    summary: str

    @property
    def log(self) -> str:
        """All that the steps printed."""
        return "".join(each["log"] for each in self.steps.values())


def in_order(workflow: str) -> list[str]:
    """Return the jobs of a workflow file in an order in which each comes after those that it needs."""
    jobs = yaml.safe_load((WORKFLOWS / workflow).read_text(encoding="utf-8"))["jobs"]
    needs = {
        name: {job["needs"]} if isinstance(job.get("needs"), str) else job.get("needs", ())
        for name, job in jobs.items()
    }
    return list(TopologicalSorter(needs).static_order())


def run(
    workflow: str,
    job: str,
    *,
    workspace: Path,
    folder: Path,
    github: dict[str, Any],
    environment: dict[str, str],
    variables: dict[str, str] | None = None,
    root: Path = ROOT,
    matrix: dict[str, str] | None = None,
    needs: dict[str, str] | None = None,
) -> Job:
    """Run a job of a workflow file in ``workspace``; artifacts and temporary files go below ``folder``.

    ``variables`` are those of the repository's settings, ``matrix`` is the one combination of a matrix that is run, and
    ``needs`` how the jobs before this one ended, by default well.
    """
    path = WORKFLOWS / workflow if not Path(workflow).is_absolute() else Path(workflow)
    asked = {
        "root": str(root),
        "workspace": str(workspace),
        "workflow": str(path),
        "job": job,
        "github": github,
        "vars": variables or {},
        "inputs": github["event"].get("inputs", {}),
        "env": environment,
        "stubs": STUBS,
        "artifacts": str(folder / "artifacts"),
        "temp": str(folder / "temp"),
        "matrix": matrix or {},
        "needs": needs or {},
    }
    done = subprocess.run(
        ["node", str(HERE / "runner.mjs")], input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return Job(told["status"], {each["name"]: each for each in told["steps"]}, told["summary"])
