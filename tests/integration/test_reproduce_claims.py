"""A lock that `dvc commit --force` made beside an edited setting: DVC itself runs the stages that tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from leverframe.adapters.polars.same_values import same_values
from tests.integration.shop import Shop
from tests.warm import WarmRepository

Columns = dict[str, list[Any]]
STAGES = """\
stages:
  zero:
    cmd: mkdir -p reports && echo '{"rows":3}' > reports/zero.json
    outs: [{reports/zero.json: {cache: false}}]
  build:
    cmd: cp source.parquet table.parquet
    deps: [source.parquet]
    params: [build]
    outs: [table.parquet]
  profile:
    cmd: mkdir -p reports && wc -c < table.parquet > reports/profile.txt
    deps: [table.parquet]
    outs: [{reports/profile.txt: {cache: false}}]
  evaluate:
    cmd: mkdir -p reports && echo '{"auc":0.8}' > reports/metrics.json
    deps: [table.parquet]
    metrics: [{reports/metrics.json: {cache: false}}]
"""
HONEST: Columns = {"label": [0, 1, 1], "value": [0.5, 1.0, 2.0]}
FLIPPED: Columns = {"label": [1, 1, 1], "value": [0.5, 1.0, 2.0]}
DIGITS: Columns = {"label": [0, 1, 1], "value": [0.5, 1.0, 2.0000001]}


@pytest.fixture(scope="module")
def claims(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Return a repository whose stages have run."""
    repository = WarmRepository.create(tmp_path_factory.mktemp("claims"))
    pl.DataFrame(HONEST).write_parquet(repository.root / "source.parquet")
    repository.write("dvc.yaml", STAGES)
    repository.write("params.yaml", "build: 1\n")
    repository.write("leverframe.yaml", "gate: {metrics: {auc: {maximum_drop: 0.1}}}\n")
    repository.write(".gitignore", "/.leverframe/\n/table.parquet\n")
    repository.dvc("repro")
    repository.commit("A pipeline")
    return Shop(repository)


def reproduced(shop: Shop, name: str, table: Columns | None) -> dict[str, Any]:
    """Edit a setting, claim a table for it or run the stages, and return what `reproduce` finds."""
    repository = shop.repository
    repository.git("checkout", "--quiet", "-b", name, "main")
    repository.dvc("checkout", "--quiet", "--force")
    repository.write("params.yaml", "build: 2\n")
    if table is None:
        repository.dvc("repro", "--no-run-cache")  # which has what the others committed by force
    else:
        (repository.root / "table.parquet").unlink()
        pl.DataFrame(table).write_parquet(repository.root / "table.parquet")
        repository.dvc("commit", "--force")
    repository.commit("Change a setting")
    report: dict[str, Any] = json.loads(shop.run("reproduce", "--json", "--base", "main").stdout)
    repository.git("checkout", "--quiet", "--force", "main")
    return report


@pytest.mark.deep
def test_a_table_written_by_hand_beside_an_edited_setting_is_found(claims: Shop) -> None:
    """Flipped labels are a mismatch; last digits are a note; what ran honestly passes, and the base's stage rests."""
    report = reproduced(claims, "flipped", FLIPPED)
    assert [violation["reason"] for violation in report["violations"]] == ["lock-mismatch"], report
    assert "`table.parquet` of `build`" in report["violations"][0]["what"]
    report = reproduced(claims, "digits", DIGITS)
    assert report["violations"] == [], report
    assert any("agree within" in note and "`table.parquet` of `build`" in note for note in report["notes"]), report
    report = reproduced(claims, "honest", None)
    assert report["violations"] == [], report
    how = {stage["stage"]: stage["how"] for stage in report["stages"]}
    assert how == {"zero": "unchanged", "build": "verified", "profile": "unchanged", "evaluate": "verified"}


@pytest.mark.parametrize(
    ("table", "same"),
    [
        (HONEST, True),
        (DIGITS, True),
        (FLIPPED, False),
        ({**HONEST, "value": [0.5, 1.0, None]}, False),
        ({**HONEST, "value": [0.5, 1.0, float("nan")]}, False),
        ({"label": HONEST["label"]}, False),
        ({name: column[:2] for name, column in HONEST.items()}, False),
    ],
)
def test_tables_are_the_same_up_to_last_digits(tmp_path: Path, table: Columns, same: bool) -> None:
    """Columns, rows, nulls and numbers; the bytes may differ."""
    file = tmp_path / "table.parquet"
    pl.DataFrame(HONEST).write_parquet(file)
    claimed = tmp_path / "claimed.parquet"
    pl.DataFrame(table).write_parquet(claimed, compression="uncompressed")
    assert same_values(claimed.read_bytes(), file, 1e-4) is same
    assert same_values(b"no table", file, 1e-4) is None
