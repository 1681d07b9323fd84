"""Features of one request, looked up in a snapshot, and where each of them came from."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leverframe.adapters.snapshot_file import SnapshotFile
from leverframe.application.workspace import Workspace
from leverframe.domain.features.request import parsed, timestamp
from leverframe.domain.features.vector import FeatureVector, answered


def features(workspace: Workspace, fields: Mapping[str, str], as_of: str, path: Path, url: str | None) -> FeatureVector:
    """Return the vector of one request, written as text, and the origin of each feature; from Redis where ``url``."""
    plan = workspace.plan
    store: Any = SnapshotFile(path, spec=plan.spec) if url is None else _redis(url, plan.spec)
    try:
        return answered(plan, store, parsed(plan, fields, timestamp(as_of), store.about()))
    finally:
        store.close()


def _redis(url: str, spec: str) -> Any:
    return importlib.import_module("leverframe.adapters.redis").RedisStore(url, spec=spec)
