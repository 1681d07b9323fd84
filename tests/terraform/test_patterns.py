"""Inputs of the roles: whichever of them has a pattern in it is refused, wherever the pattern stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.profiles import deep
from tests.terraform.programs import PROGRAMS, ROOT, Stubs
from tests.terraform.test_faults import planted_copy

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="neither terraform nor tofu is on PATH")
MODULE = ROOT / "terraform/modules/github_oidc"
KEY = "arn:aws:kms:eu-central-1:111122223333:key/11111111-1111-1111-1111-111111111111"
INPUTS: dict[str, Any] = {
    "name": "rides",
    "repository": "example/rides-model",
    "provider_arn": "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com",
    "branches": ["main", "leverframe/retrain-rides"],
    "apply_environment": "aws-prod",
    "deploy_environment": "production",
    "state": {"bucket_arn": "arn:aws:s3:::rides-state", "kms_key_arn": KEY, "key": "aws-prod/terraform.tfstate"},
    "data": {"bucket_arn": "arn:aws:s3:::rides-data", "kms_key_arn": KEY, "prefix": "dvc"},
    "service": {
        "arn": "arn:aws:ecs:eu-central-1:111122223333:service/rides-prod/rides-model",
        "task_family": "rides-model",
        "task_role_arns": ["arn:aws:iam::111122223333:role/rides-task"],
    },
    "apply_policy_arns": ["arn:aws:iam::111122223333:policy/rides-further"],
    "boundary_statements": [{"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::rides-data/models"]}],
}


def with_patterns(value: Any) -> Iterator[Any]:
    """The value with one of its texts changed: a pattern for a part of an ARN or path, or for a letter."""
    if isinstance(value, str):
        parts = re.split("([:/])", value)  # and what separates them
        for number in range(0, len(parts), 2):
            yield "".join([*parts[:number], "*", *parts[number + 1 :]])
        for place in range(len(value)) if deep() else (len(value) - 1,):
            yield from (value[:place] + sign + value[place + 1 :] for sign in ("*", "?") if deep() or sign == "?")
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            yield from ([*value[:number], changed, *value[number + 1 :]] for changed in with_patterns(entry))
    else:
        for key, entry in value.items():
            yield from ({**value, key: changed} for changed in with_patterns(entry))


def test_a_pattern_is_refused(served: Stubs, tmp_path: Path) -> None:
    """IAM takes `*` and `?` for anything; here each input names one thing. A run changes each input once."""
    folder = planted_copy(MODULE, tmp_path)
    for path in (folder / "tests").iterdir():
        path.unlink()
    changes = {name: list(with_patterns(value)) for name, value in INPUTS.items()}
    runs = ['mock_provider "aws" {}', block("variables", INPUTS), 'run "as_they_are" {\n  command = plan\n}']
    for number in range(max(map(len, changes.values()))):
        changed = {name: values[number] for name, values in changes.items() if number < len(values)}
        refused = ", ".join(f"var.{name}" for name in changed)
        variables = block("variables", changed)
        runs.append(f'run "n{number}" {{\ncommand = plan\n{variables}\nexpect_failures = [{refused}]\n}}')
    (folder / "tests/patterns.tftest.hcl").write_text("\n".join(runs), encoding="utf-8")
    passed, printed = served.test(PROGRAMS[0], folder)
    assert passed, printed


def block(name: str, values: dict[str, Any]) -> str:
    """A block of HCL; JSON is an expression of it."""
    return f"{name} {{\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items()) + "\n}"
