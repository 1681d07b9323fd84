"""The Grafana dashboard and the rules for Prometheus: what they ask for is what we write, and panels fit together."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from leverframe.domain.monitoring.finding import Kind
from leverframe.domain.monitoring.prometheus_text import gauges
from tests.fakes.monitored import quiet
from tests.unit.test_guides import names

GUIDES = Path(__file__).parents[2] / "docs/guides/grafana"
BOARD: dict[str, Any] = json.loads((GUIDES / "leverframe.json").read_text(encoding="utf-8"))
RULES = (GUIDES / "monitor-alerts.yml").read_text(encoding="utf-8")
WRITTEN = {f"leverframe_monitor_{gauge.name}" for gauge in gauges(quiet())}
UNITS = {"short", "s", "percentunit", "reqps", "rowsps"}  # ids of Grafana's own list


def test_every_metric_that_is_asked_for_is_written() -> None:
    """By the monitor or by a server; and nearly every metric of the monitor is shown somewhere."""
    asked = set(re.findall(r"\bleverframe_[a-z0-9_]+", json.dumps(BOARD) + RULES))
    assert asked - WRITTEN - names() == set()
    shown = WRITTEN & asked
    assert len(shown) >= 18
    assert WRITTEN - shown <= {
        f"leverframe_monitor_{name}"
        for name in ("findings_explained", "open_alerts", "prediction_mean", "response_median_seconds",
                     "response_p95_seconds", "performance_beyond", "retrain_attempt_timestamp_seconds",
                     "retrain_outcome", "retrain_needs_human")
    }  # fmt: skip


def test_labels_of_queries_are_written() -> None:
    """A label that no metric has would match nothing, in silence."""
    known = {"model", "environment", "le", "outcome", "version", "instance", "bundle", "severity", "table"}
    known |= {key for gauge in gauges(quiet()) for labels, _ in gauge.samples for key in labels}
    used = set(re.findall(r'([a-z_]+)(?:=~|!=|=)"', json.dumps(BOARD).replace('\\"', '"') + RULES)) - {
        "next",
        "summary",
    }
    legends = set(re.findall(r"\{\{([a-z_]+)\}\}", json.dumps(BOARD)))
    grouped = {
        label.strip()
        for labels in re.findall(r"by \(([^)]*)\)", json.dumps(BOARD) + RULES)
        for label in labels.split(",")
    }
    assert used | legends | grouped <= known


def test_panels_have_ids_units_thresholds_and_their_own_place() -> None:
    """Each has one id, a unit that Grafana knows, rising thresholds from minus infinity, words, and room of its own."""
    panels = BOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) >= 20
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells
        if panel["type"] != "row":
            defaults = panel["fieldConfig"]["defaults"]
            assert defaults["unit"] in UNITS
            steps = [step["value"] for step in defaults["thresholds"]["steps"]]
            assert steps[0] is None
            assert steps[1:] == sorted(steps[1:])
            assert panel["description"]
            assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])


def test_variables_are_declared_before_they_are_used() -> None:
    """The data source, the model, its environment and the metric are asked for in that order."""
    declared = [variable["name"] for variable in BOARD["templating"]["list"]]
    assert declared == ["datasource", "model", "environment", "metric"]
    used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(BOARD)))
    assert used <= {*declared}
    for number, variable in enumerate(BOARD["templating"]["list"]):
        assert set(re.findall(r"\$\{?([a-z]\w*)", str(variable["query"]))) <= set(declared[:number])


def test_every_kind_of_finding_has_one_rule() -> None:
    """No finding is silent, and none raises two alerts."""
    groups = yaml.safe_load(RULES)["groups"][0]["rules"]
    patterns = [match[1] for rule in groups if (match := re.search(r'kind=~?"([^"]+)"', rule["expr"]))]
    for kind in Kind:
        assert sum(re.fullmatch(pattern, kind.value) is not None for pattern in patterns) == 1, kind


def test_every_rule_says_what_to_do() -> None:
    """A summary, the next step, and how urgent it is."""
    for rule in yaml.safe_load(RULES)["groups"][0]["rules"]:
        assert set(rule["annotations"]) == {"summary", "next"}, rule["alert"]
        assert set(re.findall("page|ticket", rule["labels"]["severity"]))


def test_the_guide_names_every_rule() -> None:
    """Each with the condition that it fires on, and no other."""
    guide = (GUIDES.parent / "monitor-dashboard.md").read_text(encoding="utf-8")
    rules = {rule["alert"] for rule in yaml.safe_load(RULES)["groups"][0]["rules"]}
    assert set(re.findall(r"`(Leverframe[A-Za-z]+)`", guide)) == rules
