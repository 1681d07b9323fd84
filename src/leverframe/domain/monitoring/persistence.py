"""How much a window tells of the next: what depends is fewer windows than there are, and repeats its extremes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy.special import gammaincinv, ndtr, stdtrit

from leverframe.domain.monitoring.batch import Floats, Ints

_MOST = 0.95
_STEPS = 20
_ENDS = np.concatenate([[0.0], np.geomspace(1e-4, 0.1, 10), np.linspace(0.2, 1.0, 9)])
_SCALES, _WEIGHTS = (_ENDS[1:] + _ENDS[:-1]) / 2, np.diff(_ENDS)  # quantiles of the scale, finer where it is small
_GRID = np.linspace(0, 5, 60)
_OWN = 20  # windows at which a column's own correlation counts as much as that of all columns


def persistences(columns: Sequence[tuple[Ints, bool]], seasons: Ints) -> list[float]:
    """Return for each column the correlation of a window with the next, beyond the noise of rows, 0 to 0.95.

    Each column is counts of shape (windows, bins), and whether bins have an order. ``seasons`` of shape (windows,)
    are taken out first. A column of few windows leans on all of them together.
    """
    windows = len(seasons)
    moments = [_moments(counts, seasons, ordered=ordered) for counts, ordered in columns]
    together = _correlation(np.sum(moments, axis=0), windows) if moments else 0.0
    own = [_correlation(triple, windows) for triple in moments]
    return [round((windows * correlation + _OWN * together) / (windows + _OWN), 3) for correlation in own]


def _moments(counts: Ints, seasons: Ints, *, ordered: bool) -> Floats:
    """Return covariance with the next window, variance beyond the noise of rows, and that noise, over the latter."""
    rows = counts.sum(axis=1)
    kept = rows > 0
    if kept.sum() < 3:
        return np.zeros(3)
    share = counts[kept] / rows[kept][:, None]
    mean = share.mean(axis=0)
    place = np.cumsum(share, axis=1) * np.sqrt(mean) if ordered else share / np.sqrt(np.maximum(mean, 1e-12))
    chance = np.cumsum(mean) if ordered else mean
    weight = mean if ordered else 1 / np.maximum(mean, 1e-12)
    noise = float((weight * chance * (1 - chance))[mean > 0].sum() * np.mean(1 / rows[kept]))
    season, many = seasons[kept], 0
    for number in np.unique(season):
        place[season == number] -= place[season == number].mean(axis=0)
        many += 1
    total = float((place**2).sum() / max(1, kept.sum() - many))
    following = float((place[:-1] * place[1:]).sum() / (kept.sum() - 1))
    return np.array([following, total - noise, noise]) / noise if noise else np.zeros(3)


def _correlation(moments: Floats, windows: int) -> float:
    """Return the correlation that explains both moments, once the mean of the windows is known to be estimated."""
    following, between, noise = (float(number) for number in moments)
    if between <= 0.1 * noise:  # too little to tell, and too little to matter
        return 0.0
    correlation = 0.0
    for _ in range(_STEPS):
        mean = between * (1 + correlation) / (1 - correlation) / windows
        correlation = min(_MOST, max(0.0, (following + mean) / (between + mean)))
    return correlation


def effective(windows: int, correlation: float) -> float:
    """Return how many independent windows tell as much; ``correlation`` is that of one with the next."""
    return max(2.0, windows * (1 - correlation) / (1 + correlation))


def inflation(windows: int, correlation: float) -> float:
    """Return by how much a later window differs more from all of the reference than one of its own from the others.

    Those near a window in time resemble it; a later one has no neighbours among them.
    """
    if windows < 3 or not correlation:
        return 1.0
    lags = np.arange(1, windows)
    mean = float(2 * ((windows - lags) * correlation**lags).sum() / (windows * (windows - 1)))
    within = 1 - 2 * mean + (1 + (windows - 2) * mean) / (windows - 1)
    return max(1.0, (1 + (1 + (windows - 1) * mean) / windows) / max(0.1, within))


@cache
def again(p: float, correlation: float, freedom: float) -> float:
    """Return the chance that a window is beyond a level of chance ``p``, where one with that correlation is.

    Both are t variables on ``freedom`` degrees that share their scale: where the reference looks steadier than it is,
    every window is beyond more often.
    """
    level = -float(stdtrit(freedom, p / 2))
    scale = np.sqrt(gammaincinv(freedom / 2, _SCALES) * 2 / freedom)
    start = level * scale[:, None]
    grid = start + _GRID
    density = np.exp(-(grid**2) / 2)
    root = math.sqrt(1 - correlation**2)
    other = ndtr((correlation * grid - start) / root) + ndtr((-correlation * grid - start) / root)
    weight = _WEIGHTS[:, None] * density
    return float((weight * other).sum() / weight.sum())
