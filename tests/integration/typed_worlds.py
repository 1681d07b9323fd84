"""Worlds whose columns have any type, other ones in other months, and names that something else has too."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st

from leverframe.domain import layout
from leverframe.domain.features.plan import Plan, compile_star
from leverframe.domain.features.star import Star
from tests.integration.worlds import TIMESTAMP, WORLD, in_month

FUNCTIONS = ["count", "distinct", "last", "sum", "mean", "min", "max", "share_above"]
NAMES = [
    "v", "V", "n", "c0", "k0", "label", "as_of", "recorded_at", "month", "score", "file_row_number", "file_index",
    "filename", "rowid", "_metadata", "each", "value", "row", "key", "at", "code", "select", "x" * 300, "hour",
]  # fmt: skip
_BIG = 2**53
_START = datetime(2020, 2, 28, tzinfo=UTC)


def _floats32(value: float) -> float:
    return float(np.float32(value))


_whole = st.sampled_from([0, 1, -1, 5, _BIG, _BIG + 1, _BIG + 2, -_BIG - 1, 2**62, -(2**62), 2**63 - 1])
_doubles = st.sampled_from([0.0, -0.0, 0.1, -2.5, 5e-324, 2e-308, 1.797e308, -1.797e308, math.nan, math.inf, 1e15, 3.0])
TYPES: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "int64": (pl.Int64, _whole),
    "int8": (pl.Int8, st.integers(-3, 3)),
    "uint64": (pl.UInt64, st.sampled_from([0, 1, _BIG, _BIG + 1, 2**63, 2**64 - 1, 2**64 - 2])),
    "uint32": (pl.UInt32, st.integers(0, 3)),
    "float64": (pl.Float64, _doubles),
    "whole doubles": (pl.Float64, st.integers(-3, 3).map(float)),
    "float32": (pl.Float32, st.sampled_from([0.0, -0.0, 0.1, 3.0, 1e38, 1e-45, math.nan]).map(_floats32)),
    "decimal": (pl.Decimal(12, 2), st.sampled_from(["0.10", "0.20", "-0.30", "9999999999.99", "5"]).map(Decimal)),
    "wide decimal": (
        pl.Decimal(38, 4),
        st.sampled_from(["0.1", "900719925474099.3", "12345678901234567890"]).map(Decimal),
    ),
    "whole decimal": (pl.Decimal(20, 0), st.sampled_from([0, 1, 5, _BIG + 1, 2**63]).map(Decimal)),
    "boolean": (pl.Boolean, st.booleans()),
    "text": (pl.String, st.sampled_from(["", "a", "1", "é'\"", "A"])),
    "enum": (pl.Enum(["a", "b"]), st.sampled_from(["a", "b"])),
    "category": (pl.Categorical(), st.sampled_from(["a", "é"])),
    "date": (pl.Date, st.sampled_from([date(2020, 1, 1), date(1, 1, 1), date(9999, 12, 31)])),
    "time": (pl.Time, st.sampled_from([time(0), time(23, 59, 59, 999999)])),
    "local": (pl.Datetime("us"), st.just(datetime(2020, 1, 1))),  # noqa: DTZ001 - a time without a zone is meant
    "nanoseconds": (pl.Datetime("ns", "UTC"), st.just(datetime(2020, 1, 1, tzinfo=UTC))),
    "bytes": (pl.Binary, st.sampled_from([b"", b"\0a", b"\xff"])),
    "list": (pl.List(pl.Int64), st.sampled_from([[], [1], [1, 2]])),
    "struct": (pl.Struct({"a": pl.Int64}), st.sampled_from([{"a": 1}, {"a": None}])),
    "nothing": (pl.Null, st.none()),
    "empty text": (pl.String, st.none()),
}
NUMBERS = [*list(TYPES)[:11], "nothing", "empty text"]
LEARNT = [*NUMBERS, "text", "enum", "category"]
KEYS = [
    "int64", "int8", "uint64", "whole doubles", "text", "boolean", "enum", "date", "float64", "whole decimal",
    "decimal", "bytes", "list", "nothing", "empty text",
]  # fmt: skip
LIKE = {  # what a column may be in another month, if it is not the same
    "int64": ["int8", "whole doubles", "uint64", "nothing", "empty text", "text", "float64"],
    "uint64": ["int8", "uint32", "int64", "nothing"], "int8": ["float32", "float64", "decimal", "int64"],
    "float64": ["float32", "int64", "int8", "empty text"], "whole doubles": ["int64", "uint64", "nothing"],
    "decimal": ["wide decimal", "int8", "float64", "nothing"], "text": ["enum", "category", "nothing", "int8"],
    "boolean": ["nothing", "int8", "empty text"], "date": ["nothing", "local", "empty text"], "list": ["nothing"],
    "nothing": ["int8", "text", "struct"], "empty text": ["int64", "date", "boolean"],
}  # fmt: skip


@dataclass(frozen=True)
class TypedWorld:
    """Tables with the type of each column by month, and the star that reads them."""

    star: dict[str, Any]
    tables: dict[str, list[dict[str, Any]]]
    types: dict[str, dict[str, dict[str, Any]]]  # by table, then by month or `static`, then by column

    @property
    def plan(self) -> Plan:
        """Compile the star; raises ``DefinitionError`` for a reserved name."""
        return compile_star(Star.model_validate(self.star))

    def write(self, root: Path) -> None:
        """Write the files that ingest would have written."""
        for table, months in self.types.items():
            for month, types in months.items():
                rows = [row for row in self.tables[table] if row["__month"] == month]
                frame = pl.DataFrame(
                    {
                        name: pl.Series(name, [row[name] for row in rows], dtype, strict=True)
                        for name, dtype in types.items()
                    }
                )
                path = root / layout.raw(table, month)
                path.parent.mkdir(parents=True, exist_ok=True)
                frame.write_parquet(path)

    def stored(self) -> dict[str, list[dict[str, Any]]]:
        """Return the tables in the order of their files."""
        return {name: sorted(rows, key=lambda row: str(row["__month"])) for name, rows in self.tables.items()}


@st.composite
def typed_worlds(draw: Any) -> TypedWorld:
    """Draw names, types and rows; many of these worlds must be refused, by an error of ours."""
    names = draw(st.permutations(NAMES)) if draw(st.integers(0, 3)) == 0 else [f"c_{number}" for number in range(9)]
    k, g, x, size, w = names[:5]
    own, theirs = (draw(st.sampled_from(KEYS if draw(st.integers(0, 3)) == 0 else KEYS[:8])) for _ in "ot")
    theirs = theirs if draw(st.integers(0, 2)) == 0 else own
    x_kind, size_kind = (draw(st.sampled_from(LEARNT if draw(st.integers(0, 5)) else list(TYPES))) for _ in "xs")
    kinds, fact = {x: x_kind, size: size_kind}, draw(st.sampled_from(list(TYPES)))
    fit = FUNCTIONS if fact in NUMBERS else FUNCTIONS[:3] if fact in LEARNT else FUNCTIONS[:2]
    functions = draw(st.lists(st.sampled_from(fit if draw(st.integers(0, 9)) else FUNCTIONS), min_size=1, unique=True))
    star = {
        "entities": {"visit": ["id"], "place": [k]},
        "spine": {"table": "visits", "key": "visit", "columns": [x] if draw(st.booleans()) else []},
        "facts": {
            "events": {"table": "events", "known_at": "seen_at", "max_lag": "3d"},
            "outcomes": {"table": "outcomes", "known_at": "seen_at", "max_lag": "60d"},
        },
        "dimensions": {"place": {"table": "places", "key": "place", "match": {k: g}, "columns": [size]}}
        if k != g and draw(st.booleans())
        else {},
        "measures": {"m": {"fact": "events", "key": "place", "of": {w: _asked(functions)}, "windows": ["1h", "20d"]}},
        "labels": {"y": {"fact": "outcomes", "column": "y", "kind": "binary", "at_least": 0.1}},
    }
    tables: dict[str, list[dict[str, Any]]] = {"visits": [], "events": [], "places": [], "outcomes": []}
    types: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in tables}
    label = draw(st.sampled_from(["float64", "float32", "decimal", "int64", "uint64", "wide decimal", "nothing"]))
    for month in WORLD.groups():
        first = month.start("America/New_York").astimezone(UTC)
        visits = draw(st.integers(0, 4)) if str(month) == "2020-03" else 1
        for number in range(visits):
            at = (_START if str(month) == "2020-03" else first) + timedelta(days=2, hours=6 + number)
            row = {"id": f"{month} {number}", k: _value(draw, own), x: _value(draw, kinds[x])}
            tables["visits"].append(row | _times(at, month))
            settled = {"id": row["id"], "y": _value(draw, label), "seen_at": at + timedelta(hours=1)}
            tables["outcomes"].append(settled | _times(at, month))
        types["visits"][str(month)] = {"id": pl.String, k: TYPES[own][0], x: TYPES[kinds[x]][0]} | _TIMES
        types["outcomes"][str(month)] = {"id": pl.String, "y": TYPES[label][0], "seen_at": TIMESTAMP} | _TIMES
        key, value = _month_type(draw, theirs), _month_type(draw, fact)
        for number in range(draw(st.integers(0, 4))):
            at = (
                first + timedelta(days=1, hours=number) if str(month) != "2020-02" else _START + timedelta(hours=number)
            )
            event = {k: _value(draw, key), w: _value(draw, value), "seen_at": at} | _times(at, month)
            tables["events"].append(event)
        types["events"][str(month)] = {k: TYPES[key][0], w: TYPES[value][0], "seen_at": TIMESTAMP} | _TIMES
    held = draw(st.lists(TYPES[theirs][1], max_size=4))
    unique = [place for number, place in enumerate(held) if place not in held[:number]]
    tables["places"] = [{g: place, size: _value(draw, kinds[size]), "__month": layout.STATIC} for place in unique]
    types["places"][layout.STATIC] = {g: TYPES[theirs][0], size: TYPES[kinds[size]][0]}
    return TypedWorld(star, tables, types)


_TIMES = {"event_time": TIMESTAMP, "known_at": TIMESTAMP}


def _times(at: datetime, month: Any) -> dict[str, Any]:
    assert in_month(at, month)
    return {"event_time": at, "known_at": at, "__month": str(month)}


def _asked(functions: list[str]) -> list[Any]:
    return [{"share_above": 0.1} if function == "share_above" else function for function in functions]


def _month_type(draw: Any, kind: str) -> str:
    others = LIKE.get(kind, [])
    return str(draw(st.sampled_from(others))) if others and draw(st.integers(0, 7)) == 0 else kind


def _value(draw: Any, kind: str) -> Any:
    return None if draw(st.integers(0, 5)) == 0 else draw(TYPES[kind][1])
