"""What the rows of a hold-out are grouped by, and how sure a figure is of such groups.

Days depend on the days before them, so their spread comes from slow cosines. Users, sessions or rows that stand for
themselves have no order that means anything: what one contributes tells nothing of the next, and their plain spread is
that of the sum.
Source: Bell and McCaffrey (2002), leverage and degrees of freedom of clusters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from leverframe.domain.model.evaluate.dependence import (
    LEAST_EFFECTIVE,
    MINIMUM_DAYS,
    Uncertainty,
    days_until,
    method,
    uncertainty,
)
from leverframe.domain.model.evaluate.ranking import Floats


@dataclass(frozen=True)
class Blocks:
    """What rows are grouped by, in the plural, how a hold-out gets more of them, and whether their order is a time."""

    name: str = "days"
    more: str = "widen `features.holdout` in `params.yaml`, as more days narrow the bound, or improve the model"
    timed: bool = True

    def uncertainty(self, sums: Floats, shares: Floats) -> Uncertainty:
        """Return the uncertainty of figures from what each block contributes, both of shape (blocks, figures)."""
        return uncertainty(sums, shares) if self.timed else exchangeable(sums, shares)

    def method(self, count: int) -> str:
        """Return in words how bounds over that many blocks are made."""
        if self.timed:
            return method(count).replace(" days (", f" {self.name} (", 1)
        return f"spread of {count:,} {self.name}, taken as independent, t with up to {count - 1:,} degrees of freedom"

    def until(self, distance: float, error: float, count: int, confidence: float) -> float:
        """Return how many blocks would show a difference of ``distance`` at the present variance, or infinity."""
        if self.timed:
            return days_until(distance, error, count, confidence)
        if not (distance > 0 and math.isfinite(error)):
            return math.inf
        return math.ceil(count * (float(stdtrit(count - 1, confidence)) * error / distance) ** 2)


DAYS = Blocks()


def exchangeable(sums: Floats, shares: Floats) -> Uncertainty:
    """Return the uncertainty of sums of contributions of blocks that tell nothing of each other.

    Both arguments have shape (blocks, figures); ``shares`` is the part of the rows a figure rests on that a block has.
    """
    columns = [_known(*figure) for figure in zip(sums.T, shares.T, strict=True)]
    return Uncertainty(*np.array(columns, dtype=np.float64).reshape(-1, 3).T)


def _known(sums: Floats, shares: Floats) -> tuple[float, float, float]:
    equal = 1 / float((shares**2).sum()) if shares.any() else 0.0  # blocks of equal size that would be as many
    count = int((shares > 0).sum())
    if count < MINIMUM_DAYS or equal < LEAST_EFFECTIVE:
        return math.nan, math.nan, equal
    largest = float(np.abs(sums).max())
    if not math.isfinite(largest):
        return math.nan, math.nan, equal
    if largest == 0:
        return 0.0, count - 1, equal
    sums = sums / largest / np.sqrt(np.maximum(1 - shares, 1 / count))  # a large block hides its own deviation
    squares = float((sums**2).sum())
    peaked = max(0.0, count * float((sums**4).sum()) / squares**2 - 3)  # few blocks that hold most of the spread
    degrees = min(1 / (1 / (count - 1) + peaked / (2 * count)), equal - 1)
    return math.sqrt(squares) * largest, max(degrees, 1.0), equal
