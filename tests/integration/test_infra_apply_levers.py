"""Applies of real Terraform from the command line: what was reviewed, refused where it changed, resumed, destroyed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from leverframe.adapters.terraform.terraform_tool import TerraformTool
from leverframe.domain.infrastructure.infra_apply import apply, apply_steps
from leverframe.domain.infrastructure.infra_executor import InfraServices
from leverframe.domain.infrastructure.infra_planning import InfraSubject
from leverframe.domain.infrastructure.infra_ports import InfraTool, Planning
from leverframe.domain.infrastructure.plan_review import ReviewedPlans
from leverframe.domain.infrastructure.protection import Protection
from leverframe.domain.plan_engine import Progress
from leverframe.domain.verdict import Reason
from leverframe.settings.infra import InfraEnvironmentSettings
from tests.integration.infra_repository import MODULE, ROOT, InfraRepository
from tests.integration.test_infra_plan_levers import settings

pytestmark = pytest.mark.skipif(not shutil.which("terraform"), reason="there is no `terraform` on PATH")
BOTH = {"terraform_data.server": "server", "terraform_data.store": "1"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InfraRepository:
    return InfraRepository.create(tmp_path, monkeypatch, capsys)


def test_a_plan_that_was_read_is_applied_once(place: InfraRepository, tmp_path: Path) -> None:
    """It is confirmed and recorded; then there is nothing to do, and drift is what the commit does not declare."""
    place.done("infra-plan")
    outputs = tmp_path / "outputs"
    ran = place.done("infra-apply", GITHUB_OUTPUT=str(outputs))
    assert "passed: `local` is applied at" in ran.out
    assert place.resources() == BOTH
    applied = place.applied()
    assert (applied.applied, applied.left, applied.outputs) == (True, 0, {"size": "1"})
    assert not (place.folder / "plan.json").exists()
    assert {(place.folder / "applied.json").stat().st_mode & 0o777} == {0o600}
    assert "there was nothing to do" in place.done("infra-apply").out
    assert place.done("infra", "drift").out.startswith("no drift: `local`, nothing changes\n")
    place.change(settings("2"))
    drifted = place.run("infra", "drift", "--exit-code")
    assert (drifted.code, "infra-drifted: `local` is not what" in drifted.out) == (30, True)
    assert place.done("infra", "drift").out.startswith("drift found: `local`, ")  # the look itself did not fail
    assert place.done("infra", "drift", "--json").json["verdict"] == "failed"
    assert place.resources() == BOTH


def test_a_destroy_wants_somebody_who_read_the_plan(place: InfraRepository) -> None:
    """At a terminal, or by its digest; what is protected stays."""
    place.done("infra-plan")
    place.done("infra-apply")
    ran = place.run("infra", "destroy")
    assert ran.code == 30
    assert "plan-unreviewed: nobody agreed to destroy `local`" in ran.out
    assert "delete   terraform_data.server" in ran.err
    assert place.resources() == BOTH
    digest = ran.out.partition("--reviewed ")[2][:64]
    assert place.run("infra", "destroy", "--reviewed", "0" * 64).code == 30
    place.change(settings(protected=["terraform_data.*"]))
    ran = place.run("infra", "destroy", "--reviewed", digest)
    assert (ran.code, "destroy-protected" in ran.out, "`protected`" in ran.out) == (30, True, True)
    assert place.resources() == BOTH
    place.change(settings())
    done = place.run("infra", "destroy", "--reviewed", digest)
    assert done.code == 30, "what protects it was merged away in this very commit"
    place.change(settings(), "Later")
    ran = place.done("infra", "destroy", "--reviewed", digest, "--json")
    assert (ran.json["destroy"], ran.json["applied"], place.resources()) == (True, True, {})


def test_the_rules_of_what_was_applied_last_are_told(place: InfraRepository) -> None:
    """Taken out of `protected` together with the resource, it waits for an apply in between; a plan says so, too."""
    protecting = place.change(settings(protected=["terraform_data.store"]))
    place.done("infra-plan")
    place.done("infra-apply")
    module = place.repository.read(f"{ROOT}/main.tf")
    place.repository.write(f"{ROOT}/main.tf", module.replace('"store"', '"shop"'))
    place.change(settings())
    place.change(settings(), "Later")
    place.repository.git("branch", "-f", "trunk")
    for command in (("infra-plan", "--base", "trunk"), ("infra-apply",)):
        ran = place.run(*command)
        assert (ran.code, "destroy-protected" in ran.out) == (30, True), command
    assert f"the rules of {protecting[:12]}, which was applied last, are in force as well" in ran.out
    place.repository.write(f"{ROOT}/main.tf", module)
    place.change(settings(), "Protect nothing")
    place.done("infra-apply")
    place.repository.write(f"{ROOT}/main.tf", module.replace('"store"', '"shop"'))
    place.change(settings(), "Go on")
    place.done("infra-plan")
    place.done("infra-apply")


def changed_variables(place: InfraRepository) -> None:
    place.change(settings("2"))


def changed_main(place: InfraRepository) -> None:
    place.repository.write(f"{ROOT}/more.tf", 'resource "terraform_data" "more" {\n  input = "more"\n}\n')
    place.repository.commit("More")


def changed_state(place: InfraRepository) -> None:
    """Let somebody else apply something meanwhile."""
    folder = place.repository.root / ROOT
    environment = place.repository.environment | {"TF_DATA_DIR": str(place.folder / "data/default")}
    subprocess.run(
        ["terraform", "apply", "-auto-approve", "-input=false", "-var", "size=1", "-target=terraform_data.store"],
        cwd=folder, env=environment, capture_output=True, check=True,
    )  # fmt: skip


def changed_lineage(place: InfraRepository) -> None:
    """Put the state of another environment in place of its own."""
    changed_state(place)
    state = place.repository.root / ROOT / "terraform.tfstate"
    content = json.loads(state.read_text(encoding="utf-8"))
    state.write_text(json.dumps(content | {"lineage": "3f6f1f0c-0000-4000-8000-000000000000"}), encoding="utf-8")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (changed_variables, ["terraform_data.store: it would create otherwise", '+ input = "1"', '+ input = "2"']),
        (changed_main, ["terraform_data.more: nobody reviewed that it would create", '+ input = "more"']),
        (changed_state, ["terraform_data.store: it was reviewed to create, and stays"]),
        (changed_lineage, ["terraform_data.store: it was reviewed to create, and stays"]),
    ],
)
def test_a_plan_that_changed_since_it_was_read_is_refused(
    place: InfraRepository, changed: object, words: list[str]
) -> None:
    """Other variables, another main, another state: the difference is shown, nothing is done; a digest allows it."""
    place.done("infra-plan")
    changed(place)  # type: ignore[operator]
    there = place.resources()
    ran = place.run("infra-apply")
    assert ran.code == 30
    assert "plan-changed: the plan is not the one of `infra-plan` at" in ran.out
    assert [text for text in words if text not in ran.out] == []
    assert place.resources() == there
    assert json.loads((place.repository.root / ".leverframe/levers/infra-apply.json").read_text())["differences"]
    digest = ran.out.partition("--reviewed ")[2][:64]
    place.done("infra-apply", "--reviewed", digest)
    assert len(place.resources()) >= 2


def test_another_command_or_another_secret_of_it_is_another_plan(
    place: InfraRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Terraform plans neither: of a command that is made of others not even its text is in the plan."""
    secret = settings("1", secrets={"secret": "SHOP_SECRET"})
    module = """resource "terraform_data" "runs" {
  provisioner "local-exec" {
    command     = "echo COMMAND ${self.id} >> ran.txt"
    environment = { KEY = var.secret }
  }
}
"""
    monkeypatch.setenv("SHOP_SECRET", "first-password-1")
    place.repository.write(f"{ROOT}/runs.tf", module)
    place.change(secret)
    ran = place.repository.root / ROOT / "ran.txt"
    assert "+ runs local-exec: environment = (made of var.secret)" in place.done("infra-plan").out
    monkeypatch.setenv("SHOP_SECRET", "second-password-2")
    assert place.run("infra-apply").code == 30
    monkeypatch.setenv("SHOP_SECRET", "first-password-1")
    place.repository.write(f"{ROOT}/runs.tf", module.replace("COMMAND", "other"))
    refused = place.run("infra-apply")
    assert (refused.code, "plan-changed" in refused.out, ran.exists()) == (30, True, False)
    place.repository.write(f"{ROOT}/runs.tf", module)
    place.done("infra-apply")
    assert ran.read_text(encoding="utf-8").startswith("COMMAND ")


def test_a_digest_is_a_whole_one_that_is_known(place: InfraRepository) -> None:
    """Else nothing is done, and it says what is planned by now."""
    assert place.run("infra-apply", "--reviewed", "317ff04c").code == 42
    ran = place.run("infra-apply", "--reviewed", "0" * 64)
    assert ran.code == 30
    assert "no plan 000000000000 is known to compare with" in ran.out
    assert "terraform_data.store: nobody reviewed that it would create" in ran.out
    unreviewed = place.run("infra-apply")
    assert (unreviewed.code, "plan-unreviewed: no plan of `local` was made here" in unreviewed.out) == (30, True)
    assert place.resources() == {}


def test_terraform_refuses_a_plan_that_is_stale_in_the_last_second(place: InfraRepository) -> None:
    """Between our plan and its apply somebody else applied: a readable reason, and nothing of ours is done."""
    folder = place.repository.root / ROOT

    def tool() -> TerraformTool:
        return TerraformTool(
            "terraform", folder, data=place.folder, environment=os.environ, on_line=lambda _: None,
            settings=InfraEnvironmentSettings(variables={"size": "1"}, lock_timeout_seconds=0),
        )  # fmt: skip

    mine: InfraTool = tool()
    mine.initialise()
    saved = mine.planned(Planning())
    mine.forget(saved)
    subject = InfraSubject("local", "h" * 40, "", ROOT, "default", Protection())
    around = InfraServices(reviewed=ReviewedPlans((saved.plan,), "a test"), begin=lambda: changed_state(place))
    result = apply(apply_steps(subject), (subject, mine, around), (), lambda: "", Progress(lambda: 0.0))
    assert [violation.reason for violation in result.violations] == [Reason.APPLY_FAILED]
    assert "stale" in result.violations[0].what
    assert list(place.resources()) == ["terraform_data.store"]


SLOW = """
resource "terraform_data" "slow" {
  depends_on = [terraform_data.store]
  input      = terraform_data.store.id

  provisioner "local-exec" {
    command = "test -e %(done)s || { touch %(begun)s; sleep 60; }"
  }
}
"""


def test_an_apply_that_is_killed_half_way_is_finished_by_the_next(place: InfraRepository, tmp_path: Path) -> None:
    """By force in the middle of a resource: the next run of the same commit needs no other review."""
    begun, done = tmp_path / "begun", tmp_path / "done"
    place.repository.write(f"{ROOT}/main.tf", MODULE + SLOW % {"begun": begun, "done": done})
    place.repository.commit("A slow one")
    place.done("infra-plan")
    digest = place.planned().plan
    killed = subprocess.Popen(
        [sys.executable, "-m", "leverframe", "infra-apply"], cwd=place.repository.root,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _wait(begun.exists)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    done.touch()
    assert digest is not None
    record = place.applied()
    assert (record.begun, record.applied, record.reviewed) == (True, False, (digest.digest,))
    _wait(lambda: place.run("infra-apply").code == 0)
    assert place.applied().applied
    assert {*place.resources()} == {*BOTH, "terraform_data.slow"}


def _wait(happened: object) -> None:
    until = time.monotonic() + 60
    while not happened():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.parametrize("again", ["first-password", "second-password"])
def test_a_secret_that_changes_between_two_runs_of_an_apply_is_noticed(
    place: InfraRepository, tmp_path: Path, again: str
) -> None:
    """Where the first one failed before it came to it; the same secret is the rest of what was reviewed."""
    text = f"""
variable "password" {{
  type      = string
  sensitive = true
}}
resource "terraform_data" "store" {{
  input = "1"
  provisioner "local-exec" {{ command = "test -e {tmp_path}/done" }}
}}
resource "terraform_data" "server" {{
  input      = var.password
  depends_on = [terraform_data.store]
}}
"""
    place.repository.write(f"{ROOT}/main.tf", text)
    local = {"secrets": {"password": "SHOP_PASSWORD"}, "lock_timeout_seconds": 0}
    place.change(json.dumps({"infra": {"environments": {"local": local}}}))
    place.done("infra-plan", SHOP_PASSWORD="first-password")  # noqa: S106
    assert place.run("infra-apply", SHOP_PASSWORD="first-password").code == 30  # noqa: S106
    (tmp_path / "done").touch()
    ran = place.run("infra-apply", SHOP_PASSWORD=again)
    assert (ran.code, "in what is not shown" in ran.out) == ((0, False) if again == "first-password" else (30, True))
    assert place.resources().get("terraform_data.server") == ("first-password" if ran.code == 0 else None)
