"""Every policy of a role against AWS's Service Authorization Reference, and what roles reach by each other."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.terraform.iam import faults
from tests.terraform.programs import PROGRAMS, ROOT, Stubs

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="neither terraform nor tofu is on PATH")
TERRAFORM = ROOT / "terraform"
# Of a folder a file of tests, and a run of it that knows the policies of roles; the first by itself.
PLANNED = {
    "modules/github_oidc": ("roles",),
    "modules/github_runners": ("runners", "is_started_by_one_environment_and_reached_by_nobody"),
    "environments/aws-account": ("environment",),
    "environments/aws-dev": ("environment",),
    "environments/aws-prod": ("environment",),
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
    assert {address: said for address, statements in known.items() if (said := faults(statements))} == {}


def test_no_policy_is_left_out() -> None:
    """A module whose policies nobody plans is not checked."""
    calls = [path.read_text(encoding="utf-8") for folder in PLANNED for path in (TERRAFORM / folder).glob("*.tf")]
    called = {name for text in calls for name in re.findall(r'source\s+= "\.\./\.\./(.+)"', text)}
    texts = {path: path.read_text(encoding="utf-8") for path in TERRAFORM.glob("*/*/*.tf")}
    stated = {path.parent for path, text in texts.items() if re.search(r'"aws_iam_(role_)?policy" "', text)}
    assert {str(path.relative_to(TERRAFORM)) for path in stated} <= {*PLANNED, *called}
