"""What modules and their documents say of Leverframe, held to what Leverframe has."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import yaml

from leverframe.domain.review.report.publish import CHECK
from leverframe.settings.infra import InfraEnvironmentSettings, InfraSettings
from leverframe.settings.monitor import AlertSettings
from tests.terraform.programs import ROOT

TERRAFORM = ROOT / "terraform"
DOCUMENTS = [*TERRAFORM.glob("*/*/README.md"), *(ROOT / "docs/guides").glob("infrastructure*.md")]
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
DEPLOYMENT = next(iter(yaml.safe_load_all((ROOT / "src/leverframe/kubernetes/base/deployment.yaml").read_text())))


def hcl(path: str) -> str:
    return (TERRAFORM / path).read_text(encoding="utf-8")


def test_required_checks_are_reported() -> None:
    """A check that no workflow reports would block every merge."""
    names = set(re.findall(r'^    "([^"]+)"\s+= 15368', hcl("modules/github_repo/variables.tf"), re.MULTILINE))
    jobs: dict[str, Any] = {}
    for name in ("pull-request", "self-test"):
        workflow = yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text(encoding="utf-8"))
        jobs |= {job["name"]: job for job in workflow["jobs"].values()}
    assert {"model", "test"} <= jobs.keys()
    assert names == {"model", "test", CHECK}


def test_labels_are_those_of_the_settings() -> None:
    labels = set(re.findall(r'^    "([a-z-]+)"\s+= \{ color', hcl("modules/github_repo/variables.tf"), re.MULTILINE))
    assert labels == {
        InfraEnvironmentSettings().allow_label, InfraSettings().drift_label, *AlertSettings().labels,
    }  # fmt: skip


def test_a_task_is_what_a_pod_is() -> None:
    """The same commands, environment, user, folder and question of readiness."""
    text = hcl("modules/aws_serving_ecs/main.tf")
    pod = DEPLOYMENT["spec"]["template"]["spec"]
    fetch, server = pod["initContainers"][0], pod["containers"][0]
    task = dict(re.findall(r'\{ name = "(\w+)", value = "([^"]*)" \}', text))
    assert task == {part["name"]: part["value"] for part in server["env"] if "value" in part}
    assert f"entryPoint = {json.dumps(fetch['command'])}" in text
    assert f"entryPoint   = {json.dumps(server['command'])}" in text
    assert 'command      = ["${local.folder}/config.json"]' in text
    assert server["args"] == ["/var/lib/leverframe/config.json"]
    assert f'"{pod["securityContext"]["runAsUser"]}:{pod["securityContext"]["runAsGroup"]}"' in text
    asked = server["readinessProbe"]["httpGet"]["path"].replace("model/", "${var.model}/")
    assert f'path                = "{asked}"' in hcl("modules/aws_serving_ecs/load_balancer.tf")


def test_deployers_may_apply_every_kind() -> None:
    """Each manifest of the package is of a kind that the role of deployers names."""
    rules = re.findall(r"api_groups = \[(.*?)\]\s+resources  = \[(.*?)\]", hcl("modules/k8s_serving/main.tf"))
    allowed = {(group.strip('"'), kind.strip(' "')) for group, kinds in rules for kind in kinds.split(",")}
    wanted = {("", "configmaps"), ("", "pods")}
    for path in (ROOT / "src/leverframe/kubernetes").glob("*/*.yaml"):
        if path.name != "kustomization.yaml":
            manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
            group = manifest["apiVersion"].rpartition("/")[0]
            plural = re.sub(r"ys$", "ies", manifest["kind"].lower() + "s")
            wanted.add((group, plural))
    assert len(wanted) > 8
    assert wanted <= allowed
    assert not {kind for _, kind in allowed} & {"secrets", "roles", "rolebindings", "pods/exec"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Any) -> None:
    for path, anchor in LINK.findall(document.read_text(encoding="utf-8")):
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), path
        if anchor:
            titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-") for title in titles]


def workflow_of(block: Any) -> dict[str, Any] | None:
    """Return a whole workflow around a block of YAML; None for one that is none of a workflow."""
    if isinstance(block, dict) and "jobs" in block:
        return block
    if isinstance(block, list) and all("uses" in step or "run" in step for step in block):
        return {"on": "push", "jobs": {"job": {"runs-on": "ubuntu-24.04", "steps": block}}}
    if isinstance(block, dict) and all(isinstance(job, dict) and "runs-on" in job for job in block.values()):
        needed = {name for job in block.values() for name in [job.get("needs", [])] if isinstance(name, str)}
        others = {name: {"runs-on": "ubuntu-24.04", "steps": [{"run": "true"}]} for name in needed}
        return {"on": "push", "jobs": {**others, **block}}
    return None


def test_workflow_lines_are_workflows() -> None:
    """Lines to copy fit GitHub's schema, pin what they use, and name permissions."""
    schema = json.loads(
        files("check_jsonschema").joinpath("builtin_schemas/vendor/github-workflows.json").read_text(encoding="utf-8")
    )
    seen = 0
    for document in DOCUMENTS:
        for text in BLOCK.findall(document.read_text(encoding="utf-8")):
            workflow = workflow_of(yaml.safe_load(text.replace("on:\n", "'on':\n", 1)))
            if workflow is None:
                continue
            seen += 1
            jsonschema.validate(workflow, schema)
            used = re.findall(r"uses: (\S+)", text)
            assert all(re.search(r"@([0-9a-f]{40}|COMMIT)$", name) for name in used), document
            if "runs-on" in text:
                assert "permissions:" in text, document
                assert "timeout-minutes:" in text, document
    assert seen >= 3
