"""Workflows with phases are as strict as those without, whatever the project; also with the job of the guide."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import yaml

from leverframe.domain.pipeline.init import WorkflowContext, workflow
from leverframe.domain.pipeline.runners.runner_jobs import RunnerJobs
from leverframe.domain.pipeline.runners.runner_phases import phases
from leverframe.domain.project import WHOLE, Project
from leverframe.package import template
from leverframe.settings.runners import RunnerSettings
from tests.workflows.jobs import HERE, ROOT

ACTIONS = f"leverframe/leverframe/actions@{'a' * 40} # v0.1.0"
RUNNERS = {
    "gpu": RunnerSettings(stages=["train"], runs_on=["self-hosted", "gpu"], requirements="gpu/requirements.lock"),
    "big": RunnerSettings(stages=["join"], runs_on="ubuntu-24.04-16-cores", minutes=90),
}
PLAN = phases(
    ["read", "join", "train", "score", "tune", "report"],
    [("read", "join"), ("join", "train"), ("train", "score"), ("score", "tune"), ("tune", "report")],
    {"join": "big", "train": "gpu", "tune": "gpu"},
)


def written(name: str, *, infra: bool = False) -> str:
    """Return a workflow of a project with five phases before the last."""
    around = WorkflowContext(Project("services/ml") if infra else WHOLE, infra, submodules=infra, judge=("self-hosted",
                          "gpu"), jobs=RunnerJobs(PLAN, RUNNERS, template("phase-job.yml")))  # fmt: skip
    return workflow(template(name), ACTIONS, around)


def findings(folder: Path, texts: Mapping[str, str]) -> str:
    """Return what zizmor and the parser of GitHub find in some workflows."""
    place = folder / ".github/workflows"
    place.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (place / name).write_text(text, encoding="utf-8")
    command = ["zizmor", "--offline", "--strict-collection", "--persona", "auditor", "--quiet", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    parse = ["node", str(HERE / "parse.mjs"), *(str(place / name) for name in texts)]
    parsed = json.loads(subprocess.run(parse, capture_output=True, text=True, check=True).stdout)
    return (done.stdout + done.stderr if done.returncode else "") + "".join(map(str, parsed))


def test_nothing_is_left_to_find(tmp_path: Path) -> None:
    """In a folder, with submodules and infrastructure, too; also with the job of the guide that starts a machine."""
    names = ("workflow.yml", "workflow-merge.yml", "workflow-judge.yml")
    texts = {f"{infra}-{name}": written(name, infra=infra) for name in names for infra in (False, True)}
    assert not any("%{" in text for text in texts.values())
    page = (ROOT / "docs/guides/runners.md").read_text(encoding="utf-8")
    (job,) = re.findall(r"^```yaml\n(launch:\n.*?)^```", page, re.DOTALL | re.MULTILINE)
    lines = "".join(f"  {line}\n" for line in job.replace("<40 digits>", "b" * 40).splitlines())
    texts["launch.yml"] = texts["False-workflow.yml"] + lines
    assert findings(tmp_path, texts) == ""
    wrong = texts["launch.yml"].replace("runs-on: ubuntu-24.04\n", "runs-on: ubuntu-24.04\n    colour: red\n", 1)
    wrong = wrong.replace("persist-credentials: false", "persist-credentials: true")
    output = findings(tmp_path, {"launch.yml": wrong})
    assert "colour" in output
    assert "artipacked" in output


def test_each_phase_needs_all_before_it_and_asks_the_newest() -> None:
    """A phase that was skipped tells nothing, so the one before it is asked; a failure ends the chain."""
    jobs = yaml.safe_load(written("workflow.yml"))["jobs"]
    assert [phase.runner for phase in PLAN.phases] == ["", "big", "gpu", "", "gpu", ""]
    assert list(jobs) == ["phase_1", "phase_2", "phase_3", "phase_4", "phase_5", "model"]
    assert jobs["phase_3"]["needs"] == ["phase_1", "phase_2"]
    assert jobs["model"]["needs"] == [f"phase_{number}" for number in range(1, 6)]
    expression = "needs.phase_2.outputs.phases || needs.phase_1.outputs.phases || '[]'"
    assert f"contains(fromJSON({expression}), 3)" in jobs["phase_3"]["if"]
    assert f"(needs.phase_3.outputs.phases || {expression}) != '[]'" in jobs["phase_4"]["if"]
    assert all("!cancelled()" in job["if"] and "!failure()" in job["if"] for job in list(jobs.values())[:-1])
    assert (jobs["phase_2"]["runs-on"], jobs["phase_2"]["timeout-minutes"]) == ("ubuntu-24.04-16-cores", 90)
    (setup,) = [step for step in jobs["phase_3"]["steps"] if "/setup@" in step["uses"]]
    assert setup["with"]["requirements"] == "gpu/requirements.lock"
    merge = yaml.safe_load(written("workflow-merge.yml"))["jobs"]
    (first,) = [step["with"] for step in merge["phase_1"]["steps"] if step.get("id") == "phase"]
    assert (first["issue"], first["phase"]) == ("true", "1/6")
    assert "issues" not in merge["phase_2"]["permissions"]
