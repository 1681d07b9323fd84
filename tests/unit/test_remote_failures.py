"""Why a remote did not answer: errors of several clients, a few classes, and no word that is a secret."""

from __future__ import annotations

import ssl
import threading
import time
from pathlib import Path

import aiohttp
import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from yarl import URL

from leverframe.adapters.dvc.failures import failure, holds_nothing, is_missing, without_secrets
from leverframe.adapters.dvc.objects import Opened, RemoteObjects, in_parallel, opened
from leverframe.adapters.dvc.plugins import check_plugin, not_installed
from leverframe.adapters.dvc.remotes import RemoteFiles
from leverframe.adapters.dvc.verified import Verified
from leverframe.adapters.working_tree import WorkingTree
from leverframe.application.remote_store import remote_store
from leverframe.domain.review.pushed import StoredObject
from leverframe.errors import BundleError, InstallationError, LeverframeError, RemoteUnreachableError


def s3(code: str, status: int, asked: str = "HeadObject") -> ClientError:
    """Return an error as botocore raises it."""
    answer = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, asked)


def caused(error: Exception, *causes: BaseException) -> Exception:
    """Return an error with those that were behind it."""
    above: BaseException = error
    for cause in causes:
        above.__cause__ = cause
        above = cause
    return error


def http(status: int) -> aiohttp.ClientResponseError:
    """Return an error as aiohttp raises it."""
    request = aiohttp.RequestInfo(URL("http://x"), "HEAD", {}, URL("http://x"))  # type: ignore[arg-type]
    return aiohttp.ClientResponseError(request, (), status=status)


def azure(status: int, code: str) -> Exception:
    """Return an error with what those of Azure tell."""
    error = Exception("no")
    vars(error).update(status_code=status, error_code=code)
    return error


@pytest.mark.parametrize(
    ("error", "missing"),
    [
        (FileNotFoundError("x"), True),
        (caused(FileNotFoundError("x"), s3("404", 404)), True),
        (caused(FileNotFoundError("x"), http(404)), True),
        (caused(FileNotFoundError("x"), http(410)), True),
        (caused(FileNotFoundError("x"), azure(404, "BlobNotFound")), True),
        (caused(FileNotFoundError("x"), type("SFTPNoSuchFile", (Exception,), {})("no")), True),
        (caused(FileNotFoundError("x"), http(403)), False),
        (caused(FileNotFoundError("x"), http(500)), False),
        (caused(FileNotFoundError("x"), ConnectionRefusedError("x")), False),
        (caused(FileNotFoundError("x"), aiohttp.ServerDisconnectedError()), False),
        (caused(FileNotFoundError("x"), TimeoutError()), False),
        (caused(FileNotFoundError("x"), s3("NoSuchBucket", 404)), False),
        (caused(FileNotFoundError("x"), azure(404, "ContainerNotFound")), False),
        (caused(FileNotFoundError("x"), s3("404", 404, "ListObjectsV2")), False),
        (PermissionError("x"), False),
    ],
)
def test_what_is_missing_is_told_from_what_is_not_known(error: Exception, *, missing: bool) -> None:
    """Clients raise that a file is not found for much else, too: a server that hangs up says nothing of a file."""
    assert is_missing(error) is missing


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (s3("NoSuchBucket", 404), "its bucket does not exist (404)"),
        (caused(FileNotFoundError("The specified bucket does not exist."), http(404)), "its bucket does not exist"),
        (s3("NoSuchBucket", 404, "ListObjectsV2"), "its bucket does not exist"),
        (s3("404", 404, "ListObjectsV2"), "something answers there that is not S3 (404)"),
        (NoCredentialsError(), "no credentials"),
        (caused(PermissionError("Forbidden"), s3("403", 403)), "it refuses these credentials"),
        (caused(FileNotFoundError("x"), http(401)), "it refuses these credentials; without"),
        (s3("SlowDown", 503), "it asks for fewer requests"),
        (caused(OSError("busy"), s3("503", 503)), "it asks for fewer requests"),
        (http(429), "it asks for fewer requests"),
        (s3("PermanentRedirect", 301), "its bucket is in another region (301)"),
        (s3("500", 500), "its server has a fault (500)"),
        (caused(FileNotFoundError("x"), ssl.SSLCertVerificationError("self-signed")), "TLS failed"),
        (TimeoutError(), "it did not answer in time"),
        (ConnectionResetError("x"), "nobody answers there"),
        (ValueError("odd: password=hunter2hunter2"), "ValueError: odd: password=***"),
    ],
)
def test_each_class_of_failure_has_its_words(error: Exception, words: str) -> None:
    """Why it is, and what to do next; a bucket that does not exist is known to hold nothing."""
    problem = failure("store", "s3://me:hunter2@bucket/x?token=hunter2", error, {"connection_string": "hunter2;key"})
    assert problem.what == "the remote `store` at s3://bucket/x cannot be asked"
    assert words in problem.why
    assert problem.next.endswith("then run the same command again") or "jobs 4" in problem.next
    assert holds_nothing(error) == ("bucket does not exist" in words)
    assert "hunter2" not in problem.render()


def test_settings_of_a_remote_are_secrets_where_their_names_say_so() -> None:
    """Whatever a client prints of them."""
    config = {
        "connection_string": "AccountKey-of-mine",
        "sas_token": "sv=2024",
        "password": "correct horse",
        "port": 22,
    }
    error = ValueError("cannot use AccountKey-of-mine, sv=2024 and correct horse at port 22")
    why = failure("store", "azure://data", error, config).why
    assert why == "ValueError: cannot use ***, *** and *** at port 22"


def test_addresses_lose_what_may_be_a_password() -> None:
    """User, password and query."""
    assert without_secrets("https://me:hunter2@host/a?sig=hunter2#b") == "https://host/a"


@pytest.mark.parametrize(
    ("address", "extra"),
    [("gs://b", "dvc[gs]"), ("azure://b", "dvc[azure]"), ("ssh://h/x", "dvc[ssh]"), ("webdavs://h", "dvc[webdav]")],
)
def test_a_package_that_is_missing_is_named_by_its_extra(address: str, extra: str) -> None:
    """Exactly what pip takes; kinds that are here, and addresses of no kind, raise nothing."""
    with pytest.raises(InstallationError) as raised:
        check_plugin("store", address)
    assert f"`{extra}`" in raised.value.why
    assert extra in raised.value.next
    for known in ("s3://b", "https://h", "/folder", "C:\\folder", "file:///folder", "remote://other/x", "S3://b"):
        check_plugin("store", known)
    assert "`leverframe[s3]`" in not_installed("store", "s3://b").why


def test_a_scheme_that_dvc_does_not_know_is_no_folder(tmp_path: Path) -> None:
    """Wherever an address comes from; what is installed is named, and no user or password."""
    (tmp_path / ".dvc").mkdir()
    config = "[core]\n    remote = store\n['remote \"store\"']\n    url = foo://me:hunter2@bucket/x\n"
    (tmp_path / ".dvc/config").write_text(config, encoding="utf-8")
    with pytest.raises(RemoteUnreachableError) as of_config:
        remote_store(WorkingTree.around(tmp_path), "", None, lambda _: None)
    with pytest.raises(BundleError) as of_address:
        RemoteFiles("foo://me:hunter2@bucket/x")
    with pytest.raises(RemoteUnreachableError) as of_doctor:
        check_plugin("store", "foo://me:hunter2@bucket/x")
    for raised in (of_config, of_address, of_doctor):
        assert raised.value.why.startswith("DVC knows no scheme `foo`; what is installed here knows folders")
        assert "s3://" in raised.value.why
        assert "hunter2" not in raised.value.render()


OBJECTS = [StoredObject(f"{number:032x}", 1) for number in range(1200)]


class Files:
    """A file system of DVC in memory, which counts who asks at the same time."""

    protocol = "memory"

    def __init__(self, **config: object) -> None:
        self.config, self.fs = config, self
        self.at_once, self.most, self.asked, self.lock = 0, 0, 0, threading.Lock()

    def join(self, *parts: str) -> str:
        return "/".join(parts)

    def info(self, path: str) -> dict[str, object]:
        with self.lock:
            self.at_once, self.asked = self.at_once + 1, self.asked + 1
            self.most = max(self.most, self.at_once)
        time.sleep(0.001)
        with self.lock:
            self.at_once -= 1
        if path.endswith("7"):
            raise FileNotFoundError(path)
        return {"type": "directory" if path.endswith("8") else "file", "size": 1}


@pytest.mark.parametrize(("config", "most"), [({}, 32), ({"jobs": 3}, 3), ({"jobs": 99}, 32)])
def test_requests_run_in_parallel_within_a_bound(config: dict[str, object], most: int) -> None:
    """Each object once; a folder of that name is no object."""
    files = Files(**config)
    messages = list[str]()
    opened = Opened(files, "base", "memory://")
    remote = RemoteObjects("store", Verified(None, "memory://"), lambda: opened, messages.append)
    response = remote.sizes(OBJECTS)
    assert set(response.absent) == {blob for blob in OBJECTS if blob.md5[-1] in "78"}
    assert len(response.present) + len(response.absent) == len(OBJECTS) == files.asked
    assert response.failure is None
    assert 1 < files.most <= most
    assert messages == ["asked the remote `store` for 1,000 of 1,200 objects"]


def test_the_first_failure_ends_all_and_the_limit_of_time_holds() -> None:
    """Threads that wait are left behind, and begin nothing more."""
    held = threading.Event()
    asked: list[StoredObject] = []

    def work(wanted: StoredObject) -> int:
        asked.append(wanted)
        if len(asked) > 3:
            held.wait(60)
        return 1

    answers = in_parallel(work, OBJECTS, 2, time.monotonic() + 0.5)
    with pytest.raises(TimeoutError):
        list(answers)
    begun = len(asked)
    held.set()
    assert begun <= 5
    assert len(asked) <= begun + 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("url = s3://b\n    worktree = true", "cloud-versioned"),
        ("url = nonsense://b", "its configuration: Unsupported URL type"),
        ("url = s3://b\n    secret = hunter2", "its configuration: extra keys not allowed"),
        ("url", "its configuration"),
    ],
)
def test_a_configuration_that_cannot_be_used_says_why(tmp_path: Path, settings: str, words: str) -> None:
    """Before anybody is asked."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text(f"['remote \"store\"']\n    {settings}\n", encoding="utf-8")
    with pytest.raises(LeverframeError) as raised:
        opened(tmp_path, "store")
    assert isinstance(raised.value, RemoteUnreachableError)
    assert words in raised.value.why
    assert "hunter2" not in raised.value.render()
