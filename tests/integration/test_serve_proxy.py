"""The documented nginx.conf in a real nginx before real servers: who may ask, what, how much, and nobody is lost."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
from tritonclient.utils import InferenceServerException

from tests.integration.proxied import INFER, NGINX, Proxy, ServerPair, load_on
from tests.integration.served import MODEL, deploy, two_models
from tests.integration.shop import built_once, copied, wait_for

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed: tests/debian-packages.sh nginx")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerPair]:
    """Return two servers that the tests of this file share."""
    shop = copied(built_once(tmp_path_factory, "two-models", two_models)[0], tmp_path_factory.mktemp("proxied"))
    yield ServerPair(shop)
    for name in ("local", "other"):
        shop.run("serve", "--stop", "--name", name)


Start = Callable[..., Proxy]


@pytest.fixture
def start(pair: ServerPair, tmp_path: Path) -> Iterator[Start]:
    """Return how a proxy is started before servers of these names; it ends with the test."""
    with ExitStack() as stack:

        def begin(*names: str, changes: dict[str, str] | None = None) -> Proxy:
            proxy = Proxy(tmp_path / "proxy", pair.running(*names), changes)
            stack.callback(proxy.stop)
            return proxy

        yield begin


def direct(pair: ServerPair) -> tuple[int, dict[str, Any]]:
    """Ask the server itself."""
    connection = http.client.HTTPConnection("127.0.0.1", pair.status("local")["running"]["port"], timeout=30)
    connection.request("POST", INFER, pair.example)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_who_may_ask_what_and_how_much(pair: ServerPair, start: Start) -> None:
    """A token answers as the server does; everything else is refused with an error in the form of V2."""
    proxy = start("local")
    assert proxy.checked.returncode == 0, proxy.checked.stderr
    assert "warn" not in proxy.checked.stderr
    key = (pair.shop.root / ".leverframe/servers/local/key").read_text().strip()
    status, content, headers = proxy.ask(pair.example)
    expected = direct(pair)[1]
    assert status == 200
    assert {**content, "id": ""} == {**expected, "id": ""}
    assert headers["server"] == "nginx"  # without its version
    versions = f"/v2/models/{MODEL}/versions/1/infer"
    assert proxy.ask(pair.example, versions)[0] == 200
    for path in (f"/v2/models/{MODEL}", f"/v2/models/{MODEL}/ready", f"/v2/models/{MODEL}/versions/1/ready", "/v2"):
        assert proxy.ask(path=path, method="GET")[0] == 200, path
    assert proxy.ask(path="/v2/health/ready", method="GET", token="")[0] == 200

    large, packed = b'{"inputs": [' + b" " * 9_000_000 + b"]}", gzip.compress(pair.example)
    repository, wrong = "/v2/repository/models/shop/unload", secrets.token_hex(32)
    cases = {
        "no token": (proxy.ask(pair.example, token=""), 401),
        "a wrong token": (proxy.ask(pair.example, token=wrong), 401),
        "half a token": (proxy.ask(pair.example, token=proxy.token[:32]), 401),
        "the key of the server": (proxy.ask(pair.example, token=key), 401),
        "another scheme": (proxy.ask(pair.example, token="", headers={"authorization": f"Basic {proxy.token}"}), 401),
        "metadata without a token": (proxy.ask(path=f"/v2/models/{MODEL}", method="GET", token=""), 401),
        "9 MB": (proxy.ask(large), 413),
        "9 MB in chunks": (proxy.ask(iter([large[:4_500_000], large[4_500_000:]])), 413),
        "gzip": (proxy.ask(packed, headers={"content-encoding": "gzip"}), 415),
        "a list of encodings": (proxy.ask(packed, headers={"content-encoding": "identity, gzip"}), 415),
        "the repository": (proxy.ask(b"{}", repository), 403),
        "the repository with its key": (proxy.ask(b"{}", repository, token=key), 403),
        "the repository by another name": (proxy.ask(b"{}", "/v2/models/../%72epository//index"), 403),
        "another model": (proxy.ask(pair.example, "/v2/models/other/infer"), 404),
        "the candidate": (proxy.ask(pair.example, f"/v2/models/{MODEL}-candidate/infer"), 404),
        "a stream": (proxy.ask(pair.example, f"/v2/models/{MODEL}/infer_stream"), 404),
        "pages": (proxy.ask(path="/v2/docs", method="GET"), 404),
        "metrics": (proxy.ask(path="/metrics", method="GET"), 404),
        "another method": (proxy.ask(method="DELETE"), 405),
        "a header of 60 kB": (proxy.ask(pair.example, headers={"x-large": "y" * 60_000}), 400),
    }  # fmt: skip
    assert {
        name: (got[0], status) for name, (got, status) in cases.items() if got[0] not in (status, 400 * (status == 494))
    } == {}
    assert [name for name, (got, _) in cases.items() if not got[1].get("error")] == []
    assert cases["no token"][0][2]["www-authenticate"] == "Bearer"
    assert pair.status("local")["models"] == {MODEL: [1]}

    wrong_input = proxy.ask(b'{"inputs": []}')
    assert wrong_input[0] == 400
    assert "at least one input" in wrong_input[1]["error"]  # the server's own words come through
    logs = (proxy.folder / "access.log").read_text() + (proxy.folder / "error.log").read_text()
    assert '"client": "alice"' in logs
    assert [secret for secret in (proxy.token, key, wrong) if secret in logs] == []


def test_grpc_needs_the_token(pair: ServerPair, start: Start) -> None:
    """A client of a third party over TLS: with the token as without a proxy, else by gRPC's own statuses."""
    proxy = start("local")
    allowed = {"authorization": f"Bearer {proxy.token}"}
    with proxy.triton() as client:
        result = client.infer(MODEL, pair.inputs(), headers=allowed)
        expected = next(output["data"] for output in direct(pair)[1]["outputs"] if output["name"] == "probability")
        assert result.as_numpy("probability").ravel().tolist() == pytest.approx(expected)
        assert client.is_model_ready(MODEL, headers=allowed)
        assert client.get_model_metadata(MODEL, headers=allowed).name == MODEL
        assert client.is_server_live()
        assert client.infer(MODEL, pair.inputs(), headers=allowed, compression_algorithm="gzip")
        wrong = {"authorization": "Bearer x"}
        calls: dict[str, tuple[Callable[[], Any], str]] = {
            "no token": (lambda: client.infer(MODEL, pair.inputs()), "UNAUTHENTICATED"),
            "a wrong one": (lambda: client.infer(MODEL, pair.inputs(), headers=wrong), "UNAUTHENTICATED"),
            "ready without": (lambda: client.get_model_metadata(MODEL), "UNAUTHENTICATED"),
            "the repository": (lambda: client.unload_model(MODEL, headers=allowed), "PERMISSION_DENIED"),
            "its index": (lambda: client.get_model_repository_index(headers=allowed), "PERMISSION_DENIED"),
            "statistics": (lambda: client.get_inference_statistics(headers=allowed), "UNIMPLEMENTED"),
        }  # fmt: skip
        for name, (call, status) in calls.items():
            with pytest.raises(InferenceServerException) as caught:
                call()
            assert caught.value.status() == f"StatusCode.{status}", (name, caught.value)


def test_a_token_is_changed_without_a_stop(pair: ServerPair, start: Start) -> None:
    """The new one beside the old, reload, clients change, the old one goes, reload: at each point one works."""
    proxy = start("local")
    old, new = proxy.token, secrets.token_hex(32)
    assert proxy.ask(pair.example, token=new)[0] == 401
    proxy.tokens({"alice": old, "alice-2": new})
    assert proxy.nginx("-s", "reload").returncode == 0
    wait_for(lambda: proxy.ask(pair.example, token=new)[0] == 200)
    assert proxy.ask(pair.example, token=old)[0] == 200
    proxy.tokens({"alice-2": new})
    proxy.nginx("-s", "reload")
    wait_for(lambda: proxy.ask(pair.example, token=old)[0] == 401)
    assert proxy.ask(pair.example, token=new)[0] == 200
    assert (proxy.folder / "tokens.map").stat().st_mode & 0o077 == 0


def test_certificates_instead_of_tokens_and_a_limit_a_client(pair: ServerPair, start: Start) -> None:
    """The lines that are commented out are right, too; who asks too often is told so, others go on."""
    proxy = start("local", changes={
        "# ssl_client_certificate": "ssl_client_certificate", "# ssl_verify_client": "ssl_verify_client",
        "rate=2000r/s": "rate=5r/s", "burst=200": "burst=5",
    })  # fmt: skip
    assert proxy.ask(pair.example, token="", certificate=True)[0] == 200
    assert proxy.ask(pair.example, token="")[0] == 401
    statuses = [proxy.ask(pair.example)[0] for _ in range(20)]
    assert statuses[:5] == [200] * 5
    assert set(statuses) == {200, 429}
    assert proxy.ask(pair.example, token="", certificate=True)[0] == 200
    assert proxy.ask(pair.example)[1]["error"] == "too many requests; try again in a second"
    assert '"client": "CN=bob' in (proxy.folder / "access.log").read_text()


def test_a_server_that_ends_under_load_is_not_noticed(pair: ServerPair, start: Start) -> None:
    """One of two gets SIGTERM and comes back on the same ports: every request is answered, then both answer again."""
    proxy = start("local", "other")
    (other,) = pair.running("other")
    load = load_on(pair, proxy, 8)
    ports = [word for kind in ("port", "grpc_port", "metrics_port")
             for word in (f"--{kind.replace('_', '-')}", str(other[kind]))]  # fmt: skip
    with load.running():
        wait_for(lambda: len(load.responses) > 200)
        os.kill(other["pid"], signal.SIGTERM)
        wait_for(lambda: pair.shop.run("serve", "--status", "--name", "other").code == 29)
        ended = len(load.responses)
        wait_for(lambda: len(load.responses) > ended + 200)
        assert pair.shop.run("serve", "--name", "other", *ports).code == 0
        back = len(proxy.lines())
        by = f"127.0.0.1:{other['port']}"
        wait_for(lambda: (by, 200) in {(line["by"], line["status"]) for line in proxy.lines()[back:]})
    assert load.failed == []
    lines = proxy.lines()
    assert any(", " in line["by"] for line in lines)  # somebody was handed on
    assert lines[-1]["status"] == 200


def test_a_deployment_behind_the_proxy_loses_nothing(pair: ServerPair, start: Start) -> None:
    """Clients that keep their connections ask all the while: two releases and a rollback, and no request fails."""
    proxy = start("local")
    load = load_on(pair, proxy, 8)
    with load.running():
        wait_for(lambda: len(load.responses) > 250)
        assert deploy(pair.shop, "two")["verdict"] == "passed"
        assert pair.shop.run("rollback", "--json").code == 0
        enough = len(load.responses) + 250
        wait_for(lambda: len(load.responses) > enough)
    assert load.failed == []
    assert len({response.version for response in load.responses}) >= 2
    assert len(load.responses) > 500


def test_what_a_killed_server_had_is_answered_by_another(pair: ServerPair, start: Start) -> None:
    """One of two hangs, then is killed with requests that it has read: they are asked of the other."""
    proxy = start("local", "other")
    process = psutil.Process(pair.running("other")[0]["pid"])
    connections, headers = [proxy.connect() for _ in range(8)], {"authorization": f"Bearer {proxy.token}"}
    process.suspend()
    for connection in connections:
        connection.request("POST", INFER, pair.example, headers)
    time.sleep(1)  # whoever is not answered by now has been given to the one that hangs
    process.kill()
    answers = [client.getresponse() for client in connections]
    assert [(response.status, "outputs" in json.loads(response.read())) for response in answers] == [(200, True)] * 8
    wait_for(lambda: (proxy.folder / "access.log").read_text().count("\n") == 8)
    lines = proxy.lines()
    assert any(", " in line["by"] for line in lines)  # somebody was handed on
