"""`leverframe retrain` in a case of Leverframe: the shop, in which other products are late from April on."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from leverframe.documents import plain
from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from tests.fakes.monitored import quiet
from tests.integration.shop import Shop, built_once, copied

NOW = "2024-06-09T00:00Z"
LATE = ("2024-04", "2024-05")
TIMESTAMP = "%Y-%m-%dT%H:%M:%SZ"
HOURS = {"desk": -30, "lamp": 30}  # that it takes longer from April on
RULES = "gate: {metrics: {auc: {maximum_drop: 0.05}}}\nretrain: {minimum_rows: 300}\n"
FOLDER = Path(".leverframe/monitor/local")
PARAMS = {
    'last: "2024-05"\n  timezone': 'last: "2024-03"\n  timezone',
    'train: {first: "2024-01", last: "2024-03"}': 'train: {first: "2024-01", last: "2024-02"}',
    'holdout: {first: "2024-04", last: "2024-05"}': 'holdout: {first: "2024-03", last: "2024-03"}',
}


def later(rows: list[dict[str, str]], column: str, hours: Any) -> None:
    for row in rows:
        if row[column]:
            at = datetime.strptime(row[column], TIMESTAMP).replace(tzinfo=UTC) + timedelta(hours=hours(row))
            row[column] = at.strftime(TIMESTAMP)


def slower(rows: list[dict[str, str]]) -> None:
    later(rows, "delivered_at", lambda row: HOURS.get(row["product"], 0))


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The shop with a model of January and February, judged on March, and orders until May."""

    def finish(shop: Shop, _: Path) -> None:
        for month in LATE:
            shop.edit(
                "orders", month, lambda rows: later(rows, "delivered_at", lambda row: HOURS.get(row["product"], 0))
            )
            shop.edit("returns", month, lambda rows: later(rows, "settled_at", lambda _: 32))
        for old, new in PARAMS.items():
            shop.replace("params.yaml", old, new)
        shop.replace("leverframe.yaml", "report:", f"{RULES}report:")
        shop.run("stages", "--write")
        shop.repository.dvc("repro")
        shop.repository.commit("A model of January and February")

    return built_once(tmp_path_factory, "retraining-shop", finish)[0]


@pytest.fixture
def shop(champion: Shop, tmp_path: Path) -> Shop:
    """A copy in which the monitor has noticed it."""
    mine = copied(champion, tmp_path)
    worse = Finding(Kind.PERFORMANCE, "auc", Severity.CRITICAL, "2024-06-01", "2024-04-01", "AUC fell.", "look")
    monitored = replace(quiet(), model="shop", environment="local", at="2024-06-08T20:00:00+00:00", findings=(worse,))
    mine.repository.write(str(FOLDER / "monitor.json"), json.dumps(plain(monitored)))
    return mine


def attempt(shop: Shop, *options: str) -> dict[str, Any]:
    ended = shop.run("retrain", "--as-of", NOW, "--json", *options)
    assert ended.code == 0, ended.stderr
    assert not (shop.root / ".leverframe/retrain/work").exists()
    assert not shop.repository.git("status", "--porcelain")
    attempt: dict[str, Any] = json.loads(ended.stdout)["attempt"]
    return attempt


@pytest.mark.deep
def test_a_candidate_of_new_months_is_better_and_what_it_forgets_makes_a_draft(shop: Shop) -> None:
    """All months: better. April alone: better as well, and worse on the old test set, so a person has to weigh it."""
    made = attempt(shop)
    assert (made["outcome"], str(made["window"]["train_last"])) == ("better", "2024-04"), made["why"]
    assert made["cost"]["train_rows"] > made["cost"]["holdout_rows"] > 300
    assert made["cost"]["champion_bytes"] > 1000
    assert made["candidate"] != made["champion"] != ""
    changed = shop.repository.git("diff", "--name-only", "HEAD", "refs/leverframe/retrain/shop").split()
    assert {"params.yaml", "dvc.yaml", "dvc.lock", "reports/metrics.json", "models/model.json"} <= {*changed}
    assert {path.split("/")[0] for path in changed} == {"params.yaml", "dvc.yaml", "dvc.lock", "reports", "models"}
    shop.replace("leverframe.yaml", "minimum_rows: 300", "minimum_rows: 300, window: {policy: since-change}")
    shop.repository.commit("Learn from what changed")
    forgetful = attempt(shop, "--force")
    assert forgetful["window"]["train_first"] == "2024-04"
    comparison = forgetful["comparison"]
    assert comparison["old_rows"] > 300
    assert forgetful["outcome"] == "not-worse", forgetful["why"]
    assert any("on the hold-out of the base branch" in words for words in comparison["violations"])


@pytest.mark.deep
def test_a_violated_contract_of_new_rows_is_not_learnt(shop: Shop) -> None:
    """Amounts in cents: validate says so, and no model is trained."""

    def cents(rows: list[dict[str, str]]) -> None:
        for row in rows:
            row["amount"] = str(round(float(row["amount"]) * 100))

    shop.edit("orders", "2024-05", cents)
    shop.repository.commit("Amounts in cents")
    made = attempt(shop)
    assert made["outcome"] == "broken-data"
    assert "stage `validate@2024-05` failed" in made["why"]
    assert made["candidate"] == ""


def test_a_branch_without_a_case_says_what_is_missing(shop: Shop) -> None:
    """No params.yaml, and no pipeline of one's own either."""
    shop.repository.git("rm", "--quiet", "params.yaml")
    shop.repository.commit("No settings")
    ended = shop.run("retrain", "--as-of", NOW)
    assert ended.code == 10
    assert "params.yaml" in ended.error()[0]
