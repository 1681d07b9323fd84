"""The page of the declarations lists what the declarations take, each option with its default, and every metric."""

from __future__ import annotations

import ast
import re
from dataclasses import MISSING, fields
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

import leverframe.case
from leverframe.adapters.sklearn.preparing import CATEGORIES, LIBRARIES
from leverframe.case import (
    Contract,
    Csv,
    ForeignKey,
    Freshness,
    Function,
    NullRate,
    Parquet,
    Query,
    SchemaDiff,
    Source,
    UniqueKey,
    Volume,
)
from leverframe.domain.model.evaluate.metrics import METRICS

PAGE = (Path(__file__).parents[2] / "docs/guides/declarations.md").read_text(encoding="utf-8")
READERS, MONITORS = (Csv, Parquet, Query, Function), (UniqueKey, ForeignKey, SchemaDiff, Freshness, Volume, NullRate)
DECLARED = (Source, *READERS, Contract, *MONITORS)


def rows_of(section: str) -> list[list[str]]:
    """Return the rows of the first table below a heading."""
    text = PAGE.partition(f"\n{section}\n")[2]
    table = re.search(r"^\|.*?(?=^[^|]|\Z)", text, re.DOTALL | re.MULTILINE)
    assert table, section
    lines = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in table[0].strip().splitlines()]
    return [[cell.strip() for cell in line] for line in lines[2:]]


def shown(default: Any) -> Any:
    """Return a default as the page writes it."""
    return default.value if isinstance(default, Enum) else default


@pytest.mark.parametrize("declared", DECLARED, ids=lambda declaration: declaration.__name__)
def test_every_option_stands_on_the_page_with_its_default(declared: type[Any]) -> None:
    """In the order of the declaration; an option without a default has an empty cell."""
    rows = rows_of(f"### `{declared.__name__}`")
    assert [row[0].strip("`") for row in rows] == [field.name for field in fields(declared)]
    for row, option in zip(rows, fields(declared), strict=True):
        if option.default is MISSING:
            assert row[1] == "", option.name
        else:
            written = row[1].strip("`")
            value = written if isinstance(option.default, Enum) else ast.literal_eval(written)
            assert value == shown(option.default), option.name
        assert len(row[2]) > 10, option.name


def test_every_name_of_a_case_is_on_the_page() -> None:
    """What a case may import is explained."""
    assert [name for name in leverframe.case.__all__ if name not in PAGE and name not in ("Feature", "Label")] == []


def test_every_metric_stands_on_the_page() -> None:
    """By kind of label, in order, with what is better."""
    wanted = [
        [f"`{kind}`", f"`{metric.name}`", metric.title, metric.better] for kind in METRICS for metric in METRICS[kind]
    ]
    assert rows_of("## Labels and metrics") == wanted


def test_what_is_prepared_for_a_class_is_as_the_page_says() -> None:
    """The libraries, and the columns of a category."""
    row = rows_of("## Estimators")[0]
    assert [name for name in LIBRARIES if name.replace("sklearn", "scikit-learn") not in row[0].lower()] == []
    assert f"up to {CATEGORIES} columns" in row[2]
