"""When distances are an alarm: at which level each is tested, and how many in a row it takes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from leverframe.domain.monitoring.monitor_result import Rule
from leverframe.domain.monitoring.persistence import again
from leverframe.settings.monitor import MonitorSettings, Window

MANY, FEW = 20, 7  # windows of the reference from which two of three are asked for, and one is judged at all
PER_MONTH: dict[Window, float] = {"hour": 720, "day": 30, "week": 30 / 7, "month": 1}
_STEPS = 16
AMONG = 3  # windows of which two must be beyond


class Judging(Protocol):
    """What is known of a figure of the reference: over how many windows, and how much one tells of the next."""

    @property
    def windows(self) -> int:
        """The windows of the reference."""

    @property
    def repeat(self) -> float:
        """The correlation of one window with the next, noise included."""

    @property
    def freedom(self) -> float:
        """The degrees of freedom of what windows vary by."""


@dataclass(frozen=True)
class DriftRule:
    """``K``: two of the last three windows of the same column are beyond ``alpha``; ``L`` and ``uncalibrated``: one.

    A window whose distance is below ``smallest`` is never beyond.
    """

    rule: Rule
    alpha: float
    smallest: float

    @classmethod
    def of(cls, settings: MonitorSettings, bands: Collection[Judging]) -> DriftRule:
        """Return the rule for figures with these bands; the fewest windows of any of them count."""
        columns, a_month = max(1, len(bands)), PER_MONTH[settings.window]
        windows = min((band.windows for band in bands), default=0)
        if windows >= MANY:
            return cls("K", _level(settings.false_alarms_per_month, a_month, bands), settings.smallest_effect)
        alpha = settings.false_alarms_per_month / (a_month * columns)
        return cls("L" if windows >= FEW else "uncalibrated", alpha, settings.smallest_effect)

    def beyond(self, statistic: float, p: float) -> bool:
        """Tell whether a window is beyond the band."""
        return p < self.alpha and statistic >= self.smallest

    def fires(self, beyond: Sequence[bool]) -> list[bool]:
        """Tell of each of consecutive windows whether the rule raises an alarm in it."""
        if self.rule != "K":
            return list(beyond)
        return [sum(beyond[max(0, at - AMONG + 1) : at + 1]) > 1 for at in range(len(beyond))]


def _level(share: float, windows: float, bands: Collection[Judging]) -> float:
    """Return the level at which two of three windows are beyond in at most that share of months.

    Never above that share over the number of columns, which leaves room for what is estimated.
    """
    kinds = Counter((round(band.repeat, 1), round(band.freedom)) for band in bands)
    low, high = 1e-9, share / max(1, len(bands))
    if _alarms(high, windows, kinds) <= share:
        return high
    for _ in range(_STEPS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if _alarms(middle, windows, kinds) <= share else (low, middle)
    return low


def _alarms(level: float, windows: float, kinds: Mapping[tuple[float, int], int]) -> float:
    """Return how many alarms a month without a change has on average."""
    rates = (many * (again(level, r, freedom) + again(level, r**2, freedom)) for (r, freedom), many in kinds.items())
    return windows * level * sum(rates)
