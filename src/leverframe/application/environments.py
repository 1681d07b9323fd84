"""The environment that a release is deployed to, as the deployed commit declares it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from leverframe.domain.release.target import RolloutPolicy
from leverframe.errors import SettingsError, nearest
from leverframe.settings.levers import EnvironmentSettings, Levers, ServeSettings, check_names


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
            deploy.keep,
        )

    def in_cluster(self, target: str | None = None) -> bool:
        """Tell whether the target is a cluster: ``target``, else as declared. Raises ``SettingsError``."""
        declared = self.settings.kubernetes is not None
        if target == "kubernetes" and not declared:
            raise SettingsError(
                f"environment `{self.name}` declares no cluster",
                why=f"`deploy.environments.{self.name}.kubernetes` of leverframe.yaml is missing",
                next="declare context, namespace, image and remote there; docs/guides/kubernetes.md has an example",
            )
        return declared if target is None else target == "kubernetes"


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
