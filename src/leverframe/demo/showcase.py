"""The second part of `leverframe demo`: pull requests on the local forge, and deployments after a merge."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from leverframe.adapters.process import signals_as_exceptions
from leverframe.application.workspace import Workspace
from leverframe.demo.declared import Declared, Loop
from leverframe.demo.live import leftover, went_live
from leverframe.demo.loop import looped
from leverframe.demo.pulls import opened
from leverframe.demo.scene import BOT, NAME, TOKEN, Scene, replaced
from leverframe.demo.showing import Looped, Showing
from leverframe.documents import read
from leverframe.local.github.server import serving
from leverframe.local.github.state import Token

FOLDER = Path(".leverframe/demo")


@contextmanager
def showing(
    workspace: Workspace, declared: Path, tell: Callable[[str], None], *, quick: bool = False
) -> Iterator[Showing]:
    """Run what ``declared``, a ``demo.yaml``, asks for and yield the results; the server is up until the block ends.

    Everything lies in a folder of its own, made anew. ``quick`` lets fewer partitions pass. A signal that ends this
    process ends the servers, too.
    """
    asked = read(declared, Declared, what="the pull requests of the demo")
    folder = (workspace.root / FOLDER).resolve()
    leftover(folder)
    shutil.rmtree(folder, ignore_errors=True)
    with signals_as_exceptions(), serving(folder / "forge") as server:
        server.tokens[TOKEN] = Token(BOT)
        server.repository(NAME)
        scene = Scene(workspace, folder, server, tell)
        _main(scene, asked)
        pulls = {branch: opened(scene, branch, change) for branch, change in asked.changes.items()}
        with (
            went_live(scene, asked.live, pulls) if asked.live else nullcontext() as live,
            _looped(scene, asked.loop, quick=quick) if asked.loop else nullcontext() as passed,
        ):
            yield Showing(tuple(pulls.values()), live, passed)


def _looped(scene: Scene, plan: Loop, *, quick: bool) -> AbstractContextManager[Looped]:
    return looped(scene, plan, plan.quick if quick else plan.partitions)


def _main(scene: Scene, asked: Declared) -> None:
    """Push the head of this folder as main, with the changes that the demo needs."""
    main = scene.clone("main", scene.workspace.git.named("HEAD"), local=True)
    if asked.live:
        replaced(main, "leverframe.yaml", asked.live.prepare, "`live.prepare`")
        main.commit("An environment for the demo")
    scene.push(main, "main")
