"""The training set: one label, chosen features, split by time, nothing that was not known in time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from leverframe.adapters.disk import Disk
from leverframe.adapters.duckdb.engine import DuckDBEngine
from leverframe.adapters.duckdb.provenance import provenance
from leverframe.adapters.duckdb.splits import DuckDBSplitter
from leverframe.documents import parsed, plain
from leverframe.domain import layout
from leverframe.domain.features.build import needed_files, run
from leverframe.domain.features.plan import Plan, compile_star
from leverframe.domain.features.split import run as split
from leverframe.domain.features.star import Star
from leverframe.domain.features.star_picture import origin_lines
from leverframe.domain.partition import Partition, Partitions
from leverframe.errors import DefinitionError, LabelError, LeverframeError, SourceError
from leverframe.settings.params import FeaturesSettings, HoldoutRange, PartitionRange

TIMESTAMP = pl.Datetime("us", "UTC")
FIRST, SECOND = Partition.of("2021-01"), Partition.of("2021-02")
MONTHS = Partitions(Partition.of("2020-12"), SECOND, "month", "UTC")
BUILT = Partitions(FIRST, SECOND, "month", "UTC")
STAR: dict[str, Any] = {
    "entities": {"visit": ["id"], "shop": ["shop"]},
    "spine": {"table": "visits", "key": "visit", "columns": ["shop", "size"]},
    "facts": {"sales": {"table": "visits", "known_at": "sold_at", "max_lag": "20d"}},
    "measures": {"shop": {"fact": "sales", "key": "shop", "of": {"amount": ["mean", "count"]}, "windows": ["7d"]}},
    "labels": {
        "big": {"fact": "sales", "column": "amount", "kind": "binary", "at_least": 5},
        "amount": {"fact": "sales", "column": "amount", "kind": "regression"},
    },
}


def plan() -> Plan:
    """Return the plan of the visits."""
    return compile_star(Star.model_validate(STAR))


def features(**changes: Any) -> FeaturesSettings:
    """Return settings that learn from January and judge on February."""
    train, holdout = PartitionRange(first="2021-01", last="2021-01"), HoldoutRange(first="2021-02", last="2021-02")
    given: dict[str, Any] = {"label": "big", "select": ["*"], "train": train, "holdout": holdout}
    return FeaturesSettings(**(given | changes))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Build two months of a visit a day; every fourth is never sold, the last of January only in February."""
    for month, days in ((FIRST, 31), (SECOND, 28)):
        at = [datetime.combine(month.first_day, time(12), UTC) + timedelta(days=day - 1) for day in range(1, days + 1)]
        sold = [None if day % 4 == 0 else noon + timedelta(days=10 if day > 26 else 1) for day, noon in enumerate(at)]
        visits = pl.DataFrame(
            {
                "id": [f"{month}-{day:02d}" for day in range(days)],
                "shop": ["a" if day % 2 else "b" for day in range(days)],
                "size": [float(day) if day % 5 else None for day in range(days)],
                "sold_at": sold,
                "amount": [day % 10 if timestamp else None for day, timestamp in enumerate(sold)],
                "event_time": at,
                "known_at": [timestamp or noon for timestamp, noon in zip(sold, at, strict=True)],
            },
            schema_overrides={"sold_at": TIMESTAMP, "event_time": TIMESTAMP, "known_at": TIMESTAMP},
        )
        path = tmp_path / layout.raw("visits", str(month))
        path.parent.mkdir(parents=True, exist_ok=True)
        visits.write_parquet(path)
        run(plan(), month, BUILT, DuckDBEngine(), Disk(tmp_path).exists, tmp_path)
    return tmp_path


def test_rows_are_split_by_time_and_counted(root: Path) -> None:
    """Rows without a label, and those whose label came only after the hold-out began, are left out and counted."""
    dataset = split(plan(), features(), MONTHS, DuckDBSplitter(), Disk(root).exists, root)
    train, holdout = pl.read_parquet(root / layout.TRAIN), pl.read_parquet(root / layout.HOLDOUT)
    assert (dataset.train.rows, dataset.train.without_label, dataset.train.label_known_too_late) == (20, 8, 3)
    assert (dataset.holdout.rows, dataset.holdout.without_label, dataset.holdout.label_known_too_late) == (21, 7, 0)
    assert (train.height, holdout.height) == (20, 21)
    assert train["as_of"].is_sorted()
    assert train["as_of"].max() < holdout["as_of"].min()  # type: ignore[operator]
    assert set(train["label"].to_list()) == {0, 1}
    assert {feature.name: feature.kind for feature in dataset.features} == {
        "shop": "categorical",
        "size": "numeric",
        "shop_amount_mean_7d": "numeric",
        "shop_amount_count_7d": "numeric",
    }
    assert dataset.spec == plan().spec
    assert parsed(type(dataset), json.dumps(plain(dataset))) == dataset


def test_the_same_twice_is_the_same_bytes(root: Path) -> None:
    """Nothing of the run, its threads or its timestamp shows in the files."""
    split(plan(), features(), MONTHS, DuckDBSplitter(), Disk(root).exists, root)
    before = (root / layout.TRAIN).read_bytes(), (root / layout.features("2021-02")).read_bytes()
    run(plan(), SECOND, BUILT, DuckDBEngine(threads=1), Disk(root).exists, root)
    split(plan(), features(), MONTHS, DuckDBSplitter(), Disk(root).exists, root)
    assert ((root / layout.TRAIN).read_bytes(), (root / layout.features("2021-02")).read_bytes()) == before


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"label": "bigg"}, DefinitionError, "did you mean `big`?"),
        ({"select": ["shop", "sise"]}, DefinitionError, "did you mean `size`?"),
        (
            {"train": PartitionRange(first="2020-12", last="2021-01")},
            SourceError,
            "data/features/2020-12.parquet is missing",
        ),
    ],
)
def test_what_cannot_be_is_refused(
    changes: dict[str, Any], error: type[LeverframeError], words: str, root: Path
) -> None:
    """One error with the nearest name; nothing is written."""
    with pytest.raises(error) as caught:
        split(plan(), features(**changes), MONTHS, DuckDBSplitter(), Disk(root).exists, root)
    assert words in caught.value.render()
    assert not (root / layout.TRAIN).exists()


def test_a_month_of_another_definition_is_refused(root: Path) -> None:
    """The hash of the definition travels with the file; two definitions do not mix."""
    other = compile_star(Star.model_validate(STAR | {"measures": {}}))
    run(other, SECOND, BUILT, DuckDBEngine(), Disk(root).exists, root)
    with pytest.raises((SourceError, DefinitionError)) as caught:
        split(plan(), features(select=["shop", "size"]), MONTHS, DuckDBSplitter(), Disk(root).exists, root)
    assert "was built by another definition" in caught.value.what


def test_a_side_without_labels_is_refused(root: Path) -> None:
    """A model cannot be judged on rows that have no label."""
    path = root / layout.raw("visits", "2021-02")
    pl.read_parquet(path).with_columns(amount=pl.lit(None, dtype=pl.Int64)).write_parquet(path)
    run(plan(), SECOND, BUILT, DuckDBEngine(), Disk(root).exists, root)
    with pytest.raises(LabelError, match=r"no row of features\.holdout has the label `big`"):
        split(plan(), features(), MONTHS, DuckDBSplitter(), Disk(root).exists, root)


def test_provenance_counts_what_the_kernel_counted(root: Path) -> None:
    """For every row, the events behind a value are as many as the count feature says, all known before."""
    built = pl.read_parquet(root / layout.features("2021-02"))
    files = needed_files(plan(), SECOND, BUILT, Disk(root).exists, root)
    for row in range(built.height):
        origins = {trace.feature: trace for trace in provenance(plan(), root / layout.features("2021-02"), files, row)}
        count, mean = origins["shop_amount_count_7d"], origins["shop_amount_mean_7d"]
        assert count.rows == mean.rows == built["shop_amount_count_7d"][row]
        assert count.newest is None or str(count.newest) < str(built["as_of"][row])[:26]
    assert len(origin_lines(list(origins.values()))) == len(origins) + 1
    with pytest.raises(SourceError, match="has no row 28"):
        provenance(plan(), root / layout.features("2021-02"), files, 28)


def test_a_hold_out_of_many_rows_is_drawn_by_key(root: Path) -> None:
    """About as many rows as are asked for, the same ones each time, in their order, and the description says so."""
    path = root / layout.features(str(SECOND))
    built, spec = pl.read_parquet(path), provenance_spec(path)
    many = pl.concat([built.with_columns(id=pl.col("id") + f"-{copy}") for copy in range(200)])
    many.write_parquet(path, metadata={"spec": spec})
    settings = features(holdout={"first": "2021-02", "last": "2021-02", "rows": 1000})
    dataset = split(plan(), settings, MONTHS, DuckDBSplitter(), Disk(root).exists, root)
    drawn = pl.read_parquet(root / layout.HOLDOUT)
    assert dataset.holdout.of == 200 * 21
    assert dataset.holdout.rows == drawn.height
    assert 900 < drawn.height < 1100
    assert drawn["id"].is_unique().all()
    assert drawn.select("as_of", "id").equals(
        many.filter(pl.col("id").is_in(drawn["id"].implode())).select("as_of", "id")
    )
    assert "drawn by key out of 4,200" in dataset.lines()[2]
    again = plain(dataset, without_none=True)
    assert parsed(type(dataset), json.dumps(again)) == dataset
    many.extend(many.head(28).with_columns(id=pl.col("id") + "-late")).write_parquet(path, metadata={"spec": spec})
    split(plan(), settings, MONTHS, DuckDBSplitter(), Disk(root).exists, root)
    kept = pl.read_parquet(root / layout.HOLDOUT)["id"].to_list()
    assert len({*kept} & {*drawn["id"].to_list()}) > 0.97 * drawn.height
    assert split(plan(), features(), MONTHS, DuckDBSplitter(), Disk(root).exists, root).holdout.of is None


def provenance_spec(path: Path) -> str:
    """Return the definition's hash that a built file carries."""
    return DuckDBSplitter().spec(path) or ""
