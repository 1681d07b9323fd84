"""The apply role against what it applies: whether it may create and destroy it, and what the roles in it may do."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.terraform.iam import TABLE, Statement, allows, entries, told
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
# What AWS is asked besides for a thing with tags, by service; elsewhere TagResource and UntagResource.
TAGGING = {
    "ec2": ("CreateTags", "DeleteTags"),
    "elasticloadbalancing": ("AddTags", "RemoveTags"),
    "iam": ("TagRole", "UntagRole"),
}
# What AWS tells of requests that an apply makes, as far as it tells it of an action.
CONTEXT = {
    "application-autoscaling:service-namespace": "ecs",
    "aws:RequestedRegion": "eu-central-1",
    "aws:RequestTag/Project": "rides",
    "aws:ResourceTag/Project": "rides",
    "iam:PassedToService": "ecs-tasks.amazonaws.com",
    "iam:PermissionsBoundary": "arn:aws:iam::111122223333:policy/rides-boundary",
}
HERE = ("", "aws", "", "eu-central-1", "111122223333", "rides-serving")
DATA_KEY = "22222222-2222-2222-2222-222222222222"  # of the module's own tests
PARTS = ("state", "foundation", "platform")
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


def statements_of(policy: dict[str, Any]) -> list[Statement]:
    """The statements of a policy."""
    statements: list[Statement] = json.loads(policy["policy"])["Statement"]
    return statements


def tagging(action: str) -> list[str]:
    """The actions that give and take tags, of the service of another action."""
    service = action.partition(":")[0]
    return [f"{service}:{name}" for name in TAGGING.get(service, ("TagResource", "UntagResource"))]


def suffices(statements: list[Statement], action: str) -> bool:
    """Whether an action on things of the deployment `rides` is allowed on every resource that AWS checks it for."""
    kinds = TABLE[action]["resources"]
    taken = [arn for arn, about in kinds.items() if about["required"] or arn.endswith(":security-group-rule/*")]
    allowed = {arn: allows(statements, action, resource_of(arn), context_of(action, arn)) for arn in kinds or ["*"]}
    # Where no kind is required it is about any of them; a load balancer is one of an application or of a network.
    alternative = not taken or action.startswith("elasticloadbalancing:")
    return any(allowed.values()) if alternative else all(allowed[arn] for arn in taken)


def resource_of(arn: str) -> str:
    """A resource of a kind, with a name of the deployment."""
    return (
        ":".join(part.replace("*", value) for part, value in zip(arn.split(":", 5), HERE, strict=False))
        if arn != "*"
        else arn
    )


def context_of(action: str, arn: str) -> dict[str, str]:
    """What AWS tells of an action on a kind of resource."""
    known = told(action, arn)
    return {key: value for key, value in CONTEXT.items() if key in known or f"{key.rpartition('/')[0]}/" in known}


def statement_context(statement: Statement) -> dict[str, str]:
    """A context in which the condition of a statement of a role is met."""
    parts = statement.get("Condition", {}).values()
    return {key: entries(wanted)[0] for keys in parts for key, wanted in keys.items()}


@pytest.mark.parametrize("root", BY_THE_ROLE, ids=lambda path: path.name)
def test_the_role_suffices(served: Stubs, roles: dict[str, dict[str, Any]], root: Path) -> None:
    """It may create and destroy every type by its name, and a role that it creates may do its work in the boundary."""
    may = [statement for part in PARTS for statement in statements_of(roles[policy_of("apply", part)])]
    boundary = statements_of(roles["aws_iam_policy.boundary"])
    planned = served.planned(PROGRAMS[0], root, "environment", "wires_the_modules")
    prefix = re.findall(r'^  name\s+= "(.+)"', (root / "tests/environment.tftest.hcl").read_text("utf-8"), re.M)[0]
    for address, values in planned.items():
        kind = next(part for part in re.split(r"[.\[]", address) if part.startswith("aws_"))
        assert kind in ACTIONS, f"say in ACTIONS what creates and destroys {kind}"
        asked = [*ACTIONS[kind], *tagging(ACTIONS[kind][0])] if "tags" in values else ACTIONS[kind]
        assert [action for action in asked if not suffices(may, action)] == [], address
        if kind not in UNNAMED:
            name = next(values[key] for key in ("name", "alarm_name", "dashboard_name", "family") if values.get(key))
            assert f"{prefix}-" in name, f"{address} is not one of what the role may create"
        if kind == "aws_iam_role":
            assert values.get("permissions_boundary"), f"{address} has no boundary: the apply role may not create it"
        if kind == "aws_iam_role_policy":
            for statement in statements_of(values):
                for action, resource in itertools.product(entries(statement["Action"]), entries(statement["Resource"])):
                    own = re.sub("shop-(dev|prod)-", "rides-", resource).replace("shop-data", "rides-data")
                    own = own.replace(":key/1", f":key/{DATA_KEY}")
                    assert allows(boundary, action, own, statement_context(statement)), (
                        f"{address}: {action} {resource}"
                    )


def policy_of(role: str, part: str) -> str:
    """The address of a policy of the roles."""
    return f'aws_iam_policy.policy["{role}-{part}"]'
