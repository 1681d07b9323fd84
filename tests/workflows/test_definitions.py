"""Workflows and actions as text: GitHub's schema, names that refer to something, least permissions, pins."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from actions import generate, workflows
from leverframe.cli import leverframe
from leverframe.domain.pipeline.init import WHY, WorkflowContext, workflow
from leverframe.domain.project import WHOLE, Project
from leverframe.package import template
from tests.profiles import by_day
from tests.workflows.jobs import HERE, ROOT, WORKFLOWS

ACTIONS = sorted((ROOT / "actions").glob("*/action.yml"))
FILES = sorted(WORKFLOWS.glob("*.yml"))
# None of them runs anything of a pull request.
MAY_WRITE = {("judge", "pulls"), ("judge", "publish"), ("merge", "deploy"), ("monitor", "monitor"),
             ("monitor", "retrain"), ("monitor", "pages"), ("merge", "model"), ("nightly", "reproduce"),
             ("merge", "infrastructure"), ("infra-drift", "drift")}  # fmt: skip
# It plans what a pull request declares, with a role that may only read.
MAY_TAKE_A_ROLE = ("pull-request", "infrastructure")


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506 - texts only
    return content


def _steps(content: dict[str, Any]) -> list[dict[str, Any]]:
    if "runs" in content:
        return list(content["runs"]["steps"])
    return [step for job in content["jobs"].values() for step in job["steps"]]


def test_github_accepts_every_file() -> None:
    """Its own parser finds nothing, and it does find a wrong event."""
    done = subprocess.run(
        ["node", str(HERE / "parse.mjs"), *map(str, [*FILES, *ACTIONS])], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []


def test_a_registry_that_is_down_does_not_cost_the_card() -> None:
    """CML comes from npm: without it GitHub's interface posts, so its step alone may fail."""
    steps = _steps(_read(ROOT / "actions/setup/action.yml"))
    may_fail = [step["uses"].partition("@")[0] for step in steps if step.get("continue-on-error") == "true"]
    assert may_fail == ["iterative/setup-cml"]


@pytest.mark.parametrize("infra", by_day([False, True], True))
def test_the_files_that_init_writes_are_as_strict_as_ours(tmp_path: Path, *, infra: bool) -> None:
    """With actions pinned by commit nothing is left to find; an unpinned one is found in each file that has one."""
    folder, names = tmp_path / ".github/workflows", sorted(WHY)
    folder.mkdir(parents=True)
    around = WorkflowContext(Project("services/ml") if infra else WHOLE, infra, submodules=infra)
    command = ["zizmor", "--offline", "--strict-collection", "--persona", "auditor", "--quiet", "--format", "json"]
    for pin, wrong in ((f"{'a' * 40} # v0.1.0", set[str]()), ("main", {*names} - {"workflow-review.yml"})):
        for name in names:
            text = workflow(template(name), f"leverframe/leverframe/actions@{pin}", around)
            (folder / name).write_text(text, encoding="utf-8")
        done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False)
        assert done.returncode == (14 if wrong else 0), done.stdout + done.stderr
        flaws = [json.dumps(flaw) for flaw in json.loads(done.stdout) if flaw["determinations"]["severity"] == "High"]
        assert {name for name in names for flaw in flaws if f'/{name}"' in flaw} == wrong, done.stdout
        parsed = subprocess.run(
            ["node", str(HERE / "parse.mjs"), *map(str, sorted(folder.iterdir()))],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert json.loads(parsed.stdout) == []


def test_github_refuses_a_wrong_event(tmp_path: Path) -> None:
    """The parser is one that can fail."""
    wrong = tmp_path / "wrong.yml"
    merge = (WORKFLOWS / "merge.yml").read_text(encoding="utf-8")
    wrong.write_text(merge.replace("push:", "pushed:"), encoding="utf-8")
    done = subprocess.run(["node", str(HERE / "parse.mjs"), str(wrong)], capture_output=True, text=True, check=True)
    assert "pushed" in done.stdout


def test_actions_are_what_the_commands_ask_for() -> None:
    """Each option and argument of a command is an input of its action, mapped to the variable that the command gets."""
    assert generate.main(["--check"]) == 0
    for lever in generate.LEVERS:
        command = leverframe.get_command(click.Context(leverframe), lever)
        assert command is not None
        (step,) = _steps(_read(ROOT / f"actions/{lever}/action.yml"))
        options = {str(parameter.name) for parameter in command.params} - {"as_json", "help"}
        mapped = {name for name in step["env"] if name.startswith("LEVERFRAME_")}
        assert mapped == {f"LEVERFRAME_{lever}_{option}".upper().replace("-", "_") for option in options}
        assert step["run"].startswith(f"exec leverframe {lever}")


def test_a_commit_whose_lock_file_brings_no_leverframe_is_told_so() -> None:
    """As the base of the first pull request of somebody who wrote the workflow file alone."""
    step = _steps(_read(ROOT / "actions/setup/action.yml"))[-1]
    environment = {"PATH": "/nowhere", "REQUIREMENTS": "requirements.lock"}
    command = [shutil.which("bash") or "bash", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("::error title=Leverframe is not installed::requirements.lock of this commit")
    assert "leverframe init" in done.stdout


def test_an_edited_action_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The check of `make check` can fail."""
    monkeypatch.setattr(generate, "HERE", tmp_path / "actions")
    assert generate.main(["--check"]) == 1
    (tmp_path / "actions").mkdir()
    assert generate.main(["--write"]) == 0
    assert generate.main(["--check"]) == 0
    edited = tmp_path / "actions/gate/action.yml"
    edited.write_text(edited.read_text(encoding="utf-8") + "# more\n", encoding="utf-8")
    assert generate.main(["--check"]) == 1


@pytest.mark.parametrize("path", [*FILES, *ACTIONS], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_name_refers_to_something(path: Path) -> None:
    """`inputs.x`, `steps.x.outputs.y` and each key of `with:` exist where they are looked for."""
    content, text = _read(path), path.read_text(encoding="utf-8")
    dispatched = content.get("on", {}).get("workflow_dispatch") or {}
    for name in re.findall(r"\$\{\{[^}]*\binputs\.(\w+)", text):
        assert name in content.get("inputs", {}) or name in dispatched.get("inputs", {}), name
    outputs = {*generate.OUTPUTS, *(name for more in generate.MORE_OUTPUTS.values() for name in more)}
    ids = {step["id"]: step for step in _steps(content) if "id" in step}
    for step, output in re.findall(r"steps\.(\w+)\.outputs\.(\w+)", text):
        assert step in ids, step
        ours = not ids[step].get("uses", "").startswith("actions/")
        assert output in (outputs if ours else ("token",)) or f"{output}=" in ids[step].get("run", ""), output
    for job, output in re.findall(r"needs\.(\w+)\.outputs\.(\w+)", text):
        assert output in content["jobs"][job]["outputs"], output
    for step in _steps(content):
        if step.get("uses", "").startswith("$/"):
            inner = _read(ROOT / step["uses"][2:] / "action.yml")
            assert set(step.get("with", {})) <= set(inner.get("inputs", {})), step["uses"]
        elif "uses" in step:
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"]), step["uses"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_workflows_ask_for_the_least(path: Path) -> None:
    """No permission on top, each with its reason on the job, a time limit, and one run at a time."""
    content, text = _read(path), path.read_text(encoding="utf-8")
    assert content["permissions"] in ("{}", {})
    assert "concurrency" in content
    for name, job in content["jobs"].items():
        assert int(job["timeout-minutes"]) <= 90
        written = {permission for permission, level in job["permissions"].items() if level == "write"}
        takes_a_role = written == {"id-token"} and (path.stem, name) == MAY_TAKE_A_ROLE
        assert not written or takes_a_role or (path.stem, name) in MAY_WRITE
        for permission, level in job["permissions"].items():
            assert re.search(rf"^ +{permission}: {level} # .+", text, re.MULTILINE), permission


def test_a_commit_that_does_not_reproduce_is_not_deployed() -> None:
    """The deployment waits for the success of the job that verifies, whose failure is told in an issue."""
    for name, job in (("merge", "model"), ("nightly", "reproduce")):
        jobs = _read(WORKFLOWS / f"{name}.yml")["jobs"]
        (step,) = [step for step in jobs[job]["steps"] if step.get("uses") == "$/actions/reproduce"]
        assert (step["with"]["issue"], step["with"]["token"]) == ("true", "${{ github.token }}")
        assert "continue-on-error" not in {*step, *jobs[job]}
        assert jobs[job]["permissions"]["issues"] == "write"
    deploy = _read(WORKFLOWS / "merge.yml")["jobs"]["deploy"]
    assert "model" in deploy["needs"]
    assert "needs.model.result == 'success'" in deploy["if"]
    for around in (WorkflowContext(), WorkflowContext(Project("services/ml"))):
        jobs = yaml.safe_load(workflow(template("workflow-merge.yml"), "a/b/actions@v1", around))["jobs"]
        assert jobs["deploy"]["needs"] == "model"
        assert "always" not in jobs["deploy"]["if"]
        assert "cancelled" not in jobs["deploy"]["if"]
        assert (jobs["model"]["steps"][-1]["with"]["issue"], jobs["model"]["permissions"]["issues"]) == (
            "true",
            "write",
        )
    alone = yaml.safe_load(workflow(template("workflow-merge.yml"), "a/b/actions@v1", WorkflowContext(infra=True)))[
        "jobs"
    ]
    assert list(alone) == ["model"]  # what deploys comes after the platform
    jobs = yaml.safe_load(workflows.workflow("deploy", ()))["jobs"]
    assert jobs["deploy"]["needs"] == "model"
    assert "reproduce" in jobs["model"]["steps"][2]["uses"]


def test_what_starts_after_another_workflow_names_one_that_is_there() -> None:
    """A misspelt name would never start, and nobody would be told."""
    names = {_read(path)["name"] for path in FILES}
    after = [name for path in FILES for name in (_read(path)["on"].get("workflow_run") or {}).get("workflows", [])]
    assert after
    assert set(after) <= names


def test_no_expression_stands_in_a_script() -> None:
    """What anybody may have written reaches a script through its environment alone."""
    for path in [*FILES, *ACTIONS]:
        for step in _steps(_read(path)):
            assert "${{" not in step.get("run", ""), path


def test_nothing_of_a_pull_request_is_checked_out_where_tokens_may_write() -> None:
    """What posts checks out the default branch; what judges checks out the base branch, and has no such token."""
    jobs = _read(WORKFLOWS / "judge.yml")["jobs"]
    checkouts = {name: [step.get("with", {}).get("ref") for step in job["steps"] if "checkout@" in step.get("uses", "")]
                 for name, job in jobs.items()}  # fmt: skip
    assert checkouts == {"pulls": [None], "judge": ["${{ matrix.pull.base }}"], "publish": [None]}
    assert set(jobs["judge"]["permissions"].values()) == {"read"}
    assert "pull_request_target" not in "".join(path.read_text(encoding="utf-8") for path in FILES)
    secrets = re.findall(r"secrets\.(\w+)", "".join(path.read_text(encoding="utf-8") for path in FILES))
    assert set(secrets) == {"RETRAIN_APP_KEY", "LEVERFRAME_APP_KEY"}  # optional, each of an environment of its own
    keyed = [job for path in FILES for job in _read(path)["jobs"].values() if "secrets." in json.dumps(job)]
    assert all("environment" in job for job in keyed)


def test_only_the_branch_and_the_commit_of_a_run_say_whose_card_it_is() -> None:
    """Who starts the checks by hand names no pull request; who starts the judge does so on the default branch."""
    for name in ("pull-request", "review"):
        assert "inputs" not in (WORKFLOWS / f"{name}.yml").read_text(encoding="utf-8")
    assert _read(WORKFLOWS / "pull-request.yml")["on"]["workflow_dispatch"] in ({}, None, "")
    first = _read(WORKFLOWS / "judge.yml")["jobs"]["pulls"]
    assert first["if"] == "github.ref == format('refs/heads/{0}', github.event.repository.default_branch)"


def test_no_job_is_named_like_the_check() -> None:
    """GitHub shows a job as a check of its name, and a branch rule takes one of that name."""
    texts = [workflow(template(name), f"x/y@{'a' * 40}", WorkflowContext(infra=True)) for name in WHY]
    contents = [yaml.load(text, yaml.BaseLoader) for text in texts] + [_read(path) for path in FILES]  # noqa: S506
    names = {name for content in contents for key, job in content["jobs"].items() for name in (key, job.get("name"))}
    assert "model" in names
    assert "leverframe" not in names


def test_init_writes_the_judge_that_judges_this_repository() -> None:
    """Its steps, conditions and permissions are the same; names, the packages and the pins of actions differ."""
    text = workflow(template("workflow-judge.yml"), f"o/r/actions@{'a' * 40}", WorkflowContext(infra=True))
    text = re.sub(rf"o/r/actions/(\w+)@{'a' * 40}", r"$/actions/\1", text)
    written, ours = yaml.load(text, yaml.BaseLoader), _read(WORKFLOWS / "judge.yml")  # noqa: S506 - texts only
    for content in (written, ours):
        for step in _steps(content):
            for key in ("python", "project"):
                step.get("with", {}).pop(key, None)
            if not step.get("with", True):
                del step["with"]
    assert written["jobs"] == ours["jobs"]
    assert {name: trigger for name, trigger in written["on"].items() if name != "workflow_run"} == {
        name: trigger for name, trigger in ours["on"].items() if name != "workflow_run"
    }


def test_a_title_that_is_edited_stops_no_run() -> None:
    """Only another base concerns the model; the run of other words is in a group of its own, and does nothing."""
    for text in ((WORKFLOWS / "pull-request.yml").read_text(encoding="utf-8"), template("workflow.yml")):
        assert "github.event.action == 'edited' && !github.event.changes.base && '-words'" in text
        assert "types: [opened, synchronize, reopened, edited]" in text


def test_an_older_runner_and_enterprise_server_take_the_actions_by_path(tmp_path: Path) -> None:
    """The one line of the guide makes files of this repository that GitHub's parser and schema take as well."""
    guide = (ROOT / "docs/guides/gate-guarantees.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^sed -i .*$", guide, re.MULTILINE)
    shutil.copytree(WORKFLOWS, tmp_path / ".github/workflows")
    subprocess.run(["bash", "-c", line], cwd=tmp_path, check=True)
    written = sorted((tmp_path / ".github/workflows").glob("*.yml"))
    assert all("$/" not in path.read_text(encoding="utf-8") for path in written)
    used = {step["uses"] for path in written for step in _steps(_read(path)) if step.get("uses", "").startswith("./")}
    assert {f"./actions/{name}" for name in ("judge", "report", "setup")} <= used
    assert all((ROOT / name / "action.yml").is_file() for name in used - {"./actions/judge"})
    done = subprocess.run(
        ["node", str(HERE / "parse.mjs"), *map(str, written)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []


def test_only_what_ran_on_the_default_branch_is_cached() -> None:
    """Where code of a pull request runs, the cache of DVC is restored and never saved."""
    contents = {path.stem: _read(path) for path in FILES}
    contents |= {name: yaml.load(workflow(template(name), f"o/r/actions@{'a' * 40}"), yaml.BaseLoader) for name in WHY}  # noqa: S506
    saving = {(name, job) for name, content in contents.items() for job, described in content["jobs"].items()
              for step in described["steps"] if step.get("with", {}).get("cache") == "write"}  # fmt: skip
    assert saving == {("merge", "model"), ("workflow-merge.yml", "model")}
    assert all("pull_request" not in contents[name]["on"] for name, _ in saving)


def test_the_guide_names_what_the_workflows_read() -> None:
    """Variables, the secret, the environment and the artifacts, as an administrator has to type them."""
    guide = (ROOT / "docs/guides/gate-guarantees.md").read_text(encoding="utf-8")
    text = (WORKFLOWS / "judge.yml").read_text(encoding="utf-8")
    names = {
        *re.findall(r"(?:vars|secrets)\.(\w+)", text),
        *re.findall(r"name: (leverframe-\w+)\n", text),
        "leverframe",
    }
    assert {"LEVERFRAME_BASES", "LEVERFRAME_APP_ID", "LEVERFRAME_APP_KEY", "leverframe-outputs"} <= names
    assert [name for name in names if f"`{name}`" not in guide] == []
