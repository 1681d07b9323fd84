"""The pipeline under real DVC: reproducible to the byte, and nothing runs that its inputs do not reach."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from leverframe.adapters.stage_log import records
from leverframe.domain import layout
from leverframe.domain.pipeline.stage_log import Outcome
from tests.integration.shop import MONTHS, Shop, copied, demonstrated, finished, leftovers

MODEL_STAGES = {"training-set", "train", "evaluate", "bundle"}
ONLINE_STAGES = {"snapshot", "parity"}


@pytest.fixture
def shop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Return a reproduced shop that the test may change."""
    return copied(finished(tmp_path_factory), tmp_path)


def of(stage: str, *months: str) -> set[str]:
    """Return the names of a stage's months."""
    return {f"{stage}@{month}" for month in months}


def heavier(rows: list[dict[str, str]]) -> None:
    """Correct one order: it had nine pieces."""
    rows[100]["quantity"], rows[100]["amount"] = "9", f"{9 * float(rows[100]['price']):.2f}"


def test_two_clean_runs_in_two_folders_give_the_same_lock(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """What comes out depends on neither the folder, nor the time, nor on whether `dvc` or `leverframe demo` ran it."""
    first, (second, ended) = finished(tmp_path_factory), demonstrated(tmp_path_factory)
    assert ended.code == 0, ended.stderr
    assert second.root.parent.name == "another place with a longer name"
    assert second.repository.read("dvc.lock") == first.repository.read("dvc.lock")
    assert second.outputs() == first.outputs()
    assert leftovers(second.root) == []


def test_a_second_run_runs_nothing(shop: Shop) -> None:
    """With nothing changed DVC starts no stage, the status is fresh, and git has nothing to commit."""
    assert shop.repro() == set()
    assert shop.stale() == set()
    assert shop.repository.git("status", "--porcelain") == ""


def test_a_correction_reruns_only_what_its_windows_reach(shop: Shop) -> None:
    """Features reach one month back and contracts two: months before and months beyond stay as they are."""
    before = shop.outputs()
    shop.edit("orders", "2024-02", heavier)
    foreseen = shop.stale()
    ran = shop.repro()
    assert ran == (
        {"ingest@2024-02"}
        | of("validate", "2024-02", "2024-03", "2024-04")
        | of("build", "2024-02", "2024-03")
        | MODEL_STAGES
    )
    assert ran <= foreseen
    assert foreseen - ran == of("build", "2024-04", "2024-05") | {"parity"}  # would run had a contract's report changed
    changed = {path for path, content in shop.outputs().items() if before.get(path) != content}
    assert {"data/raw/orders/2024-02.parquet", "data/features/2024-02.parquet"} <= changed
    assert not {path for path in changed if any(month in path for month in ("2024-01", "2024-04", "2024-05"))}


@pytest.mark.deep
def test_a_correction_of_the_holdout_does_not_train_again(shop: Shop) -> None:
    """Where the months of training keep their features, the model is not fitted again, only judged."""
    shop.edit("orders", "2024-05", heavier)
    assert shop.repro() == {
        "ingest@2024-05", "validate@2024-05", "build@2024-05", "training-set", "evaluate", "bundle", *ONLINE_STAGES,
    }  # fmt: skip


@pytest.mark.deep
def test_fewer_rows_in_the_holdout_do_not_train_again(shop: Shop) -> None:
    """Nor does it matter to the fit how many rows the hold-out has."""
    gone: list[str] = []

    def without_one(rows: list[dict[str, str]]) -> None:
        gone.append(rows.pop(100)["order_id"])

    def without_its_return(rows: list[dict[str, str]]) -> None:
        rows[:] = [row for row in rows if row["order_id"] not in gone]

    shop.edit("orders", "2024-05", without_one)
    shop.edit("returns", "2024-05", without_its_return)
    ran = shop.repro()
    assert {"training-set", "evaluate"} <= ran
    assert "train" not in ran


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("iterations: 5", "iterations: 6", {"train", "evaluate", "bundle"}),
        pytest.param("confidence: 0.95", "confidence: 0.9", {"evaluate", "bundle"}, marks=pytest.mark.deep),
        pytest.param(
            'label: late\n  select: ["*"]',
            'label: returned\n  select: ["customer_*", item_bulk]',
            MODEL_STAGES,
            marks=pytest.mark.deep,
        ),
        ("# nothing", "", set()),
    ],
)
def test_a_parameter_reruns_only_the_stages_that_read_it(old: str, new: str, expected: set[str], shop: Shop) -> None:
    """Parameters of the model touch neither ingest, validate nor build."""
    if expected:
        shop.replace("params.yaml", old, new)
    else:
        shop.repository.write("params.yaml", shop.repository.read("params.yaml") + old + "\n")
    foreseen = shop.stale()
    assert shop.repro() == foreseen == expected


def test_a_change_of_a_window_rebuilds_features_and_no_data(shop: Shop) -> None:
    """A window that still ends within the months of dvc.yaml re-runs builds and what follows them."""
    shop.replace("pipelines/shop/star.yaml", "windows: [14d]", "windows: [21d]")
    assert shop.run("stages", "--check").code == 0
    assert shop.stale() == of("build", *MONTHS) | MODEL_STAGES | ONLINE_STAGES
    assert shop.repro("build") == of("build", *MONTHS)


def test_late_rows_rewrite_a_partition_and_status_names_it(shop: Shop) -> None:
    """Before the run the status names the file that changed, after an ingest by hand the partition it rewrote."""
    shop.edit("orders", "2024-03", heavier)
    stale = {name: stage for name, stage in shop.status().items() if stage["state"] == "changed"}
    assert set(stale) == {"ingest@2024-03"}
    assert [finding["subject"] for finding in stale["ingest@2024-03"]["findings"]] == ["raw/orders-2024-03.csv"]
    partition = shop.root / layout.raw("orders", "2024-03")
    before, others = partition.read_bytes(), shop.outputs()
    assert shop.run("ingest", "--partition", "2024-03").code == 0
    assert partition.read_bytes() != before
    changed = {path for path, content in shop.outputs().items() if others[path] != content}
    assert changed == {"data/raw/orders/2024-03.parquet"}  # the other tables of the month came out the same
    output = shop.run("status").stdout
    assert "output data/raw/orders/2024-03.parquet changed after the run" in output
    assert "raw/orders-2024-03.csv changed" in output
    after = partition.read_bytes()
    assert shop.repro("ingest") == {"ingest@2024-03"}
    assert partition.read_bytes() == after


def test_every_stage_leaves_a_record(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each of the 23 stages has its record with time, rows and memory, and its log."""
    shop = finished(tmp_path_factory)
    entries = {entry.name: entry for entry in records(shop.root / layout.STAGE_LOGS)}
    expected = {"ingest@static", "validate@static", *MODEL_STAGES, *ONLINE_STAGES}
    assert set(entries) == expected | {name for stage in ("ingest", "validate", "build") for name in of(stage, *MONTHS)}
    for name, record in entries.items():
        assert record.outcome is Outcome.DONE, name
        assert record.seconds > 0, name
        assert record.cpu_seconds > 0, name
        assert 20 < record.peak_mb < 2000, name
        assert (shop.root / record.log).is_file(), name
    assert {name: entries[name].rows for name in ("ingest@static", "build@2024-01", "train")} == {
        "ingest@static": 4, "build@2024-01": 490, "train": 1386,
    }  # fmt: skip


def test_a_clone_without_data_takes_all_of_it_from_a_remote(shop: Shop, tmp_path: Path) -> None:
    """A colleague pulls what was pushed, and has nothing to run."""
    shop.repository.dvc("remote", "add", "--default", "--local", "shelf", str(tmp_path / "shelf"))
    shop.repository.dvc("push")
    for folder in ("data", ".dvc/cache"):
        shutil.rmtree(shop.root / folder)
    assert shop.stale() == set()
    shop.repository.dvc("pull")
    assert shop.repro() == set()


@pytest.mark.deep
def test_a_full_run_finds_a_model_that_its_stage_does_not_train(shop: Shop) -> None:
    """More trees than the settings say, committed by force: training differs, and so do the metrics far behind it."""
    shop.replace("params.yaml", "iterations: 5", "iterations: 60")
    shop.repro()
    shop.replace("params.yaml", "iterations: 60", "iterations: 6")
    shop.repository.dvc("commit", "--force", "train")
    shop.repro()
    shop.repository.git("checkout", "--quiet", "-b", "change")
    shop.repository.commit("Six trees")
    claimed = shop.repository.read("reports/metrics.json")
    ended = shop.run("reproduce", "--full", "--json")
    report = json.loads(ended.stdout)
    assert ended.code == 30
    assert [violation["reason"] for violation in report["violations"]] == ["metrics-forged", "lock-mismatch"]
    assert "dvc repro -f -s evaluate" in report["violations"][0]["next"]
    mismatch = report["violations"][1]["what"]
    output = "`models/model.skops` of `train`"
    assert re.search(rf"{output} \(predictions differ on [\d,]+ of [\d,]+ rows, by up to 0\.\d+\)", mismatch), report
    assert shop.repository.read("reports/metrics.json") != claimed
    shop.repository.commit("What the stages write")
    again = json.loads(shop.run("reproduce", "--full", "--json").stdout)
    assert (again["violations"], again["notes"]) == ([], [])
