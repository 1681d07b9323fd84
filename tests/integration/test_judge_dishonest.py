"""Nineteen dishonest changes of a case: each is found by the judge, or named as an owner's with a failing check."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.integration.judged import Court
from tests.integration.shop import copied, finished
from tests.profiles import by_day

RULES = "gate: {metrics: {auc: {maximum_drop: 0.2, floor: 0.5}}}\n"
HAND = {
    "reports/parity.json": (r": \d+", ": 7"),
    "reports/profiles/2024-05.json": (r"\d+\.\d+", "7.5"),
    "reports/sketches/2024-05.json": (r": \d+", ": 7"),
    "reports/plots/roc.csv": (r"0\.\d+", "0.123"),
    "reports/model-card.md": (r"#", "# Approved"),
}
Lie = Callable[[Court], None]


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory) -> Court:
    """Return the shop, reproduced and committed on main."""
    shop = copied(finished(tmp_path_factory), tmp_path_factory.mktemp("judged"))
    shop.repository.write("leverframe.yaml", RULES)
    shop.repository.git("checkout", "--quiet", "-B", "main")
    shop.repository.commit("Rules")
    return Court(shop.repository)


def better(court: Court) -> None:
    """Claim metrics that nobody measured."""
    metrics = json.loads(court.repository.read("reports/metrics.json"))
    metrics["auc"] = 0.9999
    court.repository.write("reports/metrics.json", json.dumps(metrics, indent=2) + "\n")


def commit(court: Court, *stages: str) -> None:
    """Let DVC record what is here as what stages wrote."""
    court.repository.dvc("commit", "--force", *stages)


def written(court: Court, path: str, table: pl.DataFrame) -> None:
    """Write a table in the place of an output."""
    (court.root / path).unlink()
    table.write_parquet(court.root / path)


def flipped(court: Court, path: str) -> None:
    """Turn the labels of a table around."""
    table = pl.read_parquet(court.root / path)
    written(court, path, table.with_columns((1 - pl.col("label")).alias("label")))


def more_iterations(court: Court, count: int = 7) -> None:
    """Edit the settings honestly."""
    court.replace("params.yaml", "iterations: 5", f"iterations: {count}")


def metrics_and_lock(court: Court) -> None:
    """Claim metrics, and their digest."""
    better(court)
    commit(court, "evaluate")


def predictions(court: Court) -> None:
    """Claim perfect predictions, with the digest of them."""
    table = pl.read_parquet(court.root / "data/predictions.parquet")
    name = next(name for name in table.columns if table[name].dtype.is_float())
    written(court, "data/predictions.parquet", table.with_columns(pl.col(name) * 0.5))
    better(court)
    commit(court, "evaluate")


def holdout(court: Court) -> None:
    """Flip the labels of the hold-out, with unchanged inputs."""
    flipped(court, "data/training/holdout.parquet")
    commit(court, "training-set")


def frozen(court: Court) -> None:
    """Freeze the stage that measures."""
    court.replace("dvc.yaml", "    cmd: leverframe evaluate\n", "    cmd: leverframe evaluate\n    frozen: true\n")
    better(court)


def command(court: Court) -> None:
    """Let another command measure."""
    court.replace("dvc.yaml", "    cmd: leverframe evaluate\n", "    cmd: echo leverframe evaluate\n")
    better(court)


def dropped(court: Court) -> None:
    """Take the stage that measures out of the lock."""
    text = court.repository.read("dvc.lock")
    court.repository.write("dvc.lock", re.sub(r"  evaluate:\n(?:    .*\n|  - .*\n)*", "", text))
    better(court)


def over_the_holdout(court: Court) -> None:
    """Train on the rows that the model is judged on."""
    court.replace("params.yaml", 'last: "2024-03"', 'last: "2024-05"')


def swapped_model(court: Court) -> None:
    """Edit a parameter, and commit a model that saw the hold-out by force."""
    more_iterations(court)
    model = court.root / "models/model.skops"
    content = model.read_bytes()
    model.unlink()
    model.write_bytes(content + b"0")
    commit(court, "train")


def flipped_beside_a_comment(court: Court) -> None:
    """Add a comment to the declarations, and commit a hold-out with other labels by force."""
    star = "pipelines/shop/star.yaml"
    court.repository.write(star, court.repository.read(star) + "# a comment\n")
    flipped(court, "data/training/holdout.parquet")
    commit(court, "training-set")


def without_a_run(court: Court) -> None:
    """Edit a parameter in the settings and in the lock, and run nothing."""
    more_iterations(court)
    court.replace("dvc.lock", "iterations: 5", "iterations: 7")


def other_units(court: Court) -> None:
    """Bring data in other units, and keep the reports of the contracts."""
    path = "raw/orders-2024-05.csv"
    head, *rows = court.repository.read(path).splitlines()
    place = head.split(",").index("price")
    cells = [row.split(",") for row in rows]
    changed = [",".join([*row[:place], str(-float(row[place])), *row[place + 1 :]]) for row in cells]
    court.repository.write(path, "\n".join([head, *changed]) + "\n")
    commit(court)


def by_hand(court: Court) -> None:
    """Edit reports, and commit them by force."""
    for path, (old, new) in HAND.items():
        court.repository.write(path, re.sub(old, new, court.repository.read(path), count=1))
    commit(court)


def other_remote(court: Court) -> None:
    """Let data come from elsewhere, unverified."""
    court.repository.write(".dvc/config", "['remote \"x\"']\n    url = /srv/x\n    verify = false\n")


def hidden_estimator(court: Court) -> None:
    """Let another key of the settings look like the estimator, beside one that runs a command."""
    court.replace(
        "params.yaml",
        "  estimator: pipelines.shop.model:estimator\n  params: {iterations: 5}\n",
        f'  estimator: subprocess:Popen\n  params: {{args: "touch {court.root}/ran", shell: true}}\n'
        '"train.estimator": pipelines.shop.model:estimator\n"train.params.iterations": 5\n',
    )


def linked(court: Court) -> None:
    """Put a link into the folder of an output."""
    (court.root / "reports/plots/x.csv").symlink_to("/etc/passwd")


def zipped_anew(court: Court) -> None:
    """Commit the right model in other bytes, and behind and before it what nobody can read, or nobody made."""
    more_iterations(court, 8)  # DVC's run cache keeps this for whoever runs the same settings here
    court.repository.dvc("repro")
    model = court.root / "models/model.skops"
    content = io.BytesIO()
    with zipfile.ZipFile(model) as before, zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            after.writestr(name, before.read(name))
    model.unlink()
    model.write_bytes(content.getvalue())
    for file in (court.root / "models/bundle").iterdir():
        file.unlink()
        file.write_bytes(b"another bundle")
    commit(court, "train", "evaluate", "bundle")
    lock = court.repository.read("dvc.lock")
    for path in ("data/training/train.parquet", "data/training/holdout.parquet"):
        known = re.search(rf"- path: {re.escape(path)}\n\s+hash: md5\n\s+md5: (\w+)", lock)
        assert known
        lock = lock.replace(known[1], hashlib.md5(path.encode(), usedforsecurity=False).hexdigest())
    court.repository.write("dvc.lock", lock)


def named_in_the_lock(court: Court) -> None:
    """Let the lock say that metrics depend on a file that an owner has to approve."""
    court.repository.write("requirements.lock", "# a comment\n")
    metrics_and_lock(court)
    lock = court.repository.read("dvc.lock")
    place = lock.index("    deps:\n", lock.index("  evaluate:\n")) + len("    deps:\n")
    more = f"    - path: requirements.lock\n      hash: md5\n      md5: {'a' * 32}\n      size: 12\n"
    court.repository.write("dvc.lock", lock[:place] + more + lock[place:])


LIES: dict[str, tuple[Lie, str]] = {
    "metrics": (better, "metrics-forged"),
    "metrics-and-lock": (metrics_and_lock, "metrics-forged"),
    "predictions": (predictions, "metrics-forged"),
    "holdout": (holdout, "lock-mismatch"),
    "frozen": (frozen, "needs-owner"),
    "command": (command, "needs-owner"),
    "dropped": (dropped, "lock-stale"),
    "over-the-holdout": (over_the_holdout, "settings-invalid"),
    "swapped-model": (swapped_model, "lock-mismatch"),
    "flipped-beside-a-comment": (flipped_beside_a_comment, "lock-mismatch"),
    "without-a-run": (without_a_run, "lock-mismatch"),
    "other-units": (other_units, "contract-broken"),
    "other-remote": (other_remote, "needs-owner"),
    "hidden-estimator": (hidden_estimator, "needs-owner"),
    "linked": (linked, "needs-owner"),
    "zipped-anew": (zipped_anew, "lock-mismatch"),
    "named-in-the-lock": (named_in_the_lock, "lock-stale"),
}


@pytest.mark.parametrize("name", by_day(LIES, "metrics-and-lock", "holdout", "command", "other-units"))
def test_a_lie_is_found(court: Court, name: str) -> None:
    """The check fails for the reason that names it."""
    lie, reason = LIES[name]
    court.branch(name)
    lie(court)
    outcome = court.judge(name)
    assert outcome["verdict"] == "failed"
    assert reason in outcome["reasons"], shown(outcome)
    assert not (court.root / "ran").exists()


def test_reports_written_by_hand_are_named(court: Court) -> None:
    """Each of five: parity, profile, sketch, ROC and model card."""
    court.branch("hand")
    by_hand(court)
    outcome = court.judge("hand")
    assert outcome["reasons"][0] == "lock-mismatch", shown(outcome)
    assert [path for path in HAND if f"`{path}`" not in outcome["card"]["judged"]["found"][0]["what"]] == []


def honest(court: Court) -> None:
    """Commit an honest change on a branch, once, and check main out."""
    if not court.repository.git("branch", "--list", "honest"):
        court.branch("honest")
        more_iterations(court, 6)
        court.repository.dvc("repro")
        court.repository.commit("honest")
    court.repository.git("checkout", "--quiet", "--force", "main")


@pytest.mark.deep
def test_an_honest_parameter_passes(court: Court) -> None:
    """Train and what follows run, and the card is that of the gate."""
    honest(court)
    outcome = court.judged("honest")
    assert outcome["verdict"] == "passed", outcome
    assert outcome["card"]["judged"]["ran"] == ["train", "evaluate", "bundle"]


@pytest.mark.deep
def test_code_is_not_run_and_its_model_is_scored(court: Court) -> None:
    """The claimed model, taken by its digest, stands against the champion; an owner has to approve the code."""
    court.branch("code")
    model = "pipelines/shop/model.py"
    court.replace(model, "max_iter=iterations", "max_iter=iterations + 4")
    court.repository.dvc("repro")
    outcome = court.judge("code")
    assert outcome["reasons"] == ["needs-owner"], shown(outcome)
    card = outcome["card"]
    assert card["judged"]["owed"]["missing"] == [model]
    assert any("`train`" in note and "not run by the judge" in note for note in card["judged"]["notes"]), shown(outcome)
    claimed = json.loads(court.repository.git("show", "code:reports/metrics.json"))
    (auc,) = (metric["candidate"] for metric in card["gated"]["metrics"] if metric["metric"] == "auc")
    assert str(round(auc, 5)) in json.dumps(claimed)


@pytest.mark.deep
def test_what_was_pushed_is_that_of_the_change_and_not_of_the_judges_run(court: Court, tmp_path: Path) -> None:
    """A model that the judge trains by the code of the base is in no remote; the one of the change has to be."""
    court.branch("stored")
    court.repository.dvc("remote", "add", "--default", "store", str(tmp_path / "store"))
    court.repository.commit("A remote")
    court.repository.git("checkout", "--quiet", "-b", "pushed")
    court.replace("pipelines/shop/model.py", "max_iter=iterations", "max_iter=iterations + 4")
    court.repository.dvc("repro")
    court.repository.dvc("push")
    outcome = court.judge("pushed", checked_out="stored")
    assert outcome["reasons"] == ["needs-owner"], shown(outcome)
    lock = court.repository.git("show", "pushed:dvc.lock")
    (md5,) = set(re.findall(r"path: models/model.skops\n\s*hash: md5\n\s*md5: (\w+)", lock))
    (tmp_path / "store/files/md5" / md5[:2] / md5[2:]).unlink()
    assert set(court.judged("pushed")["reasons"]) == {"needs-owner", "data-missing"}


def test_the_rules_are_those_of_the_tip(court: Court) -> None:
    """A floor that was raised after the branch was cut is in force."""
    honest(court)
    court.repository.git("checkout", "--quiet", "-b", "raised")
    court.repository.write("leverframe.yaml", RULES.replace("floor: 0.5", "floor: 0.9999"))
    court.repository.commit("A higher floor")
    outcome = court.judged("honest")
    court.repository.git("checkout", "--quiet", "--force", "main")
    assert outcome["reasons"] == ["floor-missed"], shown(outcome)


def shown(outcome: dict[str, Any]) -> str:
    """Return what a reader of a failed test wants to see."""
    card = outcome["card"]
    return json.dumps({"reasons": outcome["reasons"], "judged": card["judged"]}, indent=1)
