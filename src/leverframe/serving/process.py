"""What this process serves with, apart from any model: its log, its online store. Set once, before the first load."""

from __future__ import annotations

from collections.abc import Callable

from leverframe.domain.model.bundle.bundle_manifest import CANDIDATE
from leverframe.serving import metrics
from leverframe.serving.freshness import Freshness
from leverframe.serving.inference_log import InferenceLog, LogSettings
from leverframe.serving.loading import Loading
from leverframe.serving.online_config import OnlineConfig

_loading = Loading()
_versions: Callable[[str], list[str]] = lambda model: []  # noqa: ARG005, E731 - before there is a server
_datatypes = "any"
_log: InferenceLog | None = None
_freshness: Freshness | None = None


def log() -> InferenceLog | None:
    """Return the inference log, None where nothing is logged."""
    return _log


def start_log(settings: LogSettings) -> InferenceLog:
    """Begin to log; what a killed server left is closed first."""
    global _log  # noqa: PLW0603 - one log a process, and the runtime's module does not outlive a load
    _log = InferenceLog(settings, metrics.DROPPED.inc)
    return _log


def freshness() -> Freshness | None:
    """Return the online store, None where there are no features but those of bundles."""
    return _freshness


def start_freshness(config: OnlineConfig) -> Freshness:
    """Begin to look after the online store."""
    global _freshness  # noqa: PLW0603 - as above
    _freshness = Freshness(config)
    return _freshness


def is_traffic(model: str, internal: bool) -> bool:
    """Tell whether a request is somebody's: those to a candidate, and those of a deployment, are not."""
    return not internal and not model.endswith(CANDIDATE)


def take(datatypes: str) -> None:
    """Take requests of any datatype that holds numbers, or only of those that are ``declared``."""
    global _datatypes  # noqa: PLW0603 - as above
    _datatypes = datatypes


def as_declared() -> bool:
    """Tell whether a request may have no other datatypes than the metadata declare."""
    return _datatypes == "declared"


def loading() -> Loading:
    """Return which releases this process is loading since its start."""
    return _loading


def serve_versions(versions: Callable[[str], list[str]]) -> None:
    """Let metadata name the releases of a model that are loaded."""
    global _versions  # noqa: PLW0603 - as above
    _versions = versions


def versions(model: str) -> list[str]:
    """Return the releases of a model that are loaded."""
    return _versions(model)
