"""Durations in bins of a constant ratio: quantiles of any number of values, of any number of logs put together."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

RATIO = 1.05  # a quantile is off by half of it at most
_BINS = 480  # 1e-3 to 1.5e7


class LogHistogram:
    """Counts of positive values, such as milliseconds or hours; smaller ones than 0.001 count as that."""

    def __init__(self, counts: NDArray[np.int64] | None = None) -> None:
        self.counts = np.zeros(_BINS, np.int64) if counts is None else counts

    def add(self, values: NDArray[np.float64]) -> None:
        """Count values of shape (n,); NaN counts for nothing."""
        known = values[np.isfinite(values)]
        if len(known):
            where = np.log(np.maximum(known, 1e-3) / 1e-3) / math.log(RATIO)
            self.counts += np.bincount(np.minimum(where.astype(np.int64), _BINS - 1), minlength=_BINS)

    def merge(self, other: LogHistogram) -> None:
        """Add what another one counted."""
        self.counts += other.counts

    def quantile(self, share: float) -> float | None:
        """Return a quantile within 2.5 %; None where nothing was counted."""
        total = int(self.counts.sum())
        if not total:
            return None
        place = int(np.searchsorted(np.cumsum(self.counts), max(1, math.ceil(share * total))))
        return float(1e-3 * RATIO ** (place + 0.5))
