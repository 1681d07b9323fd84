"""Rules and panels over the monitor's metrics in Prometheus' own tool: they parse, each fires, none without reason."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from leverframe.domain.monitoring.monitor_result import Monitored
from leverframe.domain.monitoring.prometheus_text import metrics
from tests.fakes.monitored import CASES, NAMES, quiet

GUIDES = Path(__file__).parents[2] / "docs/guides/grafana"
RULES = GUIDES / "monitor-alerts.yml"
PANELS = json.loads((GUIDES / "leverframe.json").read_text(encoding="utf-8"))["panels"]
pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed: tests/debian-packages.sh prometheus"
)
START = datetime(1970, 1, 1, tzinfo=UTC)  # when the clock of a rule test begins
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def promtool(*arguments: str, given: str = "") -> str:
    """Run the tool, which must succeed, and return what it says."""
    done = subprocess.run(
        ["promtool", *arguments], input=given, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("case", CASES)
def test_metrics_are_good_metrics(case: str) -> None:
    """Names, units, help and labels as Prometheus wants them, also where names are hostile."""
    assert promtool("check", "metrics", given=metrics(CASES[case]())) == ""


def test_rules_and_queries_of_panels_parse(tmp_path: Path) -> None:
    """Every rule with its templates, and every query of the Grafana dashboard with its variables filled in."""
    assert "9 rules found" in promtool("check", "rules", str(RULES))
    queries = [target["expr"] for panel in PANELS for target in panel.get("targets", [])]
    filled = [re.sub(r"\$__rate_interval", "5m", query).replace("$", "") for query in queries]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(filled)]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(queries)} rules found" in promtool("check", "rules", str(tmp_path / "queries.yml"))
    assert len(queries) >= 20


def now(monitored: Monitored, *, last: timedelta, following: timedelta, newest: timedelta) -> Monitored:
    """Return a run with other times, counted from where the clock of a rule test begins."""
    window = replace(monitored.windows[-1], end=(START + newest).isoformat())
    at, due = (START + last).isoformat(), (START + following).isoformat()
    return replace(monitored, at=at, next_run=due, windows=(*monitored.windows[:-1], window))


GOOD = now(quiet(3, NAMES[:2]), last=DAY, following=2 * DAY, newest=DAY - 2 * HOUR)


def found(kind: Kind, severity: Severity = Severity.WARNING) -> Monitored:
    """Return a run with one finding, and one that it explains."""
    finding = Finding(kind, "x", severity, "2013-12-30", "2013-12-30", "what", "next")
    behind = replace(finding, kind=Kind.MULTIVARIATE_DRIFT, explained_by=finding.key)
    return replace(GOOD, findings=(finding, behind))


QUALITY = [kind for kind in Kind if list(Kind).index(kind) <= list(Kind).index(Kind.TABLE)]
BAD: list[tuple[str, str, Monitored | None]] = [
    ("LeverframeMonitorMissing", "ticket", None),
    ("LeverframeMonitorSilent", "ticket", now(GOOD, last=HOUR, following=2 * HOUR, newest=HOUR)),
    ("LeverframeTrafficStopped", "ticket", now(GOOD, last=40 * HOUR, following=48 * HOUR, newest=15 * HOUR)),
    *(("LeverframeDataQuality", "ticket", found(kind)) for kind in QUALITY),
    ("LeverframeDataQuality", "page", found(Kind.SCHEMA, Severity.CRITICAL)),
    *(("LeverframeDrift", "ticket", found(kind)) for kind in (Kind.DRIFT, Kind.PREDICTION_DRIFT)),
    *(("LeverframePerformance", "ticket", found(kind)) for kind in (Kind.CALIBRATION, Kind.CONCEPT)),
    ("LeverframePerformance", "page", found(Kind.PERFORMANCE, Severity.CRITICAL)),
    ("LeverframeServerDegraded", "ticket", found(Kind.SERVER)),
    ("LeverframeMonitorNotCalibrated", "ticket", replace(GOOD, rule=replace(GOOD.rule, rule="uncalibrated"))),
    ("LeverframeMonitorFalseAlarms", "ticket", replace(GOOD, rule=replace(GOOD.rule, alarms=9))),
]  # fmt: skip


@pytest.mark.deep
def test_each_alert_fires_alone_on_what_we_write(tmp_path: Path) -> None:
    """A good run raises nothing, nor a remark; one thing that is wrong raises its own alert, as urgent as it is."""
    rules = {rule["alert"] for rule in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]}
    assert rules == {alert for alert, _, _ in BAD}
    tests = [_hours(GOOD), *(_hours(found(kind, Severity.INFO)) for kind in Kind)]
    tests += [_hours(monitored, alert, urgent) for alert, urgent, monitored in BAD]
    content = {"rule_files": [str(RULES)], "evaluation_interval": "15m", "tests": tests}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(content))
    assert "SUCCESS" in promtool("test", "rules", str(tmp_path / "tests.yml"))


def _hours(monitored: Monitored | None, alert: str = "", urgent: str = "") -> dict[str, Any]:
    """Return a test of the tool: what we write stays as it is for 42 hours, and which alert fires at their end."""
    lines = metrics(monitored).splitlines() if monitored else []
    samples = [{"labels": f'{{alertname="{alert}", severity="{urgent}"}}', "value": 1}] if alert else []
    return {
        "interval": "15m",
        "input_series": [
            {"series": name, "values": f"{value}+0x168"}
            for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        ],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname, severity) (ALERTS{alertstate="firing"})',
                "eval_time": "42h",
                "exp_samples": samples,
            }
        ],
    }
