"""What modules and their documents say of Leverframe, held to what Leverframe has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import yaml

from leverframe.domain.pipeline.init import workflow
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
    """A check that no workflow of a user reports would block every merge, also the one that repairs it."""
    names = set(re.findall(r'^    "([^"]+)"\s+= 15368', hcl("modules/github_repo/variables.tf"), re.MULTILINE))
    text = workflow((ROOT / "src/leverframe/templates/workflow-judge.yml").read_text(encoding="utf-8"), "x/y@z")
    jobs = yaml.safe_load(text)["jobs"]
    assert names == {CHECK}
    posted = [step for step in jobs["publish"]["steps"] if "/report@" in step.get("uses", "")]
    assert all(step["with"]["token"] for step in posted)
    assert "always()" in jobs["publish"]["if"]


def test_actions_may_be_used() -> None:
    """What our actions and workflows use besides GitHub's own is what the settings of a repository let run."""
    files = [*(ROOT / "actions").glob("*/action.yml"), *(ROOT / "src/leverframe/templates").glob("*.yml")]
    used = {
        name for path in files for name in re.findall(r"uses: ([^@\s./%]+/[^@\s/]+)[^@\s]*@", path.read_text("utf-8"))
    }
    allowed = set(re.findall(r'"([\w.-]+/[\w.-]+)@\*"', hcl("modules/github_repo/main.tf")))
    assert allowed == {name for name in used if name.split("/")[0] not in ("actions", "github")}
    readme = hcl("environments/github/README.md")
    assert yaml.safe_load(BLOCK.findall(readme)[0])["infra"]["environments"]["github"]["variables"][
        "allowed_actions"
    ] == ["OWNER/leverframe/*@*"]


def backends(node: Any) -> Iterator[dict[str, Any]]:
    """Every `backend` below a node."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if key == "backend" and isinstance(value, dict):
            yield value
        yield from backends(value)


def test_backends_name_the_key() -> None:
    """Without the ARN of a key Terraform asks S3 for another encryption, which the bucket of the state refuses."""
    pages = [*DOCUMENTS, *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    blocks = {
        (page, text) for page in pages for text in BLOCK.findall(page.read_text(encoding="utf-8")) if "backend" in text
    }
    pairs = [(page, backend) for page, text in blocks for backend in backends(yaml.safe_load(text))]
    on_s3 = [(page, backend) for page, backend in pairs if "region" in backend]
    assert len(on_s3) >= 3
    assert [page for page, backend in on_s3 if ":kms:" not in backend.get("kms_key_id", "")] == []


def test_the_guide_makes_the_roles_of_services() -> None:
    """A role that a service makes for itself is made before a role of ours needs it, which may not make it."""
    made = re.search(
        r"for service in (.*); do", (ROOT / "docs/guides/infrastructure-aws.md").read_text(encoding="utf-8")
    )
    asked = re.findall(
        r'"([\w.-]+)\.amazonaws\.com"', hcl("modules/github_oidc/apply.tf").split("iam:AWSServiceName")[1]
    )
    assert made is not None
    spot = {"spot"} if "spot_instance_type" in hcl("modules/github_runners/main.tf") else set()
    assert set(made[1].split()) == {name for name in asked if name != "ecs-tasks"} | spot


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


def test_the_quota_has_room_for_all_pods() -> None:
    """The autoscaler's, one more while a release is rolled out, and that of the monitor, by what they ask for."""
    manifests = ROOT / "src/leverframe/kubernetes"
    replicas = yaml.safe_load((manifests / "base/hpa.yaml").read_text())["spec"]["maxReplicas"]
    pods = replicas + 1 + 1
    monitor = yaml.safe_load((manifests / "monitor/cronjob.yaml").read_text())
    template = monitor["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    served, watched = (
        sum(int(part["resources"]["requests"]["memory"].removesuffix("Gi")) for part in spec["containers"])
        for spec in (DEPLOYMENT["spec"]["template"]["spec"], template)
    )
    tested = hcl("modules/k8s_serving/tests/platform.tftest.hcl")
    assert f'hard["pods"] == "{pods}"' in tested
    assert f'hard["requests.memory"] == "{(replicas + 1) * served + watched}Gi"' in tested


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
