"""What Prometheus can ask: how many, how fast, how many failed, what was not found, what was not logged.

The version label is the release that predicted, where MLServer's own metrics have the one that
was asked for. Every metric carries the name of the model as ``model``.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

SECONDS = Histogram(
    "leverframe_predict_seconds",
    "time from a parsed request to its response",
    ["model", "version"],
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
REQUESTS = Counter("leverframe_requests", "requests by outcome", ["model", "version", "outcome"])
ROWS = Counter("leverframe_rows", "rows predicted", ["model", "version"])
MISSES = Counter("leverframe_feature_misses", "rows whose key a table of the snapshot did not have", ["model", "table"])
DROPPED = Counter("leverframe_inference_log_dropped", "records that were not logged, because the queue was full")
RELEASE = Gauge(
    "leverframe_release", "1 for a release that is loaded, 0 for one that was", ["model", "version", "bundle", "commit"]
)
