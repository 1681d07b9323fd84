"""When a share of rows is too large: by what the windows of the reference vary, and never by chance of few rows.

Two tests must agree. The exact binomial one knows how few rows there are; the band of the reference, as for drift,
knows by how much windows differ of themselves. A share that the floor allows, or that a window of the reference had,
is never too large, so that none of many windows alike is, whatever their distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from scipy.special import bdtrc

from leverframe.domain.monitoring.band import Band, Distance, Noise


@dataclass(frozen=True)
class Share:
    """``count`` of ``rows``."""

    count: int
    rows: int

    @property
    def value(self) -> float:
        """The share itself, 0 of no rows."""
        return self.count / self.rows if self.rows else 0.0

    def __str__(self) -> str:
        """Return how many of how many rows it is, in words."""
        if self.count == self.rows:
            return f"all {self.rows:,} rows"
        return f"{self.count:,} of {self.rows:,} rows ({self.value:.1%})"


@dataclass(frozen=True)
class ShareRule:
    """What share is usual: ``pool`` of the whole reference, and the ``band`` of its windows; None with too few.

    ``most`` is the largest share of a window that is no smaller than half of a usual one.
    """

    pool: Share
    band: Band | None
    most: float
    alpha: float
    floor: float

    @classmethod
    def of(cls, windows: Sequence[Share], alpha: float, floor: float) -> ShareRule:
        """Return the rule for the shares of the windows of the reference."""
        pool = Share(sum(share.count for share in windows), sum(share.rows for share in windows))
        distances = [_distance(share, Share(pool.count - share.count, pool.rows - share.rows)) for share in windows]
        judged = [distance for distance in distances if distance is not None]
        noise = _expected(pool) * (1 - _expected(pool))
        varies = len(judged) > 1 and any(distance.value for distance in judged)
        usual = median([share.rows for share in windows if share.rows] or [0])
        most = max((share.value for share in windows if 2 * share.rows >= usual), default=0.0)
        return cls(pool, Band.of(judged, Noise(noise, 1.0)) if varies else None, most, alpha, floor)

    def exceeded(self, given: Share) -> bool:
        """Tell whether a share is too large."""
        if given.value <= max(self.floor, self.pool.value, self.most):
            return False
        if at_least(given, _expected(self.pool)) >= self.alpha:
            return False
        distance = _distance(given, self.pool)
        return self.band is None or distance is None or self.band.p(distance) < self.alpha


def at_least(given: Share, expected: float) -> float:
    """Return the probability of as many or more, where each row counts with that probability."""
    return float(bdtrc(given.count - 1, given.rows, expected)) if given.count else 1.0


def _expected(pool: Share) -> float:
    """Return the share of a new row: that of none among n is not 0 (Jeffreys)."""
    return (pool.count + 0.5) / (pool.rows + 1)


def _distance(given: Share, rest: Share) -> Distance | None:
    if not given.rows or not rest.rows:
        return None
    return Distance(abs(given.value - rest.value), given.rows, rest.rows)
