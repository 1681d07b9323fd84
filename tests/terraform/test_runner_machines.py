"""`runner.py` and `bootstrap.sh` of the module github_runners: with a GitHub on loopback and programs that log."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.terraform.programs import ROOT
from tests.terraform.scripts import script

runner = script("github_runners/runner.py")
BOOTSTRAP = ROOT / "terraform/modules/github_runners/bootstrap.sh"
SHA256 = "0" * 64
START = ["start", "--templates", "cpu-a", "cpu-b", "--types", "c7i.4xlarge", "m7i.4xlarge", "--version", "2.330.0",
         "--sha256", SHA256, "--wait", "0.05"]  # fmt: skip
AWS = """#!/bin/sh
echo "$*" >> "$CALLS"
for word; do case $word in file://*) cat "${word#file://}" > "$CALLS.user-data";; esac; done
case "$*" in *$REFUSED*) echo "An error occurred ($ERROR) when calling" >&2; exit 254;; esac
echo i-0123
"""


class GitHub(BaseHTTPRequestHandler):
    """As much of GitHub as a runner needs."""

    fork, head, online = False, "acme/shop", True
    calls: list[str]

    def do_GET(self) -> None:
        place = self.path.removeprefix("/repos/acme/shop")
        known: dict[str, Any] = {
            "": {"fork": self.fork},
            "/pulls/7": {"head": {"sha": "c0ffee", "repo": {"full_name": self.head} if self.head else None}},
            "/actions/runners/42": {"status": "online" if self.online else "offline"},
        }
        self._respond(200 if place in known else 404, known.get(place, {}))

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert asked["labels"] == ["self-hosted", asked["name"]]
        self._respond(201, {"runner": {"id": 42}, "encoded_jit_config": "c2VjcmV0 'of one job'"})

    def do_DELETE(self) -> None:
        self._respond(204, None)

    def _respond(self, status: int, content: Any) -> None:
        assert self.headers["Authorization"] == "Bearer of-the-app"
        self.calls.append(f"{self.command} {self.path.removeprefix('/repos/acme/shop')}")
        body = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[GitHub]]:
    class Served(GitHub):
        calls: list[str] = []  # noqa: RUF012 - of this test

    server = ThreadingHTTPServer(("127.0.0.1", 0), Served)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "aws").write_text(AWS, encoding="utf-8")
    (programs / "aws").chmod(0o755)
    for name, value in {
        "GITHUB_API_URL": f"http://127.0.0.1:{server.server_port}", "GITHUB_REPOSITORY": "acme/shop",
        "RUNNER_TOKEN": "of-the-app", "GITHUB_OUTPUT": str(tmp_path / "outputs"), "CALLS": str(tmp_path / "calls"),
        "REFUSED": "nothing-is", "ERROR": "", "PATH": f"{programs}:{os.environ['PATH']}",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    yield Served
    server.shutdown()
    thread.join()
    server.server_close()


def outputs(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "outputs"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return dict(line.split("=", 1) for line in lines)


def aws_calls(tmp_path: Path) -> list[str]:
    file = tmp_path / "calls"
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


@pytest.mark.usefixtures("github")
def test_a_machine_waits_for_one_job(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main([*START, "--pull", "7"]) == 0
    written = outputs(tmp_path)
    assert (written["instance"], written["runner"], written["commit"]) == ("i-0123", "42", "c0ffee")
    assert written["label"].startswith("leverframe-")
    assert len(written["label"]) > 20
    data = (tmp_path / "calls.user-data").read_text(encoding="utf-8")
    assert data.startswith("#!/bin/bash\nJIT=")
    assert BOOTSTRAP.read_text(encoding="utf-8") in data
    checked = subprocess.run(
        ["bash", "-c", data.split("# What a machine")[0] + 'echo "$JIT"'], capture_output=True, text=True, check=True
    )
    assert checked.stdout.strip() == "c2VjcmV0 'of one job'"
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if "c2VjcmV0" in line] == ["::add-mask::c2VjcmV0 'of one job'"]
    assert aws_calls(tmp_path)[0].startswith("ec2 run-instances --launch-template LaunchTemplateName=cpu-a")
    assert "c2VjcmV0" not in "".join(aws_calls(tmp_path))


@pytest.mark.parametrize(("fork", "head"), [(True, "acme/shop"), (False, "mallory/shop"), (False, "")])
def test_forks_get_no_machine(
    github: type[GitHub], tmp_path: Path, fork: bool, head: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the workflow of a fork, nor a pull request that comes from one, also from one that was deleted."""
    github.fork, github.head = fork, head
    assert runner.main([*START, "--pull", "7"]) == 1
    assert "fork" in capsys.readouterr().err
    assert aws_calls(tmp_path) == []
    assert not any(call.startswith("POST") for call in github.calls)


@pytest.mark.parametrize("pull", ["8", "../..", "7/files"])
def test_a_pull_request_that_is_none(github: type[GitHub], tmp_path: Path, pull: str) -> None:
    assert runner.main([*START, "--pull", pull]) == 1
    assert aws_calls(tmp_path) == []
    assert len(github.calls) <= 2


@pytest.mark.usefixtures("github")
def test_the_next_zone_and_type_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFUSED", "c7i")
    monkeypatch.setenv("ERROR", "InsufficientInstanceCapacity")
    assert runner.main(START) == 0
    tried = [
        (call.split("=")[1].split()[0], call.split("--instance-type ")[1].split()[0]) for call in aws_calls(tmp_path)
    ]
    assert tried == [("cpu-a", "c7i.4xlarge"), ("cpu-b", "c7i.4xlarge"), ("cpu-a", "m7i.4xlarge")]
    assert outputs(tmp_path)["commit"] == ""


@pytest.mark.parametrize(("error", "calls"), [("InsufficientInstanceCapacity", 4), ("UnauthorizedOperation", 1)])
def test_a_runner_without_a_machine_is_removed(
    github: type[GitHub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str, calls: int
) -> None:
    monkeypatch.setenv("REFUSED", "run-instances")
    monkeypatch.setenv("ERROR", error)
    assert runner.main(START) == 1
    assert len(aws_calls(tmp_path)) == calls
    assert github.calls[-1] == "DELETE /actions/runners/42"
    assert "instance" not in outputs(tmp_path)


def test_a_machine_that_is_never_online_is_known_to_stop(github: type[GitHub], tmp_path: Path) -> None:
    github.online = False
    assert runner.main(START) == 1
    written = outputs(tmp_path)
    assert runner.main(["stop", "--instance", written["instance"], "--runner", written["runner"]]) == 0
    assert aws_calls(tmp_path)[-1] == "ec2 terminate-instances --instance-ids i-0123"
    assert github.calls[-1] == "DELETE /actions/runners/42"


@pytest.mark.parametrize(("error", "code"), [("InvalidInstanceID.NotFound", 0), ("UnauthorizedOperation", 1)])
@pytest.mark.usefixtures("github")
def test_stopping_what_is_gone(monkeypatch: pytest.MonkeyPatch, error: str, code: int) -> None:
    monkeypatch.setenv("REFUSED", "terminate-instances")
    monkeypatch.setenv("ERROR", error)
    assert runner.main(["stop", "--instance", "i-0123", "--runner", "42"]) == code


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "another archive"])
def test_a_machine_ends_after_its_job(tmp_path: Path, whole: bool) -> None:
    """Also where the archive is not the one that was named: then no runner starts at all."""
    folder = tmp_path / "runner"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/installdependencies.sh").write_text("#!/bin/sh\n", encoding="utf-8")
    (folder / "bin/installdependencies.sh").chmod(0o755)
    archive = tmp_path / "served.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(folder / "bin", "bin")
    programs, calls = tmp_path / "programs", tmp_path / "calls"
    programs.mkdir()
    logged = f'#!/bin/sh\necho "$(basename "$0") $*" >> {calls}\n'
    for name in ("shutdown", "useradd", "chown", "iptables", "runuser", "curl", "id"):
        more = f"cp {archive} {tmp_path}/runner.tar.gz\n" if name == "curl" else ""
        (programs / name).write_text(logged + more, encoding="utf-8")
        (programs / name).chmod(0o755)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest() if whole else SHA256
    text = BOOTSTRAP.read_text(encoding="utf-8").replace("/opt/runner", str(folder)).replace("/tmp/", f"{tmp_path}/")  # noqa: S108
    values = f"JIT=one-job\nMINUTES=90\nVERSION=2.330.0\nSHA256={digest}\nARCH=x64\n"
    done = subprocess.run(["bash", "-c", values + text], env={"PATH": f"{programs}:{os.environ['PATH']}"},
                          cwd=tmp_path, capture_output=True, text=True, check=False)  # fmt: skip
    lines = calls.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "shutdown -P +90", "the machine must end after its minutes whatever happens next"
    assert lines[-1] == "shutdown -P now"
    assert (done.returncode == 0) == whole
    started = [line for line in lines if line.startswith("runuser")]
    assert started == (
        ["runuser --user runner -- env DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 ./run.sh --jitconfig one-job"]
        if whole
        else []
    )
    if whole:
        blocked = next(index for index, line in enumerate(lines) if line.startswith("iptables"))
        assert blocked < lines.index(started[0]), "no job runs before the metadata of the machine are closed to it"
