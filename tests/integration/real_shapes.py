"""Six repositories as people have them, which Leverframe did not shape: pipelines of DVC and scripts, nothing of ours.

Each is reproduced and committed on ``main``, with two changes of a parameter: one that makes the model better, and one
that makes it worse. None has a ``leverframe.yaml``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from leverframe.local.repository import TemporaryRepository
from tests.integration import real_scripts as scripts
from tests.integration.shop import Shop
from tests.warm import WarmRepository

Edit = tuple[str, str, str]
"""A file, a text in it, and what comes in its place."""


@dataclass(frozen=True)
class RealShape:
    """A repository at its commit ``base``; ``place`` is the folder of the project in it.

    ``metrics`` are the files of metrics, from the project, and ``figure`` is the one of them that tells models apart.
    """

    whole: TemporaryRepository
    base: str
    metrics: tuple[str, ...]
    figure: str
    higher_is_better: bool
    good: Edit
    bad: Edit
    place: str = "."

    @property
    def project(self) -> Shop:
        """The project, as a person stands in it."""
        return Shop(WarmRepository(self.whole.root / self.place, self.whole.home))

    def better(self, *, run: bool = True) -> str:
        """Commit a change that makes the model better, and return the commit; without ``run`` its lock is stale."""
        return self._changed(self.good, run=run)

    def worse(self, *, run: bool = True) -> str:
        """Commit a change that makes the model worse, and return the commit; without ``run`` its lock is stale."""
        return self._changed(self.bad, run=run)

    def copied(self, folder: Path) -> RealShape:
        """Return a copy with its cache of DVC, in another folder."""
        shutil.copytree(self.whole.root, folder / "repository", symlinks=True)
        (folder / "home").mkdir()
        return RealShape(**{**vars(self), "whole": WarmRepository(folder / "repository", folder / "home")})

    def _changed(self, edit: Edit, *, run: bool) -> str:
        self.project.replace(*edit)
        if run:
            self.project.repository.dvc("repro", "--quiet", *ALL)
        return self.whole.commit("Change a parameter")


ALL = ("--all-pipelines",)


def text_classification(folder: Path) -> RealShape:
    """Sentiment of reviews in two languages: `foreach` in `dvc.yaml`, a section `train` with a seed in `params.yaml`.

    Models, predictions and confusion matrices are outputs; metrics lie in one file a language.
    """
    whole = _started(folder)
    for number, language in enumerate(("de", "en")):
        whole.write(f"reviews/{language}.tsv", _reviews(number))
    _write(whole, {
        "dvc.yaml": scripts.TEXT_PIPELINE, "params.yaml": scripts.TEXT_PARAMS, "src/train.py": scripts.TEXT_TRAIN,
        "src/evaluate.py": scripts.TEXT_EVALUATE,
    })  # fmt: skip
    metrics = tuple(f"metrics/{language}.json" for language in ("de", "en"))
    good, bad = (("params.yaml", "words: 60", f"words: {value}") for value in (400, 10))
    return _reproduced(whole, metrics, "test.f1", good, bad)


def image_folders(folder: Path) -> RealShape:
    """Pictures of three kinds: the data are a folder of `dvc add`, and every output is a folder.

    Plots of the top level are in a folder, too; the model is two files of one.
    """
    whole = _started(folder)
    draw = np.random.default_rng(1)
    for kind, (row, column) in {"bar": (0, 1), "dot": (1, 1), "line": (1, 0)}.items():
        for number in range(30):
            pixels = draw.normal(80, 60, (8, 8))
            pixels[2 : 4 + 2 * column, 2 : 4 + 2 * row] += 90
            content = b"P5 8 8 255\n" + pixels.clip(0, 255).astype(np.uint8).tobytes()
            whole.write(f"data/raw/{kind}/{number:02}.pgm", content)
    whole.dvc("add", "--quiet", "data/raw")
    _write(whole, {
        "dvc.yaml": scripts.IMAGE_PIPELINE, "params.yaml": scripts.IMAGE_PARAMS, "prepare.py": scripts.IMAGE_PREPARE,
        "train.py": scripts.IMAGE_TRAIN, "evaluate.py": scripts.IMAGE_EVALUATE,
    })  # fmt: skip
    good, bad = (("params.yaml", "examples: 4", f"examples: {value}") for value in (20, 1))
    return _reproduced(whole, ("eval/metrics.json",), "accuracy", good, bad)


def monorepo(folder: Path) -> RealShape:
    """Prices by regression, a project of DVC in `services/prices` beside a library and a web site; less is better."""
    whole = WarmRepository.create(folder, dvc=False)
    place = "services/prices"
    draw = np.random.default_rng(2)
    size = draw.uniform(20, 200, 400)
    price = 1000 + 12 * size + 0.08 * size**2 + draw.normal(0, 60, 400)
    rows = [f"{number},{x:.2f},{y:.2f}" for number, (x, y) in enumerate(zip(size, price, strict=True))]
    _write(whole, {
        "libs/numbers/rounding.py": "def rounded(value):\n    return round(float(value), 6)\n",
        "web/index.html": "<title>Prices</title>\n", ".gitignore": "__pycache__\n/services/prices/.leverframe/\n",
        f"{place}/.dvc/config": "", f"{place}/.dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
        f"{place}/.dvcignore": "__pycache__\n", f"{place}/data/homes.csv": "\n".join(["id,size,price", *rows]) + "\n",
        f"{place}/dvc.yaml": scripts.PRICES_PIPELINE, f"{place}/params.yaml": scripts.PRICES_PARAMS,
        f"{place}/fit.py": scripts.PRICES_FIT,
    })  # fmt: skip
    good, bad = (("params.yaml", "degree: 1", f"degree: {value}") for value in (2, 0))
    return _reproduced(whole, ("metrics.json",), "rmse", good, bad, place=place, higher_is_better=False)


def several_definitions(folder: Path) -> RealShape:
    """Churn in three folders, each with a `dvc.yaml` and a lock of its own; two of them with parameters, too."""
    whole = _started(folder)
    draw = np.random.default_rng(3)
    x = draw.normal(size=(900, 3))
    y = (x[:, 0] - 0.8 * x[:, 1] + draw.normal(0, 0.7, 900) > 0).astype(int)
    rows = [",".join([str(i), *(f"{v:.6f}" for v in x[i]), str(y[i])]) for i in range(900)]
    _write(whole, {
        "data/customers.csv": "\n".join(["id,visits,complaints,age,left", *rows]) + "\n",
        "data/dvc.yaml": scripts.CHURN_DATA, "data/split.py": scripts.CHURN_SPLIT,
        "model/dvc.yaml": scripts.CHURN_MODEL, "model/params.yaml": "train:\n  columns: [visits, age]\n  steps: 200\n",
        "model/train.py": scripts.CHURN_TRAIN, "evaluation/dvc.yaml": scripts.CHURN_EVALUATION,
        "evaluation/limits.json": '{"threshold": 0.5}\n', "evaluation/evaluate.py": scripts.CHURN_EVALUATE,
    })  # fmt: skip
    good, bad = (
        ("model/params.yaml", "columns: [visits, age]", f"columns: {value}")
        for value in ("[visits, complaints, age]", "[age]")
    )
    return _reproduced(whole, ("evaluation/metrics.json",), "holdout.auc", good, bad)


def toml_params(folder: Path) -> RealShape:
    """Demand of a day, with the parameters in `config.toml` and nested metrics in TOML."""
    whole = _started(folder)
    draw = np.random.default_rng(4)
    days = np.arange(420)
    demand = 100 + 20 * np.sin(days * 2 * np.pi / 7) + draw.normal(0, 5, 420)
    rows = [f"{day},{value:.3f}" for day, value in zip(days, demand, strict=True)]
    _write(whole, {
        "demand.csv": "\n".join(["day,demand", *rows]) + "\n", "dvc.yaml": scripts.DEMAND_PIPELINE,
        "config.toml": scripts.DEMAND_CONFIG, "forecast.py": scripts.DEMAND_FORECAST,
    })  # fmt: skip
    good, bad = (("config.toml", "lag = 6", f"lag = {value}") for value in (7, 4))
    return _reproduced(whole, ("results/metrics.toml",), "test.mae", good, bad, higher_is_better=False)


def metrics_only(folder: Path) -> RealShape:
    """One stage that leaves nothing but figures, called metrics at the top level; there is no `params.yaml`."""
    whole = _started(folder)
    _write(whole, {
        "dvc.yaml": scripts.FIGURES_PIPELINE, "simulate.py": scripts.FIGURES_SIMULATE,
        "settings.json": '{"strategy": {"patience": 5}}\n',
    })  # fmt: skip
    good, bad = (("settings.json", '"patience": 5', f'"patience": {value}') for value in (20, 1))
    return _reproduced(whole, ("scores.json",), "reward.mean", good, bad)


SHAPES: Mapping[str, Callable[[Path], RealShape]] = {
    build.__name__: build
    for build in (text_classification, image_folders, monorepo, several_definitions, toml_params, metrics_only)
}


def shared(factory: pytest.TempPathFactory, name: str) -> RealShape:
    """Return the shape of that name, which this worker of the test run builds once; nobody may change it."""
    if name not in _BUILT:
        _BUILT[name] = SHAPES[name](factory.mktemp(name))
    return _BUILT[name]


_BUILT: dict[str, RealShape] = {}


def _started(folder: Path) -> WarmRepository:
    whole = WarmRepository.create(folder)
    assert isinstance(whole, WarmRepository)
    whole.write(".gitignore", "__pycache__\n/.leverframe/\n")
    return whole


def _write(whole: TemporaryRepository, files: Mapping[str, str]) -> None:
    for path, content in files.items():
        whole.write(path, content.lstrip("\n"))


def _reproduced(
    whole: TemporaryRepository, metrics: tuple[str, ...], figure: str, good: Edit, bad: Edit, *, place: str = ".",
    higher_is_better: bool = True,
) -> RealShape:  # fmt: skip
    shape = RealShape(whole, "", metrics, figure, higher_is_better, good, bad, place)
    shape.project.repository.dvc("repro", "--quiet", *ALL)
    base = whole.commit("A pipeline")
    whole.git("checkout", "--quiet", "-b", "change")
    return RealShape(**{**vars(shape), "base": base})


def _reviews(number: int) -> str:
    """Return reviews as lines of id, label and words, a few of which tell the label."""
    draw = np.random.default_rng(number)
    words = [f"word{number}{index}" for index in range(300)]
    lines = []
    for review in range(500):
        label = int(draw.integers(2))
        telling = draw.integers(0, 60, 3) + 60 * label
        others = draw.integers(0, 300, 9)
        lines.append(f"{review}\t{label}\t{' '.join(words[index] for index in (*telling, *others))}")
    return "\n".join(lines) + "\n"
