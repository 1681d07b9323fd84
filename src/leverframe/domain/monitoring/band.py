"""How far a window may be from the reference, as the windows of the reference are from one another.

The squared distance of a window has two parts. Windows differ: they move in one direction, by a normal variable whose
variance b is estimated from the reference. Rows are drawn: n of them, compared with N, add noise c (1/n + 1/N) in every
direction, which is known. So E[D^2] = b + c (1/n + 1/N), and b is what the distances of the reference, each window from
all others, leave above the noise (moments as of DerSimonian and Laird, 1986). The tail of a new window follows: a t
variable in the direction of windows, for b is estimated, and a gamma variable in all others. Volume alone raises no
alarm, be it ten times as much or a tenth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import gammaincinv, stdtr

from leverframe.domain.monitoring.batch import Floats, Ints
from leverframe.domain.monitoring.persistence import effective, inflation

_DRAWS = 1000
_ENDS = np.concatenate([np.linspace(0, 0.9, 19), 1 - np.geomspace(0.08, 1e-4, 10), [1.0]])
_POINTS, _WEIGHTS = (_ENDS[1:] + _ENDS[:-1]) / 2, np.diff(_ENDS)  # quantiles of the noise, finer in its tail
_FEW = 3  # distances below which nothing is known of how windows differ
_SURE = 1e6  # degrees of freedom of what is not estimated


@dataclass(frozen=True)
class Noise:
    """The squared distance of n rows from N of the same kind, over 1/n + 1/N: its mean, and degrees of freedom.

    With these, a gamma variable has the mean and the tail of it.
    """

    mean: float
    freedom: float

    @classmethod
    def of(cls, pool: Ints, *, ordered: bool) -> Noise:
        """Return the noise of rows that fall into bins like those of ``pool``, shape (bins,).

        For Cramér's V it is a quarter of a chi-square. For D it is the largest square of a Brownian bridge at the
        bins: its mean is over draws by a fixed seed, its tail that of the bin which varies most.
        """
        there = pool[pool > 0]
        if len(there) < 2:  # one bin holds every row
            return cls(0.0, 1.0)
        if not ordered:
            return cls((len(there) - 1) / 4, len(there) - 1)
        share: Floats = there / there.sum()
        below = np.cumsum(share)[:-1]
        draws = _normals(len(share)) * np.sqrt(share)
        bridges = np.cumsum(draws, axis=1)[:, :-1] - below * draws.sum(axis=1, keepdims=True)
        mean = float((bridges**2).max(axis=1).mean())
        return cls(_short(mean), _short(max(1.0, mean / float((below * (1 - below)).max()))))


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
class Tail:
    """How tails that were computed compare with those that windows of the reference had, each judged by the others.

    Of them, ``share`` had a p below ``_START``, and it went on as a power ``slope`` of what was computed: 1 where the
    model holds, less where windows have heavier tails (Hill, 1975).
    """

    share: float = 0.05
    slope: float = 1.0

    @classmethod
    def of(cls, replayed: Floats) -> Tail:
        """Return the tail of p values of windows of the reference, shape (windows,), of all columns together."""
        if not len(replayed):
            return cls()
        beyond = np.maximum(replayed[replayed < cls.share], 1e-12)
        share = (len(beyond) + _PRIOR) / (len(replayed) + _PRIOR / cls.share)
        slope = (len(beyond) + _PRIOR) / (float(np.log(cls.share / beyond).sum()) + _PRIOR)
        sure = slope * (1 + 1 / math.sqrt(len(beyond) + _PRIOR))  # a standard error: only what the windows show
        return cls(max(cls.share, share), min(1.0, sure))

    def corrected(self, p: float) -> float:
        """Return the p that windows of the reference suggest; never a smaller one."""
        start = Tail.share
        return p if p >= start else max(p, self.share * (p / start) ** self.slope)


_PRIOR = 10  # windows beyond that the model counts for


@dataclass(frozen=True)
class Band:
    """What is expected of the distance of a window.

    ``between`` is b with standard error ``doubt`` and ``freedom`` degrees of freedom, fewer than windows where they
    depend; ``usual`` is the noise of the reference, c (1/n + 1/N). ``repeat`` is the correlation of one window with
    the next, noise included, and ``inflation`` by how much b is larger for a window that is not of the reference.
    """

    noise: Noise
    between: float = 0.0
    doubt: float = 0.0
    freedom: float = _SURE
    usual: float = 0.0
    windows: int = 0
    repeat: float = 0.0
    inflation: float = 1.0
    tail: Tail = Tail()

    @classmethod
    def of(cls, distances: Sequence[Distance], noise: Noise, persistence: float = 0.0, *, stride: int = 1) -> Band:
        """Return the band of distances of windows of the reference from the others of their season.

        ``persistence`` is the correlation of one window with the next beyond ``noise``, and ``stride`` windows lie
        from one to the next of its season. Of fewer than three windows nothing but noise is expected.
        """
        many = len(distances)
        if many < _FEW:
            return cls(noise, windows=many)
        squares = np.array([distance.value**2 for distance in distances])
        expected = noise.mean * np.array([distance.inverse for distance in distances])
        between, usual = max(0.0, float((squares - expected).mean())), float(expected.mean())
        freedom = max(2.0, effective(many, persistence**2) - 1)
        return cls(
            noise,
            between,
            float(squares.std(ddof=1)) / math.sqrt(freedom + 1),
            freedom,
            usual,
            many,
            persistence * between / (between + usual) if between else 0.0,
            inflation(max(3, many // stride), persistence**stride),
        )

    def p(self, given: Distance) -> float:
        """Return the probability of a distance at least as large without any change."""
        here = self.noise.mean * given.inverse
        # Where rows are less noisy than usual, what windows differ by is all there is, and in doubt.
        doubt = self.doubt * max(0.0, 1 - here / self.usual) if self.usual else 0.0
        between = np.array([self.between * self.inflation + doubt])
        probabilities = tails(np.array([given.value]), np.array([here]), between, self.noise.freedom, self.freedom)
        return self.tail.corrected(float(probabilities[0]))

    def limit(self, alpha: float, rows: int, pool: int) -> float:
        """Return the distance that a window of ``rows`` exceeds with probability ``alpha``."""
        low, high = 0.0, 1.0
        for _ in range(16):
            middle = (low + high) / 2
            low, high = (low, middle) if self.p(Distance(middle, rows, pool)) < alpha else (middle, high)
        return high


def replayed(distances: Sequence[Distance], noise: Noise) -> Floats:
    """Return the p of each window of the reference, judged by the others, shape (windows,)."""
    many = len(distances)
    if many < _FEW + 1:
        return np.ones(many)
    squares = np.array([distance.value**2 for distance in distances])
    here = noise.mean * np.array([distance.inverse for distance in distances])
    left = squares - here
    between = np.maximum(0.0, (left.sum() - left) / (many - 1))
    return tails(np.sqrt(squares), here, between, noise.freedom, many - 2)


def tails(values: Floats, here: Floats, between: Floats, directions: float, freedom: float) -> Floats:
    """Return the probability of each distance or a larger one, shape (windows,), given noise and b of each.

    ``directions`` are the degrees of freedom of the noise, of which one is that in which windows move.
    """
    one = between + here / directions
    rest = values[:, None] ** 2 - here[:, None] * _others(directions)
    with np.errstate(divide="ignore", invalid="ignore"):
        away = np.sqrt(np.maximum(0.0, rest) / one[:, None])
    away = np.where(one[:, None] > 0, away, np.where(rest > 0, np.inf, 0.0))
    return np.asarray((2 * stdtr(freedom, -away)) @ _WEIGHTS)


@cache
def _others(directions: float) -> Floats:
    """Return quantiles of the noise in all directions but one, over the mean of the whole noise."""
    others = directions - 1
    return np.zeros(len(_POINTS)) if others <= 0 else np.asarray(gammaincinv(others / 2, _POINTS) * 2 / directions)


@cache
def _normals(bins: int) -> Floats:
    return np.random.default_rng(0).standard_normal((_DRAWS, bins))


def _short(value: float) -> float:
    return float(f"{value:.5g}")
