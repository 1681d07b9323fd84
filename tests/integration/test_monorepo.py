"""Projects in folders of one repository: every lever in a folder, and nothing of one project in the way of another."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from leverframe.domain.pipeline.status.lock import entries
from leverframe.domain.pipeline.status.resolved import Recorded
from tests.integration import monorepo
from tests.integration.monorepo import ML, OTHER, Monorepo
from tests.integration.shop import Shop

UNTOUCHED = f"the change touches nothing that `{ML}` reads"


@pytest.fixture
def made(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Monorepo:
    """A repository of one's own with a finished shop in a folder, on a branch."""
    found = monorepo.copied(monorepo.of_shop(tmp_path_factory), tmp_path / "mono")
    found.whole.git("checkout", "--quiet", "-b", "change")
    return found


def _document(shop: Shop, *arguments: str, code: int = 0) -> dict[str, Any]:
    ended = shop.run(*arguments, "--json")
    assert ended.code == code, ended.stdout + ended.stderr
    document: dict[str, Any] = json.loads(ended.stdout)
    return document


def test_a_change_elsewhere_concerns_nobody_here(made: Monorepo) -> None:
    """Another project, and a file at the top: no stage is stale, and the card says so at once."""
    made.whole.write(f"{OTHER}/train.py", "print(1)\n")
    made.whole.write("README.md", "# Everything\n")
    made.whole.commit("The other project")
    assert made.ml.stale() == set()
    for lever in ("check", "reproduce"):
        assert UNTOUCHED in _document(made.ml, lever)["notes"]
    assert _document(made.ml, "gate")["because"] == UNTOUCHED
    shutil.rmtree(made.ml.root / ".leverframe/levers")  # the card needs none of them
    assert made.ml.run("report", "--publisher", "file").code == 0
    card = made.ml.repository.read(".leverframe/report.md")
    assert f"Leverframe (`{ML}`): no verdict" in card
    assert UNTOUCHED in card
    assert f"cd {ML}" in card


@pytest.mark.parametrize("what", ["library", "submodule"])
def test_what_a_case_imports_from_elsewhere_makes_stages_stale(made: Monorepo, what: str) -> None:
    """A library beside the project, and a submodule that goes to another commit."""
    made.doubled(library=what == "library", submodule=what == "submodule")
    found = _document(made.ml, "check", code=30)
    (stale,) = [each["what"] for each in found["violations"] if each["reason"] == "lock-stale"]
    assert {"library": "scaling/steps.py", "submodule": "rates/table.py"}[what] in stale
    assert made.ml.stale() == {"train", "evaluate", "bundle"}


def test_the_champion_is_that_of_the_merge_base_with_what_it_imported(made: Monorepo) -> None:
    """From the cache, else from the remote, else trained in a copy that has library and submodule of its commit."""
    champion = ("models/model.skops", "data/predictions.parquet")
    made.ml.repository.dvc("push", "--quiet", *champion)
    auc = json.loads(made.ml.repository.read("reports/metrics.json"))["auc"]
    recorded = [found.md5 for path, found in _outputs(made.ml).items() if path in champion]
    made.doubled()
    made.ml.repository.dvc("repro", "evaluate")
    made.whole.commit("Trained anew")
    assert json.loads(made.ml.repository.read("reports/metrics.json"))["auc"] != auc
    told = []
    for gone in ("", ".dvc/cache", "../../../remote"):
        for md5 in recorded if gone else ():
            (made.ml.root / gone / "files/md5" / md5[:2] / md5[2:]).unlink()
        if "remote" in gone:  # what was fetched from there is in the cache now
            for md5 in recorded:
                (made.ml.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()
        ended = made.ml.run("gate", "--json")
        assert ended.code == 0, ended.stderr
        told.append(ended.stderr)
        (metric,) = [each for each in json.loads(ended.stdout)["metrics"] if each["metric"] == "auc"]
        assert metric["champion"] == pytest.approx(auc), gone
        assert metric["candidate"] != metric["champion"]
    assert ["fetching the champion" in words for words in told] == [False, True, True]
    assert ["its pipeline is run" in words for words in told] == [False, False, True]
    assert "train " in told[2]


def _outputs(shop: Shop) -> dict[str, Recorded]:
    found = entries(shop.repository.read("dvc.lock"), "dvc.lock").values()
    return {path: recorded for entry in found for path, recorded in entry.outputs.items()}


def test_the_bundle_of_a_commit_is_fetched_for_its_project(made: Monorepo) -> None:
    """By the plan of a deployment, where neither cache nor folder has it; a record of it names the project."""
    made.ml.repository.dvc("push", "--quiet", "models/bundle")
    shutil.rmtree(made.ml.root / ".dvc/cache")
    ended = made.ml.run("deploy", "--environment", "local", "--dry-run")
    assert ended.code == 0, ended.stderr
    assert "fetching the bundle" in ended.stderr
    assert "release 1" in ended.stdout
