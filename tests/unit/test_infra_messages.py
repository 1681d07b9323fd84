"""What Terraform prints becomes lines, locks and errors that say what to do next."""

from __future__ import annotations

import ast
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from leverframe.adapters.terraform.terraform_messages import (
    KILLED,
    failure,
    faults_of,
    plain,
    read_lock,
    read_message,
    stopped,
)
from leverframe.adapters.terraform.terraform_program import child_environment
from leverframe.domain.infrastructure.infra_ports import StateLock
from leverframe.errors import InfraError, InfraLockedError
from leverframe.settings.infra import InfraEnvironmentSettings

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
PACKAGE = Path(__file__).parents[2] / "src/leverframe"
LOCK = """Error message: state blob is already locked
Lock Info:
  ID:        6c1f-44
  Path:      bucket/s
  Operation: OperationTypeApply
  Who:       somebody@runner-7
  Version:   1.11.4
  Created:   2026-01-01 09:30:00.123456789 +0000 UTC
  Info:

Terraform acquires a state lock to protect the state"""


def _line(**document: object) -> str:
    return json.dumps({"@level": "info", "@message": "the message", **document})


def test_a_line_is_a_text_a_diagnosis_or_of_no_interest() -> None:
    """What is no message of Terraform is a text, be it JSON or not."""
    assert read_message(_line(type="apply_start")).text == "the message"
    assert read_message(_line(type="version")).quiet
    for text in ("panic: no", "[1]", '{"a": 1}', '"x"', "{", ""):
        assert read_message(text).text == text
        assert not read_message(text).quiet
    diagnosis = {
        "severity": "error",
        "summary": "No",
        "detail": " because ",
        "address": "x.y",
        "range": {"filename": "main.tf", "start": {"line": 3}},
        "snippet": {"values": [{"statement": "is 5"}]},
    }
    message = read_message(_line(type="diagnostic", diagnostic=diagnosis))  # fmt: skip
    assert message.diagnosis
    assert message.fault == "No [x.y] (main.tf:3): because"
    assert message.text == "error: No [x.y] (main.tf:3): because"
    assert read_message(_line(diagnostic={"severity": "warning", "summary": "Hm"})).fault == ""


def test_a_lock_is_read_with_its_owner() -> None:
    """From plain text and from a frame, the time as ISO 8601."""
    lock = StateLock("6c1f-44", "somebody@runner-7", "apply", "2026-01-01T09:30:00+00:00")
    assert read_lock(LOCK) == lock
    framed = "\n".join(f"│ {line}" for line in LOCK.splitlines())
    assert read_lock(framed) == lock
    assert read_lock("Lock Info:\n  ID: x\n  Created: yesterday") == StateLock("x", created="yesterday")
    assert read_lock("HTTP remote state already locked: ID=theirs\nLock Info:\n  ID: ours\n  Who: us") == StateLock(
        "theirs"
    )
    assert read_lock("no lock") is None


@pytest.mark.parametrize(
    ("created", "age"),
    [("11:59:50", "10 seconds ago"), ("11:58:00", "2 minutes ago"), ("10:59:00", "1 hour ago"),
     ("13:00:00", "0 seconds ago")],
)  # fmt: skip
def test_a_lock_has_an_age(created: str, age: str) -> None:
    """A clock that is ahead makes none that is negative."""
    error = failure("apply", [LOCK.replace("09:30:00.123456789", created)], NOW)
    assert isinstance(error, InfraLockedError)
    assert error.transient
    assert (
        f"somebody@runner-7 holds it for apply since 2026-01-01T{created}+00:00, {age}; its id is 6c1f-44" == error.why
    )
    assert "`leverframe infra unlock 6c1f-44 --reason TEXT`" in error.next


def test_the_lock_of_a_local_state_is_freed_by_no_command() -> None:
    """It is a file that the system locks for a process."""
    local = f"Error acquiring the state lock\n\nError message: resource temporarily unavailable\n{LOCK}"
    error = failure("plan", [local], NOW)
    assert (isinstance(error, InfraLockedError), "unlock" in error.next) == (True, False)
    assert "end the process that holds it" in error.next
    assert "infra unlock" in failure("plan", [LOCK], NOW).next


def test_days_are_counted() -> None:
    """A forgotten lock of last week."""
    assert "3 days ago" in failure("plan", [LOCK.replace("2026-01-01 09", "2025-12-29 09")], NOW).why


@pytest.mark.parametrize(
    ("cause", "step"),
    [
        ("Saved plan is stale: the state changed", "make a new plan"),
        ("Can't change variable when applying a saved plan", "make a new plan"),
        ("Saved plan does not match the current state: different state lineage", "make a new plan"),
        ("No value for required variable (main.tf:1)", "leverframe.yaml"),
        ("Inconsistent dependency lock file", ".terraform.lock.hcl"),
        ("Provider dependency changes detected", "lock file"),
        (
            "doesn't match any of the checksums previously recorded in the dependency lock file",
            "providers lock -platform",
        ),
        ("Failed to unlock state: LocalState not locked", "the lock of a local state ends with it"),
        ("Local state cannot be unlocked by another process", "end the process"),
        ("Something new", "fix what Terraform names"),
    ],
)
def test_an_error_says_what_to_do(cause: str, step: str) -> None:
    """By the words of Terraform."""
    error = failure("apply", [cause, cause, ""], NOW)
    assert (error.why, type(error)) == (cause, InfraError)
    assert step in error.next


def test_an_error_is_never_without_end_nor_without_reason() -> None:
    """A provider may print a page of HTML, or nothing."""
    assert len(failure("apply", ["x" * 100_000], NOW).why) < 2100
    assert "98000 more characters" in failure("apply", ["x" * 100_000], NOW).why
    assert failure("apply", [], NOW).why == "Terraform gave no reason"
    assert "without being in the state" in failure("apply", [f"{KILLED} 9"], NOW).next


def test_an_interruption_says_by_what() -> None:
    """By its time, by a signal, and whether a lock may be left."""
    late = stopped("apply", "timeout", False, 60)
    assert "longer than 60 minutes" in late.why
    assert "timeout_minutes" in late.next
    killed = stopped("apply", "SIGTERM", True, 60)
    assert "SIGTERM reached this process" in killed.why
    assert "may be left" in killed.why
    assert "leverframe infra unlock" in killed.next


def test_frames_and_colours_are_taken_off() -> None:
    """Terraform draws both around errors where it prints no JSON."""
    assert plain("\x1b[31m╷\n│ \x1b[1mError: \x1b[0mno\n│\n│ because\n╵\n") == "Error: no\n\nbecause"


def test_the_environment_of_terraform_is_scrubbed(tmp_path: Path) -> None:
    """Nothing of the forge, nothing that changes a command; clouds and registries stay."""
    outside = {
        "PATH": "/bin", "HOME": "/home/x", "AWS_PROFILE": "p", "ARM_TENANT_ID": "t", "TF_TOKEN_app_terraform_io": "t",
        "TF_HTTP_PASSWORD": "p", "TF_ENCRYPTION": "e", "TF_PLUGIN_CACHE_DIR": "c",
        "TF_CLI_ARGS": "-x", "TF_CLI_ARGS_apply": "-x", "TF_LOG": "TRACE", "TF_LOG_PATH": "x", "TF_LOG_CORE": "TRACE",
        "TF_TEMP_LOG_PATH": "x",
        "TF_VAR_a": "1", "TF_WORKSPACE": "w", "TF_DATA_DIR": "d", "TF_INPUT": "1", "TF_REATTACH_PROVIDERS": "{}",
        "GITHUB_TOKEN": "t", "GH_TOKEN": "t", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "t",
        "GITHUB_ENV": "f", "GITHUB_PATH": "f", "GITHUB_OUTPUT": "f", "GITHUB_STEP_SUMMARY": "f", "GITHUB_STATE": "f",
    }  # fmt: skip
    inside = child_environment(outside, tmp_path)
    added = {"TF_DATA_DIR", "TF_IN_AUTOMATION", "CHECKPOINT_DISABLE"}
    assert set(inside) - added == {"PATH", "HOME", "AWS_PROFILE", "ARM_TENANT_ID", "TF_TOKEN_app_terraform_io",
                                   "TF_HTTP_PASSWORD", "TF_ENCRYPTION", "TF_PLUGIN_CACHE_DIR"}  # fmt: skip
    assert inside["TF_DATA_DIR"] == str(tmp_path)
    assert inside["PATH"].endswith(":/bin")
    assert (Path(inside["PATH"].split(":")[0]) / "python").exists()


def test_no_other_module_starts_terraform() -> None:
    """Whoever can start a process names neither program, and only the adapter imports its library."""
    spawning = "import subprocess\nsubprocess.run(['terraform', 'apply'])"
    assert _starts_terraform(spawning)
    assert _starts_terraform("from leverframe.adapters.process import run_group\nrun_group(['/usr/bin/tofu'])")
    assert not _starts_terraform("import subprocess\nsubprocess.run(['git'])")
    homes = [path for path in PACKAGE.rglob("*.py") if _starts_terraform(path.read_text("utf-8"))]
    assert [path.relative_to(PACKAGE).as_posix() for path in homes if path.parent.name != "terraform"] == []


def _starts_terraform(source: str) -> bool:
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docs = {id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, documented)
            and node.body and isinstance(node.body[0], ast.Expr)}  # fmt: skip
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docs
             and isinstance(node.value, str)}  # fmt: skip
    named = any(text.rpartition("/")[2] in ("terraform", "tofu") for text in texts)
    starts = ("subprocess", "run_group", "Popen", "os.exec", "os.spawn", "os.posix_spawn", "create_subprocess")
    return ("import python_terraform" in source or "from python_terraform" in source) or (
        named and any(word in source for word in starts)
    )


def test_errors_without_json_are_told_one_by_one() -> None:
    """As `init` prints them, in frames: summary, place, detail; no code, nothing twice, and no preamble."""
    text = """\x1b[31m╷\x1b[0m
│ Error: Terraform encountered problems during initialisation, including problems
│ with the configuration, described below.
│
│ The Terraform configuration must be valid before initialization.
╵
╷
│ Error: Invalid multi-line string
│
│   on main.tf line 2, in resource "terraform_data" "a":
│    2:   input = "x
│    3: }
│
│ Quoted strings may not be split over multiple lines. To produce a
│ multi-line string, use a heredoc.
╵
╷
│ Error: Unclosed block
│
│   on modules/a b/main.tf line 17:
│   17: resource "x" "y" {
╵
╷
│ Error: Unclosed block
│
│   on modules/a b/main.tf line 17:
│   17: resource "x" "y" {
╵"""
    assert faults_of(text) == [
        "Invalid multi-line string (main.tf:2): Quoted strings may not be split over multiple lines. To produce a "
        "multi-line string, use a heredoc.",
        "Unclosed block (modules/a b/main.tf:17)",
    ]
    assert faults_of("no error") == []


@pytest.mark.parametrize("name", ["..", ".", ".hidden", "", "a/b"])
def test_a_workspace_is_no_way_out_of_its_folder(name: str) -> None:
    """Terraform keeps a folder for each, and so do we."""
    with pytest.raises(ValueError, match="workspace"):
        InfraEnvironmentSettings(workspace=name)
    assert InfraEnvironmentSettings(workspace="staging.eu-1").workspace == "staging.eu-1"
