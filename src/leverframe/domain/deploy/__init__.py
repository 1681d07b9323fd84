"""The room of deployment: from the bundle that should serve to the one that does, and back if it is no good."""

from __future__ import annotations

from leverframe.domain.deploy.manifest import ReleaseManifest, refuse_other
from leverframe.domain.deploy.plan import CANDIDATE, Terms, planned
from leverframe.domain.deploy.run import Deployed, Deployment
from leverframe.domain.deploy.state import Release, State
from leverframe.domain.deploy.work import World

__all__ = [
    "CANDIDATE", "Deployed", "Deployment", "Release", "ReleaseManifest", "State", "Terms", "World", "planned",
    "refuse_other",
]  # fmt: skip
