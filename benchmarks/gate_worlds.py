"""Worlds for the gate's error rates: labels and three models, of which two are equal and one is truly worse.

Each model errs by noise of its own in log odds (of the number itself, for a regression). The size of that noise moves
from day to day, for each model on its own, and so does the base rate; both remember the day before by ``memory``. So
the difference between two models depends on the day, as much as its level does. Nothing of the product is used here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
OWN, WORSE = 0.6, 1.3  # spread of a model's own noise, and the factor of the worse one
_WEEK = np.array([1.0, 0.6, 0.2, -0.2, -0.5, -0.9, -0.2])


@dataclass(frozen=True)
class World:
    """How rows, days and models behave; ``daily`` is the spread of what days have in common, in logs."""

    name: str
    says: str
    memory: float = 0.0
    rows: int = 100
    heavy: bool = False
    sizes: float = 0.0
    season: float = 0.0
    ties: bool = False
    odds: float = -1.4
    daily: float = 0.4


WORLDS = (
    World("independent", "days depend on nothing but themselves"),
    World("memory 0.4", "base rate and quality remember the day before by 0.4", memory=0.4),
    World("memory 0.8", "base rate and quality remember the day before by 0.8", memory=0.8),
    World("week", "a weekly season of base rate and quality", season=0.6),
    World("week, memory 0.8", "both", memory=0.8, season=0.6),
    World("heavy days", "effects of days, and errors of a regression, are Student's t with 3 degrees", heavy=True),
    World("heavy sizes", "log-normal numbers of rows a day, memory 0.4", memory=0.4, sizes=1.0),
    World("ties", "predictions rounded to one digit, memory 0.4", memory=0.4, ties=True),
    World("1 % positives", "a base rate of 1 %", odds=-5.6),
    World("1 % positives, memory 0.8", "a base rate of 1 %, memory 0.8", memory=0.8, odds=-5.6),
    World("small days", "12 rows a day, memory 0.4", memory=0.4, rows=12),
)


@dataclass(frozen=True)
class Drawn:
    """Labels and days of rows, shape (rows,), and what the three models predict: two equal ones, a worse one."""

    labels: Floats
    days: NDArray[np.int64]
    predictions: tuple[Floats, Floats, Floats]


def draw(world: World, kind: str, days: int, seed: int) -> Drawn:
    """Return a hold-out of a world for a kind of label; the same seed gives the same one."""
    source = np.random.default_rng(seed)
    counts = np.full(days, float(world.rows))
    if world.sizes:
        counts *= np.exp(world.sizes * source.standard_normal(days) - world.sizes**2 / 2)
    of = np.repeat(np.arange(days), np.maximum(1, source.poisson(counts)))
    week = world.season * _WEEK[np.arange(days) % 7]
    base = (world.daily * _effects(world, days, source) + week)[of]
    moods = [world.daily * _effects(world, days, source) + week for _ in range(3)]
    noise = [
        spread * np.exp(np.minimum(mood, 2.0))[of] for mood, spread in zip(moods, (OWN, OWN, OWN * WORSE), strict=True)
    ]
    return {"binary": _binary, "regression": _regression, "multiclass": _multiclass}[kind](
        world, source, of, base, noise
    )


def _effects(world: World, days: int, source: np.random.Generator) -> Floats:
    shocks = source.standard_t(3, days + 60) / np.sqrt(3) if world.heavy else source.standard_normal(days + 60)
    effects = np.empty(days + 60)
    effects[0] = shocks[0]
    for day in range(1, days + 60):
        effects[day] = world.memory * effects[day - 1] + np.sqrt(1 - world.memory**2) * shocks[day]
    return effects[60:]


def _binary(
    world: World, source: np.random.Generator, of: NDArray[np.int64], base: Floats, noise: list[Floats]
) -> Drawn:
    signal = world.odds + source.normal(0, 1.5, len(of))
    labels = (source.random(len(of)) < _share(signal + base)).astype(np.float64)
    predictions = [_share(signal + scale * source.standard_normal(len(of))) for scale in noise]
    first, second, third = [prediction.round(1) for prediction in predictions] if world.ties else predictions
    return Drawn(labels, of, (first, second, third))


def _regression(
    world: World, source: np.random.Generator, of: NDArray[np.int64], base: Floats, noise: list[Floats]
) -> Drawn:
    signal = source.normal(0, 1.5, len(of))
    labels = signal + base + (source.standard_t(3, len(of)) if world.heavy else source.standard_normal(len(of)))
    predictions = [signal + scale * source.standard_normal(len(of)) for scale in noise]
    first, second, third = [prediction.round() for prediction in predictions] if world.ties else predictions
    return Drawn(labels.round() if world.ties else labels, of, (first, second, third))


def _multiclass(
    world: World, source: np.random.Generator, of: NDArray[np.int64], base: Floats, noise: list[Floats]
) -> Drawn:
    signal = source.normal(0, 1.2, (len(of), 3))
    signal[:, 2] += world.odds + 1.4
    real = signal + source.gumbel(size=signal.shape)
    real[:, 1] += base
    predictions = []
    for scale in noise:
        odds = signal + scale[:, None] * source.standard_normal(signal.shape)
        shares = np.exp(odds - odds.max(axis=1, keepdims=True))
        predictions.append(shares / shares.sum(axis=1, keepdims=True))
    first, second, third = [prediction.round(1) for prediction in predictions] if world.ties else predictions
    return Drawn(real.argmax(axis=1).astype(np.float64), of, (first, second, third))


def _share(odds: Floats) -> Floats:
    shares: Floats = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
    return shares


@dataclass(frozen=True)
class Slices:
    """Many slices of a binary label over 60 days; ``worse`` is the own noise of the candidate in the first of them."""

    name: str
    odds: float
    slices: int = 50
    rows: int = 300
    allowed: float = 0.03
    worse: float = OWN
    memory: float = 0.4


SLICES = (
    Slices("0.7 % positives", -6.3, slices=100),
    Slices("1.6 % positives", -5.3, slices=100),
    Slices("6 % positives", -3.6),
    Slices("16 % positives", -2.2),
    Slices("16 % positives, no drop allowed", -2.2, allowed=0.0),
    Slices("6 % positives, no drop allowed", -3.6, allowed=0.0),
    Slices("16 % positives, memory 0.8, no drop allowed", -2.2, allowed=0.0, memory=0.8),
    Slices("one worse, 16 % positives", -2.2, worse=2.2),
    Slices("one worse, 16 % positives, no drop allowed", -2.2, worse=2.2, allowed=0.0),
    Slices("one worse, 30 slices of 1,000 rows", -2.2, slices=30, rows=1000, worse=2.2),
)


def draw_slices(world: Slices, seed: int) -> tuple[Drawn, NDArray[np.str_]]:
    """Return two models on all slices, the second of them worse in the slice ``s0``, and the slice of each row."""
    source, days = np.random.default_rng(seed), 60
    slice_of = np.repeat(np.arange(world.slices), world.rows)
    of = source.integers(0, days, len(slice_of))
    effects = [0.3 * _effects(World("", "", memory=world.memory), days, source)[of] for _ in range(3)]
    signal = world.odds + source.normal(0, 1.5, len(of)) + 0.4 * source.standard_normal(world.slices)[slice_of]
    labels = (source.random(len(of)) < _share(signal + effects[0])).astype(np.float64)
    second = np.where(slice_of == 0, world.worse, OWN) * np.exp(effects[2])
    predictions = [
        _share(signal + scale * source.standard_normal(len(of))) for scale in (OWN * np.exp(effects[1]), second)
    ]
    return Drawn(labels, of, (predictions[0], predictions[1], predictions[1])), np.char.add("s", slice_of.astype(str))
