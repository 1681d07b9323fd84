"""What the root modules hand to the modules: the values that somebody relies on, wherever they are set."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.terraform.programs import PROGRAMS, ROOT, Stubs

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="neither terraform nor tofu is on PATH")


@pytest.mark.parametrize(
    ("name", "environment", "protected"), [("dev", "staging", False), ("prod", "production", True)]
)
def test_a_deployment(served: Stubs, name: str, environment: str, protected: bool) -> None:
    """Protection, rollback, the remote, the budget's tag and what alarms of the monitor look at."""
    planned = served.planned(
        PROGRAMS[0], ROOT / f"terraform/environments/aws-{name}", "environment", "wires_the_modules"
    )
    assert planned["module.serving.aws_lb.this"]["enable_deletion_protection"] is protected
    (alarms,) = planned["module.serving.aws_ecs_service.this"]["alarms"]
    assert alarms["rollback"]
    assert len(alarms["alarm_names"]) == 2
    statements = json.loads(planned["module.serving.aws_iam_role_policy.task"]["policy"])["Statement"]
    assert statements[0]["Resource"] == "arn:aws:s3:::shop-data/dvc/files/md5/*"
    (filters,) = planned["module.budget.aws_budgets_budget.monthly"]["cost_filter"]
    assert filters["values"] == [f"user:Project$shop-{name}"]
    for alarm in ("drift", "findings", "heartbeat"):
        looked: dict[str, Any] = planned[f"module.observability.aws_cloudwatch_metric_alarm.{alarm}"]["dimensions"]
        assert looked == {"model": "rides", "environment": environment}


@pytest.mark.parametrize("name", ["dev", "prod", "account"])
def test_a_plan_with_credentials_of_another_account_fails(name: str) -> None:
    text = (ROOT / f"terraform/environments/aws-{name}/main.tf").read_text(encoding="utf-8")
    assert "allowed_account_ids = [var.account_id]" in text
