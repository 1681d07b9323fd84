"""From a push to the card: each kind of change ends with the right verdict, reason, check and one comment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.shop import Shop
from tests.loop.forge import Ended, Forge, opened
from tests.profiles import by_day, deep


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    """A fake GitHub server with the shop on it."""
    with opened(tmp_path_factory.mktemp("forge"), tmp_path_factory) as forge:
        yield forge


def reproduced(shop: Shop, *, push: bool = True) -> None:
    """Run the stages, commit, and push the data, as an author does."""
    shop.repository.dvc("repro")
    shop.repository.commit("Reproduce")
    if push:
        shop.repository.dvc("push")


def improved(shop: Shop) -> None:
    """More trees, which this model has too few of."""
    shop.replace("params.yaml", "iterations: 12", "iterations: 40")
    reproduced(shop)


def worsened(shop: Shop) -> None:
    """One tree."""
    shop.replace("params.yaml", "iterations: 12", "iterations: 1")
    reproduced(shop)


def broke_a_contract(shop: Shop) -> None:
    """Amounts in cents in one month: the stage refuses them, so the author has no lock to commit."""

    def cents(rows: list[dict[str, str]]) -> None:
        for row in rows:
            row["amount"] = str(float(row["amount"]) * 100)

    shop.edit("orders", "2024-05", cents)
    shop.repository.commit("New data")


def forged(shop: Shop) -> None:
    """A better figure in the report and, so that nothing looks stale, its digest in the lock."""
    path = shop.root / "reports/metrics.json"
    before = path.read_bytes()
    content = json.loads(before)
    content["auc"] = 0.99
    after = (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
    path.write_bytes(after)
    import hashlib  # noqa: PLC0415 - only a forger needs it

    lock = shop.repository.read("dvc.lock")
    for old, new in (
        (hashlib.md5(before, usedforsecurity=False).hexdigest(), hashlib.md5(after, usedforsecurity=False).hexdigest()),
        (f"size: {len(before)}", f"size: {len(after)}"),
    ):
        assert old in lock
        lock = lock.replace(old, new)
    shop.repository.write("dvc.lock", lock)
    shop.repository.commit("A much better model")


def left_the_lock_stale(shop: Shop) -> None:
    """A parameter without a run."""
    shop.replace("params.yaml", "iterations: 12", "iterations: 14")
    shop.repository.commit("More trees")


def forgot_the_data(shop: Shop) -> None:
    """A run whose outputs stay on the author's machine."""
    shop.replace("params.yaml", "iterations: 12", "iterations: 16")
    reproduced(shop, push=False)


def loosened_the_gate(shop: Shop) -> None:
    """A worse model, and rules under which it would pass."""
    shop.replace("leverframe.yaml", "maximum_drop: 0.03, floor: 0.6", "maximum_drop: 0.9, floor: 0.1")
    shop.replace("leverframe.yaml", "brier: {maximum_drop: 0.02}", "brier: {maximum_drop: 0.9}")
    worsened(shop)


def wrote_about_it(shop: Shop) -> None:
    """Documentation alone."""
    shop.repository.write("NOTES.md", "# What we learnt\n")
    shop.repository.commit("Notes")


CASES: dict[str, tuple[Callable[[Shop], None], str, list[str]]] = {
    "improve": (improved, "success", []),
    "worsen": (worsened, "failure", ["metric-dropped"]),
    "contract": (broke_a_contract, "failure", ["lock-stale", "contract-broken"]),
    "forge": (forged, "failure", ["metrics-forged"]),
    "stale": (left_the_lock_stale, "failure", ["lock-stale"]),
    "unpushed": (forgot_the_data, "failure", ["data-missing"]),
    "loosen": (loosened_the_gate, "failure", ["metric-dropped"]),
    "docs": (wrote_about_it, "success", []),
    "fork": (improved, "success", []),
}
PUSHED_TWICE = ("improve", "worsen") if deep() else ("improve",)  # one comment after another, whatever it says


@pytest.mark.parametrize("name", by_day(CASES, "improve", "forge"))
def test_each_change_gets_its_verdict(forge: Forge, name: str) -> None:
    """Verdict, reasons, the check's conclusion, exactly one comment; after a second push, of some, again."""
    change, conclusion, reasons = CASES[name]
    shop = forge.author()
    change(shop)
    pull = forge.open(shop, name, f"Change: {name}", fork="stranger/shop" if name == "fork" else None)
    ended = forge.run(pull, cold=name == "improve" and deep())
    _holds(forge, pull, ended, conclusion, reasons)
    if name not in PUSHED_TWICE:
        return
    first = forge.ours(pull)[0]
    shop.repository.write("MORE.md", "More.\n")
    shop.repository.commit("More")
    forge.push(shop, name, pull.source.full_name)
    again = forge.run(pull, "synchronize")
    _holds(forge, pull, again, conclusion, reasons)
    assert forge.ours(pull)[0] != first  # another commit
    assert forge.ours(pull)[0].splitlines()[1:2] == first.splitlines()[1:2]


def _holds(forge: Forge, pull: object, ended: Ended, conclusion: str, reasons: list[str]) -> None:
    assert set(reasons) <= set(ended.reasons), ended.output
    assert bool(reasons) is bool(ended.reasons), ended.output
    assert ended.codes["report"] == (30 if reasons else 0), ended.output
    assert forge.conclusion(pull) == conclusion, ended.output + ended.published  # type: ignore[arg-type]
    assert len(forge.ours(pull)) == 1  # type: ignore[arg-type]
    (body,) = forge.ours(pull)  # type: ignore[arg-type]
    assert ("ready to merge" in body) is (conclusion == "success")
    assert all(f"`{reason}`" in body for reason in reasons)
    assert len(body) < 65_536
    assert "Traceback" not in ended.output


def test_a_loosened_gate_is_shown_and_not_in_force(forge: Forge) -> None:
    """The card names the rules that the change would set, and judges by the old ones."""
    shop = forge.author()
    shop.replace("leverframe.yaml", "maximum_drop: 0.03, floor: 0.6", "maximum_drop: 0.9, floor: 0.1")
    shop.repository.commit("Anything goes")
    pull = forge.open(shop, "anything-goes")
    ended = forge.run(pull)
    (body,) = forge.ours(pull)
    assert "This change edits the gate" in body
    assert "`gate.metrics.auc.maximum_drop`&#58; `0.03` to `0.9`" in body
    assert ended.card["gated"]["rules_of"] == "the base branch"


@pytest.mark.deep
def test_only_what_changed_is_pulled(forge: Forge) -> None:
    """A change of the training pulls the training set and the model's reports, no raw data and no months."""
    shop = forge.author()
    improved(shop)
    pull = forge.open(shop, "pulls-little")
    job = forge.checkout(pull.head)
    job.run("leverframe", "reproduce")
    here = {path.relative_to(job.root).as_posix() for path in (job.root / "data").rglob("*") if path.is_file()}
    assert "data/training/holdout.parquet" in here
    months = [path for path in here if path.startswith(("data/raw/", "data/features/"))]
    assert [path for path in months if not path.endswith(".gitignore")] == []


@pytest.mark.deep
def test_a_run_that_ends_late_leaves_the_newer_card_alone(forge: Forge, tmp_path: Path) -> None:
    """The comment of a later run is neither overwritten nor doubled."""
    shop = forge.author()
    wrote_about_it(shop)
    pull = forge.open(shop, "late")
    forge.run(pull)
    (body,) = forge.ours(pull)
    card = tmp_path / "card.json"
    card.write_text(json.dumps(json.loads(_card_in(forge))), encoding="utf-8")
    output = forge.publish(pull, card, 5)
    assert "a newer run has posted" in output
    assert forge.ours(pull) == [body]


def _card_in(forge: Forge) -> str:
    newest = max(forge.folder.glob("job-*/repository/.leverframe/report.json"), key=lambda path: path.stat().st_mtime)
    return newest.read_text(encoding="utf-8")
