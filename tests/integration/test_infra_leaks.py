"""A secret that is seeded into a root module is found nowhere but in the state: no stream, result, error or file."""

from __future__ import annotations

import base64
import json
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

import pytest

from leverframe.domain.infrastructure.infra_ports import InfraTool, Planning
from leverframe.errors import InfraError
from tests.integration.infra_root import APIS, Root, absent

pytestmark = pytest.mark.skipif(bool(absent("terraform")), reason=absent("terraform"))
PASSWORD = 'hunter22"<&\\é-and-more'  # noqa: S105 - made up
KEY = "-----BEGIN KEY-----\nFIRSTLINEOFKEY\nSECONDLINEOFKEY\n-----END KEY-----\n"
NUMBER = "73519264"
SEEDS = {"password": "SEED_A", "key": "SEED_B", "number": "SEED_C"}
OUTSIDE = {
    "SEED_A": PASSWORD,
    "SEED_B": KEY,
    "SEED_C": NUMBER,
    "TF_LOG": "TRACE",
    "TF_LOG_CORE": "TRACE",
    "TF_CLI_ARGS_plan": "-destroy",
    "DATABASE_PASSWORD": "password-of-the-runner",
}
HITS = (
    PASSWORD, json.dumps(PASSWORD)[1:-1], quote(PASSWORD), "hunter22", "FIRSTLINEOFKEY", "SECONDLINEOFKEY", NUMBER,
    base64.b64encode(PASSWORD.encode()).decode()[:20], base64.b64encode(KEY.encode()).decode()[:40],
    "password-of-the-runner",
)  # fmt: skip
VARIABLES = """
variable "password" {
  type      = string
  sensitive = true
}
variable "key" {
  type      = string
  sensitive = true
}
variable "number" {
  type      = number
  sensitive = true
}
resource "terraform_data" "holds" {
  input = { password = var.password, key = var.key, number = var.number, plain = "plain" }
}
"""
LEAKING = (
    VARIABLES
    + """
resource "terraform_data" "prints" {
  triggers_replace = 1
  provisioner "local-exec" {
    command     = <<-EOT
      printf '%s\n' "$PASSWORD" "$KEY" "$NUMBER"
      env
      printf %s "$PASSWORD" | base64
      echo $LEFT >&2
    EOT
    environment = {
      PASSWORD = terraform_data.holds.output.password
      KEY      = terraform_data.holds.output.key
      NUMBER   = terraform_data.holds.output.number
      LEFT     = jsonencode(terraform_data.holds.output)
    }
  }
}
resource "terraform_data" "copies" {
  input = { url = "https://u:${urlencode(terraform_data.holds.output.password)}@host",
            json = jsonencode(terraform_data.holds.output), map = { (terraform_data.holds.output.password) = 1 },
            code = base64encode("user:${terraform_data.holds.output.password}") }
}
output "marked" {
  value     = var.password
  sensitive = true
}
output "leaked" { value = terraform_data.holds.output }
check "tells" {
  assert {
    condition     = terraform_data.holds.output.plain == "other"
    error_message = "it is ${terraform_data.holds.output.password} and ${terraform_data.holds.output.number}"
  }
}
"""
)
FAILING = (
    VARIABLES
    + """
resource "terraform_data" "fails" {
  lifecycle {
    precondition {
      condition     = terraform_data.holds.output.plain == "other"
      error_message = "it is ${terraform_data.holds.output.password}, ${terraform_data.holds.output.key}"
    }
  }
}
"""
)
BROKEN = (
    VARIABLES
    + """
resource "terraform_data" "breaks" {
  triggers_replace = 3
  provisioner "local-exec" {
    command = "echo $LEFT; echo $LEFT >&2; exit 3 # ${terraform_data.holds.output.password}"
    environment = { LEFT = terraform_data.holds.output.key }
  }
}
"""
)


@pytest.fixture(params=APIS)
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Root]:
    """Return a root module whose temporary files are below its test, and see that none is left."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    root = Root.below(tmp_path, request.param)
    yield root
    assert list(temporary.iterdir()) == []


def _hits(text: str) -> list[str]:
    return [hit for hit in HITS if hit in text]


def _tool(root: Root) -> InfraTool:
    outside = {**OUTSIDE, "TF_LOG_PATH": str(root.folder.parent / "trace.log"), "TMPDIR": str(tempfile.gettempdir())}
    return root.ready(outside, secrets=SEEDS)


def test_a_seeded_secret_is_nowhere(
    root: Root, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Through the input of `terraform_data`, outputs, a provisioner, a check; with a trace asked for outside."""
    caplog.set_level(logging.DEBUG)
    root.apply(_tool(root.write(VARIABLES)))
    saved = (tool := _tool(root.write(LEAKING))).planned(Planning())
    texts = [json.dumps(asdict(saved.plan)), repr(saved)]
    tool.applied(saved)
    tool.forget(saved)
    fresh = _tool(root)  # it has not seen the plan
    texts += [json.dumps(fresh.outputs()), json.dumps(asdict(root.plan(fresh)))]
    printed = capfd.readouterr()
    texts += [*root.lines, printed.out, printed.err, caplog.text]
    assert [hit for text in texts for hit in _hits(text)] == []
    assert "***" in texts[0]
    assert any("(local-exec)" in line and "***" in line for line in root.lines)
    assert not (root.folder.parent / "trace.log").exists()
    state = set(root.folder.glob("terraform.tfstate*"))
    files = [path for path in root.folder.parent.rglob("*") if path.is_file() and path not in state]
    assert [path for path in files if _hits(path.read_bytes().decode(errors="replace"))] == []


def test_a_seeded_secret_is_in_no_error(root: Root) -> None:
    """A plan that fails shows what it was told to hide, and so does an apply; the reason is there all the same."""
    root.apply(_tool(root.write(VARIABLES)))
    with pytest.raises(InfraError) as caught:
        _tool(root.write(FAILING)).planned(Planning())
    texts = [caught.value.render()]
    assert "Resource precondition failed" in caught.value.why
    tool = _tool(root.write(BROKEN))
    saved = tool.planned(Planning())
    with pytest.raises(InfraError) as caught:
        tool.applied(saved)
    tool.forget(saved)
    texts += [caught.value.render(), str(caught.value), *root.lines]
    assert "exit status 3" in caught.value.why
    assert [hit for text in texts for hit in _hits(text)] == []


def test_a_secret_of_the_state_that_no_setting_names_is_in_no_error(root: Root) -> None:
    """A value that the configuration marks is learnt from the state, where no plan could be made."""
    made = 'resource "terraform_data" "holds" { input = sensitive(join("-", ["hunter22", "made", "here"])) }\n'
    root.apply(_tool(root.write(VARIABLES + made.replace("holds", "made"))))
    root.write(
        VARIABLES
        + made.replace("holds", "made")
        + """
resource "terraform_data" "fails" {
  lifecycle {
    precondition {
      condition     = terraform_data.made.output == "other"
      error_message = "it is ${terraform_data.made.output}"
    }
  }
}
"""
    )
    with pytest.raises(InfraError) as caught:
        root.ready(OUTSIDE, secrets=SEEDS).planned(Planning())
    assert "it is ***" in caught.value.why


def test_a_secret_that_only_files_tell_of_is_in_no_line_and_no_error(tmp_path: Path) -> None:
    """Where no plan comes about, and in the lines of one that is being made: of files of variables and of defaults."""
    root = Root.below(tmp_path)
    (root.folder / "more.auto.tfvars").write_text('pin = "hunter2-of-a-file"\nmap = { "key/hunter2" = "1" }\n')
    variables = """
variable "pin" {
  type      = string
  sensitive = true
}
variable "map" {
  type      = map(string)
  sensitive = true
}
resource "terraform_data" "holds" {
  input = var.map
}
"""
    tool = root.write(variables).ready()
    root.apply(tool)
    resource = 'resource "terraform_data" "each" {\n  for_each = toset(keys(terraform_data.holds.output))\n}\n'
    root.write(variables + resource)
    shown = str(root.plan(root.ready())) + "\n".join(root.lines)
    assert 'terraform_data.each["…"]: Plan to create' in shown
    assert "hunter2" not in shown
    for call in ("cidrsubnet(var.pin, 1, 1)", "timeadd(var.pin, var.pin)", "filemd5(var.pin)"):
        root.write(f'{variables}resource "terraform_data" "a" {{\n  input = {call}\n}}\n')
        with pytest.raises(InfraError) as caught:
            root.plan(root.ready())
        assert "main.tf:" in caught.value.why
        assert "hunter2" not in str(caught.value.render()) + "\n".join(root.lines)


@pytest.mark.parametrize(("read", "shown"), [("sensitive({})", False), ("{}", True)])
def test_a_secret_of_another_state_is_hidden_where_it_is_marked_again(tmp_path: Path, read: str, shown: bool) -> None:
    """As the guide says: what comes by `terraform_remote_state` has lost its mark, for Terraform as well."""
    output = {"value": "a-secret-of-net", "type": "string", "sensitive": True}
    state = {"version": 4, "terraform_version": "1.10.0", "serial": 1, "lineage": "net", "outputs": {"secret": output}}
    (tmp_path / "net.tfstate").write_text(json.dumps({**state, "resources": []}), encoding="utf-8")
    settings = f"{{ path = {json.dumps(str(tmp_path / 'net.tfstate'))} }}"
    value = read.format("data.terraform_remote_state.net.outputs.secret")
    root = Root.below(tmp_path).write(
        f'data "terraform_remote_state" "net" {{\n  backend = "local"\n  config  = {settings}\n}}\n'
        f'resource "terraform_data" "app" {{\n  input = {value}\n}}\n'
    )
    plan = root.plan(root.ready())
    assert [change.address for change in plan.changes] == ["terraform_data.app"]
    assert ("a-secret-of-net" in str(asdict(plan)) + "".join(root.lines)) is shown
