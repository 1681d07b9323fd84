"""Jobs of workflows on this machine, their steps run by ``runner.mjs``."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
WORKFLOWS = ROOT / ".github/workflows"
STUBS = {
    "actions/checkout": "checkout",  # of a clone that is the workspace
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
    """How a job ended: its status, its steps by name with outcome, outputs and log, the summary page, its outputs."""

    status: str
    steps: dict[str, dict[str, Any]]
    summary: str
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def log(self) -> str:
        """All that the steps printed."""
        return "".join(step["log"] for step in self.steps.values())


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
    matrix: dict[str, Any] | None = None,
    needs: dict[str, Any] | None = None,
    runs: dict[str, Path] | None = None,
) -> Job:
    """Run a job of a workflow file in ``workspace``; artifacts and temporary files go below ``folder``.

    ``variables`` are those of the repository's settings, ``matrix`` is the one combination of a matrix that is run, and
    ``needs`` how the jobs before this one ended, by default well, by their results or with ``outputs`` beside; ``runs``
    says where the artifacts of other runs lie.
    """
    folder.mkdir(parents=True, exist_ok=True)
    report = _asked(
        {
            "root": str(root),
            "workspace": str(workspace),
            "workflow": str(WORKFLOWS / workflow),
            "job": job,
            "github": github,
            "vars": variables or {},
            "inputs": github["event"].get("inputs") or {},
            "env": environment,
            "stubs": STUBS,
            "artifacts": str(folder / "artifacts"),
            "temp": mkdtemp(prefix="temp-", dir=folder),  # each job has its own
            "matrix": matrix or {},
            "needs": needs or {},
            "runs": {name: str(place) for name, place in (runs or {}).items()},
        }
    )
    return Job(report["status"], {step["name"]: step for step in report["steps"]}, report["summary"], report["outputs"])


def combinations(workflow: str, job: str, *, github: dict[str, Any], needs: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the combinations of a job's matrix, as GitHub would start one job for each."""
    asked = {"workflow": str(WORKFLOWS / workflow), "job": job, "github": github, "needs": needs, "only": "matrix"}
    return list(_asked(asked | {"temp": "/tmp", "workspace": "/tmp", "env": {}}))  # noqa: S108 - nothing is written


def _asked(asked: dict[str, Any]) -> Any:
    done = subprocess.run(
        ["node", str(HERE / "runner.mjs")], input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
