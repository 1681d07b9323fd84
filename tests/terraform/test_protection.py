"""What cannot be computed anew cannot be destroyed: Terraform itself refuses it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.terraform.programs import PROGRAMS, ROOT, Stubs
from tests.terraform.test_faults import planted_copy

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="neither terraform nor tofu is on PATH")
APPLY = """
mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}

run "created" {
  command = apply

  variables {
    name = "rides-data"
  }
}
"""


def test_a_store_is_not_destroyed(served: Stubs, tmp_path: Path) -> None:
    """A test of Terraform destroys what it has created: of a store the bucket and its key stay."""
    folder = planted_copy(ROOT / "terraform/modules/aws_object_store", tmp_path)
    for path in (folder / "tests").iterdir():
        path.unlink()
    (folder / "tests/destroyed.tftest.hcl").write_text(APPLY, encoding="utf-8")
    passed, printed = served.test(PROGRAMS[0], folder)
    assert not passed
    assert 'run "created"... pass' in printed
    refused = re.findall(r"Resource (\S+)\s+has\s+lifecycle\.prevent_destroy", printed)
    assert sorted(refused) == ["aws_kms_key.store[0]", "aws_s3_bucket.store"]
