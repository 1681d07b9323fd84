"""How sure a figure is: the bootstrap over days.

Rows of one day share its weather and its traffic, so they are drawn together. One matrix of day
weights serves every model and every slice; two models weighed by the same matrix are a paired
comparison. Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 8
and 13 (blocks, percentile intervals).
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.model.evaluate.weighing import ByDay, Floats, Weighing

MINIMUM_DAYS = 8  # with fewer an interval says less than it seems to
_MINUTE = np.timedelta64(1, "m")


class Judge(Protocol):
    """Measures rows under weights."""

    def measure(self, weighing: Weighing) -> Floats:
        """Return the metrics, shape (samples, metrics), NaN where undefined."""


def local_days(as_of: NDArray[np.datetime64], timezone: str) -> NDArray[np.datetime64]:
    """Return the calendar day in ``timezone`` of each moment in UTC, both of shape (rows,)."""
    minutes, where = np.unique(as_of.astype("datetime64[m]"), return_inverse=True)
    zone = ZoneInfo(timezone)
    moments = (datetime.fromtimestamp(int(each), UTC) for each in minutes.astype("datetime64[s]").astype(np.int64))
    shifts = np.array([_shift(moment, zone) for moment in moments], dtype=np.int64)
    days: NDArray[np.datetime64] = (minutes + shifts * _MINUTE).astype("datetime64[D]")[where]
    return days


def _shift(moment: datetime, zone: ZoneInfo) -> int:
    offset = moment.astimezone(zone).utcoffset()
    return round(offset.total_seconds() / 60) if offset else 0


def day_weights(days: int, resamples: int, seed: int) -> NDArray[np.int64]:
    """Return how often each day is drawn in each resample, shape (resamples, days).

    Every row sums to ``days``, which are drawn with replacement. The same arguments give the
    same matrix.
    """
    drawn = np.random.default_rng(seed).integers(0, max(days, 1), size=(resamples, days))
    cells = drawn + np.arange(resamples)[:, None] * days
    return np.bincount(cells.ravel(), minlength=resamples * days).reshape(resamples, days)


def bounds(samples: Floats, confidence: float) -> tuple[float, float]:
    """Return the percentile interval of one metric, NaN unless it is defined in most resamples.

    ``samples`` has shape (resamples,).
    """
    defined = samples[np.isfinite(samples)]
    if len(defined) * 2 <= len(samples):
        return math.nan, math.nan
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def intervals(
    judge: Judge, days: NDArray[np.int64], draws: NDArray[np.int64], confidence: float
) -> list[tuple[float, float]]:
    """Return the interval of each metric of ``judge``.

    ``days`` numbers the day of each row, shape (rows,), as columns of ``draws``, shape (resamples,
    days). NaN for a metric that is undefined, and for all with fewer than ``MINIMUM_DAYS`` days.
    """
    samples = judge.measure(ByDay(days, draws))
    if len(np.unique(days)) < MINIMUM_DAYS:
        samples = np.full_like(samples, np.nan)
    return [bounds(each, confidence) for each in samples.T]
