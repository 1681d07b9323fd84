"""The demo after the merge: deployments to a real server under traffic, and the rollback of a bad one."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from leverframe.adapters.mlserver import ServerFolder
from leverframe.adapters.process import Processes
from leverframe.demo.declared import GoLive
from leverframe.demo.scene import NAME, Scene, heading, page
from leverframe.demo.showing import Live, Released, Shown
from leverframe.domain import layout
from leverframe.errors import PipelineError
from leverframe.local.bundles import slow
from leverframe.local.repository import TemporaryRepository
from leverframe.local.traffic import Times, Traffic

_CLIENTS = 4
MACHINE = "machine"  # the clone beside the server


@contextmanager
def went_live(scene: Scene, plan: GoLive, pulls: dict[str, Shown]) -> Iterator[Live]:
    """Deploy main, then the merged change, then a bad release; the server runs until the block ends."""
    machine = scene.clone(MACHINE, "main")
    try:
        scene.tell(f"deploying main to `{plan.environment}`, a real MLServer on this machine")
        released = [_deployed(scene, machine, plan, "the head of main")]
        status = scene.json(machine, "serve", "--status", "--name", plan.environment)
        port, model, example = status["running"]["port"], next(iter(status["models"])), status["example"]
        path = f"/v2/models/{model}/infer"
        traffic = Traffic(port, path, json.dumps(example).encode(), clients=_CLIENTS)
        with traffic.running():
            pull = pulls[plan.merge]
            scene.tell(f"{_CLIENTS} clients start sending requests; merging #{pull.number}")
            if not scene.forge.merge(scene.forge.pulls[pull.number]):
                raise PipelineError(
                    f"#{pull.number} cannot be merged", why="git found a conflict", next="check demo.yaml of the case"
                )
            released.append(_deployed(scene, machine, plan, f"#{pull.number} {pull.title}"))
            response = _asked(port, path, example)
            scene.tell("pushing to main without a pull request: the same model, made slow")
            push_slow(scene, plan.slow)
            released.append(_deployed(scene, machine, plan, "a push without a pull request"))
            back = scene.forge.pulls[max(scene.forge.pulls)]
            if back.branch.startswith("leverframe/"):
                page(scene, back, "revert")
                scene.tell(f"merging #{back.number}, which reverts it")
                scene.forge.merge(back)
                released.append(_deployed(scene, machine, plan, heading(back)))
        tags, took = sorted(scene.forge.git("tag").split()), Times.of(traffic.responses)
        yield Live(
            tuple(released), example, response, took.requests, len(traffic.failed), took.p50, took.p99, tuple(tags),
            f"{scene.server.address}/{NAME}",
        )  # fmt: skip
    finally:
        scene.leverframe(machine, "serve", "--stop", "--name", plan.environment)


def leftover(folder: Path) -> None:
    """Stop the server of a demo that was killed."""
    for place in (folder / MACHINE / "repository" / layout.PRIVATE / "servers").glob("*"):
        ServerFolder(place, Processes()).stop()


def _deployed(scene: Scene, machine: TemporaryRepository, plan: GoLive, what: str) -> Released:
    """Check out main, as the job after a merge does, and deploy."""
    machine.git("fetch", "--quiet", "--tags", "--force", "origin", "main")
    machine.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
    report = scene.json(machine, "deploy", "--environment", plan.environment)
    released = Released.of(what, report)
    scene.tell(f"  {released.line()}")
    return released


@contextmanager
def _no_run_recorded(author: TemporaryRepository) -> Iterator[None]:
    """Remove what DVC records of runs meanwhile: it would give the slow bundle to who trains the same model again."""
    runs = Path(author.dvc("cache", "dir").strip()) / "runs"
    known = set(runs.rglob("*"))
    yield
    for path in set(runs.rglob("*")) - known:
        if path.is_file():
            path.unlink()


def _asked(port: int, path: str, body: dict[str, Any]) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", path, json.dumps(body).encode(), {"content-type": "application/json"})
    response: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return response


def push_slow(scene: Scene, size: int) -> None:
    """Push a bundle to main that predicts correctly but slowly."""
    author = scene.clone("past", "main")
    folder = author.root / layout.BUNDLE
    author.dvc("checkout", "--quiet", "--allow-missing")  # all of it: `dvc commit` looks at what a stage reads
    files = slow({path.name: path.read_bytes() for path in folder.iterdir()}, size)
    for name, data in files.items():
        (folder / name).unlink()  # it may be a link into the cache
        (folder / name).write_bytes(data)
    with _no_run_recorded(author):
        author.dvc("commit", "--quiet", "--force", "bundle")
    author.commit("A faster model")
    scene.push(author, "main")
