"""Check `terraform/` with checkov: every finding must be fixed or listed here with its reason, and nothing else listed.

`make policy` runs this in an environment of its own: checkov needs other versions of packages than the project.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
STORE = "modules/aws_object_store/main.tf aws_s3_bucket.store"
ACCEPTED = {
    ("CKV_AWS_144", STORE): "a second region doubles the price; whoever needs one pushes to a second DVC remote",
    ("CKV2_AWS_62", STORE): "nobody listens to events of the bucket: DVC and Terraform ask when they need something",
    ("CKV_AWS_393", "modules/github_oidc/main.tf aws_iam_role.role"): "checkov cannot read a subject that is computed; "
    "the tests of the module compare it letter by letter",
    ("CKV_AWS_393", "modules/github_runners/main.tf aws_iam_role.starter"): "as for github_oidc",
    ("CKV_AWS_88", "modules/github_runners/main.tf aws_launch_template.this"): "a NAT gateway costs money all day and "
    "the pool is empty most of it; the security group lets nothing in",
    ("CKV2_AWS_11", "modules/github_runners/main.tf aws_vpc.this"): "machines live for one job, nothing reaches them, "
    "and nothing else is in their network",
}


def findings(report: Any) -> tuple[dict[tuple[str, str], str], int]:
    """Return failed checks, each with its name, by id and place, and how many passed; a module counts once."""
    parts = report if isinstance(report, list) else [report]
    failed = {
        (check["check_id"], _place(check)): str(check["check_name"])
        for part in parts
        for check in part["results"]["failed_checks"]
    }
    unread = [name for part in parts for name in part["results"]["parsing_errors"]]
    if unread:
        raise SystemExit(f"checkov could not read {', '.join(unread)}")
    return failed, sum(part["summary"]["passed"] for part in parts)


def _place(check: dict[str, Any]) -> str:
    address = ".".join(str(check["resource"]).split("[")[0].split(".")[-2:])
    return f"{str(check['file_path']).lstrip('/')} {address}"


def main() -> int:
    """Run checkov; return 1 where a finding is not accepted, or where an accepted one is gone."""
    words = ["--directory", str(FOLDER), "--framework", "terraform", "--skip-download", "--compact"]
    words += ["--skip-path", "/tests/"]  # they create nothing
    program = str(Path(sys.executable).with_name("checkov"))
    done = subprocess.run([program, *words, "--output", "json"], capture_output=True, text=True, check=False)
    if not done.stdout.strip():
        raise SystemExit(f"checkov said nothing: {done.stderr[-2000:]}")
    failed, passed = findings(json.loads(done.stdout))
    for (check, place), name in sorted(failed.items()):
        print(f"{'accepted' if (check, place) in ACCEPTED else 'FAILED  '} {check} {place}: {name}")
        if (check, place) in ACCEPTED:
            print(f"         {ACCEPTED[check, place]}")
    gone = sorted(ACCEPTED.keys() - failed.keys())
    for check, place in gone:
        print(f"GONE     {check} {place}: remove it from terraform/policy.py")
    new = failed.keys() - ACCEPTED.keys()
    print(
        f"{passed} checks passed, {len(failed) - len(new)} findings are accepted, {len(new)} are not, {len(gone)} gone"
    )
    return 1 if new or gone or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
