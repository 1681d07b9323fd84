"""The champion on a real repository: from the cache, made anew, or not there; and what can be compared."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from leverframe.adapters.git import Git
from leverframe.local.repository import TemporaryRepository
from tests.integration.shop import Shop, copied, finished, first_model
from tests.warm import WarmRepository

GATE = "\ngate:\n  metrics:\n    auc: {maximum_drop: 0.05, floor: 0.5}\n"


@pytest.fixture
def shop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A finished shop of one's own, with a gate on main, on a branch."""
    shop = copied(finished(tmp_path_factory), tmp_path)
    shop.repository.write("leverframe.yaml", GATE)
    shop.repository.commit("A gate")
    shop.repository.git("checkout", "--quiet", "-b", "change")
    return shop


def gated(shop: Shop, *, code: int = 0) -> dict[str, Any]:
    """Run the gate and return what it found."""
    ended = shop.run("gate", "--json")
    assert ended.code == code, ended.stdout + ended.stderr
    result: dict[str, Any] = json.loads(ended.stdout)
    return result


def reasons(result: dict[str, Any]) -> list[str]:
    """Return the reasons of the violations."""
    return [violation["reason"] for violation in result["violations"]]


def test_nothing_changed_is_no_change(shop: Shop) -> None:
    """Both models are one: every gain is zero, and nothing was fetched or run."""
    result = gated(shop)
    assert result["verdict"] == "passed"
    assert {metric["gain"] for metric in result["metrics"]} == {0.0}
    assert result["rows"] > 500
    assert result["how"] == "both models predicted the same rows"


@pytest.mark.deep
def test_features_that_were_left_out_still_let_the_champion_answer(shop: Shop) -> None:
    """The candidate learns from fewer; the hold-out of the base answers for the champion by key."""
    shop.replace("params.yaml", 'select: ["*"]', 'select: ["product", "quantity"]')
    shop.repository.dvc("repro")
    result = json.loads(shop.run("gate", "--json").stdout)
    assert reasons(result) in ([], ["metric-dropped"], ["metric-uncertain"])
    assert "each model predicted from its own features" in result["how"]
    assert result["metrics"][0]["gain"] is not None


@pytest.mark.deep
def test_redefined_features_are_compared_row_by_row_of_the_same_key(shop: Shop) -> None:
    """Another window: neither model has the features of the other, so each answers its own, on all common rows."""
    shop.replace("pipelines/shop/star.yaml", "windows: [14d]", "windows: [10d]")
    written = shop.run("stages", "--write")
    assert "`known: [quantity, amount]` at the spine" in written.stderr  # orders arrive when they were delivered
    shop.repository.dvc("repro")
    ended = shop.run("gate", "--json")
    result = json.loads(ended.stdout)
    assert "each model predicted from its own features" in result["how"]
    assert "937 of 937 rows" in result["how"]
    assert reasons(result) == ["change-breaking"]  # the old window is gone: who relies on it is wronged
    assert ended.code == 30


@pytest.mark.parametrize(
    ("old", "new", "relabelled"),
    [
        ("delay_hours=took,", "delay_hours=0 * took + pl.when(pl.col('quantity') > 2).then(60).otherwise(9),", True),
        ("delay_hours=took,", "delay_hours=pl.when(pl.col('order_id') % 9 > 0).then(took),", False),
    ],
    ids=["outcomes rewritten", "rows dropped"],
)
@pytest.mark.deep  # `test_gate_holdout.py` relabels and drops rows in every run
def test_a_change_of_the_holdout_is_a_violation_of_its_own(shop: Shop, old: str, new: str, relabelled: bool) -> None:
    """In `sources.py`, with every stage run honestly: the gate names it and judges both models by the base's rows."""
    shop.replace("pipelines/shop/sources.py", old, new)
    shop.repository.dvc("repro")
    result = gated(shop, code=30)
    assert "holdout-changed" in reasons(result)
    holdout, on_base = result["holdout"], result["on_base"]
    assert holdout["rows"] == 937
    assert on_base["rows"] == 937 - holdout["removed"]  # from its own features, as other outcomes change the windows
    assert (holdout["added"], holdout["moved_in"], holdout["moved_out"]) == (0, 0, 0)
    assert (holdout["relabelled"] > 100) is relabelled
    assert (holdout["removed"] > 90) is not relabelled
    if relabelled:
        assert result["metrics"][0]["gain"] > 0.1
        assert on_base["metrics"][0]["gain"] < -0.05
        assert "metric-dropped" in reasons(result)


def test_another_label_cannot_be_compared(shop: Shop) -> None:
    """Two models that answer different questions."""
    shop.replace("params.yaml", "label: late", "label: returned")
    shop.repository.dvc("repro")
    result = gated(shop, code=30)
    assert "not-comparable" in reasons(result)
    assert result["metrics"] == []


def test_forged_figures_are_seen_by_the_gate_alone(shop: Shop) -> None:
    """It asks the model itself; `reproduce` need not have run."""
    metrics = json.loads(shop.repository.read("reports/metrics.json"))
    shop.repository.write("reports/metrics.json", json.dumps(metrics | {"auc": 0.99}))
    assert reasons(gated(shop, code=30)) == ["metrics-forged"]


def test_the_first_model_has_floors_alone(shop: Shop) -> None:
    """The base has no model yet: a named case, and no error."""
    first_model(shop)
    result = gated(shop)
    assert result["verdict"] == "passed"
    assert "there is no champion" in result["notes"][0]
    assert {metric["champion"] for metric in result["metrics"]} == {None}


def test_a_champion_has_the_submodules_of_its_commit(tmp_path: Path) -> None:
    """From what this clone has of them, although their address is gone; one that it lacks stays empty."""
    repository = TemporaryRepository.create(tmp_path, dvc=False)
    for name in ("rates", "absent"):
        origin = TemporaryRepository.create(tmp_path / name, dvc=False)
        origin.write("table.py", "OLD = 1\n")
        origin.commit("Old")
        repository.git(
            "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(origin.root), f"vendor/{name}"
        )
    champion = repository.commit("The champion")
    origin = TemporaryRepository(tmp_path / "rates/repository", tmp_path / "rates/home")
    origin.write("table.py", "NEW = 1\n")
    origin.commit("New")
    repository.git("-C", "vendor/rates", "pull", "--quiet")
    repository.commit("The candidate")
    for place in (origin.root, repository.root / ".git/modules/vendor/absent"):
        shutil.rmtree(place)
    Git(repository.root).copied(champion, tmp_path / "copy")
    assert (tmp_path / "copy/vendor/rates/table.py").read_text() == "OLD = 1\n"
    assert list((tmp_path / "copy/vendor/absent").iterdir()) == []


@pytest.mark.deep
def test_without_cache_and_remote_both_models_are_made_anew(shop: Shop, tmp_path: Path) -> None:
    """A clone on a machine that has nothing: `reproduce` makes the candidate, `gate` the champion."""
    shop.replace("params.yaml", "iterations: 5", "iterations: 7")
    shop.repository.dvc("repro")
    shop.repository.commit("More trees")
    place = tmp_path / "elsewhere"
    (place / "home").mkdir(parents=True)
    subprocess.run(["git", "clone", "--quiet", str(shop.root), str(place / "repository")], check=True)
    other = Shop(WarmRepository(place / "repository", place / "home"))
    other.repository.git("branch", "--force", "main", "origin/main")
    reproduced = other.run("reproduce", "--json")
    assert reproduced.code == 0, reproduced.stdout
    assert json.loads(reproduced.stdout)["rebuilt"] is True
    shutil.rmtree(other.root / ".dvc/cache/files/md5/runs", ignore_errors=True)
    outcome = other.run("gate", "--json")
    assert outcome.code == 0, outcome.stdout + outcome.stderr
    assert json.loads(outcome.stdout)["metrics"][0]["gain"] != 0.0


def test_a_gate_without_rules_skips(shop: Shop) -> None:
    """It could not have failed, so it does not pass."""
    repository = shop.repository
    repository.git("reset", "--quiet", "--hard", "HEAD~1")  # before the first gate: a later base would have had one
    repository.git("branch", "--force", "main")
    repository.write("leverframe.yaml", "report: {slices: 5}\n")
    repository.commit("No gate")
    result = gated(shop)
    assert result["verdict"] == "skipped"
    assert "nothing could fail" in result["because"]


@pytest.mark.parametrize("missing", ["models/model.skops", "data/training/holdout.parquet"])
def test_missing_files_of_the_candidate_are_a_violation(shop: Shop, missing: str) -> None:
    """With the command that brings them; never a traceback."""
    (shop.root / missing).unlink()
    ended = shop.run("gate", "--json")
    assert "Traceback" not in ended.stderr
    result = json.loads(ended.stdout)
    assert ended.code == 30
    assert reasons(result) == ["not-comparable"]
    assert "dvc pull" in result["violations"][0]["next"]


def test_a_lever_that_breaks_does_not_leave_the_result_of_before(shop: Shop) -> None:
    """The card says that it broke, although the same commit was judged a moment ago."""
    gated(shop)
    report = shop.root / "reports/contracts/static.json"
    report.write_text("{}", encoding="utf-8")
    ended = shop.run("gate")
    assert ended.code == 19
    assert ended.error()[0] == "reports/contracts/static.json of the working tree cannot be read"
    shop.run("report", "--publisher", "file")
    card = (shop.root / ".leverframe/report.md").read_text(encoding="utf-8")
    assert "`gate` wrote no result for this commit" in card


@pytest.mark.parametrize(
    ("path", "old", "new", "reason"),
    [
        ("dvc.lock", "schema", "<<<<<<< ours\nschema", "settings-invalid"),
        ("dvc.yaml", "stages:", "stagez:", "definition-invalid"),
        ("leverframe.yaml", "gate:", "gaet:", "settings-invalid"),
        ("pipelines/shop/star.yaml", "columns: [product, quantity, amount]", "columns: [delay_hours]", "leak-found"),
    ],
)
def test_what_cannot_be_read_is_a_reason_of_check(shop: Shop, path: str, old: str, new: str, reason: str) -> None:
    """Not a broken tool: the change is at fault, and the card can say so."""
    shop.replace(path, old, new)
    ended = shop.run("check", "--json")
    assert ended.code == 30, ended.stderr
    assert reason in reasons(json.loads(ended.stdout))


def test_rules_that_the_base_raised_after_the_branch_was_cut_hold(shop: Shop) -> None:
    """A gate that the base lost after that stays in force as well, until a change restores it."""
    git = shop.repository.git
    for rules, reason in ((GATE.replace("0.5}", "0.9999}"), "floor-missed"), ("", "gate-missing")):
        git("checkout", "--quiet", "main")
        shop.repository.write("leverframe.yaml", rules)
        shop.repository.commit("Change the rules")
        git("checkout", "--quiet", "change")
        result = gated(shop, code=30)
        assert {reason, "floor-missed"} <= set(reasons(result))
    assert result["rules_of"] == "the last gate that the base branch had"
    shop.repository.write("leverframe.yaml", GATE.replace("0.5}", "0.9999}"))
    shop.repository.commit("Restore the gate")
    assert reasons(gated(shop, code=30)) == ["floor-missed"]


def test_a_report_that_is_deleted_is_a_mismatch(shop: Shop) -> None:
    """The constraints that failed would go with it; one that is only not checked out here is no fault."""
    report = sorted(shop.repository.git("ls-files", "reports/contracts").split())[0]
    (shop.repository.root / report).unlink()
    assert shop.run("check").code == 0
    shop.repository.git("rm", "--quiet", "--cached", report)
    shop.repository.commit("Forget what was wrong")
    ended = shop.run("check")
    assert ended.code == 30
    assert f"lock-mismatch: git lacks `{report}`" in ended.stdout
