"""The lock of a state: waited for, named with its owner, released by every end but a killed Terraform, and freed by id.

S3 is moto on loopback with the native lock file, http a server that checks who holds the lock.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from moto.s3.exceptions import PreconditionFailed
from moto.s3.responses import S3Response
from moto.server import ThreadedMotoServer

from leverframe.adapters.terraform import terraform_child
from leverframe.adapters.terraform.terraform_child import run_child
from leverframe.domain.infrastructure.infra_plan import ChangeKind
from leverframe.domain.infrastructure.infra_ports import InfraTool, Planning, StateLock
from leverframe.errors import InfraError, InfraLockedError
from tests.fakes.state_server import StateServer
from tests.integration.infra_root import Root, absent
from tests.profiles import by_day

pytestmark = pytest.mark.skipif(bool(absent("terraform")), reason=absent("terraform"))
SLOW = """
resource "terraform_data" "slow" {
  provisioner "local-exec" { command = "touch started; while [ ! -e go ]; do sleep 0.1; done" }
}
"""
# Our own program in a process of its own: what a job of a workflow is to its runner.
JOB = """
import signal, sys
from pathlib import Path
from tests.integration.infra_root import Root
from leverframe.domain.infrastructure.infra_plan import ChangeKind
from leverframe.domain.infrastructure.infra_ports import Planning
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored where the tests outlive their terminal
root = Root(Path(sys.argv[1]), Path(sys.argv[2]))
tool = root.tool()
saved = tool.planned(Planning())
root.lines.clear()
try:
    tool.applied(saved)
finally:
    tool.forget(saved)
    print(*root.lines, sep="\\n", flush=True)
"""


@dataclass
class Store:
    """A backend: its block, the environment that opens it, its lock at any time, and whether Terraform tells whose."""

    block: str
    environment: dict[str, str]
    lock: Callable[[], dict[str, Any] | None]
    names_owner: bool


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Return the address of S3 on loopback."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let S3 refuse locks as long as the list has something, of which each refusal takes one: nobody holds them."""
    refusals: list[str] = []
    put = S3Response.put_object

    def refusing(response: S3Response, *given: Any, **named: Any) -> Any:
        if refusals and str(response.path).endswith(".tflock"):
            refusals.pop()
            raise PreconditionFailed("If-None-Match")
        return put(response, *given, **named)

    monkeypatch.setattr(S3Response, "put_object", refusing)
    return refusals


@pytest.fixture(params=["s3", "http"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Return each backend with an empty state."""
    if request.param == "http":
        with StateServer() as server:
            address = server.address
            block = f"""backend "http" {{
    address        = "{address}"
    lock_address   = "{address}"
    unlock_address = "{address}"
    retry_max      = 0
  }}"""
            yield Store(block, {}, lambda: server.locks.get("/state"), names_owner=False)
        return
    address = request.getfixturevalue("s3")
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing-secret", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=address, **keys)
    bucket = re.sub(r"[^a-z0-9]+", "-", tmp_path.name.lower()).strip("-")
    client.create_bucket(Bucket=bucket)

    def lock() -> dict[str, Any] | None:
        try:
            document: dict[str, Any] = json.loads(client.get_object(Bucket=bucket, Key="s.tflock")["Body"].read())
        except client.exceptions.NoSuchKey:
            return None
        return document

    block = f"""backend "s3" {{
    bucket         = "{bucket}"
    key            = "s"
    region         = "us-east-1"
    use_lockfile   = true
    use_path_style = true
    endpoints      = {{ s3 = "{address}" }}
    skip_credentials_validation = true
    skip_requesting_account_id  = true
    skip_metadata_api_check     = true
    skip_region_validation      = true
  }}"""
    environment = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing-secret"}
    yield Store(block, environment, lock, names_owner=True)


@pytest.fixture
def root(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Root]:
    """Return a root module in the backend, whose resource waits for a file `go`; nothing of it is left running."""
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))  # of the jobs: one that is killed leaves its plan there
    root = Root.below(tmp_path).write(f"terraform {{\n  {store.block}\n}}\n{SLOW}")
    root.ready()
    yield root
    (root.folder / "go").touch()
    _until(lambda: not _terraforms(root))


def _until(true: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen within a minute"
        time.sleep(0.05)


def _terraforms(root: Root) -> list[psutil.Process]:
    """Return the processes that work in the folder of this test."""
    processes = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(root.folder) and process.status() != psutil.STATUS_ZOMBIE:
                processes.append(process)
        except psutil.Error:
            continue
    return processes


def _job(root: Root) -> subprocess.Popen[str]:
    """Start an apply in a process of its own, and return once its resource is being made."""
    arguments = [sys.executable, "-c", JOB, str(root.folder), str(root.data)]
    job = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    )
    _until(lambda: (root.folder / "started").exists() or job.poll() is not None)
    assert job.poll() is None
    return job


def test_a_second_apply_waits_and_then_names_the_owner(root: Root, store: Store) -> None:
    """With a time to wait it gets the lock once it is free; without, the error names owner, operation, age and id."""
    job = _job(root)
    other: InfraTool = root.tool()
    held = store.lock()
    assert held is not None
    with pytest.raises(InfraLockedError) as caught:
        other.planned(Planning(lock=True))
    lock = caught.value.lock
    assert isinstance(lock, StateLock)
    assert lock.id == held["ID"]
    assert f"its id is {held['ID']}" in caught.value.why
    if store.names_owner:
        assert (lock.operation, lock.who) == ("apply", held["Who"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", lock.created)
        assert re.match(rf"{re.escape(held['Who'])} holds it for apply since \S+, \d+ seconds ago;", caught.value.why)
    else:
        assert (lock.operation, lock.who, lock.created) == ("", "", "")
    assert f"leverframe infra unlock {held['ID']}" in caught.value.next
    assert root.plan(other).changes  # a plan on a pull request does not wait
    waiting = root.tool(lock_timeout_seconds=60)
    (root.folder / "go").touch()
    saved = waiting.planned(Planning(lock=True))
    assert job.wait(60) == 0
    assert saved.plan.empty  # it was made when the other apply had ended
    waiting.forget(saved)
    assert store.lock() is None


@pytest.mark.parametrize("store", ["s3"], indirect=True)
def test_a_lock_that_is_freed_while_terraform_looks_whose_it_is(root: Root, refused: list[str]) -> None:
    """Terraform gives up there, however long it may wait: it is asked again, and not without end."""
    tool = root.tool(lock_timeout_seconds=60)
    refused.append("by a job that has ended by now")
    tool.forget(tool.planned(Planning(lock=True)))
    assert not refused
    refused += ["for ever"] * 9
    with pytest.raises(InfraError, match="failed"):
        tool.planned(Planning(lock=True))
    assert len(refused) == 6


@pytest.mark.parametrize(
    "number", by_day([signal.SIGTERM, signal.SIGINT, signal.SIGHUP], signal.SIGTERM, signal.SIGINT)
)
def test_a_signal_to_the_job_releases_the_lock(root: Root, store: Store, number: int) -> None:
    """Terraform is interrupted once, ends its work, writes the state, and the job ends as the signal says."""
    job = _job(root)
    assert store.lock() is not None
    job.send_signal(number)
    out = job.communicate(timeout=60)[0]
    assert job.returncode == (-number if number == signal.SIGINT else 128 + number)
    assert store.lock() is None
    assert "Interrupt received" in out
    assert not list(Path(os.environ["TMPDIR"]).glob("leverframe-infra-*"))
    assert root.plan(root.tool(), destroy=True).counts == {ChangeKind.DELETE: 1}  # the state was written


def test_a_killed_job_releases_the_lock(root: Root, store: Store) -> None:
    """Nobody could tell Terraform but the guard; what it prints then goes nowhere and kills it not."""
    job = _job(root)
    job.kill()
    job.wait()
    _until(lambda: not _terraforms(root))
    assert store.lock() is None


def test_a_killed_terraform_leaves_a_lock_that_its_id_frees(root: Root, store: Store) -> None:
    """Any other id is refused, and the lock stays; after it was freed an apply goes through."""
    job = _job(root)
    (terraform,) = [process for process in _terraforms(root) if process.name() in ("terraform", "tofu")]
    terraform.kill()
    job.communicate(timeout=60)
    assert job.returncode == 1
    held = store.lock()
    assert held is not None
    (root.folder / "go").touch()
    tool = root.tool()
    with pytest.raises(InfraLockedError) as caught:
        root.apply(tool)
    assert held["ID"] in caught.value.why
    standing = tool.lock()
    assert standing is not None
    assert standing.id == held["ID"]
    with pytest.raises(InfraError, match="is not freed") as refused:
        tool.unlock("00000000-0000-0000-0000-000000000000")
    assert held["ID"] in refused.value.why
    assert store.lock() == held
    tool.unlock(held["ID"])
    assert store.lock() is None
    with pytest.raises(InfraError, match="is not freed") as refused:
        tool.unlock(held["ID"])
    assert "nobody holds" in refused.value.why
    assert store.lock() is None
    root.apply(tool)


def test_a_program_that_takes_too_long_is_interrupted_and_then_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Terraform gets an interrupt and a grace; what heeds none is ended with its group."""
    root = Root.below(tmp_path).write(SLOW)
    tool = root.ready(timeout_minutes=1)
    saved = tool.planned(Planning())
    tool._settings = tool._settings.model_copy(update={"timeout_minutes": 0.02})  # type: ignore[attr-defined]
    with pytest.raises(InfraError, match="`apply` of Terraform was interrupted") as caught:
        tool.applied(saved)
    tool.forget(saved)
    assert "timeout_minutes" in caught.value.next
    assert "may be left" not in caught.value.why
    _until(lambda: not _terraforms(root))
    monkeypatch.setattr(terraform_child, "GRACE", 0.5)
    stubborn = "trap '' INT; sleep 1000 & echo on; wait; wait; sleep 1000"
    ended = run_child(["sh", "-c", stubborn], root.lines.append, folder=root.folder, environment=dict(os.environ),
                      timeout=0.5, guarded=True)  # fmt: skip
    assert (ended.stopped, ended.killed, ended.stdout) == ("timeout", True, ["on"])
    _until(lambda: not _terraforms(root))


def _guards(job: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return [child for child in psutil.Process(job.pid).children() if "guard" in child.cmdline()]


STUBBORN = """
import os, sys
from pathlib import Path
from leverframe.adapters.terraform.terraform_child import run_child
script = "trap 'echo interrupted >> interrupts' INT; echo on > started; while [ ! -e go ]; do sleep 0.1; done"
folder = Path(sys.argv[1])
run_child(["sh", "-c", script], print, folder=folder, environment=dict(os.environ), timeout=600, guarded=True)
"""


@pytest.mark.parametrize("first", [signal.SIGTERM, None])
def test_terraform_is_interrupted_once(tmp_path: Path, first: int | None) -> None:
    """GitHub interrupts a job and kills it ten seconds later: a second interrupt would make Terraform drop its lock."""
    root = Root.below(tmp_path)
    job = subprocess.Popen([sys.executable, "-c", STUBBORN, str(root.folder)])
    interrupts = root.folder / "interrupts"
    _until((root.folder / "started").exists)
    if first:
        job.send_signal(first)
        _until(interrupts.exists)
    _until(lambda: _guards(job))
    (guard,) = _guards(job)
    job.kill()
    job.wait()
    _until(guard.children)  # it has done all that it does but read
    _until(interrupts.exists)
    (root.folder / "go").touch()
    _until(lambda: not _terraforms(root))
    assert interrupts.read_text() == "interrupted\n"


def test_an_error_of_who_reads_the_lines_interrupts_terraform(tmp_path: Path) -> None:
    """A closed terminal is no reason to leave a lock."""
    root = Root.below(tmp_path).write(SLOW)
    saved = root.ready().planned(Planning())

    class Closed(list[str]):
        def append(self, line: str) -> None:
            if "Provisioning" in line:
                raise BrokenPipeError("closed")

    root.lines = Closed()
    tool = root.tool()
    with pytest.raises(BrokenPipeError):
        tool.applied(saved)
    tool.forget(saved)
    _until(lambda: not _terraforms(root))


def test_a_state_that_a_backend_does_not_take_is_not_lost(tmp_path: Path) -> None:
    """It is saved a little later, as the resources are there."""
    with StateServer() as server:
        block = f'terraform {{\n  backend "http" {{\n    address = "{server.address}"\n    retry_max = 0\n  }}\n}}\n'
        root = Root.below(tmp_path).write(block + 'resource "terraform_data" "a" { input = 1 }\n')
        tool = root.ready()
        server.broken = 1
        with pytest.raises(InfraError, match="`apply` of Terraform failed"):
            root.apply(tool)
        assert "saved now" in root.lines[-1]
        assert not (root.folder / "errored.tfstate").exists()
        assert root.plan(root.ready()).empty


def test_which_lock_stands_is_told_without_values(tmp_path: Path) -> None:
    """Who frees a lock on a laptop has no secrets there; an error of the configuration is no "nobody holds it"."""
    with StateServer() as server:
        blocks = [f'{name} = "{server.address}"' for name in ("address", "lock_address", "unlock_address")]
        backend = 'terraform {\n  backend "http" {\n' + "\n".join(blocks) + "\n  }\n}\n"
        root = Root.below(tmp_path).write(backend)
        root.ready()
        root.write(backend + 'variable "a" {}\nvariable "b" {}')
        tool = root.tool(secrets={"a": "NOT_SET_ANYWHERE"})
        assert tool.lock() is None
        server.locks["/state"] = {"ID": "some-id"}
        assert tool.lock() == StateLock("some-id")
        server.locks.clear()
        root.write(backend + "resource x {")
        with pytest.raises(InfraError, match="`plan` of Terraform failed"):
            tool.lock()
    with pytest.raises(InfraError):
        root.write(backend).tool().lock()
