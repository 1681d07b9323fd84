"""The apply role against what it applies: whether it may create and destroy it, and what the roles in it may do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.terraform.programs import PROGRAMS, ROOT, Stubs

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="neither terraform nor tofu is on PATH")
# Root modules that a workflow applies; a person applies the others.
BY_THE_ROLE = [path for name in ("aws-dev", "aws-prod") if (path := ROOT / "terraform/environments" / name).is_dir()]
# What AWS is asked to create and to destroy a thing of a type.
ACTIONS = {
    "aws_appautoscaling_policy": (
        "application-autoscaling:PutScalingPolicy",
        "application-autoscaling:DeleteScalingPolicy",
    ),
    "aws_appautoscaling_target": (
        "application-autoscaling:RegisterScalableTarget",
        "application-autoscaling:DeregisterScalableTarget",
    ),
    "aws_budgets_budget": ("budgets:ModifyBudget",),
    "aws_cloudwatch_dashboard": ("cloudwatch:PutDashboard", "cloudwatch:DeleteDashboards"),
    "aws_cloudwatch_log_group": ("logs:CreateLogGroup", "logs:PutRetentionPolicy", "logs:DeleteLogGroup"),
    "aws_cloudwatch_metric_alarm": ("cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"),
    "aws_ecs_cluster": ("ecs:CreateCluster", "ecs:DeleteCluster"),
    "aws_ecs_service": ("ecs:CreateService", "ecs:UpdateService", "ecs:DeleteService"),
    "aws_ecs_task_definition": ("ecs:RegisterTaskDefinition", "ecs:DeregisterTaskDefinition"),
    "aws_iam_role": ("iam:CreateRole", "iam:DeleteRole", "iam:PassRole"),
    "aws_iam_role_policy": ("iam:PutRolePolicy", "iam:DeleteRolePolicy"),
    "aws_iam_role_policy_attachment": ("iam:AttachRolePolicy", "iam:DetachRolePolicy"),
    "aws_kms_alias": ("kms:CreateAlias", "kms:DeleteAlias"),
    "aws_kms_key": ("kms:CreateKey", "kms:TagResource", "kms:EnableKeyRotation"),  # a person deletes it
    "aws_lb": ("elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:DeleteLoadBalancer"),
    "aws_lb_listener": ("elasticloadbalancing:CreateListener", "elasticloadbalancing:DeleteListener"),
    "aws_lb_target_group": ("elasticloadbalancing:CreateTargetGroup", "elasticloadbalancing:DeleteTargetGroup"),
    "aws_security_group": ("ec2:CreateSecurityGroup", "ec2:CreateTags", "ec2:DeleteSecurityGroup"),
    "aws_sns_topic": ("sns:CreateTopic", "sns:DeleteTopic"),
    "aws_sns_topic_policy": ("sns:SetTopicAttributes",),
    "aws_sns_topic_subscription": ("sns:Subscribe", "sns:Unsubscribe"),
    "aws_vpc_security_group_egress_rule": ("ec2:AuthorizeSecurityGroupEgress", "ec2:RevokeSecurityGroupEgress"),
    "aws_vpc_security_group_ingress_rule": ("ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"),
}
# What is part of another thing, or is known by its tag.
UNNAMED = {
    "aws_appautoscaling_policy", "aws_appautoscaling_target", "aws_iam_role_policy", "aws_kms_key", "aws_lb_listener",
    "aws_sns_topic_policy", "aws_sns_topic_subscription", "aws_vpc_security_group_egress_rule",
    "aws_vpc_security_group_ingress_rule",
}  # fmt: skip


@pytest.fixture(scope="module")
def roles(served: Stubs) -> dict[str, dict[str, Any]]:
    """What the module of the roles plans."""
    return served.planned(PROGRAMS[0], ROOT / "terraform/modules/github_oidc", "roles")


def allowed(policy: dict[str, Any]) -> set[str]:
    """The actions that a policy allows somewhere."""
    statements = json.loads(policy["policy"])["Statement"]
    actions = [entry["Action"] for entry in statements if entry["Effect"] == "Allow"]
    return {name for entry in actions for name in ([entry] if isinstance(entry, str) else entry)}


@pytest.mark.parametrize("root", BY_THE_ROLE, ids=lambda path: path.name)
def test_the_role_suffices(served: Stubs, roles: dict[str, dict[str, Any]], root: Path) -> None:
    """It may create and destroy every type by its name, and a role that it creates may do its work in the boundary."""
    may = {action for part in ("foundation", "platform") for action in allowed(roles[policy_of("apply", part)])}
    boundary = allowed(roles["aws_iam_policy.boundary"])
    planned = served.planned(PROGRAMS[0], root, "environment")
    prefix = re.findall(r'^  name\s+= "(.+)"', (root / "tests/environment.tftest.hcl").read_text("utf-8"), re.M)[0]
    for address, values in planned.items():
        kind = next(part for part in re.split(r"[.\[]", address) if part.startswith("aws_"))
        assert kind in ACTIONS, f"say in ACTIONS what creates and destroys {kind}"
        assert set(ACTIONS[kind]) <= may, address
        if kind not in UNNAMED:
            name = next(values[key] for key in ("name", "alarm_name", "dashboard_name", "family") if values.get(key))
            assert f"{prefix}-" in name, f"{address} is not one of what the role may create"
        if kind == "aws_iam_role":
            assert values.get("permissions_boundary"), f"{address} has no boundary: the apply role may not create it"
        if kind == "aws_iam_role_policy":
            assert allowed(values) <= boundary, address


def policy_of(role: str, part: str) -> str:
    """The address of a policy of the roles."""
    return f'aws_iam_policy.policy["{role}-{part}"]'
