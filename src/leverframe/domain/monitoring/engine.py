"""Who computes the statistic of a window: a port, and the engine that needs nothing but numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from leverframe.domain.monitoring.batch import Floats, Ints
from leverframe.domain.monitoring.distances import cramers_v, ks


@dataclass(frozen=True)
class Pair:
    """Counts of the reference and of a window in the same bins, shape (bins,); ``ordered`` as those of numbers are."""

    ordered: bool
    reference: Ints
    window: Ints


class Engine(Protocol):
    """Computes statistics: D of Kolmogorov and Smirnov for ordered bins, Cramér's V of equal weights for others."""

    @property
    def name(self) -> str:
        """The name by which settings choose it."""

    @property
    def notice(self) -> str:
        """What its user must know of its licence, empty where there is nothing."""

    def statistics(self, pairs: Sequence[Pair]) -> Floats:
        """Return the statistic of each pair, shape (pairs,), NaN where a side has no row."""


class BuiltinEngine:
    """The engine of Leverframe itself."""

    name = "builtin"
    notice = ""

    def statistics(self, pairs: Sequence[Pair]) -> Floats:
        """Return the statistic of each pair, shape (pairs,), NaN where a side has no row."""
        statistics = np.full(len(pairs), np.nan)
        alike: dict[tuple[bool, int], list[int]] = {}
        for number, pair in enumerate(pairs):
            if pair.reference.any() and pair.window.any():
                alike.setdefault((pair.ordered, len(pair.window)), []).append(number)
        for (ordered, _), numbers in alike.items():
            sides = (np.stack([getattr(pairs[at], side) for at in numbers]) for side in ("reference", "window"))
            statistics[numbers] = (ks if ordered else cramers_v)(*sides)
        return statistics
