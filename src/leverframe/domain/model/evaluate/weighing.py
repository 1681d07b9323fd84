"""How rows are weighed, many samples at once: one by one, or by how often their day was drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_CHUNK = 1 << 17  # weights held at once: the caches of a core, not its memory, set the pace


class Weighing(Protocol):
    """The weights of the same rows in several samples."""

    @property
    def samples(self) -> int:
        """The number of samples."""

    def totals(self, columns: Floats) -> Floats:
        """Return the weighted sums, shape (samples, columns), of values of shape (rows, columns)."""

    def ordered(self, order: NDArray[np.int64]) -> Iterator[Floats]:
        """Yield the weights of the rows in ``order``, some samples at a time: shape (some, len(order))."""


class ByRow:
    """Weights of shape (samples, rows)."""

    def __init__(self, weights: Floats) -> None:
        self._weights = weights
        self.samples = len(weights)

    def totals(self, columns: Floats) -> Floats:
        """Return the weighted sums, shape (samples, columns), of values of shape (rows, columns)."""
        sums: Floats = self._weights @ columns
        return sums

    def ordered(self, order: NDArray[np.int64]) -> Iterator[Floats]:
        """Yield the weights of the rows in ``order``, some samples at a time."""
        for some in _chunks(self.samples, len(order)):
            yield self._weights[some][:, order]


class ByDay:
    """Every row weighs what its day does.

    ``days`` numbers the day of each row, shape (rows,), as columns of ``draws``, shape (samples,
    days). Sums are taken over days before they are weighed, so only what depends on the order of
    rows costs time in proportion to rows times samples.
    """

    def __init__(self, days: NDArray[np.int64], draws: NDArray[np.int64]) -> None:
        self._days, self._draws = days, draws.astype(np.float64)
        self.samples = len(draws)

    def totals(self, columns: Floats) -> Floats:
        """Return the weighted sums, shape (samples, columns), of values of shape (rows, columns)."""
        days = self._draws.shape[1]
        by_day = [np.bincount(self._days, weights=each, minlength=days) for each in columns.T]
        sums: Floats = self._draws @ np.stack(by_day, axis=1)
        return sums

    def ordered(self, order: NDArray[np.int64]) -> Iterator[Floats]:
        """Yield the weights of the rows in ``order``, some samples at a time."""
        days = self._days[order]
        for some in _chunks(self.samples, len(order)):
            yield np.stack([each.take(days) for each in self._draws[some]])


def _chunks(samples: int, rows: int) -> Iterator[slice]:
    step = max(1, _CHUNK // max(1, rows))
    return (slice(start, start + step) for start in range(0, samples, step))


def ratio(above: Floats, below: Floats) -> Floats:
    """Return ``above / below``, NaN where nothing is below."""
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
