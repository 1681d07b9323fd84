"""How sure a figure is: standard errors and Student's t from the contributions of days that depend on each other.

A figure is nearly a sum of one contribution a day. What its days have in common over weeks widens the spread of the
sum, so the spread is read from the slowest cosines of the daily contributions and from nothing faster: a deterministic
weekly season neither hides the spread nor counts as one. Few cosines are few degrees of freedom; Student's t says so.
Sources: Lazarus, Lewis, Stock and Watson (2018), HAR inference (equal-weighted cosines); Andrews and Monahan (1992),
whitening by a first-order autoregression; Kendall (1954), bias of an autocorrelation; Bell and McCaffrey (2002),
leverage of clusters; Satterthwaite (1946), degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from leverframe.domain.model.evaluate.ranking import Floats

Scale = Literal["share", "positive", "explained", "real", "distance"]

MINIMUM_DAYS = 14  # two weeks: with fewer nothing is known about how days depend on each other
LEAST_EFFECTIVE = 4.0  # days, weighed by what the figure rests on: with fewer one day decides it
# The lag-1 autocorrelation of days that is corrected for. A season, noise of rows and few days hide it, so it is never
# taken for less than the first; over few slow cosines that widens independent days by 10 to 15 %.
_MEMORY = (0.85, 0.95)
_FOREVER = 1e5  # days


@dataclass(frozen=True)
class Uncertainty:
    """What is known of several figures, each of shape (figures,).

    ``error`` is the standard error and ``degrees`` its degrees of freedom, NaN where there are too few independent
    periods; ``effective`` the number of independent days that would be as informative.
    """

    error: Floats
    degrees: Floats
    effective: Floats

    def margin(self, confidence: float) -> Floats:
        """Return how far the truth lies beyond each figure on one side at most, with this confidence."""
        limit: Floats = self.error * stdtrit(np.nan_to_num(self.degrees, nan=1.0), confidence)
        return limit

    def tail(self, excess: Floats) -> Floats:
        """Return the probability of an estimate this far above the truth; 0 or 1 where there is no error at all."""
        certain = np.where(excess > 0, 0.0, 1.0)
        ratio = np.divide(excess, self.error, out=np.zeros_like(excess), where=self.error > 0)
        tail: Floats = np.where(self.error > 0, stdtr(np.nan_to_num(self.degrees, nan=1.0), -ratio), certain)
        return np.where(np.isfinite(self.error), tail, np.nan)


def cosines(days: int) -> int:
    """Return how many slow cosines give the spread: so few that days with a memory of weeks do not mislead them."""
    return max(2, round(float(0.2 * days ** (2 / 3))))


def method(days: int) -> str:
    """Return in words how bounds over that many days are made."""
    count = cosines(days)
    return (
        f"long-run variance of {days:,} days (HAR, {count} equal-weighted cosines), t with {count} degrees of freedom"
    )


def uncertainty(daily: Floats, shares: Floats, *, fast: bool = False) -> Uncertainty:
    """Return the uncertainty of sums of daily contributions, both arguments of shape (days, figures).

    ``daily`` holds what each day contributes to the deviation of a figure, days in order of time; ``shares`` the part
    of the rows that the figure rests on which the day has. ``fast`` takes every cosine slower than eight days and
    independent days as a floor: sharper tails for small parts, which depend little on each other.
    """
    columns = [_known(*pair, fast=fast) for pair in zip(daily.T, shares.T, strict=True)]
    return Uncertainty(*np.array(columns, dtype=np.float64).reshape(-1, 3).T)


def _known(daily: Floats, shares: Floats, *, fast: bool) -> tuple[float, float, float]:
    """Return standard error, degrees of freedom and independent days of one figure; arguments of shape (days,)."""
    equal = 1 / float((shares**2).sum()) if shares.any() else 0.0  # days of equal size that would be as many
    days = int((shares > 0).sum())
    if days < MINIMUM_DAYS or equal < LEAST_EFFECTIVE:
        return math.nan, math.nan, equal
    largest = float(np.abs(daily).max())
    if not math.isfinite(largest):
        return math.nan, math.nan, equal
    unit = math.ldexp(1.0, math.frexp(largest)[1] - 1)  # of a power of two, so that only overflows change
    daily = daily / unit
    # A day that weighs much pulls the figure towards itself, and so hides its own deviation.
    daily = daily / np.sqrt(np.maximum(1 - shares, 1 / days))
    squares = float((daily**2).sum())
    if squares == 0:
        return 0.0, float(cosines(days)), equal
    count = max(2, days // 4) if fast else cosines(days)
    variance = _long_run(daily, shares, count, 0.0 if fast else _MEMORY[0])
    variance = max(variance, squares) if fast else variance
    peaked = max(0.0, days * float((daily**4).sum()) / squares**2 - 3)
    degrees = min(1 / (1 / count + peaked / (2 * days)), equal - 1)
    return math.sqrt(variance) * unit, degrees, equal * min(1.0, squares / variance if variance > 0 else 1.0)


def _long_run(daily: Floats, shares: Floats, count: int, least: float) -> float:
    """Return the variance of the sum of days: the mean of its slow cosines, each by what memory gives it.

    Time passes with the rows that a figure rests on, so neither gaps nor small days are taken for calm.
    """
    there = shares > 0
    days, centred = int(there.sum()), daily[there] - daily[there].mean()
    memory = float((centred[1:] * centred[:-1]).sum()) / max(float((centred**2).sum()), 1e-300)
    memory = min(max(memory + (1 + 3 * memory) / days, least), _MEMORY[1])
    steps = np.pi * np.arange(1, count + 1)
    shape = (1 - memory**2) / (1 + memory**2 - 2 * memory * np.cos(steps / days))
    whole = (1 + memory) / (1 - memory) - 2 * memory * (1 - memory**days) / (days * (1 - memory) ** 2)
    waves = np.sqrt(2) * np.cos(np.outer(steps, np.cumsum(shares) - shares / 2))
    return float(whole * ((waves @ daily) ** 2 / shape).mean())


def intervals(
    values: Floats, scales: Sequence[Scale], known: Uncertainty, confidence: float, counts: NDArray[np.int64]
) -> list[tuple[float, float]]:
    """Return the two-sided interval of each figure, NaN where there are too few independent periods.

    ``scales`` say where a figure can lie: a share in [0, 1] has its interval in log odds, a positive figure in logs,
    and what is explained, at most 1, in logs of what is left.
    A distance, the mean of what has lost its sign, has none: near 0 it is mostly noise, and too large by that noise.
    ``counts`` are the rows that each figure rests on: they keep a share of exactly 0 or 1 from looking certain.
    """
    quantiles = stdtrit(np.nan_to_num(known.degrees, nan=1.0), (1 + confidence) / 2)
    return [_interval(*figure) for figure in zip(values, known.error, quantiles, scales, counts, strict=True)]


def _interval(value: float, error: float, quantile: float, scale: Scale, count: int) -> tuple[float, float]:
    if scale == "distance" or not (math.isfinite(value) and math.isfinite(error)):
        return math.nan, math.nan
    if scale == "explained":
        low, high = _interval(1 - value, error, quantile, "positive", count)
        return 1 - high, 1 - max(low, 0.0)
    if scale == "positive" and value > 0:
        factor = math.exp(min(quantile * error / value, 500.0))
        return value / factor, value * factor
    if scale != "share":
        return value - quantile * error, value + quantile * error
    inside = value if 0 < value < 1 else (value * count + 0.5) / (count + 1)
    spread = inside * (1 - inside)
    error = error if inside == value else max(error, math.sqrt(spread / count))
    middle, wide = math.log(inside / (1 - inside)), quantile * error / spread
    low, high = (1 / (1 + math.exp(min(-end, 500.0))) for end in (middle - wide, middle + wide))
    return min(low, value), max(high, value)


def by_day(values: Floats, days: NDArray[np.int64], number_of_days: int) -> Floats:
    """Return the sums of ``values``, shape (rows, figures), over the rows of each day, shape (days, figures)."""
    return np.stack([np.bincount(days, weights=column, minlength=number_of_days) for column in values.T], axis=1)


def days_until(distance: float, error: float, days: int, confidence: float) -> float:
    """Return how many days would show a difference of ``distance`` at the present variance, or infinity."""
    if not (distance > 0 and math.isfinite(error)):
        return math.inf
    needed = float(days)
    while needed < _FOREVER:
        if stdtrit(cosines(math.ceil(needed)), confidence) * error * math.sqrt(days / needed) <= distance:
            return float(math.ceil(needed))
        needed *= 1.02
    return math.inf
