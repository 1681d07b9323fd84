"""What people have: the smallest settings, months without rows, tables without any, a month that is half filled."""

from __future__ import annotations

import json
import math
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
import yaml

from leverframe.adapters.snapshot_file import SnapshotFile
from leverframe.application.snapshot import snapshot
from leverframe.application.stages import remove_leftovers
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.features.online import attribute_since
from leverframe.domain.features.parity import compared
from leverframe.domain.features.request import Requests, required
from leverframe.domain.features.vector import vectors
from leverframe.errors import DefinitionError
from tests.integration.own_case import again, built, bundled, files_of, place_of, raw_files, trained

CASE = files_of("your-own-case.md")
SOURCES, STAR = "pipelines/shop/sources.py", "pipelines/shop/star.yaml"
CONTRACTS = "pipelines/shop/contracts.py"
RETURNS = """\
    "returns": Source(
        Csv("raw/returns-{month}.csv", types={"customer": pl.String}),
        transform=lambda frame: frame.with_columns(pl.col("at").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")),
        event_time="at",
        known_at="at",
        may_be_empty=True,
    ),
    "customers": Source("""


def with_returns() -> dict[str, str]:
    """Return the case with returns, which not every month has."""
    star = CASE[STAR].replace("dimensions:", "  back: {table: returns, known_at: at, max_lag: 1d}\ndimensions:")
    of = "{amount: [sum, count], why: [last, distinct]}"
    asked = f"  back: {{fact: back, key: customer, of: {of}, windows: [14d]}}\nlabels:"
    return CASE | {
        SOURCES: CASE[SOURCES].replace('    "customers": Source(', RETURNS),
        STAR: star.replace("labels:", asked),
    }


def test_the_smallest_settings_of_the_guide_make_a_model(tmp_path: Path) -> None:
    """Of the case without its model.py: a class of scikit-learn gets texts, ages that are missing and empty windows."""
    smallest = files_of("settings.md")["params.yaml"]
    files = {name: text for name, text in CASE.items() if not name.endswith("model.py")}
    raw = raw_files()
    raw["raw/customers.csv"] = raw["raw/customers.csv"].replace("007,27", "007,")
    contracts = CASE[CONTRACTS].replace("age: int = pa.Field(", "age: int = pa.Field(nullable=True, ")
    place = place_of(tmp_path, files | {"params.yaml": smallest, CONTRACTS: contracts} | raw)
    features = built(place)
    assert features["who_age"].null_count() > 0
    made = bundled(place)
    assert made.manifest.label == "bought"
    assert json.loads((tmp_path / "reports/metrics.json").read_bytes())["auc"] > 0.6
    assert not (tmp_path / place.case / "model.py").exists()


_DEEP = [pytest.param(month, marks=pytest.mark.deep) for month in ("2024-01", "2024-03", "all")]


@pytest.mark.deep
def test_months_without_rows_are_empty_windows_in_spark_too(tmp_path: Path) -> None:
    """A column of numbers has no type where no month has a row."""
    header = {f"raw/returns-{month}.csv": "customer,at,amount,why\n" for month in ("2024-01", "2024-02", "2024-03")}
    files = with_returns() | raw_files() | header
    files["params.yaml"] = files["params.yaml"].replace("engine: duckdb", "engine: spark")
    features = built(place_of(tmp_path, files))
    assert features["back_amount_count_14d"].to_list() == [0] * features.height
    assert features["back_amount_sum_14d"].null_count() == features.height


@pytest.mark.parametrize("month", ["2024-02", "none", *_DEEP])
def test_months_without_rows_are_empty_windows(month: str, tmp_path: Path) -> None:
    """Counts are 0, all else is null, and a request by keys gets the same."""
    returned = "customer,at,amount,why\n001,{}-20T00:00:00Z,2.5,late\n001,{}-21T00:00:00Z,4,\n"
    months = ("2024-01", "2024-02", "2024-03")
    header = returned.splitlines()[0] + "\n"
    raw = {
        f"raw/returns-{date}.csv": returned.format(date, date) if month in (date, "all") else header for date in months
    }
    place = place_of(tmp_path, with_returns() | raw_files() | raw)
    features = built(place)
    expected = [
        sum(
            timedelta(0) < at - datetime(int(date[:4]), int(date[5:]), day, tzinfo=UTC) <= timedelta(days=14)
            for date in months if month in (date, "all") for day in (20, 21)
        ) if who == "001" else 0
        for who, at in features.select("customer", "as_of").iter_rows()
    ]  # fmt: skip
    assert features["back_amount_count_14d"].to_list() == expected
    assert features["back_amount_sum_14d"].null_count() == sum(count == 0 for count in expected)
    report = json.loads((tmp_path / "reports/contracts/2024-02.json").read_bytes())
    assert report["verdict"] != "failed"
    rows = features.filter(pl.col("as_of") >= datetime(2024, 3, 29, tzinfo=UTC))
    snapshot(place, None, None, tmp_path / layout.SNAPSHOT, None, 0)
    assert_same_by_key(place, rows)


def assert_same_by_key(place: Workspace, rows: pl.DataFrame) -> None:
    """Assert that the snapshot gives each row the features that the build gave it."""
    plan = place.plan
    store = SnapshotFile(place.root / layout.SNAPSHOT, spec=plan.spec)
    at = rows["as_of"].dt.epoch("us").to_numpy()
    later = at >= attribute_since(store.about().attributes)
    assert later.any()
    fields = {
        name: np.array(rows[name].filter(pl.Series(later)).to_list(), object if rows[name].dtype == pl.String else None)
        for name in required(plan)
    }
    served = vectors(plan, store, Requests(fields, at[later]))
    for name in plan.features():
        column = rows[name].filter(pl.Series(later))
        ours: Any = np.ma.masked_array(
            np.array(column.fill_null("" if column.dtype == pl.String else 0).to_list()), column.is_null().to_numpy()
        )
        assert compared(name, ours, served[name]).count == 0, name
    store.close()


def test_a_table_without_any_row_gives_nulls(tmp_path: Path) -> None:
    """A list of customers that nobody has filled yet, and a spine without rows in the first month."""
    listed = 'types={"customer": pl.String})'
    sources = CASE[SOURCES].replace(f"{listed})", f"{listed}, may_be_empty=True)")
    sources = sources.replace('known_at="settled_at",', 'known_at="settled_at",\n        may_be_empty=True,')
    params = CASE["params.yaml"].replace('first: "2024-01"', 'first: "2023-12"', 1)
    raw = raw_files() | {"raw/customers.csv": "customer,age\n"}
    contracts = CASE[CONTRACTS].replace("error=0.05", "error=None")  # every customer is an orphan
    changed = {SOURCES: sources, CONTRACTS: contracts, "params.yaml": params}
    features = built(place_of(tmp_path, CASE | changed | raw))
    assert features.height > 1000
    assert features["who_age"].null_count() == features.height
    assert pl.read_parquet(tmp_path / layout.features("2023-12")).height == 0


@pytest.mark.deep
def test_features_by_key_are_those_over_all_rows(tmp_path: Path) -> None:
    """What became known after the last month had ended is in the snapshot, and counted."""
    place = place_of(tmp_path, CASE | raw_files(visits=1110))  # until 3 April; a visit is settled two days later
    built(place)
    text = snapshot(place, None, None, tmp_path / layout.SNAPSHOT, None, 0)
    assert "24 rows of visits became known after 2024-03" in text
    later = CASE["params.yaml"].replace('last: "2024-03", timezone', 'last: "2024-04", timezone')
    params = yaml.safe_load((tmp_path / "params.yaml").read_text(encoding="utf-8"))
    params["data"]["last"] = yaml.safe_load(later)["data"]["last"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    longer = again(place)
    features = built(longer).filter(pl.col("as_of") < datetime(2024, 4, 2, tzinfo=UTC))  # before what April reveals
    assert_same_by_key(longer, features.filter(pl.col("as_of") >= datetime(2024, 3, 31, 22, tzinfo=UTC)))


def test_a_month_that_is_still_being_filled_can_be_asked_for_today(tmp_path: Path) -> None:
    """A snapshot begins no later than its newest events: not at the end of a month that has not come."""
    place = place_of(tmp_path, CASE | raw_files(visits=800))  # until 8 March
    features = built(place)
    snapshot(place, None, None, tmp_path / layout.SNAPSHOT, None, 0)
    newest = features["as_of"].max()
    with closing(SnapshotFile(tmp_path / layout.SNAPSHOT)) as store:
        about = store.about()
    assert attribute_since(about.attributes) <= int(newest.timestamp() * 1e6) < about.as_of  # type: ignore[union-attr]
    assert about.as_of <= int((newest + timedelta(days=2, seconds=1)).timestamp() * 1e6)  # type: ignore[operator,union-attr]
    assert_same_by_key(place, features)


def test_a_duplicate_in_a_dimension_is_told_with_what_helps(tmp_path: Path) -> None:
    """A static table has no versions: its transform keeps one row a key."""
    raw = raw_files()
    raw["raw/customers.csv"] += "007,99\n"
    contracts = CASE[CONTRACTS].replace('monitors=(UniqueKey(("customer",)),)', "")
    place = place_of(tmp_path, CASE | {CONTRACTS: contracts} | raw)
    with pytest.raises(Exception, match="more than once in the dimension `who`") as caught:
        built(place)
    assert "corrections" not in str(getattr(caught.value, "next", ""))
    advised = "transform=lambda frame: frame.unique(['customer'], keep='last', maintain_order=True)"
    assert advised in str(getattr(caught.value, "next", ""))
    line = 'Csv("raw/customers.csv", types={"customer": pl.String})'
    fixed = CASE[SOURCES].replace(line, f"{line}, {advised}")
    other = tmp_path / "fixed"
    features = built(place_of(other, CASE | {SOURCES: fixed, CONTRACTS: contracts} | raw))
    assert features.filter(pl.col("customer") == "007")["who_age"].unique().to_list() == [99]


def test_a_spine_without_times_is_refused_before_anything_runs(tmp_path: Path) -> None:
    """With the page that says what to do."""
    sources = CASE[SOURCES].replace('        event_time="came_at",\n        known_at="settled_at",\n', "")
    with pytest.raises(DefinitionError, match="whose source declares no event_time") as caught:
        built(place_of(tmp_path, CASE | {SOURCES: sources} | raw_files()))
    page, _, anchor = caught.value.next.partition("docs/guides/")[2].partition(" ")[0].partition("#")
    headings = (Path(__file__).parents[2] / "docs/guides" / page).read_text(encoding="utf-8").lower()
    assert f"## {anchor.replace('-', ' ')}" in headings
    assert not (tmp_path / "data").exists()


def test_reports_of_former_partitions_go_when_the_stages_are_written(tmp_path: Path) -> None:
    """They would be committed with those of the new ones."""
    place = place_of(tmp_path, CASE | raw_files())
    for name in ("reports/contracts/2024-Q1.json", "data/raw/visits/2024-Q1.parquet", "reports/contracts/2024-01.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}", encoding="utf-8")
    assert remove_leftovers(place) == [
        "removed reports/contracts/2024-Q1.json of partitions that the declarations no longer have",
        "data/raw/visits/2024-Q1.parquet of such partitions can be removed; git ignores them",
    ]
    assert not (tmp_path / "reports/contracts/2024-Q1.json").exists()
    assert (tmp_path / "data/raw/visits/2024-Q1.parquet").exists()
    assert (tmp_path / "reports/contracts/2024-01.json").exists()


FLOWERS = files_of("declarations.md")


def flowers(*, with_part: bool) -> str:
    """Return flowers sorted by species, whose petals differ, maybe with the part that each belongs to."""
    draw = np.random.default_rng(3)
    rows = ["flower,petal,colour,species" + (",part" if with_part else "")]
    for flower in range(600):
        species = flower // 200
        petal = "" if flower % 50 == 7 else f"{3 + 2 * species + draw.uniform(-1.2, 1.2):.2f}"
        colour, part = ("white", "blue", "red")[int(draw.integers(3))], "test" if flower % 4 == 0 else "train"
        name = ("setosa", "versicolor", "virginica")[species]
        rows.append(f"{flower},{petal},{colour},{name}" + (f",{part}" if with_part else ""))
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize("split", ["column", "fraction"])
def test_data_without_time_make_a_model(split: str, tmp_path: Path) -> None:
    """The page's own case: a day for each row, by the part that a file gives it or by a fraction of the rows.

    So many days that the interval is about as wide as that of independent rows, although the file is sorted.
    """
    source = FLOWERS["pipelines/flowers/sources.py"]
    if split == "fraction":
        source = source.replace('pl.col("part") == "train"', "pl.int_range(pl.len()) % 5 < 4")
    raw = flowers(with_part=split == "column")
    files = FLOWERS | {"pipelines/flowers/sources.py": source, "raw/flowers.csv": raw}
    place = place_of(tmp_path, files, "pipelines.flowers")
    assert built(place).height == 600
    trained(place)
    metrics = json.loads((tmp_path / "reports/metrics.json").read_bytes())
    assert metrics["rows"] == (150 if split == "column" else 120)
    assert metrics["accuracy"] > 0.8
    accuracy, ends = metrics["accuracy"], metrics["interval"]["accuracy"]
    independent = 2 * 1.96 * math.sqrt(accuracy * (1 - accuracy) / metrics["rows"])
    assert 0.5 < (ends["high"] - ends["low"]) / independent < 2


def test_a_column_without_a_value_in_its_first_month_keeps_its_type(tmp_path: Path) -> None:
    """No contract breaks in that month or the next, and the model learns from it as a number."""
    lines = raw_files()["raw/visits.csv"].splitlines()
    months: dict[str, list[str]] = {"2024-01": [], "2024-02": [], "2024-03": []}
    for line in lines[1:]:
        at = datetime.fromisoformat(line.split(",")[3]).astimezone(ZoneInfo("Europe/Paris"))
        months[f"{at:%Y-%m}"].append(f"{line},{'' if at.month == 1 else at.day}")
    raw = {f"raw/visits-{month}.csv": "\n".join([f"{lines[0]},points", *rows]) for month, rows in months.items()}
    changed = {
        SOURCES: CASE[SOURCES].replace("raw/visits.csv", "raw/visits-{month}.csv"),
        STAR: CASE[STAR].replace("columns: [channel]", "columns: [channel, points]"),
        CONTRACTS: CASE[CONTRACTS]
        .replace("    bought: int", "    points: int = pa.Field(nullable=True)\n    bought: int")
        .replace("NullRate()", 'NullRate(except_columns=("points",)), SchemaDiff()')
        .replace("import Contract", "import SchemaDiff, Contract"),
    }
    features = built(place_of(tmp_path, CASE | changed | raw_files() | raw))
    assert features["points"].dtype == pl.Int64
    assert features["points"].null_count() == len(months["2024-01"])


def test_one_month_is_split_within_by_a_finer_period(tmp_path: Path) -> None:
    """A model needs later data than it learned from, and one file may hold both."""
    params = yaml.safe_load(CASE["params.yaml"])
    params["data"] |= {"period": "day", "group": "month", "first": "2024-02-01", "last": "2024-02-29"}
    params["features"]["train"] = {"first": "2024-02-01", "last": "2024-02-20"}
    params["features"]["holdout"] = {"first": "2024-02-21", "last": "2024-02-29"}
    place = place_of(tmp_path, CASE | raw_files() | {"params.yaml": yaml.safe_dump(params)})
    built(place)
    trained(place)
    described = json.loads((tmp_path / layout.TRAINING_SET).read_bytes())
    assert described["train"]["rows"] > described["holdout"]["rows"] == 9 * 12
