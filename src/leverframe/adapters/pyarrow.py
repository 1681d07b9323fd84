"""Arrow: columns of arrays as a table, with the types that the columns of a sample had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_TYPES = {"BYTES": pa.string(), "BOOL": pa.bool_(), "INT64": pa.int64(), "FP64": pa.float64()}


def arrow_table(columns: Mapping[str, NDArray[Any]], datatypes: Mapping[str, str]) -> Any:
    """Return a table of doubles with NaN and texts with None; a missing value is null.

    Whole numbers become doubles again where one has a fraction.
    """
    return pa.table({name: _array(values, datatypes[name]) for name, values in columns.items()})


def _array(values: NDArray[Any], datatype: str) -> Any:
    if values.dtype == object:
        return pa.array(values.tolist(), pa.string())
    missing = np.isnan(values)
    known = np.where(missing, 0.0, values)
    fits = datatype != "INT64" or bool((known == np.floor(known)).all() and (np.abs(known) < 2.0**63).all())
    kind = _TYPES[datatype if fits else "FP64"]
    typed = known.astype(np.int64) if kind == pa.int64() else known != 0.0 if kind == pa.bool_() else known
    return pa.array(typed, kind, mask=missing)
