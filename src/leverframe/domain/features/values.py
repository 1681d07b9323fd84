"""How values enter the window kernel and leave it: numbers with NaN for null in, any type out."""

from __future__ import annotations

from typing import Any

import numpy as np

from leverframe.domain.features.snapshot.store import Texts
from leverframe.domain.features.windows import Floats


def numbers(values: Any) -> Floats:
    """Return a column as float64 with NaN for null; what is not a number becomes a code a value."""
    if isinstance(values, Texts):
        return np.where(values.codes < 0, np.nan, values.codes.astype(np.float64))
    masked = np.ma.asarray(values)
    missing = np.ma.getmaskarray(masked)
    data = np.ma.getdata(masked)
    if data.dtype == object:
        missing = missing | nothing(data)
    if data.dtype == object or data.dtype.kind in "MU":
        _, data = np.unique(np.where(missing, data[~missing][0] if (~missing).any() else "", data), return_inverse=True)
    return np.where(missing, np.nan, data.astype(np.float64))


def shaped(function: str, values: Any, made: Any) -> Any:
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
    found = values[where]
    if isinstance(values, Texts):
        missing = missing | nothing(found)
    return np.ma.masked_array(np.ma.getdata(found), mask=missing | np.ma.getmaskarray(found))


def nothing(values: Any) -> Any:
    """Return where an array of objects holds None."""
    return np.array([value is None for value in values.tolist()], bool)
