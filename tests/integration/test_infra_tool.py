"""Terraform behind our port: the whole life of a root module with the real program, over both APIs of its library."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import threading
from pathlib import Path

import pytest

from leverframe.adapters.terraform.terraform_child import run_child
from leverframe.adapters.terraform.terraform_program import child_environment
from leverframe.domain.infrastructure.infra_plan import ChangeKind, InfraPlan
from leverframe.domain.infrastructure.infra_ports import Planning
from leverframe.errors import InfraError, InstallationError
from leverframe.settings.infra import InfraEnvironmentSettings
from tests.fakes import python_terraform_014
from tests.integration.infra_root import APIS, PROGRAMS, Root, absent, tool_class

pytestmark = pytest.mark.skipif(bool(absent("terraform")), reason=absent("terraform"))
THING = """
variable "size" {
  type    = any
  default = 1
}
resource "terraform_data" "thing" {
  input            = { size = var.size, name = "größe ☃" }
  triggers_replace = try(var.size.force, "same")
}
output "name" { value = terraform_data.thing.output.name }
output "share" { value = 0.25 }
"""


@pytest.fixture(params=[(program, api) for program in PROGRAMS for api in APIS], ids="-".join)
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Root:
    """Return a root module for each program that is here, with each API of python-terraform."""
    program, api = request.param
    if absent(program):
        pytest.skip(absent(program))
    return Root.below(tmp_path, api, program)


@pytest.fixture
def once(tmp_path: Path) -> Root:
    """Return a root module for what depends on neither."""
    return Root.below(tmp_path)


def test_the_whole_life_of_a_root_module(root: Root) -> None:
    """Created, planned empty, changed, replaced, destroyed; nothing lands beside the root module but the state."""
    tool = root.write(THING).ready(variables={"size": ["${not a template}", 2]})
    assert tool.version().program == root.program
    first = root.apply(tool)
    assert first.counts == {ChangeKind.CREATE: 1}
    assert [change.address for change in first.outputs] == ["output.name", "output.share"]
    assert root.plan(tool).empty
    assert json.loads(json.dumps(tool.outputs())) == {"name": "größe ☃", "share": 0.25}
    updated = root.apply(root.tool(variables={"size": 3}))
    assert updated.counts == {ChangeKind.UPDATE: 1}
    assert "~ input.size[0]: " not in updated.changes[0].lines[0]
    replaced = root.plan(root.tool(variables={"size": {"force": "other"}}))
    assert [(change.kind, change.forced_by) for change in replaced.changes] == [
        (ChangeKind.REPLACE, ("triggers_replace",))
    ]
    assert root.apply(tool, destroy=True).counts == {ChangeKind.DELETE: 1}
    assert root.state["resources"] == []
    left = {path.name for path in root.folder.iterdir()} - {"terraform.tfstate.backup"}
    assert left == {"main.tf", "terraform.tfstate"}
    assert any("Creation complete" in line for line in root.lines)


def test_two_plans_of_one_reality_have_one_digest(root: Root) -> None:
    """At another time, from another copy of the root module, with the same state; another value has another digest."""
    tool = root.write(THING).ready()
    root.apply(tool)
    changed = {"size": {"force": "other", "deep": [1.5, None, "x"]}}
    digests = {root.plan(root.tool(variables=changed)).digest for _ in range(2)}
    copy = Root(root.folder.parent / "copy", root.folder.parent / "data of the copy", root.api, root.program)
    shutil.copytree(root.folder, copy.folder)
    digests.add(copy.plan(copy.ready(variables=changed)).digest)
    assert len(digests) == 1
    assert root.plan(root.tool(variables={"size": {"force": "third"}})).digest not in digests


def test_a_saved_plan_is_private_and_goes(root: Root) -> None:
    """Only this user may read its folder; nothing of it is left, also where the plan fails."""
    tool = root.write(THING).ready(variables={"size": 5})
    saved = tool.planned(Planning())
    folder = Path(saved.handle).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    tool.forget(saved)
    tool.forget(saved)
    assert not folder.exists()
    others = set(folder.parent.glob(f"leverframe-infra-{os.getpid()}-*"))  # of tests that keep theirs
    root.write('resource "terraform_data" "x" { input = var.nope }')
    with pytest.raises(InfraError) as caught:
        tool.planned(Planning())
    assert "Reference to undeclared input variable" in caught.value.why
    assert "main.tf:1" in caught.value.why
    assert set(folder.parent.glob(f"leverframe-infra-{os.getpid()}-*")) <= others


def test_a_folder_of_a_killed_process_is_removed(once: Root) -> None:
    """A plan that nobody could remove is removed by the next one; that of a living process stays."""
    tool = once.write(THING).ready()
    saved = tool.planned(Planning())
    temporary = Path(saved.handle).parent.parent
    dead = temporary / "leverframe-infra-4194999-x"  # above the largest process number of Linux
    dead.mkdir(exist_ok=True)
    (dead / "plan").write_text("secret")
    gone = temporary / "leverframe-infra-4194999-y"  # as where another command is quicker to remove it
    gone.unlink(missing_ok=True)
    gone.symlink_to("nowhere")
    once.plan(tool)
    gone.unlink()
    assert not dead.exists()
    assert Path(saved.handle).exists()
    tool.forget(saved)


def test_only_the_reviewed_plan_is_applied(root: Root) -> None:
    """Stale, of other variables, or of another state: refused, with the reason and what to do."""
    tool = root.write(THING).ready(variables={"size": 1})
    root.apply(tool)
    changed = root.tool(variables={"size": 2})
    saved = changed.planned(Planning())
    with pytest.raises(InfraError, match="`apply` of Terraform failed") as caught:
        root.tool(variables={"size": 3}).applied(saved)
    assert "variable" in caught.value.why
    assert "make a new plan" in caught.value.next
    root.apply(root.tool(variables={"size": 4}))
    with pytest.raises(InfraError) as caught:
        changed.applied(saved)
    assert "stale" in caught.value.why
    assert "make a new plan" in caught.value.next
    saved = changed.planned(Planning())
    state = root.folder / "terraform.tfstate"
    lineage = root.state["lineage"]
    state.write_text(state.read_text().replace(lineage, lineage[::-1]))
    with pytest.raises(InfraError) as caught:
        changed.applied(saved)
    assert "make a new plan" in caught.value.next
    assert root.state["resources"][0]["instances"][0]["attributes"]["input"]["value"]["size"] == 4


def test_every_kind_of_a_real_plan(once: Root) -> None:
    """Both orders of a replacement, a move, a forgotten resource, an import, a read at the apply, a failed check."""
    tool = once.write(
        """
resource "terraform_data" "moved_from" { input = 1 }
resource "terraform_data" "forgotten" { input = 1 }
resource "terraform_data" "gone" { input = 1 }
resource "terraform_data" "first" { triggers_replace = 1 }
resource "terraform_data" "second" {
  triggers_replace = 1
  lifecycle { create_before_destroy = true }
}
"""
    ).ready()
    once.apply(tool)
    once.write(
        """
resource "terraform_data" "moved_to" { input = 1 }
moved {
  from = terraform_data.moved_from
  to   = terraform_data.moved_to
}
removed {
  from = terraform_data.forgotten
  lifecycle { destroy = false }
}
resource "terraform_data" "first" { triggers_replace = 2 }
resource "terraform_data" "second" {
  triggers_replace = 2
  lifecycle { create_before_destroy = true }
}
resource "terraform_data" "imported" { input = null }
import {
  to = terraform_data.imported
  id = "some-id"
}
data "terraform_remote_state" "later" {
  backend = "local"
  config  = { path = terraform_data.first.id }
}
check "never" {
  assert {
    condition     = terraform_data.moved_to.output == 2
    error_message = "it is ${terraform_data.moved_to.output}"
  }
}
"""
    )
    plan = once.plan(tool)
    kinds = {change.address: change for change in plan.changes}
    assert {address: change.kind for address, change in kinds.items()} == {
        "terraform_data.gone": ChangeKind.DELETE,
        "terraform_data.first": ChangeKind.REPLACE,
        "terraform_data.second": ChangeKind.REPLACE,
        "terraform_data.forgotten": ChangeKind.FORGET,
        "terraform_data.imported": ChangeKind.IMPORT,
        "terraform_data.moved_to": ChangeKind.MOVE,
        "data.terraform_remote_state.later": ChangeKind.READ,
    }
    assert kinds["terraform_data.moved_to"].before == "terraform_data.moved_from"
    assert kinds["terraform_data.gone"].because == "it is not in the configuration any more"
    assert kinds["terraform_data.first"].forced_by == ("triggers_replace",)
    assert "known only after the apply" in kinds["data.terraform_remote_state.later"].because
    assert [(check.address, check.status, check.messages) for check in plan.checks] == [
        ("check.never", "fail", ("it is 1",))
    ]
    assert any("Check block assertion failed" in line for line in once.lines)


def test_a_workspace_has_a_state_of_its_own(root: Root) -> None:
    """It is made where it is missing, and the default one does not see what is in it."""
    other = root.write(THING).ready(workspace="stage-1")
    root.apply(other)
    assert root.plan(other).empty
    assert root.plan(root.ready()).counts == {ChangeKind.CREATE: 1}
    assert (root.folder / "terraform.tfstate.d/stage-1/terraform.tfstate").exists()


def test_a_backend_gets_its_settings(root: Root) -> None:
    """What the root module leaves open comes from the settings, a path with a space too."""
    root.write('terraform {\n  backend "local" {}\n}' + THING)
    root.apply(root.ready(backend={"path": str(root.data / "my state.tfstate")}))
    assert (root.data / "my state.tfstate").exists()


@pytest.mark.parametrize("api", APIS)
def test_what_the_library_would_run_is_refused(once: Root, api: str) -> None:
    """A misspelt command has no attribute; what is not on the list, and an apply without a plan, do not run."""
    once.write(THING)
    program = once.api = api
    tool = once.ready()
    program = tool._program  # type: ignore[attr-defined]
    for misspelt in ("plann", "import_cmd", "taint"):
        with pytest.raises(AttributeError, match=misspelt):
            getattr(program, misspelt)
    for refused in (program.destroy, program.apply, program.show_workspace):
        with pytest.raises(InfraError, match="is not run from here"):
            refused()
    with pytest.raises(InfraError, match="`state rm` of Terraform is not run from here"):
        program.cmd("state rm", "x")
    assert not (once.folder / "terraform.tfstate").exists()


def test_the_fake_of_the_later_library_behaves_as_it_is_known_to(once: Root) -> None:
    """A plan with changes raises, a bare apply approves itself: both are what the layer must not depend on."""
    once.write(THING)
    bare = python_terraform_014.Terraform(working_dir=str(once.folder))
    bare.init()
    with pytest.raises(python_terraform_014.TerraformCommandError) as caught:
        bare.plan()
    assert caught.value.returncode == 2
    assert bare.apply()[0] == 0
    assert bare.set_workspace("default")[0] == 0
    assert len(once.state["resources"]) == 1


def test_nothing_outside_of_the_settings_changes_a_command(root: Root) -> None:
    """Neither arguments, nor a log, nor a workspace, nor variables that somebody set in the environment."""
    tool = root.write(THING).ready(
        environment={"TF_CLI_ARGS_plan": "-destroy", "TF_CLI_ARGS": "-nope", "TF_WORKSPACE": "other", "TF_LOG": "TRACE",
                     "TF_VAR_size": "size of the environment", "TF_DATA_DIR": str(root.folder / "elsewhere")},
    )  # fmt: skip
    assert root.apply(tool).counts == {ChangeKind.CREATE: 1}
    assert "size of the environment" not in str(root.state["resources"])
    assert "TF_VAR_size of the environment is not used: variables come from leverframe.yaml" in root.lines
    assert not (root.folder / "elsewhere").exists()


def test_a_configuration_file_of_the_program_that_is_missing_is_no_matter(root: Root) -> None:
    """One that is there is used; one that is not becomes the null device instead of a warning in every run."""
    missing = str(root.folder / "missing.rc")
    assert child_environment({"TF_CLI_CONFIG_FILE": missing}, root.data)["TF_CLI_CONFIG_FILE"] == os.devnull
    existing = root.folder / "there.rc"
    existing.write_text("")
    assert child_environment({"TF_CLI_CONFIG_FILE": str(existing)}, root.data)["TF_CLI_CONFIG_FILE"] == str(existing)
    root.apply(root.write(THING).ready(environment={"TF_CLI_CONFIG_FILE": missing}))
    assert not [line for line in root.lines if "CLI configuration" in line]


@pytest.mark.parametrize("tool", ["auto", "terraform", "tofu", "/no/such/terraform"])
def test_a_missing_program_says_how_to_install_it(tool: str, tmp_path: Path) -> None:
    """By name, by path, or either of both."""
    with pytest.raises(InstallationError) as caught:
        tool_class("0.10")(tool, tmp_path, data=tmp_path, settings=InfraEnvironmentSettings(),
                           environment={"PATH": str(tmp_path)}, on_line=print)  # fmt: skip
    assert "https://developer.hashicorp.com/terraform/install" in caught.value.next
    assert "infra.tool" in caught.value.next
    assert ("tofu" if tool == "auto" else tool) in caught.value.why


def test_a_program_that_cannot_work_is_told_why(once: Root, tmp_path: Path) -> None:
    """It is not executable, or it sees another temporary folder than we do and writes its plan there."""
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\nexec terraform "$@"\n')
    tool, once.program = once.program, str(program)
    with pytest.raises(InstallationError) as caught:
        once.tool()
    assert caught.value.why == f"{program} is not executable"
    program.write_text('#!/bin/sh\n[ "$1" = plan ] && exit\nexec terraform "$@"\n')
    program.chmod(0o700)
    with pytest.raises(InfraError, match="Terraform wrote no plan"):
        once.plan(once.write(THING).ready())
    once.program = tool


def test_variables_are_those_of_the_settings_in_the_words_of_terraform(once: Root) -> None:
    """Not of a file that is gone by then."""
    once.write(
        'variable "size" {\n  validation {\n    condition     = var.size == 1\n    error_message = "No."\n  }\n}\n'
    )
    with pytest.raises(InfraError) as caught:
        once.plan(once.ready(variables={"size": 2}))
    assert "(`variables` in leverframe.yaml)" in caught.value.why
    once.plan(once.ready(variables={"size": 1, "other": 1}))
    assert "tfvars" not in "".join(once.lines)
    assert any("`variables` in leverframe.yaml" in line for line in once.lines)


@pytest.mark.parametrize(
    ("printed", "what"),
    [
        ('{"terraform_version": "1.9.8", "terraform_outdated": true}', "terraform 1.9.8 is too old"),
        ('{"terraform_version": "1.9.0"}', "tofu 1.9.0 is too old"),
        ('{"terraform_version": "0.15.5"}', "tofu 0.15.5 is too old"),
        ("Python 3.11", "is neither Terraform nor OpenTofu"),
        ("[]", "is neither Terraform nor OpenTofu"),
        ("", "is neither Terraform nor OpenTofu"),
    ],
)
def test_a_wrong_program_is_refused_before_it_does_anything(once: Root, printed: str, what: str) -> None:
    """Too old, or another program: nothing but its version is asked."""
    _script(once, f"echo run >> calls\ncat <<'EOF'\n{printed}\nEOF")
    with pytest.raises(InstallationError, match=what) as caught:
        once.tool().initialise()
    assert "1.10 or later" in caught.value.next
    with pytest.raises(InstallationError):
        once.tool().planned(Planning())
    assert (once.folder / "calls").read_text().splitlines() in (["run"], ["run", "run"])


def test_the_version_is_asked_once_for_a_program(once: Root) -> None:
    """A later tool reads it from its folder; a program that is replaced is asked anew; versions with a suffix count."""
    _script(once, 'echo run >> calls; echo \'{"terraform_version": "1.10.0-rc1"}\'')
    assert str(once.tool().version()) == "tofu 1.10.0-rc1"
    assert str(once.tool().version()) == "tofu 1.10.0-rc1"
    assert (once.folder / "calls").read_text().splitlines() == ["run"]
    _script(once, 'echo \'{"terraform_version": "1.12.0", "terraform_outdated": false}\'')
    assert str(once.tool().version()) == "terraform 1.12.0"


def _script(root: Root, body: str) -> None:
    path = root.folder.parent / "my terraform"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    root.program = str(path)


@pytest.mark.parametrize("printed", ["", "no JSON", "[1]", '"x"', "{"])
def test_a_program_that_prints_no_document_is_no_bug(once: Root, printed: str) -> None:
    """Whatever it is: an error says so, and nothing of the plan is left."""
    version = '{"terraform_version": "1.12.0", "terraform_outdated": false}'
    _script(once, f"case $1 in version) echo '{version}';; show) echo '{printed}';; esac")
    tool = once.ready()
    with pytest.raises(InfraError, match="cannot read what `show` of Terraform printed"):
        tool.planned(Planning())
    with pytest.raises(InfraError, match="cannot read what"):
        tool.outputs()


def test_a_root_module_that_is_missing_is_told(once: Root) -> None:
    """A folder that is not there is no bug."""
    tool = once.tool()
    shutil.rmtree(once.folder)
    with pytest.raises(InstallationError) as caught:
        tool.initialise()
    assert "that the folder of the root module exists" in caught.value.next


def test_a_provider_that_no_lock_file_names_is_refused(once: Root) -> None:
    """Providers are those that somebody locked; where there is no registry the reason is told as well."""
    once.write('terraform {\n  required_providers {\n    x = { source = "example.invalid/a/x" }\n  }\n}')
    with pytest.raises(InfraError, match="`init` of Terraform failed") as caught:
        once.tool().initialise()
    assert "example.invalid/a/x" in caught.value.why


def test_ten_megabytes_of_output_arrive(once: Root) -> None:
    """As values in the document of a plan, which has each of them several times, and over both pipes at once."""
    once.write(
        """
locals { line = join("", [for at in range(1000) : format("%0100d", at)]) }
resource "terraform_data" "large" { input = join("", [for at in range(20) : local.line]) }
"""
    )
    plan = once.plan(once.ready())
    assert max(len(line) for change in plan.changes for line in change.lines) < 500
    lines: list[str] = []
    program = 'import sys\nfor _ in range(100000): print("x" * 50); print("é" * 50, file=sys.stderr)'
    ended = run_child([sys.executable, "-c", program], lines.append, folder=once.folder,
                      environment={"PYTHONIOENCODING": "utf-8"}, timeout=60, guarded=False)  # fmt: skip
    assert (len(lines), len(ended.stderr), ended.stderr[-1]) == (100_000, 100_000, "é" * 50)


def test_parallel_calls_do_not_meet(once: Root, tmp_path: Path) -> None:
    """Two root modules at once, and two plans of one: each has its own files and its own result."""
    other = Root.below(tmp_path / "other")
    for root in (once, other):
        root.apply(root.write(THING).ready())
    sizes = {"a": (once, 1), "b": (once, 2), "c": (once, 2), "d": (other, 2)}
    tools = {name: (root, root.tool(variables={"size": size})) for name, (root, size) in sizes.items()}
    plans: dict[str, InfraPlan] = {}

    def plan(name: str) -> None:
        root, tool = tools[name]
        plans[name] = root.plan(tool)

    threads = [threading.Thread(target=plan, args=(name,)) for name in tools]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [plans[name].empty for name in "abcd"] == [True, False, False, False]
    assert plans["b"].digest == plans["c"].digest != plans["d"].digest  # the last is of another state


def test_a_secret_that_is_not_set_is_named(once: Root) -> None:
    """The variable and the environment variable that should hold it."""
    tool = once.write(THING).ready(secrets={"size": "NOT_SET_ANYWHERE"})
    with pytest.raises(InfraError, match="the variable `size` has no value") as caught:
        tool.planned(Planning())
    assert "NOT_SET_ANYWHERE" in caught.value.why
