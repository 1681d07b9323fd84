"""Faults that somebody could make in a module: planted one at a time, each must turn a check red.

``faults/MODULE.yaml`` has them: a file of the module, a text in it, what stands there instead, and words that must be
printed then. By day the first of each module is tried, at night all are.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.terraform.programs import MODULES, PROGRAMS, ROOT, Stubs

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="neither terraform nor tofu is on PATH")
REFUSALS = "refusals.tftest.hcl"  # many runs, and few faults that only they notice
FAULTS: dict[tuple[Path, str], dict[str, Any]] = {
    (module, name): fault
    for module in MODULES
    for path in (Path(__file__).parent / "faults").glob(f"{module.name}.yaml")
    for name, fault in yaml.safe_load(path.read_text(encoding="utf-8")).items()
}
FIRST = {next(key for key in FAULTS if key[0] == module) for module in {module for module, _ in FAULTS}}


def planted_copy(module: Path, empty: Path) -> Path:
    """A copy of a module, beside all others as they are."""
    for other in (ROOT / "terraform").glob("*/*/"):
        place = empty / other.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        if other == module:
            shutil.copytree(module, place, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
        else:
            place.symlink_to(other)
    return empty / module.relative_to(ROOT)


def planted(module: Path, fault: dict[str, Any], empty: Path) -> Path:
    """A copy of a module with a fault in it."""
    folder = planted_copy(module, empty)
    file = folder / str(fault["file"])
    text = file.read_text(encoding="utf-8")
    assert fault["text"] in text, f"{module.name}/{fault['file']} no longer has {fault['text']!r}: nothing is planted"
    file.write_text(text.replace(fault["text"], fault["instead"], 1), encoding="utf-8")
    return folder


def concerned(folder: Path, caught: str) -> list[Path]:
    """The file of tests that can say it, left with the runs that do and those that apply before: each costs a plan.

    Where no run has the words, as with what Terraform says by itself, all files as they are.
    """
    files = sorted(folder.glob("*.tftest.hcl"), key=lambda path: path.name == REFUSALS)
    for file in files:
        head, *runs = re.split(r"^(?=run \")", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        saying = [number for number, run in enumerate(runs) if caught in run]
        if saying:
            kept = [run for number, run in enumerate(runs) if number in saying or "command = plan" not in run]
            file.write_text(head + "".join(kept), encoding="utf-8")
            return [file]
    return files


@pytest.mark.parametrize(
    ("module", "name"),
    [
        pytest.param(*key, marks=[] if key in FIRST else [pytest.mark.deep], id=f"{key[0].name}-{key[1]}")
        for key in FAULTS
    ],
)
def test_a_fault_is_caught(served: Stubs, tmp_path: Path, module: Path, name: str) -> None:
    """The module's own tests fail, or cannot start, and say what is wrong."""
    fault = FAULTS[module, name]
    folder = planted(module, fault, tmp_path)
    for tests in concerned(folder / "tests", fault["caught"]):
        passed, printed = served.test(PROGRAMS[0], folder, f"-filter=tests/{tests.name}")
        if not passed:
            break
    assert not passed
    assert fault["caught"] in " ".join(printed.replace("│", " ").split())


def test_every_module_has_faults() -> None:
    """A module whose checks nobody tried to deceive is not checked."""
    assert {module for module in MODULES if module.parent.name == "modules"} <= {module for module, _ in FAULTS}
