"""With which windows of the reference one is compared: all, or those of the same weekday or month."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import numpy as np

from leverframe.domain.monitoring.batch import Floats, Ints
from leverframe.domain.monitoring.engine import BuiltinEngine, Pair

Match = Literal["none", "weekday", "month"]
_MEAN, _LEAST = 0.85, 0.5  # squared distances that a season must leave, over all columns and in the best of them


def season_of(start: str, match: Match) -> int:
    """Return the season of a window: the day of its week from 0, or the month of its year from 1; 0 without any."""
    if match == "none":
        return 0
    at = datetime.fromisoformat(start)
    return at.weekday() if match == "weekday" else at.month


def seasons_of(starts: Sequence[str], match: Match) -> Ints:
    """Return the season of each window, shape (windows,)."""
    return np.array([season_of(start, match) for start in starts], np.int64)


def pooled(bins: Ints, seasons: Ints) -> Ints:
    """Return for each window the counts of all others of its season, shape (windows, bins)."""
    counts = -bins
    for season in np.unique(seasons):
        counts[seasons == season] += bins[seasons == season].sum(axis=0)
    return counts


def chosen(columns: Sequence[tuple[Ints, bool]], starts: Sequence[str]) -> Match:
    """Return the season that brings windows nearer to the others; none where there is too little to tell.

    Each column is counts of shape (windows, bins), and whether bins have an order.
    """
    best: tuple[float, Match] = (1.0, "none")
    plain = _squares(columns, seasons_of(starts, "none"))
    candidates: tuple[Match, ...] = ("weekday", "month")
    for match in candidates:
        seasons = seasons_of(starts, match)
        names, many = np.unique(seasons, return_counts=True)
        if len(names) < {"weekday": 7, "month": 12}[match] or many.min() < 2:
            continue
        left = _squares(columns, seasons) / plain
        left = left[np.isfinite(left)]
        if len(left) and (left.mean() < _MEAN or left.min() < _LEAST):
            best = min(best, (float(left.mean()), match))
    return best[1]


def _squares(columns: Sequence[tuple[Ints, bool]], seasons: Ints) -> Floats:
    """Return the mean squared distance of each column, shape (columns,), NaN where there is none."""
    squares = np.full(len(columns), np.nan)
    for number, (bins, ordered) in enumerate(columns):
        rest = pooled(bins, seasons)
        pairs = [Pair(ordered, other, own) for other, own in zip(rest, bins, strict=True)]
        values = BuiltinEngine().statistics(pairs)
        if np.isfinite(values).any() and np.nanmax(values) > 0:
            squares[number] = np.nanmean(values**2)
    return squares
