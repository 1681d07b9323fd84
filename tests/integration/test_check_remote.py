"""Whether data were pushed, asked of remotes for real: S3 by moto on loopback behind a proxy that counts, and HTTP."""

from __future__ import annotations

import hashlib
import http.client
import http.server
import io
import json
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from dvc_data.hashfile.hash import fobj_md5
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from leverframe.adapters.dvc.objects import RemoteObjects, opened
from leverframe.adapters.dvc.verified import Verified
from leverframe.application.champion import champion
from leverframe.application.status import status
from leverframe.domain.pipeline.status.reasons import State
from leverframe.domain.review.pushed import StoredObject
from leverframe.local.repository import CommandFailedError
from leverframe.wiring import workspace
from tests.fakes.remote_proxy import DROPPED, Proxy, proxy
from tests.warm import WarmRepository, warm

BUCKET, REGION = "checked-data", "eu-central-1"
PIPELINE = """
stages:
  make:
    cmd: >-
      mkdir -p parts models data && for n in 1 2 3; do echo part$n > parts/$n.csv; done &&
      echo weights > models/model.skops && echo 0.5 > data/predictions.parquet && echo {} > models/model.json &&
      echo mine > local.txt
    outs: [models/model.skops, data/predictions.parquet, parts, {local.txt: {push: false}}]
    metrics: [{models/model.json: {cache: false}}]
"""
OBJECTS = 7  # of them: a source, two files, a directory of three
GIVEN = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
KEYS = "['remote \"store\"']\n    access_key_id = testing\n    secret_access_key = hunter2hunter2\n"
QUICK = {"AWS_MAX_ATTEMPTS": "1", "AWS_EC2_METADATA_DISABLED": "true"}  # what a client repeats takes seconds


@dataclass(frozen=True)
class Stored:
    """A repository whose outputs are in a bucket, the client that put them there, and the proxy before the bucket."""

    repository: WarmRepository
    proxy: Proxy
    client: Any

    def check(self, **environment: str) -> tuple[int, dict[str, Any], str]:
        """Return how `leverframe check` ended, what it found, and all that it printed."""
        given = {**self.repository.environment, **environment}
        self.proxy.requests.clear()
        done = warm().run("leverframe", ["check", "--base", "HEAD~1", "--json"], self.repository.root, given)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, json.loads(done.stdout), done.stdout + done.stderr


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """Yield host and port of an S3 of this module."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def pushed(moto: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    """A repository that was reproduced and pushed by DVC; its address and keys are in its own configuration."""
    with proxy(moto) as front:
        client = boto3.client("s3", endpoint_url=f"http://{moto}", region_name=REGION, **GIVEN)
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        started = WarmRepository.create(tmp_path_factory.mktemp("pushed"))
        repository = WarmRepository(started.root, started.home)
        repository.write("dvc.yaml", PIPELINE)
        repository.write(
            ".dvc/config",
            f"[core]\n    remote = store\n['remote \"store\"']\n    url = s3://{BUCKET}/dvc\n"
            f"    endpointurl = {front.address}\n    region = {REGION}\n",
        )
        repository.write(".dvc/config.local", KEYS)
        repository.write(".gitignore", "/.leverframe/\n")
        repository.write("README.md", "Rides.\n")
        repository.write("raw.csv", "1\n")
        repository.dvc("add", "raw.csv")
        repository.dvc("repro")
        repository.commit("A pipeline")
        repository.dvc("push")
        repository.write("README.md", "A change that is checked.\n")
        repository.commit("A change")
        yield Stored(repository, front, client)


@pytest.fixture
def stored(pushed: Stored) -> Iterator[Stored]:
    """Yield it as it was pushed, whatever an earlier test made of it."""
    local = pushed.repository.read(".dvc/config.local")
    kept = {key: pushed.client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys(pushed)}
    (pushed.repository.root / ".leverframe/pushed.json").unlink(missing_ok=True)
    pushed.proxy.requests.clear()
    yield pushed
    pushed.proxy.fault = lambda _number, _path: None
    pushed.repository.write(".dvc/config.local", local)
    for key, content in kept.items():
        pushed.client.put_object(Bucket=BUCKET, Key=key, Body=content)


def keys(stored: Stored) -> list[str]:
    """Return the keys of what DVC pushed."""
    listed = stored.client.list_objects_v2(Bucket=BUCKET, Prefix="dvc/")["Contents"]
    return [entry["Key"] for entry in listed]


def digest(text: str) -> str:
    """Return the place of a file by its content."""
    md5 = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return f"dvc/files/md5/{md5[:2]}/{md5[2:]}"


def test_each_object_of_the_lock_is_asked_for_once_among_any_number(stored: Stored) -> None:
    """One request an object, no listing of the bucket, no cost of a thousand others; a second check asks nothing."""
    pushed = sorted(keys(stored))
    with crowd(1000):
        code, report, output = stored.check()
        assert (code, report["verdict"], report["notes"]) == (0, "passed", []), output
        assert sorted(path.removeprefix(f"/{BUCKET}/") for _, path in stored.proxy.requests) == pushed
        assert {method for method, _ in stored.proxy.requests} == {"HEAD"}
        assert stored.check()[1]["verdict"] == "passed"
        assert stored.proxy.requests == []


@pytest.mark.deep
def test_a_million_objects_of_others_cost_nothing(stored: Stored) -> None:
    """As many requests as the lock has objects."""
    with crowd(1_000_000):
        assert stored.check()[1]["verdict"] == "passed"
        assert len(stored.proxy.requests) == OBJECTS


def test_what_a_change_says_was_found_before_proves_nothing(stored: Stored) -> None:
    """The file that remembers is of one machine: where git has it, everything is asked for."""
    stored.check()
    repository, head = stored.repository, stored.repository.git("rev-parse", "HEAD").strip()
    try:
        repository.git("add", "--force", ".leverframe/pushed.json")
        repository.commit("What I found")
        repository.write("README.md", "Another change.\n")
        repository.commit("Another change")
        assert stored.check()[1]["verdict"] == "passed"
        assert len(stored.proxy.requests) == OBJECTS
    finally:
        repository.git("reset", "--quiet", "--hard", head)


@contextmanager
def crowd(number: int) -> Iterator[None]:
    """Put objects of others into the bucket, past the server, which takes a millisecond for each."""
    bucket = s3_backends["123456789012"]["aws"].buckets[BUCKET]
    one = next(iter(bucket.keys.values()))
    names = [f"{index:032x}" for index in range(number)]
    places = [f"dvc/files/md5/{name[:2]}/{name[2:]}" for name in names]
    for place in places:
        bucket.keys[place] = one
    yield
    for place in places:
        del bucket.keys[place]


def test_what_is_missing_is_named_by_its_output(stored: Stored) -> None:
    """A file, and a directory of which one file lacks; what lacks costs one request more, that nobody lists with."""
    for text in ("part2\n", "weights\n"):
        stored.client.delete_object(Bucket=BUCKET, Key=digest(text))
    code, report, _ = stored.check()
    assert (code, report["reasons"]) == (30, ["data-missing"])
    assert (
        report["violations"][0]["what"]
        == "the remote `store` lacks 2 outputs of `dvc.lock`: `models/model.skops`, `parts`"
    )
    assert "dvc push" in report["violations"][0]["next"]
    asked = [path for method, path in stored.proxy.requests if method == "HEAD"]
    assert len(asked) == OBJECTS
    assert all("max-keys=1" in path for method, path in stored.proxy.requests if method != "HEAD")
    assert len(stored.proxy.requests) == OBJECTS + 2
    (note,) = report["notes"]
    assert "for `parts` remove" in note
    stored.repository.dvc("push")  # as the violation says, which is not enough for the directory
    assert "lacks 1 output of `dvc.lock`: `parts`" in stored.check()[1]["violations"][0]["what"]
    stored.client.delete_object(Bucket=BUCKET, Key="dvc/" + re.findall("`(files/.*?)`", note)[0])
    stored.repository.dvc("push")
    assert stored.check()[1]["verdict"] == "passed"
    assert len(stored.proxy.objects()) == 2  # what was not there, and the listing of its directory


def test_an_object_that_was_cut_short_is_missing(stored: Stored) -> None:
    """Its size is that of the lock, or nobody can pull it."""
    stored.client.put_object(Bucket=BUCKET, Key=digest("weights\n"), Body=b"wei")
    assert "`models/model.skops`" in stored.check()[1]["violations"][0]["what"]


def test_a_runner_without_a_cache_reads_listings_from_the_remote(stored: Stored, tmp_path: Path) -> None:
    """As in a fresh clone: at most three requests for a directory, one for each of its files."""
    cache = stored.repository.root / ".dvc/cache"
    aside = cache.rename(tmp_path / "cache")
    try:
        assert stored.check()[1]["verdict"] == "passed"
        assert len(stored.proxy.requests) <= OBJECTS - 1 + 3
        assert not any("list-type" in path for _, path in stored.proxy.requests)
    finally:
        aside.rename(cache)


def local(stored: Stored, **settings: str) -> None:
    """Set something of the remote for this checkout; an empty value takes it away. Another `url` is another remote."""
    name, lines = ("other", []) if "url" in settings else ("store", KEYS.splitlines()[1:])
    kept = [line for line in lines if line.split(" = ")[0].strip() not in settings]
    added = [f"    {name} = {value}" for name, value in settings.items() if value]
    head = [f"[core]\n    remote = {name}", f"['remote \"{name}\"']"]
    stored.repository.write(".dvc/config.local", "\n".join([*head, *kept, *added, ""]))


MINE = {"access_key_id": "testing", "secret_access_key": "hunter2hunter2"}
UNREADABLE = {
    "a missing bucket": (
        {"url": "s3://no-such-bucket/x", "endpointurl": "http://{moto}", **MINE},
        "bucket does not exist",
    ),
    "no server": ({"endpointurl": "http://127.0.0.1:9"}, "nobody answers there"),
    "no such host": ({"endpointurl": "http://nowhere.invalid"}, "the name of its host is unknown (DNS)"),
    "no TLS": ({"endpointurl": "https://{moto}"}, "TLS failed"),
    "no plug-in": ({"url": "gs://bucket/dvc"}, "the extra `dvc[gs]`"),
    "another plug-in": ({"url": "webdavs://me:hunter2@host/dvc"}, "the extra `dvc[webdav]`"),
    "an unknown kind": ({"url": "nonsense://me:hunter2@bucket"}, "DVC knows no scheme `nonsense`"),
    "an unknown setting": ({"bogus": "hunter2hunter2"}, "extra keys not allowed"),
    "versions": ({"version_aware": "true"}, "it is cloud-versioned"),
    "no keys": ({"access_key_id": "", "secret_access_key": ""}, "there are no credentials for it here"),
    "http without a server": ({"url": "http://me:hunter2@127.0.0.1:9/x"}, "nobody answers there"),
    "http with a status": ({"url": "http://{moto}/{bucket}/dvc"}, "it refuses these credentials"),
    "a password to type": (
        {"url": "http://127.0.0.1:9/x", "auth": "basic", "user": "me", "ask_password": "true"},
        "password",
    ),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_remote_that_cannot_be_asked_is_a_note_that_says_why_and_what_to_do(
    stored: Stored, moto: str, case: str
) -> None:
    """One sentence without a key; only a bucket that does not exist is a violation, too, as it holds nothing."""
    settings, words = UNREADABLE[case]
    local(stored, **{name: value.format(moto=moto, bucket=BUCKET) for name, value in settings.items()})
    code, report, output = stored.check(**QUICK)
    (note,) = report["notes"]
    assert words in note
    assert ("then run the same command again" in note) or ("dvc status --cloud" in note)
    assert "hunter2" not in output
    assert (code, report["reasons"]) == ((30, ["data-missing"]) if "bucket does not exist" in words else (0, [])), (
        output
    )


def test_keys_that_are_refused_are_a_note_and_cost_one_request(stored: Stored, moto: str) -> None:
    """By the rules of S3 itself, as moto has them; the same keys of somebody who may read find everything."""
    identities = boto3.client("iam", endpoint_url=f"http://{moto}", region_name=REGION, **GIVEN)
    identities.create_user(UserName="reader")
    rule = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    identities.put_user_policy(
        UserName="reader", PolicyName="read", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [rule]})
    )
    own = identities.create_access_key(UserName="reader")["AccessKey"]
    try:
        reset_auth(moto, 0)
        code, report, output = stored.check()
        assert (code, report["verdict"]) == (0, "passed")
        assert "it refuses these credentials" in report["notes"][0]
        assert "(403)" in report["notes"][0]
        assert "hunter2" not in output
        assert len(stored.proxy.requests) == 1
        local(stored, access_key_id=own["AccessKeyId"], secret_access_key=own["SecretAccessKey"])
        code, report, output = stored.check()
        assert (code, report["notes"]) == (0, []), output
    finally:
        reset_auth(moto, float("inf"))


def test_doctor_asks_a_remote_for_one_object(stored: Stored, moto: str) -> None:
    """Whether it answers, lacks that object, or cannot be asked; nobody is asked offline, and no key is printed."""

    def looked(*arguments: str) -> tuple[str, str, str]:
        stored.proxy.requests.clear()
        given = {**stored.repository.environment, **QUICK}
        done = warm().run("leverframe", ["doctor", "--json", *arguments], stored.repository.root, given)
        assert "hunter2" not in done.stdout + done.stderr
        findings = [
            entry for entry in json.loads(done.stdout)["found"] if entry["area"] == "DVC" and "remote" in entry["what"]
        ]
        (finding,) = findings
        return finding["state"], finding["what"], finding["fix"]

    assert looked()[0] == "ok"
    assert len(stored.proxy.requests) == 1
    assert looked("--offline")[0] == "unknown"
    assert stored.proxy.requests == []
    for key in keys(stored):
        stored.client.delete_object(Bucket=BUCKET, Key=key)
    state, what, fix = looked()
    assert (state, fix) == ("warning", "dvc push")
    assert "answers, and lacks `raw.csv`" in what
    for case in ("a missing bucket", "no server", "no plug-in", "no keys"):
        settings, words = UNREADABLE[case]
        local(stored, **{name: value.format(moto=moto, bucket=BUCKET) for name, value in settings.items()})
        state, what, fix = looked()
        assert state == "wrong"
        assert words in what
        assert fix


def reset_auth(moto: str, calls: float) -> None:
    """Let moto ask who comes, after so many calls."""
    connection = http.client.HTTPConnection(moto)
    connection.request("POST", "/moto-api/reset-auth", str(calls), {"Content-Type": "text/plain"})
    assert connection.getresponse().status == 200
    connection.close()


def test_a_server_that_is_busy_now_and_then_is_asked_again(stored: Stored) -> None:
    """Every third request is answered 503, one connection is closed: everything is found, by a bounded number."""
    stored.proxy.fault = lambda number, _: DROPPED if number == 4 else 503 if number % 3 == 0 else None
    code, report, output = stored.check()
    assert (code, report["notes"]) == (0, []), output
    assert OBJECTS < len(stored.proxy.requests) < 30


def test_a_server_that_stays_busy_is_left_alone_after_few_requests(stored: Stored) -> None:
    """The first object is asked for alone, a few times; nobody asks for the others."""
    stored.proxy.fault = lambda _number, _path: 503
    code, report, output = stored.check(**QUICK)
    assert (code, report["verdict"]) == (0, "passed"), output
    assert "it asks for fewer requests" in report["notes"][0]
    assert "dvc remote modify store jobs 4" in report["notes"][0]
    assert len(set(stored.proxy.objects())) == 1
    assert len(stored.proxy.requests) <= 25


def test_answers_that_come_too_slowly_end_the_check(stored: Stored) -> None:
    """What was answered in time counts, and nobody is asked for the rest."""
    slow = threading.Event()
    stored.proxy.fault = lambda number, _: 0.0 if number <= 3 or slow.wait(60) else None
    home = stored.repository.root
    with pytest.MonkeyPatch.context() as environment:
        for name, value in stored.repository.environment.items():
            environment.setenv(name, value)
        remote = RemoteObjects("store", Verified(None, ""), partial(opened, home, "store"), print, seconds=3.0)
        wanted = [StoredObject(path.rpartition("/files/md5/")[2].replace("/", "")) for path in keys(stored)]
        sizes = remote.sizes(wanted)
    assert len(sizes.present) <= 3
    assert sizes.absent == []
    assert sizes.failure is not None
    assert sizes.failure.why == "all answers together may take 3 seconds"
    assert remote.sizes(wanted).failure is sizes.failure  # and nobody is asked again
    slow.set()


def test_a_remote_over_http_is_read_only_and_enough(stored: Stored) -> None:
    """DVC stores in a remote as in its cache; nothing but the result is printed."""
    cache = stored.repository.root / ".dvc/cache"
    handler = partial(_Listening, directory=str(cache))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    lost = cache / digest("weights\n").removeprefix("dvc/")
    try:
        local(stored, url=f"http://127.0.0.1:{server.server_address[1]}")
        code, report, output = stored.check()
        assert (code, report["notes"]) == (0, []), output
        content = lost.read_bytes()
        lost.unlink()
        (stored.repository.root / ".leverframe/pushed.json").unlink()
        code, report, output = stored.check()
        assert (code, report["notes"]) == (30, [])
        assert "lacks 1 output of `dvc.lock`: `models/model.skops`" in output
        assert output == json.dumps(report, indent=2, ensure_ascii=False) + "\n"
        lost.write_bytes(content)
        lost.chmod(0o444)
    finally:
        server.shutdown()
        server.server_close()


class _Listening(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_what_dvc_2_recorded_is_where_dvc_2_put_it(tmp_path: Path) -> None:
    """Line ends of a text do not count, `xx/yyyy` is the place, and DVC 3 says the same of all of it."""
    started = WarmRepository.create(tmp_path)
    repository = WarmRepository(started.root, started.home)
    files = {"raw.csv": b"a,b\r\n1,2\r\n", "parts/1.csv": b"x\r\n", "parts/2.bin": b"\0\r\n"}
    cache = {legacy(content): content for content in files.values()}
    listing = [{"md5": legacy(files[f"parts/{name}"]), "relpath": name} for name in ("1.csv", "2.bin")]
    folder = json.dumps(listing, sort_keys=True).encode()
    cache |= {hashlib.md5(folder, usedforsecurity=False).hexdigest() + ".dir": folder}
    for md5, content in cache.items():
        repository.write(f".dvc/cache/{md5[:2]}/{md5[2:]}", content).chmod(0o444)
    for path, content in files.items():
        repository.write(path, content)
    repository.write("raw.csv.dvc", f"outs:\n- md5: {legacy(files['raw.csv'])}\n  size: 10\n  path: raw.csv\n")
    repository.write("parts.dvc", f"outs:\n- md5: {[*cache][-1]}\n  size: 6\n  nfiles: 2\n  path: parts\n")
    repository.write(".dvc/config", f"[core]\n    remote = old\n['remote \"old\"']\n    url = {tmp_path / 'old'}\n")
    repository.write("dvc.yaml", "stages: {}\n")
    repository.write("README.md", "Rides.\n")
    repository.write(".gitignore", "/.leverframe/\n/raw.csv\n/parts\n")
    repository.commit("Data")
    repository.write("README.md", "A change.\n")
    repository.commit("A change")
    repository.dvc("push")
    remote = tmp_path / "old"
    assert {path.relative_to(remote).as_posix() for path in remote.rglob("*") if path.is_file()} == {
        f"{md5[:2]}/{md5[2:]}" for md5 in cache
    }
    assert "up to date" in repository.dvc("status")
    assert "check passed" in repository.run("leverframe", "check", "--base", "HEAD~1")
    assert [stage.state for stage in status(repository.root).stages] == [State.FRESH] * 2
    repository.write("raw.csv", files["raw.csv"].replace(b"\r\n", b"\n"))  # to DVC 2 the same text
    repository.write("parts/2.bin", b"\0\n")  # which is no text
    assert repository.dvc("status").split() == ["parts.dvc:", "changed", "outs:", "modified:", "parts"]
    states = {stage.stage.name: stage.state for stage in status(repository.root).stages}
    assert states == {"parts.dvc": State.CHANGED, "raw.csv.dvc": State.FRESH}
    place = f"{legacy(files['parts/1.csv'])[:2]}/{legacy(files['parts/1.csv'])[2:]}"
    (remote / place).unlink()
    repository.write("raw.csv", files["raw.csv"])
    repository.write("parts/2.bin", files["parts/2.bin"])
    with pytest.raises(CommandFailedError, match=r"lacks 1 output of .*: `parts`"):
        repository.run("leverframe", "check", "--base", "HEAD~1")


def legacy(content: bytes) -> str:
    """Return the digest of a file as DVC computes that of DVC 2."""
    return fobj_md5(io.BytesIO(content), name="md5-dos2unix")


def test_the_gate_pulls_a_champion_with_the_same_settings(
    stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From S3 into a checkout of its own, by keys of `.dvc/config.local`, which only its owner may read."""
    root, lines = stored.repository.root, list[str]()
    for name, value in stored.repository.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(root)
    cache = root / ".dvc/cache"
    aside = cache.rename(tmp_path / "cache")
    try:
        with champion(workspace(), stored.repository.git("rev-parse", "HEAD").strip(), lines.append) as folder:
            assert folder is not None
            assert (folder / "models/model.skops").read_text() == "weights\n"
            assert (folder / "data/predictions.parquet").read_text() == "0.5\n"
            assert not (folder / "parts").exists()
            assert (folder / ".dvc/config.local").stat().st_mode & 0o777 == 0o600
    finally:
        shutil.rmtree(cache, ignore_errors=True)
        aside.rename(cache)
    assert not any("its pipeline is run" in line for line in lines)
