"""What a pod does, for real: fetch by content into an empty folder, then serve on a file system that is read-only."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from leverframe.adapters.mlserver import V2
from leverframe.domain.model.bundle.bundle_manifest import GOLDEN, MANIFEST, SCHEMA, read_manifest, sha256
from leverframe.domain.model.bundle.schema import from_json
from leverframe.domain.release.smoke import differs, golden_requests
from tests.integration.shop import Shop, copied, finished, wait_for
from tests.integration.test_server_isolated import OWN
from tests.manifests import target

LOCKED = "mount --bind $0 $0; mount -o remount,bind,ro /; exec setpriv --no-new-privs"
NO_RIGHTS = "--bounding-set=-all --inh-caps=-all"
POD_USER = (  # who may read this program, wherever it lies
    "--reuid=10001 --regid=10001 --clear-groups --ambient-caps=+dac_read_search "
    "--bounding-set=-all,+dac_read_search --inh-caps=-all,+dac_read_search"
)


@pytest.fixture
def shop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Return a shop whose bundle is in the cache, which is laid out as a remote is."""
    return copied(finished(tmp_path_factory), tmp_path)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return an empty folder that any user can get at."""
    place = Path(tempfile.mkdtemp(prefix="leverframe-pod-"))
    place.chmod(0o777)
    for volume in ("srv", "log"):  # as Kubernetes makes them for `fsGroup`: of root, and its group may write
        (place / volume).mkdir()
        with suppress(PermissionError):
            os.chown(place / volume, -1, 10001)
        (place / volume).chmod(0o2777)
    yield place
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def remote(shop: Shop) -> Iterator[str]:
    """Return the address of a remote over HTTP; DVC stores in a remote as in its cache."""
    handler = functools.partial(_Quiet, directory=str(shop.root / ".dvc/cache"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def words(shop: Shop, remote: str, to: Path, ports: tuple[int, int, int]) -> list[str]:
    """Return the arguments that a pod would be given, but for folder and ports."""
    lock = shop.repository.read("dvc.lock")
    md5 = next(line.split()[-1] for line in lock[lock.index("path: models/bundle") :].splitlines() if "md5:" in line)
    bundle = sha256((shop.root / "models/bundle" / MANIFEST).read_bytes())
    given = target(content=md5, bundle=bundle).arguments()
    options = dict(zip(given[::2], given[1::2], strict=True))
    rest, grpc, metrics = ports
    serve = {
        **json.loads(options["--serve"]),
        "host": "127.0.0.1",
        "port": rest,
        "grpc_port": grpc,
        "metrics_port": metrics,
        "datatypes": "declared",
    }
    options |= {"--remote": remote, "--to": str(to / "srv"), "--serve": json.dumps(serve), "--log": str(to / "log")}
    return [part for pair in options.items() for part in pair]


def free_ports() -> tuple[int, int, int]:
    """Return three ports that nobody has just now."""
    with socket.socket() as a, socket.socket() as b, socket.socket() as c:
        for sock in (a, b, c):
            sock.bind(("127.0.0.1", 0))
        return a.getsockname()[1], b.getsockname()[1], c.getsockname()[1]


def outside(folder: Path, home: Path) -> dict[str, str]:
    """Return an environment in which nothing points to a repository."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "DVC_", "LEVERFRAME_"))}
    return {**kept, "HOME": str(home), "TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}


def test_a_pod_fetches_and_serves(shop: Shop, remote: str, folder: Path) -> None:
    """Without git and repository, without a capability, on a read-only root: the golden rows are answered."""
    ports = free_ports()
    locked = _lock(folder)
    run = functools.partial(
        subprocess.run, cwd=folder, env=outside(folder, folder), capture_output=True, text=True, check=False, timeout=90
    )
    fetched = run([*locked, *_leverframe("fetch"), *words(shop, remote, folder, ports)])
    assert fetched.returncode == 0, fetched.stderr
    assert "release 3 of shop" in fetched.stdout
    again = run([*locked, *_leverframe("fetch"), *words(shop, "http://127.0.0.1:9", folder, ports)])
    assert "it was here" in again.stdout, again.stderr
    server = subprocess.Popen(
        [*locked, sys.executable, "-m", "leverframe.serving.server", str(folder / "srv/config.json")],
        cwd=folder, env=outside(folder, folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        client = V2("127.0.0.1", ports[0], ports[2], "")
        wait_for(lambda: server.poll() is not None or (client.live() and client.ready("shop")), 90)
        assert server.poll() is None, server.stderr and server.stderr.read()
        _answers(shop, client)
        assert client._call(client._at, "POST", "/v2/repository/index", b"{}", client._key)[0] == 403
        assert "403" in f"{client._call(client._at, 'POST', '/v2/repository/models/shop/unload', b'{}')[0]}"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
    assert server.returncode == 0
    (logged,) = (folder / "log").glob("dt=*/*.jsonl")
    assert json.loads(logged.read_text().splitlines()[0])["version"] == "3"


@pytest.mark.deep
@pytest.mark.parametrize("trusts", [False, True])
def test_a_pod_serves_own_types_that_the_commit_trusts(shop: Shop, remote: str, folder: Path, trusts: bool) -> None:
    """The image has their code on its path; fetched without their names, the same bundle is refused."""
    model, kind, ports = shop.repository.read("pipelines/shop/model.py"), "pipelines.shop.model.Same", free_ports()
    shop.repository.write("pipelines/shop/model.py", model.replace("(columns, ", "(columns, Same(), ") + OWN)
    shop.replace("params.yaml", "train:\n  estimator", f"train:\n  trusted_types: [{kind}]\n  estimator")
    shop.repository.dvc("repro", "bundle")
    fetched = shop.run("fetch", *words(shop, remote, folder, ports), *(("--trusted", kind) if trusts else ()))
    assert fetched.code == 0, fetched.stderr
    with (folder / "said").open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-P", "-m", "leverframe.serving.server", str(folder / "srv/config.json")],
            cwd=folder, env={**outside(folder, folder), "PYTHONPATH": str(shop.root)}, stdout=output, stderr=output,
        )  # fmt: skip
    client, printed = V2("127.0.0.1", ports[0], ports[2], ""), (folder / "said").read_text
    try:
        wait_for(lambda: "not trusted" in printed() or (client.live() and client.ready("shop")), 90)
        assert (client.live() and client.ready("shop")) is trusts, printed()
        if trusts:
            _answers(shop, client)
    finally:
        server.terminate()
        server.wait(30)


def _answers(shop: Shop, client: V2) -> None:
    """Hold what is answered to what training said, then ask as somebody does, which is logged."""
    folder = shop.root / "models/bundle"
    schema = from_json(json.loads((folder / SCHEMA).read_bytes()))
    manifest = read_manifest((folder / MANIFEST).read_bytes(), "of the shop")
    golden = [json.loads(line) for line in (folder / GOLDEN).read_text().splitlines()]
    for body, expected in golden_requests(schema, golden):
        status, content = client.infer("shop", body)
        assert differs(schema, expected, (status, content), manifest) == ""
        assert content["model_version"] == "3"
        assert client.infer("shop", json.dumps({**json.loads(body), "id": "somebody"}).encode())[0] == 200
    request = json.loads(body)
    number = next(tensor for tensor in request["inputs"] if tensor["datatype"] == "FP64")
    number |= {"datatype": "INT64", "data": [7] * len(number["data"])}
    status, content = client.infer("shop", json.dumps(request | {"id": "somebody"}).encode())
    assert (status, "serve.datatypes" in content["error"]) == (400, True), content


def _leverframe(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "leverframe", *arguments]


def _lock(folder: Path) -> list[str]:
    """Return what a command begins with so that it sees all but ``folder`` read-only; nothing where that cannot be.

    It is the user of a pod, where the kernel lets us become that one.
    """
    for rights in (POD_USER, NO_RIGHTS):
        command = ["unshare", "--mount", "sh", "-ec", f'{LOCKED} {rights} "$@"', str(folder)]
        attempt = ["sh", "-c", '! touch /tmp/leverframe-try && exec "$0" -c "import leverframe"', sys.executable]
        if subprocess.run([*command, *attempt], cwd=folder, capture_output=True, check=False).returncode == 0:
            return command
    return []  # only root can, and not in every container


@pytest.mark.parametrize(
    ("change", "code", "what"),
    [
        ({"--remote": "http://127.0.0.1:9"}, 36, "does not answer"),
        ({"--md5": "0" * 32}, 28, "has no listing"),
        ({"--bundle": "0" * 64}, 28, "does not have the bundle"),
        ({"--remote": "carrier-pigeon://x"}, 28, "cannot be read"),
        ({"--serve": "{"}, 10, "is no JSON"),
        ({"--serve": '{"prot": 1}'}, 10, "unknown setting `prot`"),
    ],
)
def test_a_fetch_that_cannot_be_says_why(
    shop: Shop, folder: Path, change: dict[str, str], code: int, what: str
) -> None:
    """One error with a code of its own, and no configuration that a server would start from."""
    given = words(shop, str(shop.root / ".dvc/cache"), folder, (1, 2, 3))
    options = {**dict(zip(given[::2], given[1::2], strict=True)), **change}
    ended = shop.run("fetch", *[part for pair in options.items() for part in pair])
    assert ended.code == code, ended.stderr
    assert what in ended.error()[0]
    assert not (folder / "srv/config.json").exists()


def test_a_fetch_that_was_killed_is_run_again(shop: Shop, folder: Path) -> None:
    """Killed while it reads, it leaves nothing that counts; the next run lays a whole folder, from a local remote."""
    given = words(shop, str(shop.root / ".dvc/cache"), folder, (1, 2, 3))
    process = shop.start(*_leverframe("fetch"), *given)
    assert process.stderr is not None
    process.stderr.readline()  # it has begun to read
    process.kill()
    process.wait()
    assert not (folder / "srv/config.json").exists()
    assert shop.run("fetch", *given).code == 0
    assert (folder / "srv/config.json").exists()
    assert (folder / "srv/key").read_text() == ""
    assert list((folder / "srv").rglob("*.part")) == []
