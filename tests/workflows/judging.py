"""The workflows of a pull request over the fake GitHub server: what its own run leaves, and the jobs that judge."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leverframe.local.github.events import pull_request_event, workflow_dispatch_event, workflow_run_event
from leverframe.local.github.state import PullRequest, Repository
from leverframe.local.repository import TemporaryRepository
from tests.loop.forge import NAME, Forge
from tests.workflows.jobs import ROOT, Job, combinations, run
from tests.workflows.machine import context, surroundings

RUN = 7  # of the workflow that runs the code of a pull request
_NUMBERS = itertools.count(801)  # a later run has a larger one


def claimed(
    forge: Forge, pull: PullRequest, folder: Path, name: str = "pull_request", number: int = RUN
) -> tuple[Job, TemporaryRepository]:
    """Run the job `model` for the head of a pull request: by its event, or started by hand on its branch."""
    job = forge.checkout(pull.head)
    if name == "pull_request":
        event = pull_request_event(forge.repository, pull)
        more = {"base_ref": pull.base, "head_ref": pull.branch, "ref": f"refs/pull/{pull.number}/merge"}
    else:
        event = workflow_dispatch_event(forge.repository, pull.branch)
        more = {"ref": f"refs/heads/{pull.branch}", "sha": pull.head}
    environment = surroundings(forge.server.address, job, name, event, number, folder)
    environment |= {"GITHUB_REF": more["ref"], "GITHUB_SHA": more.get("sha", "")}
    ended = run(
        "pull-request.yml", "model", workspace=job.root, folder=folder, github=context(name, event, **more),
        environment=environment,
    )  # fmt: skip
    return ended, job


@dataclass
class Judgement:
    """How the jobs of one run of the workflow that judges ended; those of a matrix by the number of a pull request."""

    pulls: Job
    judge: dict[int, Job] = field(default_factory=dict)
    publish: dict[int, Job] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)

    @property
    def log(self) -> str:
        """All that the steps of all jobs printed, and their summaries."""
        jobs = (self.pulls, *self.judge.values(), *self.publish.values())
        return "".join(job.log + job.summary for job in jobs)


@dataclass
class Judging:
    """Starts the workflow that judges after something happened.

    ``runs`` says where the artifacts of other runs lie, and ``machine`` gives a job its checkout and its environment.
    """

    machine: Callable[[str, str, dict[str, Any], int], tuple[TemporaryRepository, dict[str, str]]]
    folder: Path
    runs: dict[str, Path]
    workflow: str = "judge.yml"
    root: Path = ROOT
    repository: str = NAME
    ref: str = "refs/heads/main"
    count: int = 0

    def __call__(
        self, name: str, event: dict[str, Any], variables: dict[str, str] | None = None, *, result: str = "",
        left: Path | None = None,
    ) -> Judgement:  # fmt: skip
        """Run the jobs whose conditions hold, with ``variables`` of the repository.

        ``result`` is that of the job `judge` where it does not get to run; ``left`` are the artifacts that it left in
        another run for the same commits, where they stand for it.
        """
        self.count, variables = next(_NUMBERS), variables or {}
        event["repository"]["default_branch"] = "main"
        pulls, where = self._job("pulls", name, event, {}, {}, variables)
        ended, needs = Judgement(pulls, folders=[where]), {"pulls": {"result": pulls.status, "outputs": pulls.outputs}}
        if pulls.status != "success":
            return ended
        asked = self._context(name, event)
        matrix = combinations(self.workflow, "judge", github=asked, needs=needs)
        if left:
            shutil.copytree(left, self.folder / f"run-{self.count}" / "artifacts")
            result = "success"
        for combination in [] if result else matrix:
            job, where = self._job("judge", name, event, combination, needs, variables)
            ended.folders.append(where)
            if job.status != "skipped":
                ended.judge[combination["pull"]["number"]] = job
        results = {job.status for job in ended.judge.values()}
        conclusion = result or next((status for status in ("failure", "success") if status in results), "skipped")
        outputs = next((job.outputs for job in ended.judge.values() if job.outputs), {})
        needs["judge"] = {"result": conclusion, "outputs": outputs}
        for combination in matrix:
            job, where = self._job("publish", name, event, combination, needs, variables)
            ended.folders.append(where)
            if job.status != "skipped":
                ended.publish[combination["pull"]["number"]] = job
        return ended

    def _context(self, name: str, event: dict[str, Any]) -> dict[str, Any]:
        return context(name, event, ref=self.ref, run_attempt="1") | {"repository": self.repository}

    def _job(
        self, job: str, name: str, event: dict[str, Any], matrix: dict[str, Any], needs: dict[str, Any],
        variables: dict[str, str],
    ) -> tuple[Job, Path]:  # fmt: skip
        place, environment = self.machine(job, name, event, self.count)
        ended = run(
            self.workflow, job, workspace=place.root, folder=self.folder / f"run-{self.count}", runs=self.runs,
            github=self._context(name, event), environment=environment,
            matrix=matrix, needs=needs, variables=variables, root=self.root,
        )  # fmt: skip
        return ended, place.root


def judging(forge: Forge, folder: Path, runs: dict[str, Path] | None = None) -> Judging:
    """Return what starts the workflow of this repository: each job in a fresh clone of the default branch."""
    folder.mkdir(parents=True, exist_ok=True)

    def machine(_: str, name: str, event: dict[str, Any], number: int) -> tuple[TemporaryRepository, dict[str, str]]:
        job = forge.checkout("origin/main", pulls=False)
        environment = surroundings(forge.server.address, job, name, event, number, folder)
        return job, environment | {"GITHUB_REF": "refs/heads/main", "GITHUB_SHA": forge.repository.commit("main")}

    return Judging(machine, folder, runs or {})


def after(
    repository: Repository,
    pull: PullRequest,
    conclusion: str = "failure",
    name: str = "pull_request",
    *,
    action: str = "completed",
) -> tuple[str, dict[str, Any]]:
    """Return name and payload of the event after a run of a pull request began or ended."""
    event = workflow_run_event(repository, pull, RUN, conclusion, name)
    if action == "requested":
        event |= {"action": action}
        event["workflow_run"] |= {"status": "queued", "conclusion": None}
    return "workflow_run", json.loads(json.dumps(event))
