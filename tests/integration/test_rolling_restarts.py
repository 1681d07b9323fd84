"""Servers behind the documented proxy are restarted one after another under load, and no request fails."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tritonclient.utils import InferenceServerException

from tests.integration.proxied import NGINX, Proxy, ServerPair, load_on
from tests.integration.served import MODEL, two_models
from tests.integration.shop import Shop, built_once, copied, wait_for
from tests.profiles import deep

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed: tests/debian-packages.sh nginx")
ENGINES = ("onnx", pytest.param("scikit-learn", marks=pytest.mark.deep))
RESTARTS = 16 if deep() else 2
PORTS = ("port", "grpc_port", "metrics_port")


class GrpcTraffic:
    """A client of a third party that keeps its connection to the proxy and tries nothing twice."""

    def __init__(self, pair: ServerPair, proxy: Proxy) -> None:
        self.answered, self.failed = 0, list[str]()
        self._pair, self._proxy, self._stop = pair, proxy, threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send requests until the block ends."""
        thread = threading.Thread(target=self._ask, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(60)

    def _ask(self) -> None:
        inputs, allowed = self._pair.inputs(), {"authorization": f"Bearer {self._proxy.token}"}
        with self._proxy.triton() as client:
            while not self._stop.wait(0.03):
                try:
                    client.infer(MODEL, inputs, headers=allowed)
                    self.answered += 1
                except InferenceServerException as error:
                    self.failed.append(str(error))


def with_engine(shop: Shop, engine: str) -> None:
    """Let the bundle of both models be served by an engine."""
    if engine == "scikit-learn":
        shop.replace("params.yaml", "golden_rows: 16", "golden_rows: 16\n  conversion: {seconds: 0.001}")
        shop.repository.dvc("repro", "bundle")
        shop.repository.commit("Serve what was trained")
        shop.repository.git("tag", "--force", "one")


@pytest.fixture(scope="module", params=ENGINES)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerPair]:
    """Return two servers of one bundle that an engine serves."""
    shop = copied(built_once(tmp_path_factory, "two-models", two_models)[0], tmp_path_factory.mktemp("rolling"))
    with_engine(shop, request.param)
    servers = ServerPair(shop)
    yield servers
    for name in ("local", "other"):
        shop.run("serve", "--stop", "--name", name)


def restarted(pair: ServerPair, name: str) -> None:
    """End a server as a machine does, and start it where it was."""
    (before,) = pair.running(name)
    at = [word for kind in PORTS for word in (f"--{kind.replace('_', '-')}", str(before[kind]))]
    os.kill(before["pid"], signal.SIGTERM)
    wait_for(lambda: pair.shop.run("serve", "--status", "--name", name).code == 29)
    assert pair.shop.run("serve", "--name", name, *at).code == 0


def test_no_request_fails_in_rolling_restarts(pair: ServerPair, tmp_path: Path) -> None:
    """Each of two servers ends and comes back in turn, REST and gRPC under load: every request has its prediction."""
    proxy = Proxy(tmp_path / "proxy", pair.running("local", "other"))
    rest, grpc = load_on(pair, proxy, 8), GrpcTraffic(pair, proxy)
    try:
        with rest.running(), grpc.running():
            wait_for(lambda: len(rest.responses) > 100 and grpc.answered > 10)
            for number in range(RESTARTS):
                restarted(pair, ("local", "other")[number % 2])  # the next one as soon as this one is ready
    finally:
        proxy.stop()
    print(
        f"{RESTARTS} restarts: {len(rest.responses):,} requests in REST, {grpc.answered + len(grpc.failed):,} in gRPC"
    )
    assert (rest.failed, grpc.failed) == ([], [])
    assert any(", " in line["by"] for line in proxy.lines())  # somebody was handed on
