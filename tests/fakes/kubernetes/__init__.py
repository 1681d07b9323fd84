"""A fake API server of Kubernetes, as much of it as `kubectl` asks for when Leverframe deploys."""

from __future__ import annotations

from tests.fakes.kubernetes.server import ClusterServer, kubeconfig
from tests.fakes.kubernetes.state import Fault, Objects

__all__ = ["ClusterServer", "Fault", "Objects", "kubeconfig"]
