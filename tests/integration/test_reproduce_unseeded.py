"""A training without a seed, run by DVC itself: no forgery, and it passes only within what the base branch allows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.shop import Ended, Shop
from tests.warm import WarmRepository

STAGES = """\
stages:
  train:
    cmd: head -c 4 /dev/urandom > model.bin
    outs: [model.bin]
  evaluate:
    cmd: mkdir -p reports && sh evaluate.sh > reports/metrics.json
    deps: [model.bin, evaluate.sh]
    metrics: [{reports/metrics.json: {cache: false}}]
"""
EVALUATE = """\
printf '{"auc": 0.8%010d, "rows": 10}' $(od -An -N4 -tu4 model.bin)
"""
TOLERANCE = "gate: {metrics: {auc: {maximum_drop: 0.1}}}\nreproduce: {tolerance: {auc: %s}}\n"


@pytest.fixture(scope="module")
def unseeded(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Return a repository whose two stages have run, with nothing declared."""
    repository = WarmRepository.create(tmp_path_factory.mktemp("unseeded"))
    repository.write("dvc.yaml", STAGES)
    repository.write("evaluate.sh", EVALUATE)
    repository.write("leverframe.yaml", "gate: {metrics: {auc: {maximum_drop: 0.1}}}\n")
    repository.write(".gitignore", "/.leverframe/\n")
    repository.dvc("repro")
    repository.commit("A pipeline")
    return Shop(repository)


def reproduced(shop: Shop, *, base: str = "main") -> tuple[Ended, dict[str, Any]]:
    """Run every stage, and return how that ended and what was found."""
    ended = shop.run("reproduce", "--full", "--json", "--base", base)
    shop.repository.git("checkout", "--quiet", "--", ".")
    return ended, json.loads(ended.stdout)


@pytest.mark.deep
def test_a_training_without_a_seed_is_named_and_passes_within_what_the_base_allows(unseeded: Shop) -> None:
    """Without a declaration, with one in the change alone, with one that is wide enough, and with one that is not."""
    ended, report = reproduced(unseeded)
    assert ended.code == 30, ended.stderr
    (violation,) = report["violations"]
    assert violation["reason"] == "not-deterministic"
    assert "two runs of `train`" in violation["what"]
    repository = unseeded.repository
    repository.git("checkout", "--quiet", "-b", "loosened")
    repository.write("leverframe.yaml", TOLERANCE % "0.5")
    repository.commit("Allow what this change needs")
    ended, report = reproduced(unseeded)
    assert ended.code == 30
    assert "applies once it is merged" in json.dumps(report["notes"])
    for name, allowed, code in (("wide", 0.5, 0), ("narrow", 1e-12, 30)):
        repository.git("checkout", "--quiet", "-b", name)
        repository.write("leverframe.yaml", TOLERANCE % f"{allowed:.12f}")
        repository.commit("Allow a difference")
        ended, report = reproduced(unseeded, base=name)
        assert ended.code == code, ended.stdout
        assert ("within `reproduce.tolerance`" in json.dumps(report["notes"])) is (code == 0)
