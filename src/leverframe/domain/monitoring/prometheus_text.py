"""The newest figures of a run as text for Prometheus, format 0.0.4: what its rules and dashboards ask for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from leverframe.domain.monitoring.finding import Kind, Severity
from leverframe.domain.monitoring.monitor_result import ColumnFacts, Monitored, Performance
from leverframe.domain.monitoring.monitor_words import causes, instant, serving
from leverframe.domain.monitoring.retrain_facts import NOTHING_TRIED, RetrainFacts

Sample = tuple[Mapping[str, str], float | None]  # labels, and a value or none


@dataclass(frozen=True)
class Gauge:
    """A metric with its help text and the samples of a run."""

    name: str
    help: str
    samples: Sequence[Sample]


def metrics(monitored: Monitored, retraining: RetrainFacts = NOTHING_TRIED) -> str:
    """Return every metric of a run; a figure that is not known has no sample, and a metric without one no lines."""
    common = {"model": monitored.model, "environment": monitored.environment}
    parts = [_written(gauge, common) for gauge in gauges(monitored, retraining)]
    return "".join(part for part in parts if part)


def gauges(monitored: Monitored, retraining: RetrainFacts = NOTHING_TRIED) -> list[Gauge]:
    """Return every metric there is, also those without a sample."""
    traffic = [*_run(monitored), *_found(monitored), *_traffic(monitored), *_drift(monitored)]
    return [*traffic, *_performance(monitored), *_retraining(retraining)]


def _run(monitored: Monitored) -> Iterator[Gauge]:
    rule, made = monitored.rule, monitored.provenance
    info = {"release": serving(monitored), "commit": made.commit, "reference": made.reference, "engine": made.engine}
    yield _one("last_success_timestamp_seconds", "when the monitor last finished a run", _seconds(monitored.at))
    yield _one("next_run_timestamp_seconds", "when the next run is due", _seconds(monitored.next_run))
    yield Gauge("info", "what the last run looked at, always 1", [(info, 1.0)])
    yield _one("calibrated", "1 where the drift rule is calibrated, else 0", float(rule.rule != "uncalibrated"))
    rate = rule.alarms / rule.replayed if rule.replayed else None
    yield _one("false_alarm_ratio", "share of reference windows that raise an alarm when replayed", rate)


def _found(monitored: Monitored) -> Iterator[Gauge]:
    listed = causes(monitored.findings)
    counts = Counter((cause.finding.kind, cause.finding.severity) for cause in listed)
    samples: list[Sample] = [
        ({"kind": kind.value, "severity": severity.value}, float(counts[kind, severity]))
        for kind in Kind
        for severity in Severity
    ]
    yield Gauge("findings", "findings that no other one explains", samples)
    explained = float(sum(len(cause.explains) for cause in listed))
    yield _one("findings_explained", "findings that another one explains", explained)
    alerts = Counter(alert.severity for alert in monitored.alerts)
    opened: list[Sample] = [({"severity": severity.value}, float(alerts[severity])) for severity in Severity]
    yield Gauge("open_alerts", "alerts that are open on the forge", opened)
    failed: dict[str, bool] = {}
    for facts in monitored.tables:
        failed[facts.table] = failed.get(facts.table, False) or facts.verdict == "failed"
    tables: list[Sample] = [({"table": table}, float(broken)) for table, broken in failed.items()]
    yield Gauge("table_failed", "1 where the newest partition of an upstream table violates its contract", tables)


def _traffic(monitored: Monitored) -> Iterator[Gauge]:
    over = [window for window in monitored.windows if window.whole]
    newest = over[-1] if over else None
    latency = newest.latency_ms if newest else None
    covered = next((window.coverage for window in reversed(over) if window.coverage is not None), None)
    yield _one(
        "window_end_timestamp_seconds", "end of the newest whole window", _seconds(newest.end) if newest else None
    )
    yield _one("window_rows", "rows of the newest whole window", newest.rows.value if newest else None)
    yield _one("window_rows_low", "rows at least expected in a window", newest.rows.low if newest else None)
    yield _one("window_rows_high", "rows at most expected in a window", newest.rows.high if newest else None)
    yield _one(
        "prediction_mean", "mean prediction of the newest whole window", newest.prediction.value if newest else None
    )
    yield _one("response_median_seconds", "median response time in the newest whole window",
               latency[0] / 1000 if latency else None)  # fmt: skip
    yield _one("response_p95_seconds", "95th percentile of the response time in the newest whole window",
               latency[1] / 1000 if latency else None)  # fmt: skip
    yield _one("label_coverage_ratio", "share of rows whose label is known, newest window with labels", covered)


def _drift(monitored: Monitored) -> Iterator[Gauge]:
    columns = list({column.name: column for column in monitored.columns}.values())
    newest = [(_column(column), column, next((c for c in reversed(column.cells) if c.statistic is not None), None))
              for column in columns]  # fmt: skip
    yield Gauge("drift_statistic", "distance of a column from the reference, newest window with rows",
                [(labels, cell.statistic if cell else None) for labels, _, cell in newest])  # fmt: skip
    yield Gauge("drift_band", "largest distance of a column that the reference makes likely",
                [(labels, column.band) for labels, column, _ in newest])  # fmt: skip
    yield Gauge("drift_beyond", "1 where a column is beyond its band in the newest window with rows",
                [(labels, float(cell.beyond) if cell else None) for labels, _, cell in newest])  # fmt: skip
    missing = [(labels, column.cells[-1].missing if column.cells else None) for labels, column, _ in newest]
    yield Gauge("missing_ratio", "share of missing values of a column, newest window", missing)


def _column(column: ColumnFacts) -> Mapping[str, str]:
    return {"column": column.name, "role": column.role}


def _performance(monitored: Monitored) -> Iterator[Gauge]:
    series = list({trend.metric: trend for trend in monitored.performance}.values())
    judged = {trend.metric: [point for point in trend.points if point.judged] for trend in series}

    def gauge(name: str, words: str, value: dict[str, float | None]) -> Gauge:
        return Gauge(f"performance_{name}", words, [({"metric": metric}, known) for metric, known in value.items()])

    newest = {metric: points[-1] for metric, points in judged.items() if points}
    yield gauge("realised", "metric of the newest window with enough labels",
                {metric: point.realised.value for metric, point in newest.items()})  # fmt: skip
    yield gauge("beyond", "1 where the realised metric is outside of its band",
                {metric: float(point.beyond) for metric, point in newest.items()})  # fmt: skip
    yield gauge("estimated", "metric of the newest window, estimated without labels",
                {trend.metric: _estimated(trend) for trend in series})  # fmt: skip
    yield gauge("expected_low", "metric at least expected", {trend.metric: trend.reference.low for trend in series})
    yield gauge("expected_high", "metric at most expected", {trend.metric: trend.reference.high for trend in series})


def _retraining(facts: RetrainFacts) -> Iterator[Gauge]:
    newest = facts.tried[0] if facts.tried else None
    yield _one("retrain_attempt_timestamp_seconds", "when a candidate was trained last",
               _seconds(newest.at) if newest else None)  # fmt: skip
    outcomes: list[Sample] = [({"outcome": name}, float(name == newest.outcome)) for name in facts.outcomes if newest]
    yield Gauge("retrain_outcome", "1 for the outcome of the last attempt, else 0", outcomes)
    asks = float(facts.needs_human) if newest else None
    yield _one("retrain_needs_human", "1 where three attempts in a row did not help, else 0", asks)


def _estimated(series: Performance) -> float | None:
    return next((point.estimated for point in reversed(series.points) if point.estimated is not None), None)


def _one(name: str, words: str, value: float | None) -> Gauge:
    return Gauge(name, words, [({}, value)])


def _written(gauge: Gauge, common: Mapping[str, str]) -> str:
    name = f"leverframe_monitor_{gauge.name}"
    lines = [
        f"{name}{{{_labels({**common, **labels})}}} {_number(value)}\n"
        for labels, value in gauge.samples
        if value is not None and math.isfinite(value)
    ]
    return f"# HELP {name} {gauge.help}\n# TYPE {name} gauge\n{''.join(lines)}" if lines else ""


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    whole = value.encode("utf-8", "replace").decode()  # half of a surrogate pair is no text
    return whole.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def _seconds(text: str) -> float | None:
    parsed_time = instant(text)
    return None if parsed_time is None else parsed_time.timestamp()
