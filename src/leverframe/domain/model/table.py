"""A table in memory as the domain sees it, and the inputs of a model.

``Table`` and ``Column`` name the few methods of a polars frame that are used, so that the core
needs no import of polars and any frame with these methods will do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.features.training_set import Feature
from leverframe.errors import SourceError, nearest


class Column(Protocol):
    """Values of one type; a missing one is null."""

    @property
    def dtype(self) -> Any:
        """The type; ``is_numeric()`` tells whether it is a number."""

    def null_count(self) -> int:
        """Return how many values are null."""

    def cast(self, dtype: Any, /) -> Any:
        """Return the values as ``float`` or ``str``, nulls kept."""

    def to_numpy(self) -> NDArray[Any]:
        """Return the values; nulls are NaN among numbers and None among objects, timestamps are UTC."""


class Table(Protocol):
    """Columns of equal length in memory, as a polars frame has them."""

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in order."""

    @property
    def height(self) -> int:
        """The number of rows."""

    def get_column(self, name: str, /) -> Any:
        """Return one ``Column``."""

    def select(self, names: Any, /) -> Any:
        """Return the table with only the named columns, in that order."""

    def cast(self, dtypes: Any, /) -> Any:
        """Return the table with the types given by column name."""


class Tables(Protocol):
    """Reads and writes tables as Parquet."""

    def read(self, path: Path) -> Table:
        """Return the whole table; raises ``SourceError`` when it is missing or damaged."""

    def write(self, path: Path, columns: Mapping[str, Any]) -> None:
        """Replace the file with columns of equal length: arrays of numpy, or columns of a table."""


def column(table: Table, name: str, *, file: Path) -> Column:
    """Return the column ``name``; raises ``SourceError`` with the nearest name when ``file`` lacks it."""
    if name not in table.columns:
        raise SourceError(
            f"{file} has no column `{name}`",
            why=f"the file has {len(table.columns)} columns, and {nearest(name, table.columns)}",
            next="run `dvc repro`, so that data and definition match again",
        )
    series: Column = table.get_column(name)
    return series


def model_inputs(table: Table, features: Sequence[Feature], *, file: Path) -> Table:
    """Return the inputs of an estimator: one column per feature, in the order of ``features``.

    Numeric and boolean features are 64-bit floats, where null becomes NaN and true 1; categorical
    ones are text, where a missing value is null. Training and serving must both use this form.
    Raises ``SourceError`` for a missing column, or for text in place of numbers.
    """
    for feature in features:
        series = column(table, feature.name, file=file)
        if feature.kind != "categorical" and not _holds_numbers(series):
            raise SourceError(
                f"feature `{feature.name}` is {feature.kind}, its column in {file} is {series.dtype}",
                why="it needs a number, and Leverframe never guesses one from text",
                next="run `dvc repro`, or declare the feature as categorical",
            )
    types = {definition.name: str if definition.kind == "categorical" else float for definition in features}
    inputs: Table = table.select(list(types)).cast(types)
    return inputs


def _holds_numbers(series: Column) -> bool:
    all_missing = series.null_count() == len(series.to_numpy()) if str(series.dtype) in ("Null", "String") else False
    return bool(series.dtype.is_numeric()) or str(series.dtype) == "Boolean" or all_missing


def texts(series: Column) -> NDArray[np.str_]:
    """Return the values as text; a null one is ``(missing)``."""
    values = series.cast(str).to_numpy()
    return np.array(["(missing)" if value is None else value for value in values.tolist()], dtype=np.str_)
