"""How far a window may be from the reference, as the windows of the reference are from one another.

What is expected of a distance is E[D^2] = b + c (1/n + 1/N): c (1/n + 1/N) is the noise of n and N rows, and b is what
windows vary by beyond it, by moments (DerSimonian and Laird, 1986). So volume alone raises no alarm. Two tails are
computed, and the larger counts. One is a t interval for one new window on cube roots of standardised distances, which
are nearly normal (Wilson and Hilferty, 1931). The other says what the square is made of: windows move in one direction,
by a t variable, and noise adds a gamma variable in all others; it holds where a window has other noise than those of
the reference, or far more bins than directions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import gammaincinv, stdtr

from leverframe.domain.monitoring.batch import Floats, Ints
from leverframe.domain.monitoring.dependence import effective, inflation

_DRAWS = 1000
_POINTS = (np.arange(32) + 0.5) / 32  # of the noise, over which a tail is averaged


@dataclass(frozen=True)
class Noise:
    """The squared distance of n rows from N of the same kind, over 1/n + 1/N: its mean, and degrees of freedom.

    ``freedom`` is twice the squared mean over the variance, as of a chi-square.
    """

    mean: float
    freedom: float

    @classmethod
    def of(cls, pool: Ints, *, ordered: bool) -> Noise:
        """Return the noise of rows that fall into bins like those of ``pool``, shape (bins,).

        For Cramér's V it is a quarter of a chi-square; for D it is the largest square of a Brownian bridge at the
        bins, drawn by a fixed seed.
        """
        there = pool[pool > 0]
        if len(there) < 2:  # one bin holds every row
            return cls(0.0, 1.0)
        if not ordered:
            return cls((len(there) - 1) / 4, len(there) - 1)
        share: Floats = there / there.sum()
        draws = np.random.default_rng(0).standard_normal((_DRAWS, len(share))) * np.sqrt(share)
        bridges = np.cumsum(draws, axis=1) - np.cumsum(share) * draws.sum(axis=1, keepdims=True)
        squares = (bridges**2).max(axis=1)
        return cls(_short(squares.mean()), _short(2 * squares.mean() ** 2 / squares.var()))


@dataclass(frozen=True)
class Distance:
    """The distance of a window of ``rows`` from a ``pool`` of others."""

    value: float
    rows: int
    pool: int

    @property
    def inverse(self) -> float:
        """The sum of 1 / n and 1 / N."""
        return 1 / max(1, self.rows) + 1 / max(1, self.pool)


@dataclass(frozen=True)
class Band:
    """Roots of standardised distances have ``centre`` and ``spread`` over ``windows``.

    ``between`` is b with standard error ``doubt``, ``freedom`` are its degrees of freedom, fewer than windows where
    they depend, and ``usual`` is the noise of the reference, c (1/n + 1/N). ``repeat`` is the correlation of one
    window with the next, noise included, and ``ahead`` by how much b is larger for a window that is not of the
    reference.
    """

    noise: Noise
    between: float
    doubt: float
    freedom: float
    usual: float
    centre: float
    spread: float
    windows: int
    repeat: float = 0.0
    ahead: float = 1.0

    @classmethod
    def of(
        cls,
        distances: Sequence[Distance],
        noise: Noise,
        persistence: float = 0.0,
        *,
        stride: int = 1,
        ahead: bool = True,
    ) -> Band:
        """Return the band of at least two distances of windows of the reference from the others of their season.

        ``persistence`` is the correlation of one window with the next beyond ``noise``. A window of the reference
        itself is judged without ``ahead``, and ``stride`` windows lie from one to the next of its season.
        """
        many = len(distances)
        squares = np.array([each.value**2 for each in distances])
        expected = noise.mean * np.array([each.inverse for each in distances])
        between, usual = max(0.0, float((squares - expected).mean())), float(expected.mean())
        roots = np.array([_root(each.value, between + noise.mean * each.inverse) for each in distances])
        freedom = max(2.0, effective(many, persistence**2) - 1)
        return cls(
            noise,
            between,
            float(squares.std(ddof=1)) / math.sqrt(freedom + 1),
            freedom,
            usual,
            float(roots.mean()),
            float(roots.std(ddof=1)),
            many,
            persistence * between / (between + usual) if between else 0.0,
            inflation(max(3, many // stride), persistence**stride) if ahead else 1.0,
        )

    def p(self, given: Distance) -> float:
        """Return the probability of a distance at least as large without any change."""
        here = self.noise.mean * given.inverse
        if self.between + here == 0:
            return 1.0 if given.value == 0 else 0.0
        return max(self._by_root(given.value, here), self._by_parts(given.value, here))

    def limit(self, alpha: float, rows: int, pool: int) -> float:
        """Return the distance that a window of ``rows`` exceeds with probability ``alpha``."""
        low, high = 0.0, 1.0
        for _ in range(20):
            middle = (low + high) / 2
            low, high = (low, middle) if self.p(Distance(middle, rows, pool)) < alpha else (middle, high)
        return high

    def _ahead(self, here: float) -> float:
        """Return b for a window with this noise; where it is less than usual, b is all there is, and in doubt."""
        return self.between * self.ahead + self.doubt * max(0.0, 1 - here / self.usual if self.usual else 0.0)

    def _by_root(self, value: float, here: float) -> float:
        error = self.spread * math.sqrt(1 + 1 / self.windows)
        away = _root(value, self._ahead(here) + here) - self.centre
        if error == 0:
            return 1.0 if away <= 0 else 0.0
        return float(stdtr(self.windows - 1, -away / error))

    def _by_parts(self, value: float, here: float) -> float:
        one = self._ahead(here) + here / self.noise.freedom  # the direction in which windows move
        rest = np.maximum(0.0, value**2 - here * self._others)
        return float(2 * stdtr(self.freedom, -np.sqrt(rest / one)).mean())

    @cached_property
    def _others(self) -> Floats:
        """Return quantiles of the noise in all other directions, over the whole noise."""
        others = max(self.noise.freedom - 1, 1e-3) / 2
        return np.asarray(gammaincinv(others, _POINTS) * 2 / self.noise.freedom)


def _root(value: float, expected: float) -> float:
    return float(np.cbrt(value / math.sqrt(expected))) if expected else 0.0


def _short(value: float) -> float:
    return float(f"{value:.5g}")
