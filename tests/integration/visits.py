"""A small case whose data arrive in partitions of any period: visits to shops, in one file or a file a partition."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import yaml

ZONE = "Europe/Paris"
Row = dict[str, str]

SOURCES = '''
"""Visits from CSV files, the weather of each day from a function, shops from a list."""

import polars as pl

from leverframe.domain.data.ingest import Source
from leverframe.domain.data.readers import Csv, Function

TYPES = {"id": pl.Int64, "spent": pl.Float64, "at": pl.String, "paid_at": pl.String}


def visits(frame):
    """Return one row a visit."""
    return frame.with_columns(
        pl.col("at", "paid_at").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC", time_unit="us")
    ).with_columns(known=pl.coalesce("paid_at", "at"))


def weather(partition):
    """Return the temperature of each noon, whatever the partition: what lies outside of it is cut away."""
    noon = pl.datetime_range(
        pl.datetime(2022, 12, 1, 12), pl.datetime(2024, 4, 30, 12), "1d", time_zone="UTC", eager=True
    )
    degrees, late = [float(day.day % 17) for day in noon], pl.Series([5 * (day.day % 4) for day in noon])
    told = pl.DataFrame({"noon": noon, "town": "x", "degrees": degrees})
    return told.with_columns(told_at=pl.col("noon") + pl.duration(hours=late))


SOURCES = {
    "visits": Source(Csv("PATH", types=TYPES), transform=visits, event_time="at", known_at="known"),
    "weather": Source(Function(weather), event_time="noon", known_at="told_at"),
    "shops": Source(Csv("raw/shops.csv")),
}
'''

CONTRACTS = '''
"""What the tables of the case promise."""

import pandera.polars as pa

from leverframe.domain.data.contract import Contract
from leverframe.domain.data.shape import SchemaDiff, UniqueKey


class Visits(pa.DataFrameModel):
    """One row a visit."""

    id: int = pa.Field(ge=0)
    spent: float = pa.Field(ge=0)


CONTRACTS = {"visits": Contract(Visits, monitors=(UniqueKey(("id",)), SchemaDiff()))}
'''

STAR = """\
entities: {visit: [id], shop: [shop], town: [town]}
spine: {table: visits, key: visit, columns: [shop, town], calendar: {timezone: Europe/Paris, parts: [hour, weekday]}}
facts:
  sales: {table: visits, known_at: paid_at, max_lag: 2d, reveals: [spent]}
dimensions:
  shop: {table: shops, key: shop, columns: [area]}
  weather: {table: weather, key: town, columns: [degrees], as_of: {lag: 1h, tolerance: 3d}}
measures:
  shop: {fact: sales, key: shop, of: {spent: [mean, count]}, windows: [1d, 16d]}
labels:
  large: {fact: sales, column: spent, kind: binary, at_least: 20}
"""

MODEL = '''
"""Boosted trees over numbers."""

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline


def estimator(features, *, label, iterations):
    """Return the unfitted pipeline."""
    numbers = [each.name for each in features if each.kind == "numeric"]
    columns = ColumnTransformer([("numbers", "passthrough", numbers)], verbose_feature_names_out=False)
    return make_pipeline(columns, HistGradientBoostingClassifier(max_iter=iterations, early_stopping=False))
'''


def params(case: str, data: dict[str, str], train: tuple[str, str], holdout: tuple[str, str]) -> str:
    """Return the settings of the case."""
    splits = {name: {"first": ends[0], "last": ends[1]} for name, ends in (("train", train), ("holdout", holdout))}
    content = {
        "data": {"case": case, "timezone": ZONE, **data},
        "features": {"engine": "duckdb", "label": "large", "select": ["*"], **splits},
        "train": {"estimator": f"{case}.model:estimator", "params": {"iterations": 5}},
        "evaluate": {"slices": [], "minimum_slice_rows": 50},
        "bundle": {"model": "visits", "golden_rows": 8},
    }
    return yaml.safe_dump(content, sort_keys=False)


def write_case(folder: Path, case: str, path: str) -> None:
    """Write the four files of the case, whose visits are read from ``path``, and the list of shops."""
    package = folder / case
    package.mkdir(parents=True)
    files = {"__init__.py": "", "sources.py": SOURCES.replace("PATH", path), "contracts.py": CONTRACTS}
    for name, content in (files | {"star.yaml": STAR, "model.py": MODEL}).items():
        (package / name).write_text(content.lstrip(), encoding="utf-8")
    (folder / "raw").mkdir()
    (folder / "raw/shops.csv").write_text("shop,area\na,40\nb,210.5\nc,9\n", encoding="utf-8")


def visits(first: datetime, last: datetime, minutes: int) -> list[Row]:
    """Return a visit about every so many minutes from ``first`` to before ``last``; some were never paid."""
    rows: list[Row] = []
    draw, at = np.random.default_rng(7), first.astimezone(UTC)
    while at < last.astimezone(UTC):
        spent, paid = float(draw.gamma(2.0, 9.0)), at + timedelta(hours=float(draw.integers(1, 40)))
        rows.append(
            {
                "id": str(len(rows)),
                "shop": "abc"[int(draw.integers(3))],
                "town": "x",
                "spent": f"{spent:.2f}",
                "at": _text(at),
                "paid_at": "" if len(rows) % 20 == 19 else _text(paid),
            }
        )
        at += timedelta(minutes=int(draw.integers(1, 2 * minutes)))
    return rows


def write_rows(folder: Path, rows: Iterable[Row], name: Callable[[datetime], str]) -> list[str]:
    """Write the rows into CSV files, each into the one that is named after its time; return the names."""
    files: dict[str, list[Row]] = {}
    for row in rows:
        files.setdefault(name(datetime.fromisoformat(row["at"])), []).append(row)
    for path, content in files.items():
        text = io.StringIO()
        writer = csv.DictWriter(text, list(content[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(content)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text.getvalue(), encoding="utf-8")
    return list(files)


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
