"""In which band a figure of a new window is expected, given the windows of the reference and the noise of rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from leverframe.domain.monitoring.batch import Floats
from leverframe.domain.monitoring.persistence import effective

_LEAST = 7  # values from which a correlation is looked for
_MOST = 0.95

Side = str  # "lower" or "higher", where the figure is bad; "both"


@dataclass(frozen=True)
class Value:
    """A figure with its standard error."""

    value: float
    error: float


@dataclass(frozen=True)
class ValueBand:
    """Windows have ``centre`` on average and vary by ``spread`` beyond the noise of their rows, on ``scale``.

    Shares are compared in log odds and positive figures in logarithms, so that a band never leaves what is possible.
    ``spread`` is by moments: the variance of the values less the mean of their squared errors (DerSimonian and
    Laird, 1986, with equal weights). ``repeat`` is the correlation of one window with the next, ``variance`` that of
    the values, noise included, and ``freedom`` its degrees, fewer than ``windows`` where they depend.
    """

    centre: float
    spread: float
    windows: int
    scale: str
    repeat: float
    variance: float
    freedom: float

    @classmethod
    def of(cls, values: Sequence[Value], scale: str) -> ValueBand:
        """Return the band of at least two values, in order of time."""
        scaled = [_scaled(value, scale) for value in values]
        numbers = np.array([value.value for value in scaled])
        noise = float(np.mean([value.error**2 for value in scaled]))
        spread = math.sqrt(max(0.0, float(numbers.var(ddof=1)) - noise))
        repeat, variance = _repeat(numbers), float(numbers.var(ddof=1))
        freedom = effective(len(numbers), repeat) - 1
        return cls(float(numbers.mean()), spread, len(numbers), scale, repeat, variance, freedom)

    @property
    def usual(self) -> float:
        """What a window has on average, on the figure's own scale."""
        return _unscaled(self.centre, self.scale)

    def error(self, noise: float) -> float:
        """Return the standard error of the distance of a window with that noise of its rows."""
        return math.sqrt(self.spread**2 + noise**2 + self.variance / (self.freedom + 1))

    def tail(self, given: Value, side: Side) -> float:
        """Return the probability of a value at least this bad without any change; 1 where it is on the good side."""
        scaled = _scaled(given, self.scale)
        error = self.error(scaled.error)
        if not math.isfinite(scaled.value) or error == 0:
            return 1.0 if not math.isfinite(scaled.value) or scaled.value == self.centre else 0.0
        return self._chance((scaled.value - self.centre) / error, side)

    def tail_of_mean(self, given: Sequence[Value], side: Side) -> float:
        """Return the probability of windows that are this bad on average without any change; at least one window."""
        scaled = [_scaled(value, self.scale) for value in given]
        mean = float(np.mean([value.value for value in scaled]))
        noise = float(np.mean([value.error**2 for value in scaled])) / len(scaled)
        # Rows are independent: what one window tells of the next is all in what windows vary by beyond them.
        persistence = min(_MOST, self.repeat * self.variance / self.spread**2) if self.spread else 0.0
        between = self.spread**2 / effective(len(scaled), persistence)
        error = math.sqrt(between + noise + self.variance / (self.freedom + 1))
        if error == 0 or not math.isfinite(mean):
            return 1.0 if not math.isfinite(mean) or mean == self.centre else 0.0
        return self._chance((mean - self.centre) / error, side)

    def ends(self, noise: float, alpha: float) -> tuple[float, float]:
        """Return between which values a window stays with probability 1 - ``alpha``, given the noise of its rows.

        ``noise`` is the standard error of the window on the figure's own scale.
        """
        middle = _unscaled(self.centre, self.scale)
        wide = float(stdtrit(self.freedom, 1 - alpha / 2)) * self.error(_scaled(Value(middle, noise), self.scale).error)
        return _unscaled(self.centre - wide, self.scale), _unscaled(self.centre + wide, self.scale)

    def _chance(self, ratio: float, side: Side) -> float:
        low, high = (float(stdtr(self.freedom, sign * ratio)) for sign in (1, -1))
        return {"lower": low, "higher": high, "both": min(1.0, 2 * min(low, high))}[side]


def _repeat(values: Floats) -> float:
    """Return the correlation of a value with the next, what too few values hide of it given back (Kendall, 1954)."""
    rest = values - values.mean()
    total = float((rest**2).sum())
    if len(values) < _LEAST or total == 0:
        return 0.0
    correlation = float((rest[1:] * rest[:-1]).sum()) / total
    return min(_MOST, max(0.0, correlation + (1 + 3 * correlation) / len(values)))


def _scaled(given: Value, scale: str) -> Value:
    value = given.value
    if scale == "share":
        inside = min(max(value, 1e-6), 1 - 1e-6)
        return Value(math.log(inside / (1 - inside)), given.error / (inside * (1 - inside)))
    if scale == "positive":
        above = max(value, 1e-12)
        return Value(math.log(above), given.error / above)
    return given


def _unscaled(value: float, scale: str) -> float:
    if scale == "share":
        return 1 / (1 + math.exp(-min(max(value, -500.0), 500.0)))
    return math.exp(min(value, 500.0)) if scale == "positive" else value
