"""Worlds in which it is known whether something changed: days of rows, as counts in bins or one by one, by a seed.

A row of a numeric column is standard normal plus the effect of its day, or Student's t with three degrees of freedom
scaled to unit variance; only ranks decide, so that any other continuous column is the same. A categorical column has
log shares that the effect of its day tilts. Needs numpy and scipy only: peers draw the same worlds elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BINS = 100
LEVELS = (2, 3, 5, 10, 30)  # of the categorical columns, a third of all
MONTH, WEEK = 30, 7
_APART = 15  # days between the reference and the live month, so that memory of the one is no help in the other
_LEAD = 50  # days before the first


@dataclass(frozen=True)
class DriftWorld:
    """Days of ``rows`` rows with ``columns`` columns: ``reference`` days, a live month, and a week that is moved.

    ``noise`` is the standard deviation of the effect of a day, ``memory`` its correlation with that of the day
    before, ``week`` by how much weekends differ, ``tails`` the degrees of freedom of the effect (0: normal).
    ``heavy`` rows are Student's t. A live day has ``volume`` times the rows. In the last week two columns are moved by
    ``moves`` standard deviations.
    """

    name: str
    columns: int = 15
    rows: int = 5000
    reference: int = 60
    noise: float = 0.05
    memory: float = 0.0
    week: float = 0.0
    tails: int = 0
    heavy: bool = False
    volume: float = 1.0
    moves: float = 0.2

    @property
    def numeric(self) -> int:
        """How many columns are numeric: two thirds."""
        return self.columns - self.columns // 3

    @property
    def moved(self) -> tuple[int, int]:
        """The columns that change in the last week."""
        return 0, self.numeric - 1


@dataclass(frozen=True)
class Drawn:
    """The effects of days, of shape (days, columns), and their rows, of shape (days,), in three parts.

    ``first`` has the number of the first day of each part: the reference, the quiet month, the week that is moved.
    """

    effects: tuple[Floats, Floats, Floats]
    sizes: tuple[Ints, Ints, Ints]
    first: tuple[int, int, int]


BASE = DriftWorld("days vary by 0.05 sd")
DEPENDENT = replace(BASE, name="days resemble the day before (AR 0.7)", memory=0.7)
SEASONAL = replace(BASE, name="weekends differ by 0.2 sd", week=0.2)
HEAVY = replace(BASE, name="heavy tails of rows (t3)", heavy=True)
EXTREME = replace(BASE, name="heavy tails of days (t3)", tails=3)
OTHERS = (
    replace(BASE, name="days are alike", noise=0.0),
    replace(BASE, name="3 columns", columns=3),
    replace(BASE, name="100 columns", columns=100),
    replace(BASE, name="ten times the volume", volume=10.0),
    replace(BASE, name="a tenth of the volume", volume=0.1),
    replace(BASE, name="500 rows a day", rows=500),
    replace(BASE, name="50,000 rows a day", rows=50_000),
    replace(BASE, name="two columns move by 0.1 sd", moves=0.1),
)
WORLDS = (
    *(replace(BASE, reference=days) for days in (7, 14, 20, 30, 60)),
    *(replace(world, reference=days) for world in (DEPENDENT, SEASONAL, HEAVY, EXTREME) for days in (20, 30, 60)),
    *(replace(world, reference=days) for world in OTHERS for days in (20, 60)),
)


def drawn(world: DriftWorld, draw: np.random.Generator) -> Drawn:
    """Return a trial."""
    parts = (0, world.reference), (_APART, MONTH), (0, WEEK)
    days = sum(skipped + kept for skipped, kept in parts)
    effect, rows, at = _effects(world, days, draw), _sizes(world, days, draw), 0
    segments = list[tuple[Floats, Ints, int]]()
    for skipped, kept in parts:
        at += skipped
        segments.append((effect[at : at + kept], rows[at : at + kept], at))
        at += kept
    segments[2][0][:, world.moved] += world.moves
    one, two, three = zip(*segments, strict=True)
    return Drawn(one, two, three)


def chances(world: DriftWorld, column: int, effect: Floats) -> Floats:
    """Return the probability of each bin on each day, shape (days, bins), for effects of shape (days,)."""
    if column < world.numeric:
        apart = edges(world) - effect[:, None]
        below = stdtr(3, apart * np.sqrt(3)) if world.heavy else ndtr(apart)
        return np.asarray(np.diff(below, prepend=0.0, append=1.0, axis=1))
    share = _shares(levels(column))
    tilted = share * np.exp(effect[:, None] * _direction(share))
    return np.asarray(tilted / tilted.sum(axis=1, keepdims=True))


def edges(world: DriftWorld) -> Floats:
    """Return the true quantiles of a numeric column, as a large reference has them, shape (BINS - 1,)."""
    inner = np.arange(1, BINS) / BINS
    return np.asarray(stdtrit(3, inner) / np.sqrt(3) if world.heavy else ndtri(inner))


def levels(column: int) -> int:
    """Return how many levels a categorical column has."""
    return LEVELS[column % len(LEVELS)]


def counts(world: DriftWorld, effect: Floats, sizes: Ints, draw: np.random.Generator) -> list[Ints]:
    """Return for each column the rows in each bin, shape (days, bins)."""
    return [draw.multinomial(sizes, chances(world, at, effect[:, at])) for at in range(world.columns)]


def rows(world: DriftWorld, effect: Floats, sizes: Ints, draw: np.random.Generator) -> Iterator[list[Floats]]:
    """Yield the columns of each day, of shape (rows,); levels as their number."""
    for day, size in enumerate(sizes.tolist()):
        columns = list[Floats]()
        for at in range(world.columns):
            if at >= world.numeric:
                share = chances(world, at, effect[day : day + 1, at])[0]
                columns.append(draw.choice(len(share), size, p=share).astype(np.float64))
                continue
            fresh = draw.standard_t(3, size) / np.sqrt(3) if world.heavy else draw.standard_normal(size)
            columns.append(fresh + effect[day, at])
        yield columns


def _effects(world: DriftWorld, days: int, draw: np.random.Generator) -> Floats:
    shape = (days + _LEAD, world.columns)
    fresh = draw.standard_normal(shape)
    if world.tails:
        fresh = draw.standard_t(world.tails, shape) / np.sqrt(world.tails / (world.tails - 2))
    effects = fresh.copy()
    for day in range(1, len(effects)):
        effects[day] = world.memory * effects[day - 1] + np.sqrt(1 - world.memory**2) * fresh[day]
    weekend = (np.arange(days) % WEEK >= 5)[:, None] * draw.choice([-1.0, 1.0], world.columns)
    return np.asarray(world.noise * effects[_LEAD:] + world.week * weekend)


def _sizes(world: DriftWorld, days: int, draw: np.random.Generator) -> Ints:
    """Return the rows of each day, which vary as independent requests would, and by a tenth more."""
    mean = np.where(np.arange(days) < world.reference, 1.0, world.volume) * world.rows
    return np.asarray(draw.poisson(mean * np.exp(0.1 * draw.standard_normal(days))))


def _shares(many: int) -> Floats:
    share = 1 / np.arange(1.0, many + 1)
    return np.asarray(share / share.sum())


def _direction(share: Floats) -> Floats:
    """Return in which direction an effect moves log shares: mean 0 and variance 1 over the rows."""
    score = np.cos(np.arange(len(share)) * 2.0)
    score = score - share @ score
    return np.asarray(score / np.sqrt(share @ score**2))
