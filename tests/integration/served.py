"""What tests of deployments share: a shop with two models, ways to deploy and ask, and clients under load."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.integration.shop import Shop

MODEL = "shop"
ENVIRONMENTS = """
deploy:
  verify_seconds: 0.5
  environments:
    local: {port: 0, grpc_port: 0, metrics_port: 0}
    production: {after: local, port: 0, grpc_port: 0, metrics_port: 0}
"""


def two_models(shop: Shop, _: Path) -> None:
    """Commit two models of the shop: tags `one` and `two`."""
    shop.repository.write("params.yaml", shop.repository.read("params.yaml") + ENVIRONMENTS)
    for tag, iterations in (("one", "5"), ("two", "7")):
        shop.replace("params.yaml", "iterations: 5", f"iterations: {iterations}")
        shop.repository.dvc("repro")
        shop.repository.commit(tag)
        shop.repository.git("tag", tag)


def deploy(shop: Shop, commit: str, code: int = 0, **options: str) -> dict[str, Any]:
    """Deploy a commit and return the report."""
    more = [word for name, value in options.items() for word in (f"--{name}", value) if word]
    ended = shop.run("deploy", "--commit", commit, "--json", *more)
    assert ended.code == code, ended.stderr + ended.stdout
    report: dict[str, Any] = json.loads(ended.stdout)
    return report


def served(shop: Shop, name: str = "local") -> dict[str, Any]:
    """Return what the server answers to its example: version, bundle, probability."""
    told = json.loads(shop.run("serve", "--status", "--json", "--name", name).stdout)
    status, content = ask(told["running"]["port"], json.dumps(told["example"]).encode())
    assert status == 200, content
    return {"version": content["model_version"], **content["parameters"], "outputs": content["outputs"]}


def ask(port: int, body: bytes) -> tuple[int, dict[str, Any]]:
    """Ask for a prediction."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", f"/v2/models/{MODEL}/infer", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    content: dict[str, Any] = json.loads(answer.read())
    connection.close()
    return answer.status, content


class Load:
    """Clients that ask without a pause, and what they got; ``connect`` is how, where it is not plain HTTP."""

    def __init__(
        self, port: int, body: bytes, clients: int, connect: Callable[[], http.client.HTTPConnection] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self._connect = connect or (lambda: http.client.HTTPConnection("127.0.0.1", port, timeout=30))
        self._body, self._headers = body, {"content-type": "application/json", **(headers or {})}
        self.answers: list[tuple[float, float, int, str]] = []  # when, seconds, status, version
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._go, daemon=True) for _ in range(clients)]

    def _go(self) -> None:
        connection = self._connect()
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                connection.request("POST", f"/v2/models/{MODEL}/infer", self._body, self._headers)
                answer = connection.getresponse()
                content = json.loads(answer.read())
                found = answer.status, content.get("model_version", str(content))
            except (OSError, http.client.HTTPException) as error:
                found = 0, repr(error)
                connection.close()
            self.answers.append((began, time.monotonic() - began, *found))
            time.sleep(0.03)  # constant load: what a slow answer delays is not asked twice

    @contextmanager
    def running(self) -> Iterator[None]:
        """Ask as long as the block lasts."""
        for each in self._threads:
            each.start()
        try:
            yield
        finally:
            self._stop.set()
            for each in self._threads:
                each.join(30)
