"""Worlds in which it is known whether something changed: days of rows as counts in bins, drawn by a seed.

A row of a numeric column is standard normal plus the effect of its day, or Student's t with three degrees of freedom
scaled to unit variance; only ranks decide, so that any other continuous column is the same. A categorical column has
log shares that the effect of its day tilts. ``rows`` draws single rows of the same worlds, for tools that need them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from leverframe.domain.monitoring.binning import BINS, Binning, Counts
from leverframe.domain.monitoring.monitored_column import MonitoredColumn
from leverframe.domain.monitoring.reference_profile import WindowCounts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEVELS = (2, 3, 5, 10, 30)  # of the categorical columns, a third of all
FIRST = date(2024, 1, 1)  # a Monday


@dataclass(frozen=True)
class DriftWorld:
    """Days of ``rows`` rows with ``columns`` columns; ``reference`` days, then a live month.

    ``noise`` is the standard deviation of the effect of a day, ``memory`` its correlation with that of the day
    before, ``week`` by how much weekends differ, ``tails`` the degrees of freedom of the effect (0: normal).
    ``heavy`` rows are Student's t. ``volume`` times the rows are in a live day.
    """

    name: str
    says: str
    columns: int = 15
    rows: int = 5000
    reference: int = 60
    noise: float = 0.05
    memory: float = 0.0
    week: float = 0.0
    tails: int = 0
    heavy: bool = False
    volume: float = 1.0


def numeric(world: DriftWorld) -> int:
    """Return how many columns are numeric: two thirds."""
    return world.columns - world.columns // 3


def monitored(world: DriftWorld) -> list[MonitoredColumn]:
    """Return the columns."""
    many = numeric(world)
    return [MonitoredColumn(f"x{at}", "numeric" if at < many else "categorical") for at in range(world.columns)]


@cache
def binnings_of(world: DriftWorld) -> dict[str, Binning]:
    """Return the true quantiles and levels, as a large reference would have them."""
    inner = np.arange(1, BINS) / BINS
    edges = tuple((stdtrit(3, inner) / np.sqrt(3) if world.heavy else ndtri(inner)).tolist())
    found = {}
    for at, column in enumerate(monitored(world)):
        names = tuple(f"level {number}" for number in range(LEVELS[at % len(LEVELS)]))
        found[column.name] = (
            Binning("quantiles", edges) if column.kind == "numeric" else Binning("levels", (), names, len(names))
        )
    return found


def effects(world: DriftWorld, days: int, draw: np.random.Generator) -> Floats:
    """Return the effect of each day on each column, shape (days, columns)."""
    shape = (days + 50, world.columns)
    fresh = draw.standard_t(world.tails, shape) if world.tails else draw.standard_normal(shape)
    if world.tails:
        fresh /= np.sqrt(world.tails / (world.tails - 2))
    found = fresh.copy()
    for day in range(1, len(found)):
        found[day] = world.memory * found[day - 1] + np.sqrt(1 - world.memory**2) * fresh[day]
    weekend = (np.arange(days) % 7 >= 5)[:, None] * draw.choice([-1.0, 1.0], world.columns)
    return np.asarray(world.noise * found[50:] + world.week * weekend)


def chances(world: DriftWorld, column: int, effect: Floats) -> Floats:
    """Return the probability of each bin on each day, shape (days, bins), for effects of shape (days,)."""
    if column < numeric(world):
        edges = np.array(binnings_of(world)["x0"].edges)
        apart = edges - effect[:, None]
        below = stdtr(3, apart * np.sqrt(3)) if world.heavy else ndtr(apart)
        return np.asarray(np.diff(below, prepend=0.0, append=1.0, axis=1))
    share = base_shares(LEVELS[column % len(LEVELS)])
    score = tilt(len(share))
    tilted = share * np.exp(effect[:, None] * score)
    tilted = np.concatenate([tilted, np.zeros((len(effect), 1))], axis=1)
    return np.asarray(tilted / tilted.sum(axis=1, keepdims=True))


def base_shares(levels: int) -> Floats:
    """Return shares of levels that fall as one over their rank."""
    share = 1 / np.arange(1.0, levels + 1)
    return np.asarray(share / share.sum())


def tilt(levels: int) -> Floats:
    """Return the direction in which an effect moves the log shares: mean 0 and variance 1 over the rows."""
    share, score = base_shares(levels), np.cos(np.arange(levels) * 2.0)
    score = score - share @ score
    return np.asarray(score / np.sqrt(share @ score**2))


def windows(
    world: DriftWorld, effect: Floats, sizes: Ints, draw: np.random.Generator, first: int = 0
) -> list[WindowCounts]:
    """Return the days with these effects, of shape (days, columns), and numbers of rows."""
    names = [column.name for column in monitored(world)]
    drawn = [draw.multinomial(sizes, chances(world, at, effect[:, at])) for at in range(world.columns)]
    found = []
    for day, size in enumerate(sizes):
        at = str(FIRST + timedelta(days=first + day))
        counts = {name: Counts(drawn[column][day]) for column, name in enumerate(names)}
        found.append(WindowCounts(at, at, int(size), counts))
    return found


def sizes(world: DriftWorld, days: int, draw: np.random.Generator, volume: float = 1.0) -> Ints:
    """Return the rows of each day, which vary as independent requests would, and by a tenth more."""
    return np.asarray(draw.poisson(world.rows * volume * np.exp(0.1 * draw.standard_normal(days))))


def shifted(world: DriftWorld, effect: Floats, by: float) -> Floats:
    """Return effects with the first and the last numeric column moved."""
    found = effect.copy()
    found[:, [0, numeric(world) - 1]] += by
    return found


def quiet(world: DriftWorld) -> DriftWorld:
    """Return the same world with a day of no effect."""
    return replace(world, noise=0.0, week=0.0)
