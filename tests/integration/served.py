"""What tests of deployments share: a shop with two models, ways to deploy and ask, and clients under load."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

from leverframe.local.traffic import Traffic
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
    shop.repository.write("leverframe.yaml", ENVIRONMENTS)
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
    state = json.loads(shop.run("serve", "--status", "--json", "--name", name).stdout)
    status, content = ask(state["running"]["port"], json.dumps(state["example"]).encode())
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


def traffic(shop: Shop, clients: int, name: str = "local", rows: int = 1, pause: float = 0.03) -> Traffic:
    """Return clients that ask a server its example, so many times over in each request, ``pause`` seconds apart."""
    state = json.loads(shop.run("serve", "--status", "--json", "--name", name).stdout)
    inputs = [{**tensor, "shape": [rows], "data": tensor["data"] * rows} for tensor in state["example"]["inputs"]]
    body = json.dumps({"inputs": inputs}).encode()
    return Traffic(state["running"]["port"], f"/v2/models/{MODEL}/infer", body, clients=clients, pause=pause)
