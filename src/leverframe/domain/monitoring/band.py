"""How far a window may be from the reference, as the windows of the reference are from one another.

A distance is divided by what is expected of it: E[D^2] = b + c (1/n + 1/N), where c (1/n + 1/N) is the noise of n and
N rows and b is what windows vary by beyond it, by moments (DerSimonian and Laird, 1986). So volume alone raises no
alarm. The cube root makes the rest nearly normal (Wilson and Hilferty, 1931), and a t interval for one new window
takes account of how few windows there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from leverframe.domain.monitoring.batch import Floats, Ints
from leverframe.domain.monitoring.dependence import effective, inflation

_DRAWS = 1000


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
    """Roots of standardised distances have ``centre`` and ``spread`` over ``windows``, fewer where they depend.

    ``between`` is b, ``noise`` is c. ``repeat`` is the correlation of one window with the next, noise included, and
    ``ahead`` by how much b is larger for a window that is not of the reference.
    """

    between: float
    noise: float
    centre: float
    spread: float
    windows: float
    repeat: float = 0.0
    ahead: float = 1.0

    @classmethod
    def of(
        cls,
        distances: Sequence[Distance],
        noise: float,
        persistence: float = 0.0,
        *,
        seasons: int = 1,
        ahead: bool = True,
    ) -> Band:
        """Return the band of at least two distances of windows of the reference from the others of their season.

        ``persistence`` is the correlation of one window with the next beyond ``noise``. A window of the reference
        itself is judged without ``ahead``.
        """
        squares = np.array([each.value**2 for each in distances])
        inverse = np.array([each.inverse for each in distances])
        between = max(0.0, float((squares - noise * inverse).mean()))
        roots = np.array([_root(each, between, noise) for each in distances])
        expected = between + noise * float(inverse.mean())
        repeat = persistence * between / expected if expected else 0.0
        many = max(3, len(distances) // seasons)
        return cls(
            between,
            noise,
            float(roots.mean()),
            float(roots.std(ddof=1)),
            effective(len(distances), repeat**2),
            repeat,
            inflation(many, persistence**seasons) if ahead else 1.0,
        )

    def p(self, given: Distance) -> float:
        """Return the probability of a distance at least as large without any change."""
        error = self.spread * math.sqrt(1 + 1 / self.windows)
        away = _root(given, self.between * self.ahead, self.noise) - self.centre
        if error == 0:
            return 1.0 if away <= 0 else 0.0
        return float(stdtr(self.windows - 1, -away / error))

    def limit(self, alpha: float, rows: int, pool: int) -> float:
        """Return the distance that a window of ``rows`` exceeds with probability ``alpha``."""
        error = self.spread * math.sqrt(1 + 1 / self.windows)
        root = self.centre + float(stdtrit(self.windows - 1, 1 - alpha)) * error
        expected = _expected(self.between * self.ahead, self.noise, Distance(0.0, rows, pool))
        return min(1.0, max(0.0, root) ** 3 * expected)


def noise_of(pool: Ints, *, ordered: bool) -> float:
    """Return c: what the squared distance of n rows from N of the same kind is on average, over 1 / n + 1 / N.

    ``pool`` of shape (bins,) holds the rows of the reference. For Cramér's V it is a quarter of the degrees of
    freedom; for D it is the mean of the largest square of a Brownian bridge at the bins, drawn by a fixed seed.
    """
    there = pool[pool > 0]
    if len(there) < 2:  # one bin holds every row
        return 0.0
    if not ordered:
        return (len(there) - 1) / 4
    share: Floats = there / there.sum()
    draws = np.random.default_rng(0).standard_normal((_DRAWS, len(share))) * np.sqrt(share)
    bridges = np.cumsum(draws, axis=1) - np.cumsum(share) * draws.sum(axis=1, keepdims=True)
    return float((bridges**2).max(axis=1).mean())


def _expected(between: float, noise: float, given: Distance) -> float:
    return math.sqrt(between + noise * given.inverse)


def _root(given: Distance, between: float, noise: float) -> float:
    expected = _expected(between, noise, given)
    if expected == 0:
        return 0.0 if given.value == 0 else math.inf
    return float(np.cbrt(given.value / expected))
