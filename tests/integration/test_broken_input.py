"""Broken input: one message with what, why and next, its own exit code, and nothing half written."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from leverframe.local.repository import TemporaryRepository
from tests.integration.shop import Ended, Shop, copied, finished, leftovers
from tests.profiles import by_day

REPOSITORY = Path(__file__).parents[2]
STAGES = {
    "ingest": ("ingest", "--partition", "2024-02"),
    "validate": ("validate", "--partition", "2024-02"),
    "build": ("build", "--partition", "2024-02"),
    "training-set": ("training-set",),
    "train": ("train",),
    "evaluate": ("evaluate",),
}


@pytest.fixture(scope="module")
def common(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Return a reproduced shop of this file; tests that change it mend it again."""
    return copied(finished(tmp_path_factory), tmp_path_factory.mktemp("common"))


@pytest.fixture
def shop(common: Shop) -> Shop:
    """Return the shop of this file, put back to what is committed and cached."""
    for folder in ("data", "models", "reports", "pipelines", "raw"):
        shutil.rmtree(common.root / folder, ignore_errors=True)
    shutil.copytree(common.root / ".leverframe" / "good", common.root, dirs_exist_ok=True)
    return common


@pytest.fixture(scope="module", autouse=True)
def _good(common: Shop) -> None:
    """Keep a copy of everything that a test may break."""
    for name in ("data", "models", "reports", "pipelines", "raw"):
        shutil.copytree(common.root / name, common.root / ".leverframe" / "good" / name)
    for name in ("params.yaml", "dvc.yaml", "dvc.lock"):
        shutil.copy2(common.root / name, common.root / ".leverframe" / "good" / name)


Break = Callable[[Shop], object]


@dataclass(frozen=True)
class Case:
    """A way to break the shop, the command that notices, its exit code, and words of its message."""

    name: str
    broken: Break
    stage: str
    code: int
    words: tuple[str, ...]


def text(path: str, old: str, new: str) -> Break:
    """Return a change of a text file."""
    return lambda shop: shop.replace(path, old, new)


def ingested(change: Callable[[list[dict[str, str]]], object], table: str = "orders") -> Break:
    """Return a change of the raw rows of February, taken in by a stage that does not judge them."""

    def broken(shop: Shop) -> None:
        shop.edit(table, "2024-02", change)
        assert shop.run(*STAGES["ingest"]).code == 0

    return broken


def raw(change: Callable[[list[dict[str, str]]], object]) -> Break:
    """Return a change of the raw rows of February."""
    return lambda shop: shop.edit("orders", "2024-02", change)


def every(column: str, change: Callable[[dict[str, str]], str]) -> Callable[[list[dict[str, str]]], object]:
    """Return a change of one column of every row."""

    def changed(rows: list[dict[str, str]]) -> None:
        for row in rows:
            row[column] = change(row)

    return changed


def truncated(path: str) -> Break:
    """Return the loss of a file's second half."""

    def broken(shop: Shop) -> None:
        file = shop.root / path
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    return broken


def whole(path: str, content: str) -> Break:
    """Return another content of a file."""
    return lambda shop: (shop.root / path).write_text(content)


def removed(path: str) -> Break:
    """Return the loss of a file."""
    return lambda shop: (shop.root / path).unlink()


def conflict(shop: Shop) -> None:
    """Leave the marks of a merge in the parameters."""
    marked = "<<<<<<< HEAD\n  confidence: 0.95\n=======\n  confidence: 0.9\n>>>>>>> b\n"
    shop.replace("params.yaml", "  confidence: 0.95\n", marked)


def retyped(shop: Shop) -> None:
    """Give a column of the partition another type, as a source that changed its mind does."""
    path = shop.root / "data/raw/orders/2024-02.parquet"
    pl.read_parquet(path).with_columns(pl.col("quantity").cast(str)).write_parquet(path)


def stranger(rows: list[dict[str, str]]) -> None:
    """Add a return of an order that nobody placed."""
    rows.append({**rows[-1], "order_id": "999999"})


ORDERS = "data/raw/orders/2024-02.parquet"
STAR, PARAMS = "pipelines/shop/star.yaml", "params.yaml"
CASES = [
    *(
        Case(f"misspelt setting, {stage}", text(PARAMS, "label:", "lable:"), stage, 10,
             ("unknown setting `features.lable`", "did you mean `label`?"))
        for stage in STAGES
    ),
    *(
        Case(f"merge conflict, {stage}", conflict, stage, 10, ("unresolved merge in params.yaml, line", "<<<<<<<"))
        for stage in ("ingest", "train")
    ),
    Case("unknown feature", text(PARAMS, '["*"]', "[item_bulc]"), "training-set", 11,
         ("`item_bulc` in features.select matches no feature", "did you mean `item_bulk`?")),
    Case("unknown label", text(PARAMS, "label: late", "label: latte"), "training-set", 11,
         ("`latte`", "did you mean `late`?")),
    Case("missing partition, validate", removed(ORDERS), "validate", 13, (ORDERS, "was not ingested")),
    Case("missing partition, build", removed("data/raw/orders/2024-01.parquet"), "build", 13,
         ("data/raw/orders/2024-01.parquet is missing", "the features of 2024-02 look back into it")),
    Case("missing features", removed("data/features/2024-02.parquet"), "training-set", 13, ("2024-02.parquet",)),
    Case("missing training set", removed("data/training/train.parquet"), "train", 13,
         ("train.parquet", "no such file")),
    Case("missing model", removed("models/model.skops"), "evaluate", 13, ("models/model.skops",)),
    Case("missing raw file", removed("raw/orders-2024-02.csv"), "ingest", 13,
         ("no file matches `raw/orders-2024-02.csv`",)),
    Case("cents for euros", ingested(every("amount", lambda row: f"{100 * float(row['amount']):.2f}")), "validate", 14,
         ("orders: euros", "468 rows (100.00%)")),
    Case("duplicated key, validate", ingested(lambda rows: rows.append(rows[-1])), "validate", 14,
         ("unique_key", "order_id")),
    Case("duplicated key, build", ingested(lambda rows: rows.append(rows[-1])), "build", 13,
         ("a key stands more than once in the spine `orders`", "20467")),
    Case("all-null column, validate", ingested(every("customer", lambda _: "")), "validate", 14, ("`customer`", "468")),
    Case("empty partition", raw(lambda rows: rows.clear()), "ingest", 13, ("`orders`", "2024-02")),
    Case("rows of another month", raw(every("placed_at", lambda row: row["placed_at"].replace("2024-02", "2024-03"))),
         "ingest", 13, ("468 rows in the file of 2024-02 for table `orders` lie outside of it",)),
    Case("text for a number, validate", ingested(lambda rows: rows[0].update(quantity="two")), "validate", 14,
         ("`quantity`", "type")),
    Case("wrong type, validate", retyped, "validate", 14, ("`quantity`", "its type is")),
    Case("text for a timestamp", raw(lambda rows: rows[0].update(placed_at="yesterday")), "ingest", 13,
         ("cannot read table `orders`", "yesterday")),
    Case("missing column", raw(lambda rows: [row.pop("delivered_at") for row in rows]), "ingest", 13,
         ("delivered_at",)),
    Case("label of a stranger", ingested(stranger, "returns"), "build", 15,
         ("1 rows of label `returned` belong to no row of `orders`", "999999")),
    Case("truncated raw partition, validate", truncated(ORDERS), "validate", 13, (ORDERS, "damaged")),
    Case("truncated raw partition, build", truncated(ORDERS), "build", 13, (ORDERS, "damaged")),
    Case("truncated features", truncated("data/features/2024-01.parquet"), "training-set", 13,
         ("2024-01.parquet", "damaged")),
    Case("truncated training set", truncated("data/training/train.parquet"), "train", 13, ("train.parquet", "damaged")),
    Case("truncated hold-out", truncated("data/training/holdout.parquet"), "evaluate", 13, ("holdout.parquet",)),
    Case("truncated description", truncated("reports/learning-set.json"), "train", 13,
         ("learning-set.json is not JSON",)),
    Case("outcome on the spine", text(STAR, "[product, quantity, amount]", "[product, quantity, delay_hours]"), "build",
         12, ("`delay_hours` cannot be selected on the spine: it is an outcome", "`deliveries` reveals it")),
    Case("unknown column in the star", text(STAR, "[room, bulk]", "[room, bulc]"), "build", 11,
         ("`bulc`", "did you mean `bulk`?")),
    Case("unknown fact", text(STAR, "fact: returns", "fact: retorns"), "build", 11, ("`retorns`", "`returns`")),
    Case("syntax error in sources.py", text("pipelines/shop/sources.py", "import os", "import (os"), "ingest", 11,
         ("the module `pipelines.shop.sources` cannot be imported", "SyntaxError")),
    Case("an exit in sources.py", text("pipelines/shop/sources.py", "import os", "raise SystemExit(0)"), "ingest", 11,
         ("the module `pipelines.shop.sources` cannot be imported", "line 5, ends the process by `sys.exit(0)`")),
    Case("a list for a description", whole("reports/learning-set.json", "[1, 2]"), "train", 13,
         ("learning-set.json is damaged", "it holds no object")),
    Case("syntax error in contracts.py", text("pipelines/shop/contracts.py", "import polars", "import (polars"),
         "validate", 11, ("the module `pipelines.shop.contracts` cannot be imported", "SyntaxError")),
    Case("syntax error in model.py", text("pipelines/shop/model.py", "def estimator(", "def estimator(("), "train", 11,
         ("pipelines.shop.model", "SyntaxError")),
    Case("not YAML", text(STAR, "spine:\n", "spine: [\n"), "build", 10, (f"{STAR} is not YAML, line",)),
    Case("estimator that cannot be built", text(PARAMS, "{iterations: 5}", "{iterations: 5, leaves: 3}"), "train", 11,
         ("leaves",)),
]  # fmt: skip


def assert_refused(ended: Ended, code: int, words: tuple[str, ...]) -> None:
    """Assert one error with the exit code, and that its three lines hold the words."""
    assert ended.code == code, ended.stderr
    lines = ended.error()
    for word in words:
        assert word in "\n".join(lines), f"{word!r} is not in {lines}"
    assert max(map(len, lines)) < 700, "nobody reads that much"


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_broken_input_is_one_message_and_leaves_what_was_there(case: Case, shop: Shop) -> None:
    """The stage that meets it refuses, names the place and the cure, and touches no output of before."""
    case.broken(shop)
    before = shop.outputs()
    assert_refused(shop.run(*STAGES[case.stage]), case.code, case.words)
    after = shop.outputs()
    if case.code == 14:  # the report of failed constraints is the product of the stage
        for path in (
            "reports/contracts/2024-02.json",
            "reports/profiles/2024-02.json",
            "reports/sketches/2024-02.json",
        ):
            before[path] = after[path]
    assert after == before
    assert leftovers(shop.root) == []


@pytest.mark.deep
def test_celsius_in_a_month_of_real_weather_breaks_the_contract(tmp_path: Path) -> None:
    """Temperature and dew point in Celsius lie within every range: the physics of humidity tells, exit 14."""
    repository = TemporaryRepository.create(tmp_path, dvc=False)
    shop = Shop(repository)
    shutil.copytree(REPOSITORY / "pipelines/flights", shop.root / "pipelines/flights")
    shutil.copy2(REPOSITORY / "params.yaml", shop.root / "params.yaml")
    for partition in ("static", "2013-01"):
        assert shop.run("ingest", "--partition", partition).code == 0
    assert shop.run("validate", "--partition", "2013-01").code == 0
    celsius = """

_reported = weather


def weather(weather):
    return _reported(weather).with_columns((pl.col("temp", "dewp") - 32) / 1.8)


SOURCES["weather"] = Source(_csv("weather.csv"), transform=weather, event_time="observed_at", known_at="observed_at")
"""
    sources = repository.read("pipelines/flights/sources.py")
    repository.write("pipelines/flights/sources.py", sources + celsius)
    assert shop.run("ingest", "--partition", "2013-01").code == 0
    ended = shop.run("validate", "--partition", "2013-01")
    assert_refused(ended, 14, ("2013-01 violates 1 of its", "weather: fahrenheit", "2013-01.json"))


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("limit", by_day([0, 700], 700))
def test_a_full_disk_is_said_and_the_old_outputs_stay(stage: str, limit: int, shop: Shop) -> None:
    """No file may grow beyond the limit, the log of the stage neither: exit 17, every output as it was."""
    before = shop.outputs()
    assert_refused(shop.run(*STAGES[stage], limit=limit), 17, ("untouched", "run the same command again"))
    assert shop.outputs() == before
    assert leftovers(shop.root) == []
    if limit:  # once is enough: with room again the same command gives the same bytes
        assert shop.run(*STAGES[stage]).code == 0
        assert shop.outputs() == before


@pytest.mark.parametrize(
    ("stage", "folder"),
    by_day([("ingest", "data/raw/orders"), ("validate", "reports/contracts"), ("build", "data/features"),
            ("training-set", "data/training"), ("train", "models"), ("evaluate", "reports/plots")],
           ("build", "data/features")),
)  # fmt: skip
def test_a_folder_that_cannot_be_written_is_named(stage: str, folder: str, shop: Shop) -> None:
    """Permission is denied: exit 17 with the path, every output as it was."""
    before, path = shop.outputs(), shop.root / folder
    path.chmod(0o555)
    try:
        done = subprocess.run(
            ["leverframe", *STAGES[stage]],
            cwd=shop.root,
            env=shop.repository.environment,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=_obey_permissions,
        )
    finally:
        path.chmod(0o755)
    ended = Ended(done.returncode, done.stdout, done.stderr)
    assert_refused(ended, 17, (f"cannot write {folder}", "permission is denied"))
    assert shop.outputs() == before
    assert leftovers(shop.root) == []


def _obey_permissions() -> None:
    """Give up what lets root write where permission is denied (CAP_DAC_OVERRIDE), from the next exec on."""
    drop_from_bounding_set, override = 24, 1
    if os.geteuid() == 0 and ctypes.CDLL(None).prctl(drop_from_bounding_set, override, 0, 0, 0) != 0:
        raise OSError("root cannot give up its capability here")


@pytest.mark.deep
def test_the_words_of_the_stage_reach_who_runs_the_pipeline(shop: Shop) -> None:
    """DVC shows them on stderr; demo names the stage, exit 18; a correction then runs as if nothing had been."""
    path, lock = "raw/orders-2024-05.csv", shop.repository.read("dvc.lock")
    good = shop.repository.read(path)
    shop.edit("orders", "2024-05", every("amount", lambda row: f"{100 * float(row['amount']):.2f}"))
    done = subprocess.run(
        ["dvc", "repro"], cwd=shop.root, env=shop.repository.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "error: 2024-05 violates 1 of its" in done.stderr
    assert "failed to reproduce 'validate@2024-05'" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    ended = shop.run("demo")
    assert_refused(ended, 18, ("stage `validate@2024-05` failed: 2024-05 violates 1 of its", "orders: euros"))
    assert ended.stdout == ""
    assert leftovers(shop.root) == []
    shop.repository.write(path, good)
    shop.repository.dvc("repro")
    assert shop.repository.read("dvc.lock") == lock


def test_a_merge_conflict_stops_demo_and_status_with_the_line(shop: Shop) -> None:
    """Whoever reads params.yaml says where the marks are, before DVC would in its own words."""
    conflict(shop)
    for command in ("demo", "status", "stages", "settings"):
        assert_refused(shop.run(command), 10, ("unresolved merge in params.yaml, line",))
