"""How values enter the window kernel and leave it: exact numbers in, any type out.

Columns come as arrays of numpy, as those of a snapshot, or as Arrow has them; of the last only the few
methods named here are used.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from leverframe.domain.data.column_types import EXACT
from leverframe.domain.features.snapshot.store import Decimals, Texts
from leverframe.domain.features.windows import Column, Floats
from leverframe.errors import SourceError


def numbers(values: Any) -> Column:
    """Return a column as the kernel reads it; what is not a number becomes a code a value."""
    if isinstance(values, Texts):
        return Column(np.where(values.codes < 0, np.nan, values.codes.astype(np.float64)))
    if isinstance(values, Decimals):
        return _exact(np.ma.getdata(values.units), np.ma.getmaskarray(values.units), values.scale)
    if hasattr(values, "dictionary_encode"):
        return _of_arrow(values)
    masked = np.ma.asarray(values)
    missing = np.ma.getmaskarray(masked)
    data = np.ma.getdata(masked)
    if data.dtype == object:
        missing = missing | nothing(data)
    if data.dtype == object or data.dtype.kind in "MU":
        _, data = np.unique(np.where(missing, data[~missing][0] if (~missing).any() else "", data), return_inverse=True)
    return _exact(data, missing)


def _exact(data: Any, missing: Any, scale: int = 0) -> Column:
    """Return numbers without rounding: of whole ones the nearest doubles, and what these leave."""
    values = np.where(missing, np.nan, data.astype(np.float64))
    if data.dtype.kind not in "iu" or data.dtype.itemsize < 8 or not len(data):
        return Column(values, scale=scale)
    large = (data > EXACT) | (data < -EXACT) if data.dtype.kind == "i" else data > EXACT
    if not large.any():
        return Column(values, scale=scale)
    low = data & data.dtype.type(2**32 - 1)
    high = (data - low).astype(np.float64)  # both are exact, and so is their difference from the nearest double
    return Column(values, np.where(large, (high - data.astype(np.float64)) + low.astype(np.float64), 0.0), scale)


def _of_arrow(column: Any) -> Column:
    kind = str(column.type)
    missing = column.is_null().to_numpy()
    if kind == "bool" or kind.startswith(("int", "uint", "float", "double", "halffloat")):
        data = column.fill_null(False if kind == "bool" else 0).to_numpy()
    elif kind == "null" or kind.startswith(("list", "large_list", "struct", "map", "fixed_size_list")):
        data = np.zeros(len(missing))  # they are counted, and never told apart
    else:
        data = column.combine_chunks().dictionary_encode().indices.fill_null(0).to_numpy(zero_copy_only=False)
    return _exact(data, missing)


def refuse_wide(name: str, largest: float, scale: int) -> None:
    """Raise ``SourceError`` where the largest decimal of a column, as a number of its last digit, is too wide."""
    limit = EXACT if scale else 2**63 - 1
    if largest > limit:
        raise SourceError(
            f"`{name}` has decimals of too many digits, {scale} of them after the point",
            why=f"windows add up and compare decimals exactly up to {limit} times their last digit",
            next="make the column a double, or a decimal of fewer digits, in the transform of the source",
        )


def shaped(function: str, values: Any, made: Floats) -> Any:
    """Return a computed feature in the type it has in the output; ``values`` are those of the column it is made of."""
    if function in ("count", "distinct"):
        return made.astype(np.int64)
    if function == "last":
        missing = np.isnan(made)
        return taken(values, np.where(missing, 0, made).astype(np.int64), missing)
    return made


def taken(values: Any, where: Any, missing: Any) -> Any:
    """Return ``values`` at the positions ``where``, masked where one is ``missing`` or the value null."""
    if not len(values):
        text = isinstance(values, Texts) or np.ma.getdata(values).dtype.kind in "OU"
        return np.ma.masked_all(len(where), dtype="U1" if text else np.ma.getdata(values).dtype)
    chosen = values[where]
    if isinstance(chosen, Decimals):
        chosen = chosen.numbers()
    if isinstance(values, Texts):
        missing = missing | nothing(chosen)
    return np.ma.masked_array(np.ma.getdata(chosen), mask=missing | np.ma.getmaskarray(chosen))


def nothing(values: Any) -> Any:
    """Return where an array of objects holds None."""
    return np.array([value is None for value in values.tolist()], bool)
