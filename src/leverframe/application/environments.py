"""The environment that a release is deployed to, as the deployed commit declares it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from leverframe.application.workspace import Workspace
from leverframe.domain.features.request import timestamp
from leverframe.domain.release.target import RolloutPolicy
from leverframe.errors import RequestError, SettingsError, guide_page, nearest
from leverframe.settings.levers import EnvironmentSettings, Levers, ServeSettings, check_names

_YEARS = (1900, 9000)


@dataclass(frozen=True)
class Environment:
    """One environment by name, with the model it serves and the settings in force."""

    name: str
    model: str
    levers: Levers

    @classmethod
    def of(cls, levers: Levers, name: str, model: str) -> Environment:
        """Return an environment; raises ``SettingsError`` for one that is not declared."""
        known = levers.deploy.environments
        if name not in known:
            raise SettingsError(
                f"no environment `{name}` is declared",
                why="`deploy.environments` of leverframe.yaml has no such name",
                next=nearest(name, known),
            )
        check_names(levers, model)
        return cls(name, model, levers)

    @property
    def settings(self) -> EnvironmentSettings:
        """What leverframe.yaml declares of it."""
        return self.levers.deploy.environments[self.name]

    @property
    def serve(self) -> ServeSettings:
        """How its server listens."""
        return self.levers.serve

    @property
    def before(self) -> Environment | None:
        """The environment that must serve a bundle before this one may; None where there is none."""
        return replace(self, name=self.settings.after) if self.settings.after else None

    @property
    def policy(self) -> RolloutPolicy:
        """What a release must show here."""
        deploy = self.levers.deploy
        return RolloutPolicy(
            deploy.verify_seconds,
            deploy.replay,
            deploy.maximum_disagreement,
            deploy.maximum_slowdown,
            deploy.slowdown_floor_ms,
            deploy.keep,
        )

    def in_cluster(self, target: str | None = None) -> bool:
        """Tell whether the target is a cluster: ``target``, else as declared. Raises ``SettingsError``."""
        declared = self.settings.kubernetes is not None
        if target == "kubernetes" and not declared:
            raise SettingsError(
                f"environment `{self.name}` declares no cluster",
                why=f"`deploy.environments.{self.name}.kubernetes` of leverframe.yaml is missing",
                next=f"declare context, namespace, image and remote there, as in {guide_page('kubernetes.md')}",
            )
        return declared if target is None else target == "kubernetes"


def watched(workspace: Workspace, name: str | None) -> str:
    """Return the environment whose traffic is watched: the one named, else as set, else the last declared."""
    environments = workspace.levers.deploy.environments
    name = name or workspace.levers.monitor.environment or [*environments][-1]
    if name not in environments:
        raise SettingsError(
            f"no environment `{name}` is declared",
            why="the monitor watches the traffic of one environment",
            next=nearest(name, environments),
        )
    return name


def as_of(text: str | None) -> datetime:
    """Return the time to look back from, now for None; raises ``RequestError`` for one around which is no calendar."""
    if text is None:
        return datetime.now(UTC)
    now = timestamp(text)
    if not _YEARS[0] <= now.year <= _YEARS[1]:
        raise RequestError(
            f"`--as-of {text}` is no time that a log could be of",
            why=f"its year is not between {_YEARS[0]} and {_YEARS[1]}",
            next="name the time whose windows before it you want to see, such as 2026-11-02T06:00Z",
        )
    return now


class WallClock:
    """The time of this machine."""

    def now(self) -> str:
        """Return the current time, ISO 8601 in UTC."""
        return datetime.now(UTC).isoformat(timespec="seconds")

    def seconds(self) -> float:
        """Return seconds that only grow."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
