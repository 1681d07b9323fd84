"""`leverframe diff` in a real repository: git, DVC stages and the files they keep."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.integration.shop import CASE, Shop, copied, finished


@pytest.fixture
def shop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Return a reproduced shop that the test may change."""
    return copied(finished(tmp_path_factory), tmp_path)


def told(shop: Shop, *arguments: str) -> dict[str, Any]:
    """Return what `leverframe diff --json` prints."""
    ended = shop.run("diff", "--json", *arguments)
    assert ended.code == 0, ended.stderr
    diff: dict[str, Any] = json.loads(ended.stdout)
    return diff


def counts(rows: dict[str, Any]) -> dict[str, int]:
    """Return the numbers of rows, all of them exact."""
    estimates = {name: rows[name] for name in ("added", "removed", "changed")}
    assert all(estimate["low"] == estimate["high"] for estimate in estimates.values())
    return {name: estimate["value"] for name, estimate in estimates.items()}


@pytest.mark.deep
def test_rows_are_told_by_key_with_no_data_at_hand(shop: Shop) -> None:
    """Three orders are of another customer, two are gone, one is new; data and cache go, and the answer stays."""
    assert shop.run("diff").stdout.startswith("### Data: no change\n")
    shop.repository.git("switch", "--quiet", "--create", "customers")

    gone: list[str] = []

    def change(rows: list[dict[str, str]]) -> None:
        for row in rows[:3]:
            row["customer"] = "c999"
        gone.extend(row["order_id"] for row in rows[10:12])
        del rows[10:12]
        rows.append(rows[5] | {"order_id": "999999"})

    shop.edit("orders", "2024-03", change)
    shop.edit("returns", "2024-03", lambda rows: rows.remove(next(r for r in rows if r["order_id"] == gone[0])))
    shop.edit("returns", "2024-03", lambda rows: rows.remove(next(r for r in rows if r["order_id"] == gone[1])))
    shop.repro()
    shop.repository.commit("Other customers")
    shop.repository.write("notes.txt", "a commit more on the branch")
    shop.repository.commit("Notes")
    diff = told(shop)
    orders, features = diff["tables"]["orders"], diff["tables"]["features"]
    assert set(orders["partitions"]) == {"2024-03"}
    assert counts(orders["partitions"]["2024-03"]) == {"added": 1, "removed": 2, "changed": 3}
    assert orders["rows"]["after"] - orders["rows"]["before"] == -1
    march = features["partitions"]["2024-03"]  # so many rows saw one of them in a window that they are estimated
    for name, truth in (("added", 1), ("removed", 2), ("changed", 3)):
        assert march[name]["high"] >= truth
    assert march["changed"]["value"] > 3
    assert march["after"] - march["before"] == -1
    assert set(features["partitions"]) <= {"2024-03", "2024-04"}  # the window reaches one month on
    customer = next(column for column in orders["columns"] if column["column"] == "customer")
    assert customer["partition"] == "2024-03"
    assert customer["psi"] > 0
    assert (diff["breaking"], diff["notes"]) == ([], [])
    for folder in ("data", ".dvc/cache", "models"):
        shutil.rmtree(shop.root / folder)
    assert told(shop) == diff
    assert told(shop, "--head", "HEAD")["tables"] == diff["tables"]
    assert told(shop, "--base", "main", "--head", "main")["tables"] == {}
    page = shop.run("diff").stdout
    assert "| `orders` |" in page
    assert len(page.encode()) < 4096


def test_changes_of_contract_and_definition_are_told_before_anything_runs(shop: Shop) -> None:
    """A definition that was edited, and a constraint that was loosened once its report is written anew."""
    shop.replace(f"{CASE}/star.yaml", "windows: [14d]", "windows: [21d]")
    shop.replace(f"{CASE}/star.yaml", "at_least: 48", "at_least: 24")
    before = told(shop)
    assert {change["where"] for change in before["breaking"]} == {
        "customer_delay_hours_mean_14d", "customer_delay_hours_count_14d", "late",
    }  # fmt: skip
    shop.replace(f"{CASE}/contracts.py", "Volume(),", "")
    assert shop.run("validate", "--partition", "2024-05").code == 0
    after = told(shop)
    new = [change for change in after["breaking"] if change not in before["breaking"]]
    assert [change["where"] for change in new] == ["orders"]
    assert "is no longer checked" in new[0]["what"]
    star = shop.repository.read(f"{CASE}/star.yaml")
    shop.repository.write(f"{CASE}/star.yaml", star.replace("spine:", "spin:"))
    broken = told(shop)
    assert any("star.yaml of the working tree cannot be used" in note for note in broken["notes"])


def test_a_revision_that_is_not_there_is_named(shop: Shop, tmp_path: Path) -> None:
    """A misspelt branch, no main branch, a shallow clone, no repository, a report cut off: one message each."""
    ended = shop.run("diff", "--base", "mian")
    assert (ended.code, ended.error()[0]) == (19, "`mian` names no commit of this repository")
    assert shop.run("diff", "--base", "--output=x").code == 19
    assert not (shop.root / "x").exists()
    profile = shop.root / "reports/profiles/2024-01.json"
    whole = profile.read_text()
    profile.write_text(whole[:100])
    ended = shop.run("diff")
    assert (ended.code, ended.error()[0]) == (19, "reports/profiles/2024-01.json of the working tree cannot be read")
    profile.write_text(whole)
    first = shop.repository.git("rev-list", "--max-parents=0", "HEAD").strip()
    assert told(shop, "--base", first)["notes"]  # the empty repository: nothing to compare with, and no error
    shop.repository.git("branch", "--move", "main", "trunk")
    shop.repository.git("branch", "other")  # one that is alone is the main one
    ended = shop.run("diff")
    assert (ended.code, ended.error()[0]) == (19, "there is no main branch to compare with")
    shop.repository.git("clone", "--quiet", "--depth=1", "--branch=trunk", f"file://{shop.root}", str(tmp_path / "new"))
    shallow = Shop(type(shop.repository)(tmp_path / "new", shop.repository.home))
    ended = shallow.run("diff", "--base", first)
    assert ended.code == 19
    assert "this clone is shallow" in ended.error()[1]
    assert "fetch-depth: 0" in ended.error()[2]
    shutil.rmtree(tmp_path / "new" / ".git")
    assert shallow.run("diff").code == 19
