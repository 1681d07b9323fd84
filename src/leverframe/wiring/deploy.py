"""How a deployment is given its server, its bundle and its terms."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from leverframe.domain.model.bundle import bundle_manifest as names
from leverframe.errors import BundleError, SettingsError, nearest
from leverframe.files import PARAMS
from leverframe.wiring import ROOT, read_settings
from leverframe.wiring.bundles import bundle_of
from leverframe.wiring.levers import forget, kept
from leverframe.wiring.serving import log_of, server_folder, start_ports

if TYPE_CHECKING:
    from leverframe.adapters.git import Git
    from leverframe.adapters.releases import Releases
    from leverframe.domain.release.deploy import Deployed, Deployment
    from leverframe.domain.release.ledger import Ledger
    from leverframe.domain.release.release_manifest import ReleaseManifest
    from leverframe.domain.release.server_plan import Terms
    from leverframe.settings import EnvironmentSettings, Settings

Tell = Callable[[str], None]


def deploy(
    environment: str, commit: str, again: bool, tell: Tell, *, record: bool = True, target: str | None = None
) -> Deployed:
    """Let an environment serve the bundle of a commit, and keep what came of it.

    ``target`` is a server or a cluster, by default what the environment declares. A server that does
    not run is started. The settings in force are those of the commit. With ``record``, tags are
    written, and deployments where a token of the forge is at hand. Raises ``BundleError`` for a
    commit without a bundle, ``PromotionError`` for one that the environment before does not serve.
    """
    from leverframe.wiring import kubernetes

    forget("deploy")
    settings, desired, files = _desired(commit, tell)
    ledger = _ledger(settings, environment) if record else None
    _check_promotion(settings, environment, desired)  # first: what is refused starts no server
    if kubernetes.chosen(settings, environment, target):
        wanted = kubernetes.wanted(desired, files)
        return kept("deploy", kubernetes.deploy(settings, environment, wanted, again, ledger, tell))
    with _deployment(settings, environment, files, ledger, tell) as (deployment, place):
        state = place.state(desired.model)
        if again and desired.bundle in state.refused:
            place.record(replace(state, refused={k: v for k, v in state.refused.items() if k != desired.bundle}))
        return kept("deploy", deployment.run(desired))


def plan(environment: str, commit: str, tell: Tell, target: str | None = None) -> tuple[Sequence[object], list[Any]]:
    """Return the steps that `deploy` would go through, and what it would apply to a cluster; nothing is changed."""
    from leverframe.adapters.releases import Releases
    from leverframe.domain.release.server_plan import planned
    from leverframe.wiring import kubernetes

    settings, desired, files = _desired(commit, tell)
    environment_of(settings, environment)
    _check_promotion(settings, environment, desired)
    if kubernetes.chosen(settings, environment, target):
        return kubernetes.plan(settings, environment, kubernetes.wanted(desired, files), tell)
    place = Releases(server_folder(environment).folder)
    return planned(place.state(desired.model), desired, terms_of(settings)), []


def rollback(environment: str, number: int | None, why: str, tell: Tell) -> Deployed:
    """Let an environment serve an earlier release again; the bundle it leaves counts as refused.

    Traffic first: only then are tags and deployments written, and the pull request opened that lets
    git say the same.
    """
    from leverframe.wiring import kubernetes

    settings = read_settings()
    ledger = _ledger(settings, environment)
    if kubernetes.chosen(settings, environment, None):
        return kept("deploy", kubernetes.rollback(settings, environment, number, why, ledger, tell))
    with _deployment(settings, environment, dict, ledger, tell) as (deployment, _):
        return deployment.rollback(settings.bundle.model, number, why)


def follow(environment: str, branch: str, tell: Tell) -> Deployed:
    """Bring an environment to what a branch says: fetch, then deploy. It only reads git and the remote of DVC."""
    from leverframe.adapters.git import Git

    git = Git(ROOT)
    git.fetch()
    return deploy(environment, git.named(branch), again=False, tell=tell, record=False)


@contextmanager
def _deployment(
    settings: Settings, environment: str, fetch: Callable[[], Mapping[str, bytes]], ledger: Ledger | None, tell: Tell
) -> Iterator[tuple[Deployment, Releases]]:
    from leverframe.adapters.releases import Releases
    from leverframe.domain.release.deploy import Deployment
    from leverframe.domain.release.server_steps import World
    from leverframe.serving.logged import newest

    chosen = environment_of(settings, environment)
    server = server_folder(environment)
    place = Releases(server.folder)
    with place.lock():
        ports = start_ports(settings.serve, (chosen.port, chosen.grpc_port, chosen.metrics_port))
        running = server.start(ports, log=log_of(server, settings.serve), limit=settings.serve.maximum_bytes)
        world = World(
            place, server.client(running), WallClock(), terms_of(settings), environment, fetch,
            lambda model, count: newest(server.folder / "log", model, count).requests, tell,
        )  # fmt: skip
        yield Deployment(world, ledger), place


class WallClock:
    """The time of this machine."""

    def now(self) -> str:
        """Return the moment, ISO 8601 in UTC."""
        return datetime.now(UTC).isoformat(timespec="seconds")

    def seconds(self) -> float:
        """Return seconds that only grow."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def terms_of(settings: Settings) -> Terms:
    """Return by which terms settings let a release be tried."""
    from leverframe.domain.release.server_plan import Terms

    said = settings.deploy
    return Terms(said.verify_seconds, said.replay, said.maximum_disagreement, said.maximum_slowdown, said.keep)


def environment_of(settings: Settings, name: str) -> EnvironmentSettings:
    """Return an environment; raises ``SettingsError`` for one that is not declared."""
    known = settings.deploy.environments
    if name not in known:
        raise SettingsError(
            f"no environment `{name}` is declared", why="`deploy.environments` of params.yaml has no such name",
            next=nearest(name, known),
        )  # fmt: skip
    return known[name]


def _ledger(settings: Settings, environment: str) -> Ledger | None:
    from leverframe.wiring.record import ledger

    return ledger(settings.bundle.model, environment) if environment_of(settings, environment).record else None


def _check_promotion(settings: Settings, environment: str, desired: ReleaseManifest) -> None:
    """Refuse what the environment before does not serve, as its server here or, on another machine, the tags say."""
    from leverframe.adapters.git import Git
    from leverframe.adapters.releases import Releases
    from leverframe.domain.release.ledger import assigned
    from leverframe.domain.release.release_manifest import refuse_other
    from leverframe.wiring import kubernetes

    before = environment_of(settings, environment).after
    if before is None:
        return
    there = kubernetes.state(settings, before) if kubernetes.chosen(settings, before, None) else None
    here = (there or Releases(server_folder(before).folder).state(desired.model)).serving
    recorded = here.manifest if here else assigned(Git(ROOT).tags(desired.model), desired.model, before)
    refuse_other(desired, recorded, f"`{before}` serves", next=f"`leverframe deploy --environment {before}` first")


def _desired(commit: str, tell: Tell) -> tuple[Settings, ReleaseManifest, Callable[[], Mapping[str, bytes]]]:
    """Return the settings of a commit, what it wants served, and how the files of that are got."""
    from leverframe.adapters.git import Git
    from leverframe.domain.model.bundle.bundle_manifest import read_manifest
    from leverframe.domain.release.release_manifest import ReleaseManifest

    git = Git(ROOT)
    named = git.named(commit)
    settings = _settings_of(git, named, tell)
    files = bundle_of(git, named, tell)
    if names.MANIFEST not in files:
        raise BundleError(
            f"the bundle of {named[:12]} has no {names.MANIFEST}",
            why="its folder is empty or of another kind",
            next="`dvc repro bundle` makes it again",
        )
    said = files[names.MANIFEST]
    parts, lock = read_manifest(said, f"of {named[:12]}"), git.show(named, "dvc.lock") or b""
    return settings, ReleaseManifest.of(settings.bundle.model, named, lock, said, parts), lambda: files


def _settings_of(git: Git, commit: str, tell: Tell) -> Settings:
    """Return the settings as they are in a commit: what is deployed, and how, is what was merged."""
    from leverframe.documents import parse, validated
    from leverframe.settings import Settings

    text = git.show(commit, str(PARAMS)) or b""
    path = ROOT / PARAMS
    if path.is_file() and path.read_bytes() != text:
        tell(f"{PARAMS} here is not the one of {commit[:12]}, whose settings hold")
    name = f"{PARAMS} of {commit[:12]}"
    return validated(Settings, parse(text.decode(errors="replace"), name=name, what="settings file"), name=name)
