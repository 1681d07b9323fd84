"""A small shop as a case: four files of declarations, five months of raw data, git and DVC around them.

The repository is built and reproduced once a test run; every test works on a copy of its own. The
longest window with its lag is 21 days, so features reach one month back; contracts reach two.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import re
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from leverframe.local.repository import TemporaryRepository
from tests.warm import PATIENCE, WarmRepository, warm

MONTHS = ("2024-01", "2024-02", "2024-03", "2024-04", "2024-05")
PRODUCTS = {"chair": 49.5, "desk": 180.0, "lamp": 25.25, "shelf": 99.9}  # name and price in euros
CASE = Path("pipelines/shop")
FINISHED = "finished-shop"

SOURCES = '''
"""Orders and returns from CSV files, a price index from a function, products from a list."""

from __future__ import annotations

import os
import time
from pathlib import Path

import polars as pl

from leverframe.case import Csv, Function, Source

TIMESTAMP = "%Y-%m-%dT%H:%M:%SZ"
HOURS = 3_600_000_000  # microseconds


def hold(name):
    """Wait as long as a test holds this place, which is told our number."""
    held = Path(".leverframe", f"hold-{name}")
    if held.exists():
        Path(".leverframe", f"held-{name}").write_text(str(os.getpid()))
        while held.exists():
            time.sleep(0.02)


def timestamps(frame, *names):
    """Return the frame with the named texts as timestamps."""
    return frame.with_columns(pl.col(*names).str.to_datetime(TIMESTAMP, time_zone="UTC", time_unit="us"))


def orders(frame):
    """Return one row an order, with the hours until it was delivered."""
    timed = timestamps(frame, "placed_at", "delivered_at")
    took = (pl.col("delivered_at") - pl.col("placed_at")).dt.total_microseconds() / HOURS
    return timed.with_columns(delay_hours=took, known=pl.coalesce("delivered_at", "placed_at"))


def index(month):
    """Return what a chair, desk, lamp and shelf cost on each day of the month, in percent of the list."""
    hold(month)
    first = pl.datetime(month.first_day.year, month.first_day.month, 1)
    days = pl.datetime_range(first, first.dt.offset_by("27d"), time_zone="UTC", eager=True)
    return pl.concat(
        pl.DataFrame({"product": name, "percent": [100.0 + (day.day * number) % 7 for day in days], "day": days})
        for number, name in enumerate(("chair", "desk", "lamp", "shelf"), start=1)
    )


SOURCES = {
    "orders": Source(Csv("raw/orders-{month}.csv"), transform=orders, event_time="placed_at", known_at="known"),
    "returns": Source(
        Csv("raw/returns-{month}.csv"),
        transform=lambda frame: timestamps(frame, "placed_at", "settled_at"),
        event_time="placed_at",
        known_at="settled_at",
    ),
    "index": Source(Function(index), event_time="day", known_at="day"),
    "products": Source(Csv("raw/products.csv")),
}
'''

CONTRACTS = '''
"""The contracts of the shop's tables."""

from __future__ import annotations

from datetime import timedelta

import pandera.polars as pa
import polars as pl

from leverframe.case import Contract, ForeignKey, Freshness, NullRate, SchemaDiff, UniqueKey, Volume


class Orders(pa.DataFrameModel):
    """One row an order, in euros and hours."""

    order_id: int = pa.Field(ge=1)
    customer: str = pa.Field(str_matches=r"^c[0-9]+$")
    product: str
    quantity: int = pa.Field(in_range=(1, 20))
    price: float = pa.Field(gt=0)  # euros
    amount: float = pa.Field(in_range=(0, 1_000_000))  # euros
    delay_hours: float = pa.Field(nullable=True, in_range=(0, 168))

    @pa.dataframe_check(name="euros", description="the amount is quantity times price, within a cent")
    @classmethod
    def euros(cls, data):
        """Hold when the three columns agree: a range does not see cents, which look like a large order."""
        return data.lazyframe.select((pl.col("quantity") * pl.col("price") - pl.col("amount")).abs() < 0.01)


class Returns(pa.DataFrameModel):
    """One row an order: whether it came back."""

    order_id: int
    returned: int = pa.Field(isin=(0, 1))


class Index(pa.DataFrameModel):
    """One row a product and day."""

    product: str
    percent: float = pa.Field(in_range=(50, 200))


class Products(pa.DataFrameModel):
    """One row a product."""

    product: str
    room: str
    bulk: float = pa.Field(gt=0)  # litres


CONTRACTS = {
    "orders": Contract(
        Orders,
        monitors=(
            Freshness(within=timedelta(hours=48)),
            Volume(),
            SchemaDiff(),
            UniqueKey(("order_id",)),
            ForeignKey(("product",), "products"),
            NullRate(tolerance=0.2),
        ),
    ),
    "returns": Contract(Returns, monitors=(UniqueKey(("order_id",)), NullRate())),
    "index": Contract(Index, monitors=(UniqueKey(("product", "event_time")), NullRate())),
    "products": Contract(Products, monitors=(UniqueKey(("product",)),)),
}
'''

STAR = """\
entities:
  order: [order_id]
  customer: [customer]
  product: [product]

spine:
  table: orders
  key: order
  columns: [product, quantity, amount]
  calendar: {timezone: Europe/Paris, parts: [hour, weekday]}

facts:
  deliveries: {table: orders, known_at: delivered_at, max_lag: 7d, reveals: [delay_hours]}
  returns: {table: returns, known_at: settled_at, max_lag: 7d}

dimensions:
  item: {table: products, key: product, columns: [room, bulk]}
  index: {table: index, key: product, as_of: {lag: 1h, tolerance: 5d}, columns: [percent]}

measures:
  customer: {fact: deliveries, key: customer, of: {delay_hours: [mean, count]}, windows: [14d]}
  product: {fact: deliveries, key: product, of: {delay_hours: [mean, {share_above: 48}]}, windows: [3d, 14d]}

labels:
  late: {fact: deliveries, column: delay_hours, kind: binary, at_least: 48}
  delay: {fact: deliveries, column: delay_hours, kind: regression}
  returned: {fact: returns, column: returned, kind: binary}
"""

MODEL = '''
"""Boosted trees over ordinal categories."""

from __future__ import annotations

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from pipelines.shop.sources import hold


def estimator(features, *, label, iterations):
    """Return the unfitted pipeline, a regressor where the label is a number."""
    hold("train")
    texts = [each.name for each in features if each.kind == "categorical"]
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    columns = ColumnTransformer([("texts", codes, texts)], remainder="passthrough", verbose_feature_names_out=False)
    boosting = HistGradientBoostingRegressor if label.kind == "regression" else HistGradientBoostingClassifier
    return make_pipeline(columns, boosting(max_iter=iterations, early_stopping=False, random_state=0))
'''

LEVERS = "report: {slices: 8}  # what is not said here has its default\n"

PARAMS = """\
data:
  case: pipelines.shop
  first: "2024-01"
  last: "2024-05"
  timezone: Europe/Paris

features:
  engine: duckdb
  label: late
  select: ["*"]
  train: {first: "2024-01", last: "2024-03"}
  holdout: {first: "2024-04", last: "2024-05"}

train:
  estimator: pipelines.shop.model:estimator
  params: {iterations: 5}

evaluate:
  slices: [product]
  minimum_slice_rows: 50
  confidence: 0.95

bundle:
  model: shop
  golden_rows: 16
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    def error(self) -> tuple[str, str, str]:
        """Return what, why and next of the only error on stderr; fails for a traceback or any other number."""
        assert "Traceback" not in self.stderr, self.stderr
        errors = re.findall(r"^error: (.+)\n  why:  (.+)\n  next: (.+)$", self.stderr, re.MULTILINE)
        assert len(errors) == 1, self.stderr
        assert self.stderr.count("error:") == 1, self.stderr
        (what, why, following) = errors[0]
        return what, why, following


@dataclass(frozen=True)
class Shop:
    """A repository with the case in it, and what tests do with one."""

    repository: TemporaryRepository

    @property
    def root(self) -> Path:
        """The folder of the repository."""
        return self.repository.root

    def run(self, *arguments: str, limit: int | None = None, cold: bool = False) -> Ended:
        """Run `leverframe` to its end; no file can be written beyond ``limit`` bytes, as on a full disk.

        A ``cold`` one is the program that is installed, with its start.
        """
        environment = self.repository.environment
        if not cold:
            done = warm().run("leverframe", arguments, self.root, environment, limit)
            return Ended(done.returncode, done.stdout, done.stderr)

        def full() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit or 0, limit or 0))

        done = subprocess.run(
            ["leverframe", *arguments],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            preexec_fn=None if limit is None else full,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command and return it while it runs."""
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self.repository.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def repro(self, *targets: str) -> set[str]:
        """Run `dvc repro` and return the stages whose command ran."""
        return set(re.findall(r"^Running stage '(.+)':$", self.repository.dvc("repro", *targets), re.MULTILINE))

    def replace(self, path: str, old: str, new: str) -> None:
        """Replace the first ``old`` in a file by ``new``."""
        text = self.repository.read(path)
        assert old in text, f"{old!r} is not in {path}"
        self.repository.write(path, text.replace(old, new, 1))

    def edit(self, table: str, month: str, change: Callable[[list[dict[str, str]]], object]) -> None:
        """Change the rows of a raw CSV file in place."""
        path = f"raw/{table}-{month}.csv"
        rows = list(csv.DictReader(self.repository.read(path).splitlines()))
        names = list(rows[0])
        change(rows)
        self.repository.write(path, _csv(list(rows[0]) if rows else names, rows))

    def status(self) -> dict[str, dict[str, Any]]:
        """Return what `leverframe status` says of each stage, by name."""
        ended = self.run("status", "--json")
        assert ended.code == 0, ended.stderr
        document = json.loads(ended.stdout)
        return {stage["stage"]: stage for stage in document["stages"]}

    def stale(self) -> set[str]:
        """Return the stages that `leverframe status` calls stale."""
        return {name for name, stage in self.status().items() if stage["state"] in ("changed", "downstream", "new")}

    def outputs(self) -> dict[str, bytes]:
        """Return every file that the pipeline made, by its path; its own records are none."""
        folders = ("data", "models", "reports")
        paths = [path for folder in folders for path in (self.root / folder).rglob("*") if path.is_file()]
        return {path.relative_to(self.root).as_posix(): path.read_bytes() for path in paths}

    def hold(self, name: str) -> Path:
        """Make the source of a month, or the estimator, wait until the file that is returned is removed."""
        return self.repository.write(f".leverframe/hold-{name}", "")

    def held(self, name: str) -> psutil.Process:
        """Wait until a stage waits in the place ``name``, and return its process."""
        path = self.root / ".leverframe" / f"held-{name}"
        wait_for(lambda: path.exists() and path.read_text())
        return psutil.Process(int(path.read_text()))


def leftovers(root: Path) -> list[str]:
    """Return the temporary files below ``root`` outside of git and DVC."""
    paths = [path.relative_to(root).as_posix() for path in root.rglob("*.part")]
    return [path for path in paths if not path.startswith((".git/", ".dvc/"))]


def wait_for(condition: Callable[[], object], seconds: float = PATIENCE) -> float:
    """Wait until ``condition`` holds and return how long that took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, "waited too long"
        time.sleep(0.02)
    return time.monotonic() - started


def family(process: psutil.Process) -> list[psutil.Process]:
    """Return a process and all that it started."""
    return [process, *process.children(recursive=True)]


def alive(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Return those that still run; psutil tells a process from a later one with the same number."""
    return [
        process
        for process in processes
        if process.is_running() and _status(process) not in (psutil.STATUS_ZOMBIE, "gone")
    ]


def _status(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.NoSuchProcess:
        return "gone"


def made(folder: Path, busy: int = 1) -> Shop:
    """Return a shop in ``folder`` with its files committed and nothing run; it has ``busy`` times as many orders."""
    repository = WarmRepository.create(folder)
    files = {"sources.py": SOURCES, "contracts.py": CONTRACTS, "star.yaml": STAR, "model.py": MODEL}
    for name, content in files.items():
        repository.write((CASE / name).as_posix(), content.lstrip())
    repository.write("params.yaml", PARAMS)
    repository.write("leverframe.yaml", LEVERS)
    repository.write("requirements.lock", "# Jobs run what is installed on this machine.\n")
    repository.write(".gitignore", "__pycache__\n/.leverframe/\n")
    repository.write(".dvcignore", "__pycache__\n.leverframe\n")
    for path, content in _raw(busy).items():
        repository.write(path, content)
    repository.run("leverframe", "stages", "--write")
    repository.commit("A shop")
    return Shop(repository)


def finished(factory: pytest.TempPathFactory) -> Shop:
    """Return the one reproduced and committed shop of this test run; nobody may change it."""

    def finish(shop: Shop, _: Path) -> None:
        shop.repository.dvc("repro")
        shop.repository.commit("Reproduced")

    return built_once(factory, FINISHED, finish, anew=True)[0]


def demonstrated(factory: pytest.TempPathFactory) -> tuple[Shop, Ended]:
    """Return a shop beside the finished one, run by `leverframe demo` alone, and how that ended."""

    def finish(shop: Shop, folder: Path) -> None:
        ended = shop.run("demo")
        (folder / "ended.json").write_text(json.dumps(vars(ended)), encoding="utf-8")

    shop, folder = built_once(factory, "another place with a longer name", finish, anew=True)
    return shop, Ended(**json.loads((folder / "ended.json").read_text(encoding="utf-8")))


def built_once(
    factory: pytest.TempPathFactory, name: str, finish: Callable[[Shop, Path], None], *, anew: bool = False
) -> tuple[Shop, Path]:
    """Return a shop that all workers of this test run share, and its folder; the first to ask builds it.

    It is made of the finished one, so that only what differs is run again, or ``anew`` with nothing run.
    """
    made_of = None if anew else finished(factory)
    shared = factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    folder = shared / name
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another worker may be building it
        if not (folder / "ready").exists():
            finish(copied(made_of, folder) if made_of else made(folder), folder)
            (folder / "ready").touch()
    return Shop(WarmRepository(folder / "repository", folder / "home")), folder


def copied(shop: Shop, folder: Path) -> Shop:
    """Return a copy of a shop with its cache of DVC, in another folder."""
    shutil.copytree(shop.root, folder / "repository", symlinks=True)
    (folder / "home").mkdir(exist_ok=True)
    return Shop(WarmRepository(folder / "repository", folder / "home"))


def first_model(shop: Shop) -> None:
    """Let main have the case without a run, and the branch that is checked out its first model."""
    repository = shop.repository
    repository.git("checkout", "--quiet", "--orphan", "empty")
    repository.git("rm", "-r", "--quiet", "--cached", ".")
    repository.git(
        "add", "params.yaml", "leverframe.yaml", "dvc.yaml", "pipelines", "raw", ".gitignore", ".dvc", ".dvcignore"
    )
    repository.git("commit", "--quiet", "--message", "A case without a run")
    repository.git("branch", "--force", "main", "empty")
    repository.git("branch", "--delete", "--force", "change")
    repository.git("checkout", "--quiet", "-b", "first-model")
    repository.commit("The first model")


def _raw(busy: int) -> dict[str, str]:
    files = {
        "raw/products.csv": "product,room,bulk\nchair,kitchen,40\ndesk,office,210.5\nlamp,office,9\nshelf,hall,88\n"
    }
    for number, month in enumerate(MONTHS):
        orders, returns = month_of(number, busy)
        files[f"raw/orders-{month}.csv"] = _csv(list(orders[0]), orders)
        files[f"raw/returns-{month}.csv"] = _csv(list(returns[0]), returns)
    return files


def month_of(number: int, busy: int = 1) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Return orders and returns of one month; desks and far customers are late."""
    draw = np.random.default_rng(number)
    timestamp = datetime(2024, number + 1, 1, 6, tzinfo=UTC)
    end = datetime(2024, number + 2, 1, tzinfo=UTC) - timedelta(hours=6)
    orders: list[dict[str, str]] = []
    returns: list[dict[str, str]] = []
    while timestamp < end:
        order = (number + 1) * 10_000 + len(orders)
        product, customer = list(PRODUCTS)[draw.integers(4)], int(draw.integers(30))
        quantity, price = int(draw.integers(1, 5)), PRODUCTS[product]
        hours = 12 + 30 * (product == "desk") + customer + float(draw.gamma(2.0, 6.0))
        delivered = timestamp + timedelta(hours=min(hours, 160))
        missing = len(orders) % 40 == 39  # never arrived
        orders.append(
            {
                "order_id": str(order),
                "customer": f"c{customer}",
                "product": product,
                "quantity": str(quantity),
                "price": f"{price:.2f}",
                "amount": f"{quantity * price:.2f}",
                "placed_at": _text(timestamp),
                "delivered_at": "" if missing else _text(delivered),
            }
        )
        if not missing:
            back = int(draw.random() < 0.15 + 0.2 * (product == "lamp"))
            settled = _text(delivered + timedelta(hours=2))
            returns.append(
                {"order_id": str(order), "placed_at": _text(timestamp), "settled_at": settled, "returned": str(back)}
            )
        timestamp += timedelta(minutes=int(draw.integers(30, 150)) / busy)
    return orders, returns


def _text(timestamp: datetime) -> str:
    return timestamp.strftime("%Y-%m-%dT%H:%M:%SZ")


def _csv(names: Sequence[str], rows: Sequence[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
