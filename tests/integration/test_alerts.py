"""The documented alert rules and queries in Prometheus' own tool: they parse, each fires, and none without a reason."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

GUIDES = Path(__file__).parents[2] / "docs/guides"
ALERTS = GUIDES / "proxy/alerts.yml"
pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed: tests/debian-packages.sh prometheus"
)
SHOP = 'model="shop", version="1"'
BUCKET = f"leverframe_predict_seconds_bucket{{{SHOP}"
GOOD = {
    'up{job="leverframe", instance="a"}': "1x90",
    'process_cpu_seconds_total{job="leverframe", instance="a"}': "0+20x90",
    f'leverframe_requests_total{{instance="a", outcome="answered", {SHOP}}}': "0+100x90",
    f'leverframe_requests_total{{instance="b", outcome="answered", {SHOP}}}': "0+100x90",
    f'leverframe_requests_total{{instance="a", outcome="refused", {SHOP}}}': "0+1x90",
    f'leverframe_requests_total{{instance="a", outcome="failed", {SHOP}}}': "3x90",
    f'leverframe_rows_total{{instance="a", {SHOP}}}': "0+100x90",
    'leverframe_feature_misses_total{instance="a", model="shop", table="customer"}': "0+1x90",
    f'{BUCKET}, le="0.01"}}': "0+100x90",
    f'{BUCKET}, le="1"}}': "0+100x90",
    f'{BUCKET}, le="+Inf"}}': "0+100x90",
    f'leverframe_release{{instance="a", bundle="x", commit="1", {SHOP}}}': "1x90",
    f'leverframe_release{{instance="b", bundle="x", commit="1", {SHOP}}}': "1x90",
    'leverframe_inference_log_dropped_total{instance="a"}': "0x90",
}
BAD = {
    "LeverframeServerDown": {'up{job="leverframe", instance="a"}': "0x90"},
    "LeverframeServerBusy": {'process_cpu_seconds_total{job="leverframe", instance="a"}': "0+57x90"},
    "LeverframeRequestsFail": {f'leverframe_requests_total{{instance="a", outcome="failed", {SHOP}}}': "0+1x90"},
    "LeverframeRequestsRefused": {f'leverframe_requests_total{{instance="a", outcome="refused", {SHOP}}}': "0+30x90"},
    "LeverframeSlow": {f'{BUCKET}, le="0.01"}}': "0+90x90"},
    "LeverframeFeaturesMissing": {
        'leverframe_feature_misses_total{instance="a", model="shop", table="customer"}': "0+50x90"
    },
    "LeverframeServersDiffer": {
        f'leverframe_release{{instance="b", bundle="x", commit="1", {SHOP}}}': "0x90",
        f'leverframe_release{{instance="b", bundle="y", commit="2", {SHOP}}}': "1x90",
    },
    "LeverframeLogDropped": {'leverframe_inference_log_dropped_total{instance="a"}': "0+1x90"},
}


def promtool(*arguments: str) -> str:
    """Run the tool, which must succeed, and return what it says."""
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_rules_and_queries_parse(tmp_path: Path) -> None:
    """Every rule with its templates, and every query of the guide."""
    assert "8 rules found" in promtool("check", "rules", str(ALERTS))
    queries = re.findall(r"```promql\n(.*?)```", (GUIDES / "scaling.md").read_text(encoding="utf-8"), re.DOTALL)
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "guide", "rules": rules}]}))
    assert f"{len(queries)} rules found" in promtool("check", "rules", str(tmp_path / "queries.yml"))
    assert len(queries) == 5


def test_each_alert_fires_alone(tmp_path: Path) -> None:
    """A quiet hour has no alert; one thing that is wrong has its own, and no other."""
    rules = {rule["alert"] for rule in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"][0]["rules"]}
    assert rules == set(BAD)
    tests = [_hour(GOOD, [])] + [_hour({**GOOD, **series}, [alert]) for alert, series in BAD.items()]
    content = {"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(content))
    assert "SUCCESS" in promtool("test", "rules", str(tmp_path / "tests.yml"))


def _hour(series: dict[str, str], alerts: list[str]) -> dict[str, Any]:
    """Return a test of the tool: what the series are, and which alerts fire at the end."""
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in alerts]
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": "80m",
                "exp_samples": samples,
            }
        ],
    }
