"""How a deployment is given its server, its bundle and its terms."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from leverframe.domain.bundle import manifest as names
from leverframe.errors import BundleError, SettingsError, nearest
from leverframe.wiring import ROOT, read_settings
from leverframe.wiring.bundles import bundle_of
from leverframe.wiring.levers import forget, kept
from leverframe.wiring.serving import log_of, server_folder, start_ports

if TYPE_CHECKING:
    from leverframe.adapters.releases import Releases
    from leverframe.domain.deploy import Deployed, Deployment, Desired, State, Terms
    from leverframe.domain.deploy.plan import Step
    from leverframe.settings import EnvironmentSettings, Settings

Tell = Callable[[str], None]


def deploy(environment: str, commit: str, again: bool, tell: Tell) -> Deployed:
    """Let an environment serve the bundle of a commit, and keep what came of it.

    A server that does not run is started. Raises ``BundleError`` for a commit without a bundle,
    ``PromotionError`` for one that the environment before does not serve.
    """
    forget("deploy")
    settings = read_settings()
    desired, files = _desired(settings, commit, tell)
    with _deployment(settings, environment, files, tell) as (deployment, place):
        _check_promotion(settings, environment, desired)
        state = place.state(desired.model)
        if again and desired.bundle in state.refused:
            place.record(replace(state, refused={k: v for k, v in state.refused.items() if k != desired.bundle}))
        return kept("deploy", deployment.run(desired))


def plan(environment: str, commit: str, tell: Tell) -> tuple[Step, ...]:
    """Return the steps that `deploy` would go through; nothing is changed."""
    from leverframe.adapters.releases import Releases
    from leverframe.domain.deploy import planned

    settings = read_settings()
    desired, _ = _desired(settings, commit, tell)
    _environment(settings, environment)
    _check_promotion(settings, environment, desired)
    place = Releases(server_folder(environment).folder)
    return planned(place.state(desired.model), desired, _terms(settings))


def rollback(environment: str, number: int | None, why: str, tell: Tell) -> Deployed:
    """Let an environment serve an earlier release again; the bundle it leaves counts as refused."""
    settings = read_settings()
    with _deployment(settings, environment, dict, tell) as (deployment, _):
        return deployment.rollback(settings.bundle.model, number, why)


def follow(environment: str, branch: str, tell: Tell) -> Deployed:
    """Bring an environment to what a branch says: fetch, then deploy. It only reads git and the remote."""
    from leverframe.adapters.git import Git

    git = Git(ROOT)
    git.fetch()
    return deploy(environment, git.named(branch), again=False, tell=tell)


@contextmanager
def _deployment(
    settings: Settings, environment: str, fetch: Callable[[], Mapping[str, bytes]], tell: Tell
) -> Iterator[tuple[Deployment, Releases]]:
    from leverframe.adapters.releases import Releases
    from leverframe.domain.deploy import Deployment, World

    chosen = _environment(settings, environment)
    server = server_folder(environment)
    place = Releases(server.folder)
    with place.lock():
        ports = start_ports(settings.serve, (chosen.port, chosen.grpc_port, chosen.metrics_port))
        running = server.start(ports, log=log_of(server, settings.serve), limit=settings.serve.maximum_bytes)
        client = server.client(running)
        yield Deployment(World(place, client, _Clock(), _terms(settings), environment, fetch, tell)), place


class _Clock:
    def now(self) -> str:
        return datetime.now(UTC).isoformat(timespec="seconds")

    def seconds(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def _terms(settings: Settings) -> Terms:
    from leverframe.domain.deploy import Terms

    said = settings.deploy
    return Terms(said.verify_seconds, said.replay, said.maximum_disagreement, said.maximum_slowdown, said.keep)


def _environment(settings: Settings, name: str) -> EnvironmentSettings:
    known = settings.deploy.environments
    if name not in known:
        raise SettingsError(
            f"no environment `{name}` is declared", why="`deploy.environments` of params.yaml has no such name",
            next=nearest(name, known),
        )  # fmt: skip
    return known[name]


def _check_promotion(settings: Settings, environment: str, desired: Desired) -> None:
    from leverframe.adapters.releases import Releases
    from leverframe.domain.deploy import refuse_promotion

    before = _environment(settings, environment).after
    if before is not None:
        served: State = Releases(server_folder(before).folder).state(desired.model)
        refuse_promotion(desired, before, served)


def _desired(settings: Settings, commit: str, tell: Tell) -> tuple[Desired, Callable[[], Mapping[str, bytes]]]:
    """Return what a commit wants served, and how its files are got."""
    from leverframe.adapters.git import Git
    from leverframe.domain.deploy import Desired

    git = Git(ROOT)
    named = git.named(commit)
    files = bundle_of(git, named, tell)
    if names.MANIFEST not in files:
        raise BundleError(
            f"the bundle of {named[:12]} has no {names.MANIFEST}",
            why="its folder is empty or of another kind",
            next="`dvc repro bundle` makes it again",
        )
    return Desired(settings.bundle.model, names.sha256(files[names.MANIFEST]), named), lambda: files
