"""What an apply needs around it: an identity on a runner, a person at a terminal, a lock that somebody left."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.identities import BEARER, issuing
from tests.fakes.state_server import StateServer
from tests.integration.infra_repository import MODULE, ROOT, InfraRepository
from tests.integration.test_infra_plan_levers import settings

pytestmark = pytest.mark.skipif(not shutil.which("terraform"), reason="there is no `terraform` on PATH")
ROLE = "arn:aws:iam::123456789012:role/leverframe-apply"
SEEN = "AWS_ROLE_ARN AWS_REGION AWS_ROLE_SESSION_NAME AWS_WEB_IDENTITY_TOKEN_FILE"
PROVISIONED = """
resource "terraform_data" "seen" {
  provisioner "local-exec" {
    command = <<-END
      printenv %(names)s > %(seen)s
      cat $AWS_WEB_IDENTITY_TOKEN_FILE >> %(seen)s
      printenv | grep -e ACTIONS_ID_TOKEN -e AWS_PROFILE >> %(seen)s || true
    END
  }
}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InfraRepository:
    return InfraRepository.create(tmp_path, monkeypatch, capsys)


def test_terraform_acts_as_the_role_by_the_identity_of_the_job(place: InfraRepository, tmp_path: Path) -> None:
    """It gets a file with a token, never what asks for one; both are in no output, and the file is gone."""
    seen = tmp_path / "seen"
    place.repository.write(f"{ROOT}/main.tf", MODULE + PROVISIONED % {"names": SEEN, "seen": seen})
    place.repository.commit("See the environment")
    place.done("infra-plan")
    with issuing() as issuer:
        given = issuer.environment | {"GITHUB_RUN_ID": "77", "AWS_PROFILE": "mine"}
        ran = place.done("infra-apply", "--role", ROLE, "--region", "eu-central-1", **given)
        token = issuer.tokens[0]
        role, region, session, file, *rest = seen.read_text().splitlines()
        assert (role, region, session, rest) == (ROLE, "eu-central-1", "leverframe-77", [token])
        assert not Path(file).parent.exists()
        for secret in (token, BEARER):
            assert secret not in ran.out + ran.err
        masked = place.run("infra-plan", "--role", ROLE, "--region", "eu-central-1", **given, GITHUB_ACTIONS="true")
        assert f"::add-mask::{issuer.tokens[1]}" in masked.err


def test_a_destroy_asks_whoever_sits_at_the_terminal(place: InfraRepository) -> None:
    """The name of the environment is typed; anything else destroys nothing."""
    place.done("infra-plan")
    place.done("infra-apply")

    def answered(text: str) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        child = subprocess.Popen(
            [sys.executable, "-m", "leverframe", "infra", "destroy"], cwd=place.repository.root, stdin=theirs,
            stderr=theirs, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        os.close(theirs)
        os.write(ours, f"{text}\n".encode())
        shown = b""
        while part := _read(ours):
            shown += part
        assert child.stdout is not None
        out = child.stdout.read()
        os.close(ours)
        return child.wait(), shown.decode() + out

    code, text = answered("yes")
    assert code == 30
    assert "Type `local` to go on" in text
    assert "delete   terraform_data.server" in text
    assert "nobody agreed to destroy `local`" in text
    assert len(place.resources()) == 2
    assert answered("local")[0] == 0
    assert place.resources() == {}


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""


def test_what_is_observed_is_declared(place: InfraRepository) -> None:
    """`infra observe` writes what runs here, or says that this environment is not one of this machine."""
    ran = place.run("infra", "observe")
    assert (ran.code, "observe: local" in ran.err) == (10, True)
    place.change(settings(observe="local"))
    ran = place.done("infra", "observe")
    assert ran.out.strip().endswith(".leverframe/infra/local/live.tfstate")
    assert (place.folder / "live.tfstate").is_file()
    assert place.done("infra-plan", "--dry-run").out.splitlines()[0] == "observe what runs here, for the plan to read"


SECRETIVE = """
resource "terraform_data" "keeper" {
  input            = "postgres://shop:${var.secret}@db"
  triggers_replace = var.size

  provisioner "local-exec" {
    command     = "echo $PASSWORD; echo again $PASSWORD >&2; test $SIZE = 1"
    environment = { PASSWORD = var.secret, SIZE = var.size }
  }
}

output "secret" {
  value     = var.secret
  sensitive = true
}
"""


def test_no_secret_is_in_what_is_printed_or_kept(place: InfraRepository, tmp_path: Path) -> None:
    """Planned, applied, failed half-way, drifted and destroyed, whatever the environment asks Terraform to do."""
    secret, summary = "correct-horse-battery", tmp_path / "summary"
    place.environment = {
        "SHOP_SECRET": secret, "TF_LOG": "TRACE", "TF_CLI_ARGS_plan": "-destroy", "GITHUB_STEP_SUMMARY": str(summary),
    }  # fmt: skip
    place.repository.write(f"{ROOT}/main.tf", MODULE + SECRETIVE)
    place.change(settings(secrets={"secret": "SHOP_SECRET"}))
    seen = [place.done(*command.split()) for command in ("infra-plan", "infra-apply", "infra drift")]
    assert "3 to create" in seen[0].out
    assert place.applied().outputs == {"size": "1"}
    place.change(settings("2", secrets={"secret": "SHOP_SECRET"}))
    for command, code in (
        ("infra-plan --json", 0), ("infra-apply --json", 30), ("infra drift --json", 0), ("infra destroy", 30),
    ):  # fmt: skip
        seen.append(place.run(*command.split()))
        assert seen[-1].code == code, seen[-1].err
    assert "apply-failed" in seen[-3].out
    kept = [path for path in (place.repository.root / ".leverframe").rglob("*.json") if "data" not in path.parts]
    assert {"plan.json", "applied.json", "infra-plan.json", "infra-apply.json"} <= {path.name for path in kept}
    texts = [text for ran in seen for text in (ran.out, ran.err)]
    texts += [path.read_text(encoding="utf-8") for path in (*kept, summary)]
    assert [text for text in texts if secret in text or "horse" in text] == []


def test_a_lock_that_was_left_is_freed_by_its_id_alone(place: InfraRepository) -> None:
    """The error names its owner, its age and the line to run; another id frees nothing, and neither does a dry run."""
    left = {"ID": "6d5f1a52-9b21-4a3e-8f02-1c55d1a6a3f1", "Who": "ann@laptop", "Operation": "OperationTypeApply"}
    with StateServer() as server:
        backend = f'terraform {{\n  backend "http" {{\n    {_addresses(server.address)}\n  }}\n}}\n'
        place.repository.write(f"{ROOT}/main.tf", backend + MODULE)
        place.repository.commit("Keep the state on a server")
        place.done("infra-plan")
        server.locks["/state"] = left
        locked = place.run("infra-apply")
        assert locked.code == 43
        assert f"its id is {left['ID']}" in locked.err
        assert f"`leverframe infra unlock {left['ID']} --environment local --reason" in locked.err
        assert place.done("infra", "drift", "--json").json["lock"]["id"] == left["ID"]
        assert "the state is locked: somebody else holds it" in place.done("infra", "drift").out
        other = place.run("infra", "unlock", "9" * 36, "--reason", "its job died")
        assert (other.code, f"its id is {left['ID']}" in other.err) == (42, True)
        assert place.run("infra", "unlock", left["ID"]).code == 2, "a reason is asked for"
        dry = place.done("infra", "unlock", left["ID"], "--reason", "its job died", "--dry-run")
        assert "the state of `local` is locked: somebody else holds it" in dry.err
        assert "would be freed: its job died" in dry.out
        assert server.locks
        freed = place.done("infra", "unlock", left["ID"], "--reason", "its job died", "--json").json
        assert (freed["freed"], freed["reason"], server.locks) == (True, "its job died", {})
        none = place.run("infra", "unlock", left["ID"], "--reason", "again")
        assert (none.code, "nobody holds the lock" in none.err) == (42, True)
        place.done("infra-apply")


def _addresses(address: str) -> str:
    named = {"address": address, "lock_address": address, "unlock_address": address}
    return "\n    ".join(f'{name:<14} = "{value}"' for name, value in named.items())
