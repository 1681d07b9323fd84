"""Let an environment serve the bundle of a commit: a server of this machine, or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from leverframe.adapters.releases import Releases
from leverframe.application.bundles import bundle_of
from leverframe.application.environments import Environment, WallClock
from leverframe.application.kubernetes import rollouts, wanted
from leverframe.application.record import ledger
from leverframe.application.results import forget, kept
from leverframe.application.servers import log_of, server_folder, start_ports
from leverframe.application.workspace import Workspace
from leverframe.domain.model.bundle import bundle_manifest as names
from leverframe.domain.model.bundle.bundle_manifest import read_manifest
from leverframe.domain.release.deploy import Deployed, Deployment
from leverframe.domain.release.ledger import Ledger, assigned
from leverframe.domain.release.release_manifest import ReleaseManifest, refuse_other
from leverframe.domain.release.server_plan import planned
from leverframe.domain.release.server_steps import World
from leverframe.errors import BundleError
from leverframe.serving.logged import newest
from leverframe.settings import LEVERS, PARAMS
from leverframe.settings.levers import Levers, levers_of
from leverframe.settings.params import Params, params_of
from leverframe.yaml_files import parse

Tell = Callable[[str], None]
Files = Callable[[], Mapping[str, bytes]]


@dataclass(frozen=True)
class Asked:
    """Which bundle should serve where: that of ``commit`` in ``environment``.

    ``again`` tries a bundle once more that was refused there; ``record`` writes tags, and deployments
    where a token of the forge is at hand; ``target`` is a server or a cluster, by default as declared.
    """

    environment: str
    commit: str
    again: bool = False
    record: bool = True
    target: str | None = None


def deploy(workspace: Workspace, asked: Asked, tell: Tell) -> Deployed:
    """Let an environment serve the bundle of a commit, and keep the result.

    A server that does not run is started. The settings in force are those of the commit. Raises
    ``BundleError`` for a commit without a bundle, ``PromotionError`` for one that the environment
    before does not serve.
    """
    forget(workspace.root, "deploy")
    place, desired, files = _desired(workspace, asked, tell)
    book = ledger(workspace, place) if asked.record else None
    _check_promotion(workspace, place, desired)  # first: what is refused starts no server
    if place.in_cluster(asked.target):
        with _lock(workspace, place):
            done = rollouts(place, tell, book).run(wanted(workspace.git, desired, files), again=asked.again)
        return kept(workspace.root, "deploy", done)
    with deployment(workspace, place, files, book, tell) as (one, releases):
        state = releases.state(desired.model)
        if asked.again and desired.bundle in state.refused:
            releases.record(replace(state, refused={k: v for k, v in state.refused.items() if k != desired.bundle}))
        return kept(workspace.root, "deploy", one.run(desired))


def plan(workspace: Workspace, asked: Asked, tell: Tell) -> tuple[Sequence[object], list[Any]]:
    """Return the steps that `deploy` would go through, and what it would apply to a cluster; nothing is changed."""
    place, desired, files = _desired(workspace, asked, tell)
    _check_promotion(workspace, place, desired)
    if place.in_cluster(asked.target):
        return rollouts(place, tell).plan(wanted(workspace.git, desired, files))
    releases = Releases(server_folder(workspace, place.name).folder)
    return planned(releases.state(desired.model), desired, place.terms), []


@contextmanager
def deployment(
    workspace: Workspace, place: Environment, fetch: Files, book: Ledger | None, tell: Tell
) -> Iterator[tuple[Deployment, Releases]]:
    """Yield deployments to the server of an environment, which runs, with its releases; nobody else deploys there."""
    server = server_folder(workspace, place.name)
    releases = Releases(server.folder)
    with releases.lock():
        said = place.settings
        ports = start_ports(place.serve, (said.port, said.grpc_port, said.metrics_port))
        running = server.start(ports, log=log_of(server, place.serve), limit=place.serve.maximum_bytes)
        world = World(
            releases, server.client(running), WallClock(), place.terms, place.name, fetch,
            lambda model, count: newest(server.folder / "log", model, count).requests, tell,
        )  # fmt: skip
        yield Deployment(world, book), releases


@contextmanager
def _lock(workspace: Workspace, place: Environment) -> Iterator[None]:
    with Releases(server_folder(workspace, place.name).folder).lock():
        yield


def _check_promotion(workspace: Workspace, place: Environment, desired: ReleaseManifest) -> None:
    """Refuse what the environment before does not serve, as its server here or, on another machine, the tags say."""
    before = place.before
    if before is None:
        return
    if before.in_cluster():
        state = rollouts(before, lambda _: None).record().state
    else:
        state = Releases(server_folder(workspace, before.name).folder).state(desired.model)
    here = state.serving
    recorded = here.manifest if here else assigned(workspace.git.tags(desired.model), desired.model, before.name)
    where = f"`{before.name}` serves"
    refuse_other(desired, recorded, where, next=f"`leverframe deploy --environment {before.name}` first")


def _desired(workspace: Workspace, asked: Asked, tell: Tell) -> tuple[Environment, ReleaseManifest, Files]:
    """Return the environment as a commit declares it, what it wants served, and how the files of that are got."""
    git = workspace.git
    named = git.named(asked.commit)
    params, levers = _settings_of(workspace, named, tell)
    model = params.bundle.model
    place = Environment.of(levers, asked.environment, model)
    files = bundle_of(workspace, named, tell)
    if names.MANIFEST not in files:
        raise BundleError(
            f"the bundle of {named[:12]} has no {names.MANIFEST}",
            why="its folder is empty or of another kind",
            next="`dvc repro bundle` makes it again",
        )
    manifest = files[names.MANIFEST]
    parts, lock = read_manifest(manifest, f"of {named[:12]}"), git.show(named, "dvc.lock") or b""
    return place, ReleaseManifest.of(model, named, lock, manifest, parts), lambda: files


def _settings_of(workspace: Workspace, commit: str, tell: Tell) -> tuple[Params, Levers]:
    """Return the settings as they are in a commit: what is deployed, and how, is what was merged."""
    texts = []
    for file in (PARAMS, LEVERS):
        content = workspace.git.show(commit, str(file)) or b""
        here = workspace.root / file
        if here.is_file() and here.read_bytes() != content:
            tell(f"{file} here is not the one of {commit[:12]}, whose settings hold")
        texts.append(content.decode(errors="replace"))
    params, levers = (f"{file} of {commit[:12]}" for file in (PARAMS, LEVERS))
    return params_of(parse(texts[0], name=params, what="settings file"), name=params), levers_of(texts[1], name=levers)
