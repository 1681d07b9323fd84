"""Columns whose roles ``leverframe.yaml`` names: the features among them, their numbers, and who has a label."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.model.table import Column
from leverframe.errors import SettingsError, nearest
from leverframe.settings import LEVERS


def features_among(
    columns: Sequence[str], patterns: Sequence[str], others: Collection[str], *, section: str, path: str
) -> list[str]:
    """Return the columns that ``patterns`` name, each once and without ``others``, which have another role.

    ``section`` is the part of the settings that holds the patterns, ``path`` the file. Raises ``SettingsError`` for a
    pattern that names no column.
    """
    rest = [name for name in columns if name not in others]
    chosen: list[str] = []
    for pattern in patterns:
        matches = fnmatch.filter(rest, pattern)
        if not matches:
            raise SettingsError(
                f"`{section}.features` in {LEVERS} names `{pattern}`, which is no column of {path}",
                why="a pattern that matches nothing would silently leave a feature out",
                next=nearest(pattern, rest),
            )
        chosen += matches
    return list(dict.fromkeys(chosen))


def holds_numbers(column: Column) -> bool:
    """Tell whether the values are numbers, or booleans, which count as 0 and 1."""
    return bool(column.dtype.is_numeric()) or str(column.dtype) == "Boolean"


def numbers(column: Column) -> NDArray[np.float64]:
    """Return the values as doubles, shape (rows,); NaN where there is none, and in all rows of another type."""
    if not holds_numbers(column):
        return np.full(len(column.to_numpy()), np.nan)
    doubles: NDArray[np.float64] = column.cast(float).to_numpy().astype(np.float64)
    return doubles


def has_value(column: Column) -> NDArray[np.bool_]:
    """Tell for each row whether it has a value, shape (rows,); NaN is none."""
    given: list[Any] = column.to_numpy().tolist()
    return np.array([value is not None and value == value for value in given], bool)  # noqa: PLR0124
