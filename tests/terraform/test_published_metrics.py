"""`publish.py` of the module observability: from what the monitor writes to what the alarms look at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.terraform.programs import ROOT
from tests.terraform.scripts import script

publish = script("observability/publish.py")
LABELS = 'model="rides",environment="production"'


def prometheus(at: float, *, bands: bool = True) -> str:
    lines = [
        f"leverframe_monitor_last_success_timestamp_seconds{{{LABELS}}} {at}",
        f'leverframe_monitor_findings{{{LABELS},kind="drift",severity="critical"}} 2',
        f'leverframe_monitor_findings{{{LABELS},kind="schema",severity="critical"}} 1',
        f'leverframe_monitor_findings{{{LABELS},kind="schema",severity="warning"}} 9',
    ]
    for column, statistic, band in (("fare", 0.3, 0.2), ("hour", 0.1, 0.4)):
        place = f'{LABELS},column="{column}",role="feature"'
        lines.append(f"leverframe_monitor_drift_statistic{{{place}}} {statistic}")
        if bands:
            lines.append(f"leverframe_monitor_drift_band{{{place}}} {band}")
            lines.append(f"leverframe_monitor_drift_beyond{{{place}}} {int(statistic > band)}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def cloudwatch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "of-nobody")
    with mock_aws():
        yield boto3.client("cloudwatch", region_name="eu-central-1")


def sent(client: Any) -> dict[str, float]:
    """Return the newest value of each metric of this model."""
    wanted = {"model": "rides", "environment": "production"}
    values: dict[str, float] = {}
    for metric in client.list_metrics(Namespace="Leverframe")["Metrics"]:
        assert {part["Name"]: part["Value"] for part in metric["Dimensions"]} == wanted
        points = client.get_metric_statistics(
            Namespace="Leverframe", MetricName=metric["MetricName"], Dimensions=metric["Dimensions"], Period=86400,
            StartTime=time.time() - 86400, EndTime=time.time() + 60, Statistics=["Maximum"],
        )["Datapoints"]  # fmt: skip
        values[metric["MetricName"]] = points[-1]["Maximum"]
    return values


def asked(file: Path) -> list[str]:
    return [str(file), "--namespace", "Leverframe", "--region", "eu-central-1"]


def test_alarms_get_what_they_look_at(cloudwatch: Any, tmp_path: Path) -> None:
    """Every metric of the alarms in the module is sent, and no other."""
    file = tmp_path / "metrics.prom"
    file.write_text(prometheus(time.time() - 60), encoding="utf-8")
    assert publish.main(asked(file)) == 0
    assert sent(cloudwatch) == {
        "monitor_runs": 1.0, "critical_findings": 3.0, "columns_beyond": 1.0, "drift_score": pytest.approx(1.5),
    }  # fmt: skip
    alarms = (ROOT / "terraform/modules/observability/alarms.tf").read_text(encoding="utf-8")
    for name in ("drift_score", "critical_findings", "monitor_runs"):
        assert f'metric_name         = "{name}"' in alarms


def test_without_a_band_there_is_no_score(cloudwatch: Any, tmp_path: Path) -> None:
    file = tmp_path / "metrics.prom"
    file.write_text(prometheus(time.time(), bands=False), encoding="utf-8")
    assert publish.main(asked(file)) == 0
    assert set(sent(cloudwatch)) == {"monitor_runs", "critical_findings", "columns_beyond"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (prometheus(0.0), "hours ago"),
        ("", "no run of the monitor wrote it"),
        ("# HELP x\nleverframe_monitor_info 1\n", "no run of the monitor wrote it"),
        ("leverframe_monitor_info{", "was not sent"),
        (None, "was not sent"),
    ],
)
def test_what_is_no_sign_of_life_is_not_sent(
    cloudwatch: Any, tmp_path: Path, text: str | None, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An old result would keep the dead man's switch from closing."""
    file = tmp_path / "metrics.prom"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    assert publish.main(asked(file)) == 1
    assert why in capsys.readouterr().err
    assert cloudwatch.list_metrics(Namespace="Leverframe")["Metrics"] == []


def test_the_monitor_writes_these_metrics() -> None:
    """A metric that is renamed in the monitor is missed here, before an alarm is missed in production."""
    source = (ROOT / "src/leverframe/domain/monitoring/prometheus_text.py").read_text(encoding="utf-8")
    for name in ("last_success_timestamp_seconds", "findings", "drift_statistic", "drift_band", "drift_beyond"):
        assert f'"{name}"' in source
