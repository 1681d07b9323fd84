"""Root modules of clouds: what their variables choose reaches what it is chosen for."""

from __future__ import annotations

import difflib
import json
from typing import Any

import pytest

from tests.terraform.programs import PROGRAMS, ROOT, Stubs

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="neither terraform nor tofu is on PATH")
ENVIRONMENTS = ROOT / "terraform/environments"


@pytest.fixture(scope="module")
def planned(served: Stubs) -> dict[str, dict[str, Any]]:
    """What aws-dev plans with every option."""
    return served.planned(PROGRAMS[0], ENVIRONMENTS / "aws-dev", "options")


@pytest.mark.parametrize("alarm", ["drift", "findings", "heartbeat"])
def test_alarms_look_at_the_environment_that_is_deployed_to(planned: dict[str, dict[str, Any]], alarm: str) -> None:
    """Under another name their figures never arrive: drift is silent, and the dead man's switch always on."""
    values = planned[f"module.observability.aws_cloudwatch_metric_alarm.{alarm}"]
    assert values["dimensions"] == {"model": "rides", "environment": "test"}


def test_tasks_are_as_large_as_chosen_and_log_requests(planned: dict[str, dict[str, Any]]) -> None:
    """The monitor reads the request log on the file system; an online store is reached by a rule of its own."""
    task = planned["module.serving.aws_ecs_task_definition.this"]
    assert (task["cpu"], task["memory"]) == ("2048", "8192")
    files = [file for volume in task["volume"] for file in volume["efs_volume_configuration"]]
    assert [file["file_system_id"] for file in files] == ["fs-1"]
    assert "10.20.30.40/32" in json.dumps(planned)
    (log,) = planned["module.serving.aws_lb.this"]["access_logs"]
    assert (log["bucket"], log["enabled"]) == ("shop-access-log", True)


def test_a_budget_counts_what_it_is_told_to_count(served: Stubs, planned: dict[str, dict[str, Any]]) -> None:
    """That of the account everything; that of an environment a tag, which the guide says how to activate."""
    account = served.planned(PROGRAMS[0], ENVIRONMENTS / "aws-account", "environment")
    budget = account["module.budget[0].aws_budgets_budget.monthly"]
    assert (budget["limit_amount"], budget["cost_filter"]) == ("500", [])
    (tag,) = planned["module.budget.aws_budgets_budget.monthly"]["cost_filter"]
    key = tag["values"][0].removeprefix("user:").partition("$")[0]
    assert f"TagKey={key},Status=Active" in (ROOT / "docs/guides/infrastructure-aws.md").read_text("utf-8")


def test_staging_and_production_differ_in_what_they_say_alone() -> None:
    """What is tried in one is what happens in the other."""
    assert [line.split("=")[0].strip() for line in differences("main.tf")] == ["deletion_protection"] * 2
    assert {line.split("=")[0].strip() for line in differences("variables.tf")} == {"default"}


def differences(file: str) -> list[str]:
    """The lines that one of the two has and the other has not."""
    dev, prod = ((ENVIRONMENTS / name / file).read_text("utf-8").splitlines() for name in ("aws-dev", "aws-prod"))
    return [line[2:] for line in difflib.ndiff(dev, prod) if line[0] in "+-"]
