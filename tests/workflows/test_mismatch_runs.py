"""The workflow after a merge, over the local forge, with a commit on main whose lock was written by hand."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

from tests.integration.test_reproduce_claims import FLIPPED, claims
from tests.loop.test_reproduce_forge import NAME, SECRET, World, world
from tests.warm import warm
from tests.workflows.jobs import Job, run

__all__ = ["claims", "world"]  # fixtures


def merged(world: World, name: str, folder: Path, **needs: str) -> Job:
    """Run a job of the workflow for the commit here, as after a push to main."""
    repository = world.repository
    programs = folder / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    (programs / "uv").write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")  # what the job needs is installed already
    (programs / "uv").chmod(0o755)
    event = {"before": repository.git("rev-parse", "HEAD^").strip()}
    environment = {name: value for name, value in repository.environment.items() if not name.startswith("GITHUB_")}
    environment |= {
        "GITHUB_REPOSITORY": NAME, "GITHUB_API_URL": world.server.address,
        "PATH": os.pathsep.join([str(programs), repository.environment["PATH"]]),
    }  # fmt: skip
    github = {"event_name": "push", "event": event, "repository": NAME, "token": SECRET, "ref": "refs/heads/main"}
    return run(
        "merge.yml", name, workspace=repository.root, folder=folder, github=github, needs=needs,
        environment=warm().around(environment), variables={"ENVIRONMENT": "live"},
    )  # fmt: skip


def test_a_mismatch_on_main_opens_an_issue_and_is_not_deployed(world: World, tmp_path: Path) -> None:
    """The job that verifies fails, so that the one that deploys, which needs it, does not start."""
    repository = world.repository
    repository.write("params.yaml", "build: 2\n")
    (repository.root / "table.parquet").unlink()
    pl.DataFrame(FLIPPED).write_parquet(repository.root / "table.parquet")
    repository.dvc("commit", "--force")
    repository.commit("Labels written by hand")
    verified = merged(world, "model", tmp_path)
    assert verified.status == "failure"
    assert verified.steps["check"]["outputs"]["reason"] == ""  # a pipeline of one's own is checked as any other
    assert verified.steps["reproduce"]["outputs"]["reason"] == "lock-mismatch", verified.log
    assert SECRET not in verified.log
    (issue,) = world.issues
    assert verified.steps["reproduce"]["outputs"]["report"].endswith(f"/issues/{issue.number}")
    assert merged(world, "deploy", tmp_path, model=verified.status, infrastructure="skipped").status == "skipped"
    assert world.server.repositories[NAME].deployments == []
    repository.git("checkout", "--quiet", "--force", ".")
    repository.dvc("repro", "--force")
    repository.commit("What the stages write")
    mended = merged(world, "model", tmp_path)
    assert mended.status == "success", mended.log
    assert (issue.state, issue.reason) == ("closed", "completed")
