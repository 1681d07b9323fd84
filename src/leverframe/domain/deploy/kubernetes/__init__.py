"""The room of deployment to a cluster: a release is a set of pods, and the rolling update is the switch."""

from __future__ import annotations

from leverframe.domain.deploy.kubernetes.manifests import Target, overlay
from leverframe.domain.deploy.kubernetes.plan import planned
from leverframe.domain.deploy.kubernetes.run import Rollouts

__all__ = ["Rollouts", "Target", "overlay", "planned"]
