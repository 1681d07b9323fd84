"""The public surface: one module with all that a case imports, and nothing that is heavy."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from leverframe import case

ROOT = Path(__file__).parents[2]
PUBLIC = {
    "Contract", "Csv", "Feature", "ForeignKey", "Freshness", "Function", "Label", "NullRate", "Parquet", "Partition",
    "Query", "SchemaDiff", "Severity", "Source", "UniqueKey", "Volume",
}  # fmt: skip


def test_the_public_names_are_these() -> None:
    """A name that comes or goes is a change of the contract with users, and is made here too."""
    assert set(case.__all__) == PUBLIC
    assert all(getattr(case, name).__doc__ for name in PUBLIC)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_each_public_name_is_explained(name: str) -> None:
    """The docstring of the module tells where it is used."""
    assert f"``{name}``" in (case.__doc__ or "")


def test_the_public_module_loads_nothing_heavy() -> None:
    """Importing it costs a case no dataframe library, no scikit-learn, no web server."""
    script = "import sys, json, leverframe.case; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert not loaded & {"polars", "pandera", "duckdb", "sklearn", "pandas", "pyarrow", "mlserver", "dvc"}


def test_cases_and_guides_import_nothing_else() -> None:
    """The reference case, and every case in the guides, uses the public module alone."""
    places = [*(ROOT / "pipelines").rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    imports = {
        line.strip()
        for path in places
        for line in re.findall(r"^\s*(?:from|import) leverframe[^\n]*", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert imports
    assert {line for line in imports if not line.startswith("from leverframe.case import ")} == set()
