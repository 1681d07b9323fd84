"""What expires in a bucket of data or of state: former versions and leftovers, never what is current.

A plan does not know the days of a rule that names none, so no test of the module itself can compare them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.profiles import by_day
from tests.terraform.programs import PROGRAMS, ROOT, Stubs
from tests.terraform.test_faults import planted

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="neither terraform nor tofu is on PATH")
MODULE = ROOT / "terraform/modules/aws_object_store"
MARKER = "expired_object_delete_marker = true"
FAULTS = {"days": "days = 30", "date": 'date = "2030-01-01T00:00:00Z"'}


def ends(served: Stubs, folder: Path) -> list[str]:
    """How rules let current objects expire or move."""
    rules = served.planned(PROGRAMS[0], folder, "store")["aws_s3_bucket_lifecycle_configuration.store"]["rule"]
    expirations = [expiration for rule in rules for expiration in rule["expiration"]]
    moved = ["transition" for rule in rules for _ in rule["transition"]]
    return moved + [name for expiration in expirations for name in FAULTS if expiration.get(name)]


def test_what_is_current_stays(served: Stubs) -> None:
    """It is the data that models are trained on, or the state of the infrastructure."""
    assert ends(served, MODULE) == []


@pytest.mark.parametrize("name", by_day(["days", "date"], "days"))
def test_a_rule_for_current_objects_is_seen(served: Stubs, tmp_path: Path, name: str) -> None:
    """The test above can fail."""
    fault = {"file": "main.tf", "text": MARKER, "instead": FAULTS[name]}
    assert ends(served, planted(MODULE, fault, tmp_path)) == [name]
