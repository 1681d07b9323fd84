"""Requests that a real server logged, in the gate of a change and on its card."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from leverframe.domain.model.bundle.bundle_manifest import MANIFEST, Manifest, sha256
from leverframe.domain.model.bundle.schema import from_json
from leverframe.domain.release.serve import request
from leverframe.files import write_folder
from tests.integration.served import ENVIRONMENTS, ask, deploy
from tests.integration.shop import Shop, copied, finished, first_model

RULES = ENVIRONMENTS + "\ngate:\n  metrics:\n    auc: {maximum_drop: 0.2, floor: 0.4}\n"
LOG = ".leverframe/servers/local/log"


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Return a shop whose model served the golden rows of both forms, each row a request; nobody may change it.

    That model is on `main`. On `change`, which is checked out, a late order weighs more: it tells early
    from late orders as well as before, but calls nearly all of them late.
    """
    shop = copied(finished(tmp_path_factory), tmp_path_factory.mktemp("logged"))
    shop.repository.write("leverframe.yaml", RULES)
    shop.repository.commit("An environment and a gate")
    deploy(shop, "main")
    port = json.loads(shop.run("serve", "--status", "--json", "--name", "local").stdout)["running"]["port"]
    bundle = shop.root / "models/bundle"
    schema = from_json(json.loads((bundle / "schema.json").read_bytes()))
    for line in (bundle / "golden.jsonl").read_text(encoding="utf-8").splitlines():
        assert ask(port, json.dumps(request(schema, [json.loads(line)["inputs"]])).encode())[0] == 200
    assert shop.run("serve", "--stop", "--name", "local").code == 0  # closes the log
    shop.repository.git("checkout", "--quiet", "-b", "change")
    shop.replace("pipelines/shop/model.py", "random_state=0)", "random_state=0, class_weight={0: 1, 1: 9})")
    shop.repository.dvc("repro")
    shop.repository.commit("A late order weighs more")
    return shop


@pytest.fixture
def shop(logged: Shop, tmp_path: Path) -> Shop:
    """Return a copy of one's own."""
    return copied(logged, tmp_path)


def gated(shop: Shop, *options: str, code: int = 0) -> dict[str, Any]:
    """Run the gate and return what it found."""
    ended = shop.run("gate", "--json", *options)
    assert ended.code == code, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    result: dict[str, Any] = json.loads(ended.stdout)
    return result


def card(shop: Shop) -> str:
    """Return the section of the card."""
    assert shop.run("report", "--publisher", "file").code == 0
    page = (shop.root / ".leverframe/report.md").read_text(encoding="utf-8")
    return page.partition("### Replay of logged requests")[2].partition("\n### ")[0]


def with_rule(shop: Shop, base: str, here: str) -> None:
    """Set `deploy.maximum_disagreement` on the base and in the change."""
    repository = shop.repository
    repository.git("checkout", "--quiet", "main")
    shop.replace("leverframe.yaml", "deploy:", f"deploy:\n  maximum_disagreement: {base}")
    repository.commit("A rule")
    repository.git("checkout", "--quiet", "change")
    repository.git("rebase", "--quiet", "main")
    shop.replace("leverframe.yaml", f"disagreement: {base}", f"disagreement: {here}")
    repository.commit("Another rule")


def test_a_change_above_the_rule_of_the_base_is_refused(shop: Shop) -> None:
    """Its metrics are fine, and deploy would refuse it; that it allows itself more does not help it."""
    with_rule(shop, "0.1", "1.0")
    result = gated(shop, code=30)
    assert [violation["reason"] for violation in result["violations"]] == ["replay-differs"]
    assert all(metric["passed"] for metric in result["metrics"])
    assert result["replay"]["share"] > result["replay"]["maximum"] == 0.1
    section = card(shop)
    assert "❌" in section
    page = (shop.root / ".leverframe/report.md").read_text(encoding="utf-8")
    assert "do not merge\n\n`replay-differs`" in page


def test_a_change_under_the_rule_passes_and_shows_what_it_alters(shop: Shop) -> None:
    """The card has the share, the furthest answers with their request, both times, and which log it was."""
    with_rule(shop, "1.0", "0.0")
    result = gated(shop)
    comparison, replayed = result["replay"], result["replay"]["replayed"]
    assert result["verdict"] == "passed"
    assert replayed["rows"] == replayed["requests"] >= 16
    assert replayed["disagree"] > 2
    assert (len(replayed["largest"]), replayed["lost"], replayed["skipped"], comparison["days"]) == (5, 0, 0, 1)
    assert min(replayed["before_ms"], replayed["after_ms"]) > 0
    section = card(shop)
    assert "✅" in section
    assert f"`{LOG}`" in section
    assert all(f"`{flip['request']}`" in section for flip in replayed["largest"])


def test_the_same_model_answers_a_log_from_elsewhere_alike(shop: Shop, tmp_path: Path) -> None:
    """A log is data: lines that are none are counted, open files left alone, hostile values refused by both."""
    shop.repository.git("branch", "--force", "main", "change")
    shutil.move(shop.root / LOG, tmp_path / "log")
    file = next((tmp_path / "log").glob("dt=*/*.jsonl"))
    line = json.loads(file.read_text(encoding="utf-8").splitlines()[0])
    hostile = {**line, "id": "<img src=x> | @everyone\ud800", "columns": {"product": [["\ud800"], {"a": 1}]}}
    with file.open("a", encoding="utf-8") as handle:
        handle.write("{torn\n" + "[" * 200_000 + "\n" + json.dumps(hostile) + "\n")
    (file.parent / "999999-1-0001.jsonl.part").write_text("{open\n", encoding="utf-8")
    comparison = gated(shop, "--log", str(tmp_path / "log"))["replay"]
    replayed = comparison["replayed"]
    assert comparison["log"] == str(tmp_path / "log")
    assert replayed["rows"] >= 16
    assert (replayed["disagree"], replayed["lost"], replayed["largest"]) == (0, 0, [])
    assert (comparison["malformed"], replayed["skipped"], comparison["share"]) == (2, 1, 0)
    assert gated(shop)["replay"] is None  # there is no other


def test_without_a_request_there_is_one_sentence_and_no_failure(shop: Shop, tmp_path: Path) -> None:
    """Only where a log was asked for."""
    result = gated(shop, "--log", str(tmp_path / "nowhere"))
    assert result["verdict"] == "passed"
    assert "no closed file in it has a request to `shop`" in result["replay"]["because"]
    assert card(shop).strip().startswith("⚪ Nothing of `")


def test_the_first_model_has_nobody_to_be_compared_with(shop: Shop) -> None:
    """A log is there, a champion is not: one sentence."""
    first_model(shop)
    assert "no champion to compare with" in gated(shop)["replay"]["because"]


def test_requests_that_would_be_refused_are_not_asked(shop: Shop) -> None:
    """A feature that may no longer be missing wrongs those who send features; requests by keys are compared."""
    folder = shop.root / "models/bundle"
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    rows = [json.loads(line) for line in files["golden.jsonl"].splitlines()]
    sent = [row["inputs"] for row in rows if row["form"] == "columns"]
    schema = json.loads(files["schema.json"])
    field = next(
        column
        for column in schema["columns"]
        if column["nullable"] and all(row[column["name"]] is not None for row in sent)
    )
    field["nullable"] = False
    files["schema.json"] = json.dumps(schema).encode()
    manifest = json.loads(files.pop(MANIFEST)) | {"files": {name: sha256(data) for name, data in files.items()}}
    write_folder(folder, {**files, MANIFEST: Manifest(**manifest).to_bytes()})
    shop.repository.dvc("commit", "--quiet", "--force", "bundle")  # else the gate refuses what the lock does not name
    comparison = json.loads(shop.run("gate", "--json").stdout)["replay"]
    assert (
        comparison["left_out"]
        == f"those by columns would be refused: columns: `{field['name']}` may no longer be missing"
    )
    assert 0 < comparison["replayed"]["requests"] == len(rows) - len(sent)


def test_a_bundle_that_is_damaged_is_refused_before_the_merge(shop: Shop) -> None:
    """It would not load; one that is not there, as nothing of it changed, comes from where the lock says."""
    file = shop.root / "models/bundle/schema.json"
    data = file.read_bytes()
    shutil.rmtree(shop.root / "models/bundle")
    assert json.loads(shop.run("gate", "--json").stdout)["replay"]["replayed"]["disagree"] > 2
    shop.repository.dvc("checkout", "models/bundle")
    file.unlink()  # it may be a link into the cache
    file.write_bytes(data + b" ")
    assert "not what dvc.lock names" in shop.run("gate").error()[0]
    shop.repository.dvc("commit", "--quiet", "--force", "bundle")
    result = gated(shop, code=30)
    assert [violation["reason"] for violation in result["violations"]] == ["bundle-damaged"]
