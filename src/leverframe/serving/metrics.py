"""What Prometheus can ask: how many, how fast, how many failed, what was not found, what was not logged.

The version label is the release that predicted, where MLServer's own metrics have the one that
was asked for. Every metric carries the name of the model as ``model``.
"""

from __future__ import annotations

import math
import time
from collections import Counter as Counts
from collections.abc import Callable

from prometheus_client import Counter, Gauge, Histogram

SECONDS = Histogram(
    "leverframe_predict_seconds",
    "time from a parsed request to its response",
    ["model", "version"],
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
REQUESTS = Counter("leverframe_requests", "requests by outcome", ["model", "version", "outcome"])
FAILED_BEFORE = Counter(
    "leverframe_failed_before", "failed requests that fail on the release before, too", ["model", "version"]
)
ROWS = Counter("leverframe_rows", "rows predicted", ["model", "version"])
MISSES = Counter("leverframe_feature_misses", "rows whose key a table of the snapshot did not have", ["model", "table"])
DROPPED = Counter("leverframe_inference_log_dropped", "records that were not logged, because the queue was full")
RELEASE = Gauge(
    "leverframe_release", "1 for a release that is loaded, 0 for one that was", ["model", "version", "bundle", "commit"]
)
FEATURE_AGE = Gauge(
    "leverframe_feature_age_seconds", "how long ago the rows of the features were delivered", ["model", "version"]
)
FEATURE_AS_OF = Gauge(
    "leverframe_feature_as_of_seconds",
    "before when the rows of the features came, since the epoch",
    ["model", "version"],
)
FEATURE_ONLINE = Gauge(
    "leverframe_feature_online", "1 for features of the online store, 0 for those of the bundle", ["model", "version"]
)
STALE = Counter(
    "leverframe_stale_requests", "requests answered with features beyond the maximum age", ["model", "version"]
)
STORE_FAILURES = Counter("leverframe_online_store_failures", "looks into the online store that failed")

_loaded: Counts[tuple[str, str]] = Counts()  # a release that is loaded anew is unloaded after


def ages(release: tuple[str, str], seconds: Callable[[], tuple[float, bool]]) -> None:
    """Let Prometheus see the timestamp of a release's features, by a function that is called when it looks."""
    _loaded[release] += 1
    FEATURE_AGE.labels(*release).set_function(lambda: max(time.time() - seconds()[0], 0.0))
    FEATURE_AS_OF.labels(*release).set_function(lambda: seconds()[0])
    FEATURE_ONLINE.labels(*release).set_function(lambda: _number(*seconds()))


def no_ages(release: tuple[str, str]) -> None:
    """Show no age of a release that is unloaded: it would grow for ever."""
    _loaded[release] -= 1
    if _loaded[release] <= 0:
        for gauge in (FEATURE_AGE, FEATURE_AS_OF, FEATURE_ONLINE):
            gauge.remove(*release)


def _number(as_of: float, online: bool) -> float:
    return math.nan if math.isnan(as_of) else float(online)
