"""Send the newest figures of `leverframe monitor` to CloudWatch, where the alarms of this module look at them.

`python publish.py .leverframe/monitor/production/metrics.prom --namespace Leverframe`

It needs boto3 (the extra `s3` brings it), prometheus-client (Leverframe brings it), and credentials that may
`cloudwatch:PutMetricData` in the namespace.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import boto3
from prometheus_client.parser import text_string_to_metric_families as families

PREFIX = "leverframe_monitor_"
Sample = tuple[str, Mapping[str, str], float]


def samples(text: str) -> list[Sample]:
    """Return what a `metrics.prom` says of the monitor: name without prefix, labels, value; raises ``ValueError``."""
    every = [sample for family in families(text) for sample in family.samples]
    return [(sample.name.removeprefix(PREFIX), sample.labels, sample.value) for sample in every
            if sample.name.startswith(PREFIX)]  # fmt: skip


def figures(known: Iterable[Sample], now: float, maximum_age: float) -> tuple[dict[str, str], dict[str, float]]:
    """Return dimensions and metrics; raises ``ValueError`` where the monitor did not finish within ``maximum_age`` s.

    ``drift_score`` is the largest distance of a column relative to its band: beyond 1 a column is out of it. It is
    left out where no column has a band, as with a reference that is not calibrated.
    """
    known = list(known)
    finished = [(labels, value) for name, labels, value in known if name == "last_success_timestamp_seconds"]
    if not finished:
        raise ValueError("it has no leverframe_monitor_last_success_timestamp_seconds: no run of the monitor wrote it")
    labels, at = finished[0]
    if now - at > maximum_age:
        raise ValueError(f"the run ended {(now - at) / 3600:.1f} hours ago: an old result is no sign of life")
    band = {labels["column"]: value for name, labels, value in known if name == "drift_band" and value > 0}
    scores = [value / band[labels["column"]] for name, labels, value in known
              if name == "drift_statistic" and labels["column"] in band]  # fmt: skip
    critical = [value for name, labels, value in known if name == "findings" and labels["severity"] == "critical"]
    beyond = [value for name, _, value in known if name == "drift_beyond"]
    metrics = {"monitor_runs": 1.0, "critical_findings": sum(critical), "columns_beyond": sum(beyond)}
    return (
        {name: labels[name] for name in ("model", "environment")},
        {**metrics, "drift_score": max(scores)} if scores else metrics,
    )


def data(dimensions: Mapping[str, str], metrics: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return the `MetricData` of CloudWatch."""
    place = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    return [
        {"MetricName": name, "Dimensions": place, "Value": value, "Unit": "None"} for name, value in metrics.items()
    ]


def main(arguments: list[str] | None = None) -> int:
    """Send the figures of a file; return 1, with the reason on stderr, where they are no sign of life."""
    parser = argparse.ArgumentParser(description="Send the newest figures of `leverframe monitor` to CloudWatch.")
    parser.add_argument("file", type=Path, help=".leverframe/monitor/ENVIRONMENT/metrics.prom")
    parser.add_argument("--namespace", default="Leverframe", help="as the module `observability` has it")
    parser.add_argument("--region", help="of the alarms; by default that of the environment")
    parser.add_argument("--maximum-age", type=float, default=6.0, help="hours since the run of the monitor")
    asked = parser.parse_args(arguments)
    try:
        known = samples(asked.file.read_text(encoding="utf-8"))
        dimensions, metrics = figures(known, time.time(), asked.maximum_age * 3600)
    except (OSError, ValueError, KeyError) as error:
        print(f"{asked.file} was not sent: {error}; run `leverframe monitor` first", file=sys.stderr)
        return 1
    client = boto3.client("cloudwatch", region_name=asked.region)
    client.put_metric_data(Namespace=asked.namespace, MetricData=data(dimensions, metrics))
    print(f"sent {', '.join(f'{name} {value:g}' for name, value in sorted(metrics.items()))} to {asked.namespace}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
