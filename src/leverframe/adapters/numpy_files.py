"""Columns in the files of NumPy: the arrays of an archive, the fields of a structured array, or plain columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.errors import SourceError
from leverframe.words import first_line

_DIMENSIONS = 2


def columns_of(path: Path) -> dict[str, NDArray[np.generic]]:
    """Return columns by name; those of a plain array are called 0, 1 and so on, of one dimension `0`.

    Raises ``SourceError`` for what is no such file, needs unpickling, or has columns of several lengths.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        arrays = {"": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
        columns = {name: column for key, array in arrays.items() for name, column in _named(key, array)}
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise SourceError(
            f"cannot read {path.name}",
            why=first_line(error)[:300],
            next="write arrays of numbers or texts with `numpy.savez`, objects need unpickling and are refused",
        ) from error
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1:
        raise SourceError(
            f"the arrays of {path.name} are {sorted(lengths)} long",
            why="they are the columns of one table",
            next="write arrays of one length",
        )
    return columns


def _named(key: str, array: NDArray[Any]) -> list[tuple[str, NDArray[np.generic]]]:
    if array.dtype.names:
        return [(name, array[name]) for name in array.dtype.names]
    if array.ndim > _DIMENSIONS or array.ndim == 0:
        raise ValueError(f"an array of {array.ndim} dimensions is no column")
    if array.ndim == 1:
        return [(key or "0", array)]
    return [(f"{key}{number}", array[:, number]) for number in range(array.shape[1])]
