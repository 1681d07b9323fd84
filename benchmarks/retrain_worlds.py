"""Worlds in which it is known whether a model should be trained again: days of rows with labels, by a seed.

A row has five features and a binary label whose log odds are linear in them. Features, base rate and coefficients each
have an effect of the day, which may remember the day before and have a weekly season. A change turns the coefficients,
at once or over days, by as much as costs the champion a stated AUC; or it moves features only, which costs nothing.
Nothing of the product is used here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEATURES = 5
TRAIN, HOLDOUT, LIVE = 90, 60, 180  # days that the champion learnt from, was judged on, and is watched
START = TRAIN + HOLDOUT
_LEAD = 100  # days before the first
_ODDS = -1.4
_COEFFICIENTS = np.array([0.9, 0.6, -0.5, 0.3, 0.2])
_WEEK = np.array([1.0, 0.6, 0.2, -0.2, -0.5, -0.9, -0.2])
_ACROSS = np.array([0.5, -0.9, 0.2, 0.5, 0.7])  # where coefficients turn to, made orthogonal to them below


@dataclass(frozen=True)
class RetrainWorld:
    """Days of about ``rows`` rows.

    ``noise`` is the standard deviation of the effect of a day on features and coefficients, twice that on the base
    rate; ``memory`` its correlation with the day before, ``season`` what weekdays differ by. From day ``at`` of the
    watch, over ``over`` days, coefficients turn until the champion has lost ``loss`` of AUC, and features move by
    ``moves`` standard deviations.
    """

    name: str
    rows: int = 500
    noise: float = 0.05
    memory: float = 0.0
    season: float = 0.0
    at: int = 40
    over: int = 0
    loss: float = 0.0
    moves: float = 0.0


BASE = RetrainWorld("days vary")
MEMORY = replace(BASE, name="days remember weeks (AR 0.9)", memory=0.9)
SEASON = replace(BASE, name="weekly season", season=0.1)
NOISY = replace(MEMORY, name="twice the noise, AR 0.9", noise=0.1)
MOVED = replace(BASE, name="features move by 0.5 sd, labels as before", moves=0.5)
LOST = replace(BASE, name="AUC falls by 0.05", loss=0.05)


@dataclass(frozen=True)
class History:
    """Rows in order of time: features of shape (rows, FEATURES), labels and days of shape (rows,)."""

    features: Floats
    labels: Floats
    days: Ints

    def between(self, first: int, last: int) -> slice:
        """Return the rows of days, both ends included."""
        return slice(*np.searchsorted(self.days, [first, last + 1]).tolist())


def history(world: RetrainWorld, seed: int) -> History:
    """Return all days of a world."""
    draw = np.random.default_rng(seed)
    days = START + LIVE
    effects = _effects(world, days, 2 * FEATURES + 1, draw)
    sizes = draw.poisson(world.rows * np.exp(0.1 * draw.standard_normal(days)))
    of = np.repeat(np.arange(days), sizes)
    changed = np.clip((np.arange(days) - START - world.at + 1) / max(1, world.over), 0, 1)
    angle = turn(world.loss) * changed
    coefficients = np.cos(angle)[:, None] * _COEFFICIENTS + np.sin(angle)[:, None] * _across()
    coefficients = coefficients + effects[:, :FEATURES]
    moved = effects[:, FEATURES : 2 * FEATURES] + world.moves * changed[:, None] * np.array([1.0, -1.0, 0, 0, 0])
    features = draw.standard_normal((len(of), FEATURES)) + moved[of]
    odds = _ODDS + 2 * effects[of, -1] + (features * coefficients[of]).sum(axis=1)
    labels = (draw.random(len(of)) < _share(odds)).astype(np.float64)
    return History(features, labels, of.astype(np.int64))


def fitted(features: Floats, labels: Floats) -> Floats:
    """Return intercept and coefficients of a logistic regression, shape (1 + FEATURES,), by Newton's method."""
    table = np.column_stack([np.ones(len(features)), features])
    weights = np.concatenate([[_ODDS], _COEFFICIENTS])  # near the end already: three steps are enough
    for _ in range(3):
        chance = _share(table @ weights)
        slope = table.T @ (labels - chance) - 1e-3 * weights
        curve = (table * (chance * (1 - chance))[:, None]).T @ table + 1e-3 * np.eye(table.shape[1])
        weights = weights + np.linalg.solve(curve, slope)
    return weights


def predicted(weights: Floats, features: Floats) -> Floats:
    """Return the probability of each row."""
    return _share(weights[0] + features @ weights[1:])


def importances(weights: Floats) -> list[float]:
    """Return the share of each feature in the squared coefficients; features have the same spread."""
    squares = weights[1:] ** 2
    return [float(share) for share in squares / squares.sum()]


@cache
def turn(loss: float) -> float:
    """Return the angle by which coefficients turn so that the AUC of the old ones falls by ``loss``."""
    if not loss:
        return 0.0
    low, high = 0.0, np.pi / 2
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if _auc_of(0.0) - _auc_of(middle) < loss else (low, middle)
    return high


@cache
def _auc_of(angle: float) -> float:
    """Return the AUC of the old coefficients where the true ones have turned, over many rows of one seed."""
    draw = np.random.default_rng(0)
    features = draw.standard_normal((200_000, FEATURES))
    true = np.cos(angle) * _COEFFICIENTS + np.sin(angle) * _across()
    labels = draw.random(len(features)) < _share(_ODDS + features @ true)
    ranks = np.empty(len(features))
    ranks[np.argsort(features @ _COEFFICIENTS)] = np.arange(1, len(features) + 1)
    positives = int(labels.sum())
    rest = len(features) - positives
    return float((ranks[labels].sum() - positives * (positives + 1) / 2) / (positives * rest))


def _across() -> Floats:
    across = _ACROSS - (_ACROSS @ _COEFFICIENTS) / (_COEFFICIENTS @ _COEFFICIENTS) * _COEFFICIENTS
    length = np.sqrt((_COEFFICIENTS @ _COEFFICIENTS) / (across @ across))
    return np.asarray(length * across)


def _effects(world: RetrainWorld, days: int, columns: int, draw: np.random.Generator) -> Floats:
    fresh = draw.standard_normal((days + _LEAD, columns))
    effects = fresh.copy()
    for day in range(1, len(effects)):
        effects[day] = world.memory * effects[day - 1] + np.sqrt(1 - world.memory**2) * fresh[day]
    week = _WEEK[np.arange(days) % 7][:, None] * draw.choice([-1.0, 1.0], columns)
    return np.asarray(world.noise * effects[_LEAD:] + world.season * week)


def _share(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -30, 30))))
