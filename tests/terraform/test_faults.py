"""Faults that somebody could make in a module: planted one at a time, each must turn a check red."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.terraform.programs import PROGRAMS, ROOT, Stubs

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="neither terraform nor tofu is on PATH")


@dataclass(frozen=True)
class Fault:
    """A text of a file below ``terraform/``, what stands there instead, and words of what must be said about it."""

    file: str
    text: str
    instead: str
    caught: str

    @property
    def module(self) -> Path:
        return (ROOT / "terraform" / self.file).parent


STORE = "modules/aws_object_store/main.tf"
POLICY = "modules/aws_object_store/policy.tf"
FAULTS = {
    "misspelt argument": Fault(STORE, "block_public_acls", "block_public_aclz", "Unsupported argument"),
    "misspelt attribute": Fault(STORE, "aws_s3_bucket.store.id", "aws_s3_bucket.store.idd", "Unsupported attribute"),
    "misspelt block": Fault(STORE, "  versioning_configuration {", "  versioning {", "Unsupported block type"),
    "forgotten argument": Fault(STORE, "sse_algorithm     =", "# sse_algorithm   =", "Missing required argument"),
    "wrong type": Fault(STORE, "_initiation = var", '_initiation = "soon" # ', "a number is required"),
    "versions off": Fault(STORE, 'status = "Enabled"\n  }\n}', 'status = "Suspended"\n  }\n}', "Versions must be kept"),
    "public by ACL": Fault(STORE, "ignore_public_acls      = true", "ignore_public_acls = false", "public access"),
    "public by policy": Fault(STORE, "block_public_policy     = true", "block_public_policy = false", "public access"),
    "ACLs": Fault(STORE, "BucketOwnerEnforced", "ObjectWriter", "must own every object"),
    "key of S3": Fault(STORE, '"aws:kms"', '"AES256"', "encrypted with a key of KMS"),
    "emptied": Fault(STORE, "force_destroy = false", "force_destroy = true", "must not be destroyed"),
    "old versions stay": Fault(STORE, "= var.noncurrent_days", "= 3650", "must expire"),
    "rule off": Fault(STORE, 'status = "Enabled"\n\n', 'status = "Disabled"\n\n', "Every rule must be in force"),
    "rule for a part": Fault(STORE, 'prefix = ""', 'prefix = "tmp/"', "for the whole bucket"),
    "no TLS": Fault(POLICY, "[local.refuse_plain_text, ", "[", "without TLS"),
    "TLS for objects alone": Fault(
        POLICY, '[local.arn, "${local.arn}/*"]', '["${local.arn}/*", "${local.arn}/*"]', "for the bucket and"
    ),
    "TLS 1.0": Fault(POLICY, '= "1.2"', '= "1.0"', "older than 1.2"),
    "key of nobody": Fault(POLICY, "enable_key_rotation     = true", "enable_key_rotation = false", "must rotate"),
    "key of everybody": Fault(POLICY, '{ AWS = "arn:', '{ AWS = "*" } # ', "No other account"),
    "read by all": Fault(POLICY, 'Effect    = "Deny"', 'Effect    = "Allow"', "nobody anything"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_caught(served: Stubs, tmp_path: Path, name: str) -> None:
    """``validate`` or the module's own tests fail, and say what is wrong."""
    fault = FAULTS[name]
    copy = tmp_path / "terraform"
    shutil.copytree(ROOT / "terraform", copy, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    file = copy / fault.file
    written = file.read_text(encoding="utf-8")
    assert fault.text in written, f"{fault.file} no longer has {fault.text!r}: the fault plants nothing"
    file.write_text(written.replace(fault.text, fault.instead, 1), encoding="utf-8")
    folder = copy / fault.module.relative_to(ROOT / "terraform")
    printed = " ".join(served.validate(PROGRAMS[0], folder))
    if not printed:
        passed, printed = served.test(PROGRAMS[0], folder)
        assert not passed
    assert fault.caught in " ".join(printed.replace("│", " ").split())
