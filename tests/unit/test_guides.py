"""Files that operators copy: no secret in them, and every metric that they ask for is one that a server has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram, Metric
from prometheus_client.process_collector import PROCESS_COLLECTOR

from leverframe.serving import metrics
from leverframe.settings.levers import ServeSettings

GUIDES = Path(__file__).parents[2] / "docs/guides"
NGINX = (GUIDES / "proxy/nginx.conf").read_text(encoding="utf-8")
ALERTS = (GUIDES / "proxy/alerts.yml").read_text(encoding="utf-8")
SCALING = (GUIDES / "scaling.md").read_text(encoding="utf-8")
ENDINGS = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def names() -> set[str]:
    """Return the name of every series that a server has of its own, and of its process."""
    own = [collector for collector in vars(metrics).values() if isinstance(collector, Counter | Gauge | Histogram)]
    described: list[Metric] = [family for metric in own for family in metric.describe()]
    series = {family.name + ending for family in described for ending in ENDINGS[family.type]}
    return series | {family.name + ENDINGS[family.type][0] for family in PROCESS_COLLECTOR.collect()}


def test_the_proxy_holds_no_secret() -> None:
    """Tokens come from a file of their own; nothing in the configuration looks like one."""
    assert "include tokens.map;" in NGINX
    assert re.findall(r"Bearer (?!<)[A-Za-z0-9]", NGINX) == []
    assert re.findall(r"[A-Za-z0-9+/_-]{40,}", re.sub(r"-{3,}", "", NGINX)) == []
    assert "PRIVATE KEY" not in NGINX
    assert (GUIDES / "proxy/tokens.map").exists() is False
    for name in ("$http_authorization", "$request_body", "$args", "$request_uri"):
        assert name not in NGINX.split("log_format")[1], f"{name} would be in the log"


def test_the_proxy_has_the_ports_and_the_limit_of_the_settings() -> None:
    """A server that is started without options is the one that the proxy passes on to."""
    settings = ServeSettings()
    assert f"server 127.0.0.1:{settings.port} " in NGINX
    assert f"server 127.0.0.1:{settings.grpc_port} " in NGINX
    assert f"client_max_body_size {settings.maximum_bytes};" in NGINX
    assert f"{settings.maximum_bytes:,} bytes" in NGINX
    assert f"127.0.0.1:{settings.metrics_port}" in SCALING


def test_the_guide_shows_the_proxys_own_lines() -> None:
    """The block of servers in the guide is the one of the file, with a second server."""
    block = re.findall(r"```nginx\n(.*?)```", SCALING, re.DOTALL)[0]
    lines = [line.strip() for line in block.splitlines() if ":8180" not in line]
    assert [line for line in lines if line not in NGINX] == []


@pytest.mark.parametrize("text", [ALERTS, SCALING], ids=["alerts", "scaling"])
def test_every_metric_that_is_named_exists(text: str) -> None:
    """What is asked of Prometheus is what a server tells it."""
    asked = set(re.findall(r"\b(?:leverframe|process)_[a-z_]+", text))
    assert asked - names() - {"leverframe_"} == set()
    assert len(asked) >= 5


def test_every_alert_says_what_to_do() -> None:
    """A summary, the next step, and how urgent it is."""
    (group,) = yaml.safe_load(ALERTS)["groups"]
    for rule in group["rules"]:
        assert set(rule["annotations"]) == {"summary", "next"}, rule["alert"]
        assert rule["labels"]["severity"] in ("page", "ticket")
    assert f"has {['six', 'seven', 'eight'][len(group['rules']) - 6]} rules" in SCALING
