"""A repository with two projects, a library and a submodule that they import, each found by its place.

The projects are either a finished shop, moved into a folder with all that it recorded, or pipelines of three scripts.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from leverframe.local.repository import TemporaryRepository
from tests.integration import own_pipeline, shop
from tests.integration.shop import Shop
from tests.warm import WarmRepository

ML, OTHER = "services/ml", "services/other"
LIBRARY, TABLE = "libs/scaling/steps.py", "vendor/rates/table.py"
IMPORTS = "from rates.table import RATE\nfrom scaling.steps import SCALE\n"
LINKS = {"scaling": "../../libs/scaling", "rates": "../../vendor/rates"}  # by which a project finds what it imports
WITHIN = {".dvc/config": "", ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n"}  # what `dvc init --subdir` writes

REMOTE = "[core]\n    remote = store\n['remote \"store\"']\n    url = ../../../../remote\n"  # beside the repository


@dataclass(frozen=True)
class Monorepo:
    """The whole repository, its two projects, and the repository that the submodule comes from."""

    whole: TemporaryRepository
    ml: Shop
    other: Shop
    origin: TemporaryRepository

    def doubled(self, *, library: bool = True, submodule: bool = True) -> None:
        """Let the library and the submodule hold another value, the latter at a commit of its own, and commit that."""
        if library:
            self.whole.write(LIBRARY, "SCALE = 2\n")
        if submodule:
            self.origin.write("table.py", "RATE = 2\n")
            self.origin.commit("Another rate")
            self.whole.git("-C", "vendor/rates", "pull", "--quiet", str(self.origin.root), "main")
        self.whole.commit("Another value")


def empty(folder: Path, *, within: bool = True) -> Monorepo:
    """Return the repository without anything in its projects; `.dvc` will be ``within`` each, or is at the top."""
    origin = TemporaryRepository.create(folder / "rates", dvc=False)
    origin.write("table.py", "RATE = 1\n")
    origin.write("__init__.py", "")
    origin.commit("Rates")
    whole = WarmRepository.create(folder, dvc=not within)
    whole.write(LIBRARY, "SCALE = 1\n")
    whole.write("libs/scaling/__init__.py", "")
    whole.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(origin.root), "vendor/rates")
    whole.commit("A library and a submodule")
    projects = [Shop(WarmRepository(whole.root / place, whole.home)) for place in (ML, OTHER)]
    return Monorepo(whole, projects[0], projects[1], origin)


def of_scripts(folder: Path, *, within: bool = True) -> Monorepo:
    """Return a pipeline of scripts beside another folder, reproduced and committed."""
    made = empty(folder, within=within)
    add_scripts(made.ml, within=within)
    made.other.repository.write("notes.md", "here\n")
    made.ml.repository.dvc("repro")
    made.whole.commit("Reproduced")
    return made


def add_scripts(project: Shop, *, within: bool) -> None:
    """Write a pipeline whose training imports the library and the submodule."""
    files = own_pipeline.files() | (WITHIN if within else {})
    files["train.py"] = IMPORTS + own_pipeline.TRAIN.replace("list(weights)", "list(weights * SCALE * RATE)")
    files["dvc.yaml"] = files["dvc.yaml"].replace(
        "deps: [train.py, train.csv]", f"deps: [train.py, train.csv, ../../{LIBRARY}, ../../{TABLE}]"
    )
    for path, content in files.items():
        project.repository.write(path, content)
    link(project)


def link(project: Shop) -> None:
    """Let a project find the library and the submodule beside it."""
    for name, target in LINKS.items():
        (project.root / name).symlink_to(target)


def of_shop(factory: pytest.TempPathFactory) -> Monorepo:
    """Return the one repository of this test run with a finished shop in a folder; nobody may change it.

    Its estimator imports the library and the submodule, so that what follows on it was run there.
    """

    def finish(_: Shop, folder: Path) -> None:
        made = empty(folder / "mono")
        finished = shop.finished(factory)
        shutil.copytree(
            finished.root, made.ml.root, symlinks=True, ignore=shutil.ignore_patterns(".git", ".leverframe")
        )
        link(made.ml)
        made.ml.repository.write(".dvc/config", REMOTE)
        made.ml.replace("pipelines/shop/model.py", "from sklearn.compose", f"{IMPORTS}from sklearn.compose")
        made.ml.replace("pipelines/shop/model.py", "max_iter=iterations", "max_iter=iterations * SCALE * RATE")
        made.whole.commit("A shop in a folder")
        assert made.ml.run("stages", "--write").code == 0
        made.ml.repository.dvc("repro")
        made.whole.commit("Reproduced")

    _, folder = shop.built_once(factory, "shop-in-a-folder", finish)
    return placed(folder / "mono")


def copied(made: Monorepo, folder: Path) -> Monorepo:
    """Return a copy of a repository with its caches of DVC, in another folder."""
    shutil.copytree(made.whole.root.parent, folder, symlinks=True, dirs_exist_ok=True)
    return placed(folder)


def placed(folder: Path) -> Monorepo:
    """Return the repository that lies in a folder."""
    whole = WarmRepository(folder / "repository", folder / "home")
    projects = [Shop(WarmRepository(whole.root / place, whole.home)) for place in (ML, OTHER)]
    origin = TemporaryRepository(folder / "rates/repository", folder / "rates/home")
    return Monorepo(whole, projects[0], projects[1], origin)
