"""Every policy of a role against AWS's Service Authorization Reference, and what roles reach by each other."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.terraform.iam import allows, faults
from tests.terraform.programs import PROGRAMS, ROOT, Stubs

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="neither terraform nor tofu is on PATH")
TERRAFORM = ROOT / "terraform"
# Of a folder a file of tests, and a run of it that knows the policies of roles; the first by itself.
PLANNED = {
    "modules/github_oidc": ("roles",),
    "modules/github_runners": ("runners", "is_started_by_one_environment_and_reached_by_nobody"),
    "environments/aws-account": ("environment",),
    "environments/aws-dev": ("environment", "wires_the_modules"),
    "environments/aws-prod": ("environment", "wires_the_modules"),
}


def policies(planned: dict[str, dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The statements of the policies of roles, by address."""
    return {
        address: json.loads(values["policy"])["Statement"]
        for address, values in planned.items()
        if "aws_iam_policy." in address or "aws_iam_role_policy." in address
        if values.get("policy")
    }


@pytest.mark.parametrize("folder", PLANNED)
def test_aws_knows_what_policies_say(served: Stubs, folder: str) -> None:
    """Every action exists, knows the resources and the keys of conditions that stand with it, and may set its tags."""
    known = policies(served.planned(PROGRAMS[0], TERRAFORM / folder, *PLANNED[folder]))
    assert known
    assert {address: errors for address, statements in known.items() if (errors := faults(statements))} == {}


def test_no_policy_is_left_out() -> None:
    """A module whose policies nobody plans is not checked."""
    calls = [path.read_text(encoding="utf-8") for folder in PLANNED for path in (TERRAFORM / folder).glob("*.tf")]
    called = {name for text in calls for name in re.findall(r'source\s+= "\.\./\.\./(.+)"', text)}
    texts = {path: path.read_text(encoding="utf-8") for path in TERRAFORM.glob("*/*/*.tf")}
    stated = {path.parent for path, text in texts.items() if re.search(r'"aws_iam_(role_)?policy" "', text)}
    assert {str(path.relative_to(TERRAFORM)) for path in stated} <= {*PLANNED, *called}


ANYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
STATE_KEY = "arn:aws:kms:eu-central-1:111122223333:key/11111111-1111-1111-1111-111111111111"
LOGS = "arn:aws:logs:eu-central-1:111122223333:log-group:/leverframe"
BEYOND = [
    ("s3:GetObject", "arn:aws:s3:::rides-state/aws-prod/terraform.tfstate"),
    ("s3:PutObject", "arn:aws:s3:::rides-state/aws-prod/terraform.tfstate"),
    ("s3:ListBucket", "arn:aws:s3:::rides-state"),
    ("s3:PutObject", "arn:aws:s3:::rides-data/dvc/files/md5/00/1"),
    ("s3:GetObject", "arn:aws:s3:::payroll/2026"),
    ("kms:Decrypt", STATE_KEY),
    ("kms:GenerateDataKey", STATE_KEY),
    ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-central-1:111122223333:secret:rides-x"),
    ("logs:PutLogEvents", f"{LOGS}/shop-serving/server:log-stream:1"),
    ("iam:CreateRole", "arn:aws:iam::111122223333:role/rides-x"),
]
UNREAD = [
    "ec2:DescribeInstanceAttribute",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeSpotInstanceRequests",
    "ec2:GetConsoleOutput",
    "lambda:GetFunction",
    "secretsmanager:GetSecretValue",
    "ssm:GetParameterHistory",
]


@pytest.fixture(scope="module")
def roles(served: Stubs) -> dict[str, list[dict[str, Any]]]:
    return policies(served.planned(PROGRAMS[0], TERRAFORM / "modules/github_oidc", "roles"))


def test_a_role_that_an_apply_creates_stays_within_its_deployment(roles: dict[str, list[dict[str, Any]]]) -> None:
    """Whatever its own policy allows and whoever may take it: no state, no secret, nothing of another deployment."""
    boundary = roles["aws_iam_policy.boundary"]
    assert allows(boundary, "s3:GetObject", "arn:aws:s3:::rides-data/dvc/files/md5/00/1")
    assert allows(boundary, "logs:PutLogEvents", f"{LOGS}/rides-serving/server:log-stream:1")
    assert [asked for asked in BEYOND if allows(boundary, *asked)] == []
    further = {"Effect": "Allow", "Action": ["s3:GetObject", "kms:Decrypt"], "Resource": "*"}
    assert [asked for asked in BEYOND[:3] + BEYOND[5:7] if allows([*boundary, further], *asked)] == []


def test_a_plan_reads_no_secret_of_a_machine(roles: dict[str, list[dict[str, Any]]]) -> None:
    """Neither by its own policy nor by one that somebody attaches besides."""
    plan = [statement for part in ("read", "deny") for statement in roles[f'aws_iam_policy.policy["plan-{part}"]']]
    assert allows(plan, "ec2:DescribeSecurityGroups")
    assert [action for action in UNREAD if allows([*plan, ANYTHING], action)] == []


def test_no_deployment_changes_the_autoscaling_of_another(roles: dict[str, list[dict[str, Any]]]) -> None:
    """Scalable targets have random names; the tag tells them apart where there is one."""
    platform = roles['aws_iam_policy.policy["apply-platform"]']
    target = "arn:aws:application-autoscaling:eu-central-1:111122223333:scalable-target/0a"
    asked = {"application-autoscaling:service-namespace": "ecs"}
    action = "application-autoscaling:DeregisterScalableTarget"
    assert allows(platform, action, target, asked)
    assert allows(platform, action, target, asked | {"aws:ResourceTag/Project": "rides"})
    assert not allows(platform, action, target, asked | {"aws:ResourceTag/Project": "shop-prod"})
