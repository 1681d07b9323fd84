"""The case of the guide as a workspace, with what a test changes of it, run stage by stage in this process."""

from __future__ import annotations

import itertools
import random
import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from leverframe.adapters.git import Git
from leverframe.application.build import build
from leverframe.application.bundle import bundle
from leverframe.application.evaluate import evaluate
from leverframe.application.ingest import ingest
from leverframe.application.snapshot import snapshot
from leverframe.application.stages import write_definition
from leverframe.application.train import train
from leverframe.application.training_set import training_set
from leverframe.application.validate import validate
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.features.plan import compile_star
from leverframe.domain.features.star import read_star
from leverframe.domain.model.bundle.packing import Bundle
from leverframe.settings.levers import Levers
from leverframe.settings.params import read_params

GUIDES = Path(__file__).parents[2] / "docs/guides"
VISITS = 1050  # one every two hours
START = datetime(2024, 1, 2, tzinfo=UTC)

_NUMBERS = itertools.count()


def files_of(page: str) -> dict[str, str]:
    """Return the files that a guide shows, by the name above each."""
    text = (GUIDES / page).read_text(encoding="utf-8")
    return dict(re.findall(r"^`([\w./]+)`:.*?```\w+\n(.*?)```", text, re.DOTALL | re.MULTILINE))


def place_of(root: Path, files: Mapping[str, str], package: str = "pipelines.shop") -> Workspace:
    """Write files of a case below a package of its own, and return the repository."""
    own = f"pipelines.{package.rpartition('.')[2]}_{next(_NUMBERS)}"  # python keeps modules by name
    for name, content in files.items():
        path = root / name.replace(package.replace(".", "/"), own.replace(".", "/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content.replace(package, own), encoding="utf-8")
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    return Workspace(
        root, Git(root), lambda: read_params(root / "params.yaml"), Levers, lambda star: compile_star(read_star(star))
    )


def again(place: Workspace) -> Workspace:
    """Return the same repository with its files read again."""
    return Workspace(place.root, place.git, place.read_params, place.read_levers, place.read_plan)


def raw_files(visits: int = VISITS) -> dict[str, str]:
    """Return visits and customers as CSV files."""
    numbers = random.Random(0)  # noqa: S311 - data, not a secret
    rows = ["visit,customer,channel,came_at,bought"]
    for visit in range(visits):
        who, channel = f"{numbers.randrange(40):03d}", numbers.choice(["web", "shop"])
        bought = int(numbers.random() < (0.7 if channel == "shop" else 0.2))
        rows.append(f"{visit},{who},{channel},{START + timedelta(hours=2 * visit):%Y-%m-%dT%H:%M:%SZ},{bought}")
    people = ["customer,age", *(f"{who:03d},{20 + who}" for who in range(40))]
    return {"raw/visits.csv": "\n".join(rows) + "\n", "raw/customers.csv": "\n".join(people) + "\n"}


def built(place: Workspace) -> pl.DataFrame:
    """Ingest, validate and build every group, and return all features in the order of their rows."""
    write_definition(place)
    groups = [str(group) for group in place.partitions.groups()]
    static = [layout.STATIC] if any(source.static for source in place.sources.values()) else []
    for key in (*static, *groups):
        ingest(place, key)
    for key in (*static, *groups):
        validate(place, key).raise_if_failed()
    for key in groups:
        build(place, key)
    return pl.concat((pl.read_parquet(place.root / layout.features(key)) for key in groups), how="vertical_relaxed")


def trained(place: Workspace) -> None:
    """Train and evaluate a model of what was built."""
    training_set(place)
    train(place)
    evaluate(place)


def bundled(place: Workspace) -> Bundle:
    """Make a bundle of what was built."""
    snapshot(place, None, None, place.root / layout.SNAPSHOT, None, 0)
    trained(place)
    return bundle(place)
