"""Columns of whole numbers: a model that takes no fraction in one takes whole numbers, and not the sample's alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.features.training_set import Feature
from leverframe.domain.model.bundle.acceptance import Predict, accepted
from leverframe.domain.model.bundle.schema import Accepted
from leverframe.domain.own_model.opened import Columns


def with_whole(
    takes: Mapping[str, Accepted], datatypes: Mapping[str, str], predict: Predict, columns: Columns,
    features: Sequence[Feature],
) -> dict[str, Accepted]:  # fmt: skip
    """Return what a model takes, where a column whose values were limited by a fraction is asked once more without."""
    limited = [name for name, entry in takes.items() if entry.values is not None and datatypes.get(name) == "INT64"]
    if not limited:
        return dict(takes)

    def without(rows: Columns) -> NDArray[np.float64]:
        return predict({name: np.ceil(values) if name in limited else values for name, values in rows.items()})

    again = accepted(without, columns, features, lambda: columns)
    whole = [name for name in limited if again.get(name, Accepted()).values is None]
    return {name: replace(entry, values=None, whole=True) if name in whole else entry for name, entry in takes.items()}
