"""The bundle of the lock, wherever the pipeline defines the stage that writes it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from leverframe import wiring
from leverframe.adapters.releases import Releases
from leverframe.application.bundles import bundle_of_lock, recorded_bundle
from leverframe.domain.release.serve import UNCOMMITTED
from leverframe.errors import BundleError
from leverframe.local.repository import TemporaryRepository

BELOW = "stages: {bundle: {cmd: mkdir -p ../models/bundle && echo 1 > ../models/bundle/a, outs: [../models/bundle]}}\n"
NAMED = "vars: [{place: models}]\nstages: {bundle: {cmd: make, outs: ['${place}/bundle']}}\n"
OTHER = "# models/bundle was written here once\nstages: {train: {cmd: make, outs: [models/bundle.old]}}\n"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TemporaryRepository:
    """Return an empty repository, which is the current folder."""
    made = TemporaryRepository.create(tmp_path)
    monkeypatch.chdir(made.root)
    return made


def test_a_stage_of_another_folder_writes_it(repository: TemporaryRepository, tmp_path: Path) -> None:
    """As checked out, of a commit once its lock is committed, and fetched where it is gone."""
    store = Releases(tmp_path / "store")
    repository.write("serving/dvc.yaml", BELOW)
    repository.write(".gitignore", "/models/\n")
    repository.dvc("repro", "serving/dvc.yaml")
    assert bundle_of_lock(wiring.workspace(), store, lambda _: None).commit == UNCOMMITTED
    commit = repository.commit("A bundle")
    bundle = bundle_of_lock(wiring.workspace(), store, lambda _: None)
    assert (bundle.folder.resolve(), bundle.commit) == ((repository.root / "models/bundle").resolve(), commit)
    shutil.rmtree(repository.root / "models/bundle")
    fetched = bundle_of_lock(wiring.workspace(), store, lambda _: None)
    assert (fetched.commit, (fetched.folder / "a").read_text()) == (commit, "1\n")
    assert fetched.folder.name == recorded_bundle(wiring.workspace().git, commit).md5


@pytest.mark.parametrize(
    ("definition", "why"),
    [(NAMED, "its stage `bundle` did not run here"), (OTHER, "no stage of dvc.yaml writes models/bundle")],
)
def test_what_is_written_is_what_stages_say(repository: TemporaryRepository, definition: str, why: str) -> None:
    """Not what some text of the file looks like."""
    repository.write("dvc.yaml", definition)
    repository.commit("A pipeline")
    with pytest.raises(BundleError) as caught:
        bundle_of_lock(wiring.workspace(), Releases(repository.root / "store"), lambda _: None)
    assert caught.value.why == why
