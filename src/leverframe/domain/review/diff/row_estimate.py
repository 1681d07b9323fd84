"""How many rows of a table differ, estimated from a sample of it, with bounds that hold whatever the sample found."""

from __future__ import annotations

import math
from collections.abc import Callable

from leverframe.domain.review.diff.diff_result import Estimate

_TAIL = 0.005  # error of each bound: the sample is chosen by what it holds, so several must hold at once for 95 %
_USEFUL = 0.5  # of the rows: bounds that are further apart than this say nothing


def estimated(count: int, sampled: int, rows: int) -> Estimate:
    """Return how many of ``rows`` differ where ``count`` of ``sampled`` do; exact where all are sampled.

    The bounds are those of the hypergeometric distribution (Clopper and Pearson, 1934), as a hash draws the sample.
    """
    if sampled >= rows or not sampled:
        return Estimate(count, count, count if sampled else rows)
    least, most = count, rows - (sampled - count)
    low = _first(least, most, lambda total: 1 - _at_most(count - 1, total, sampled, rows) > _TAIL)
    high = _first(least, most, lambda total: _at_most(count, total, sampled, rows) <= _TAIL)
    high = high if _at_most(count, high, sampled, rows) > _TAIL else high - 1
    return Estimate(min(max(round(count / sampled * rows), low), high), low, high)


def useful(estimate: Estimate, rows: int) -> Estimate | None:
    """Return an estimate, None where its bounds leave more than half of the table open."""
    return estimate if estimate.exact or estimate.high - estimate.low <= _USEFUL * rows else None


def shifted(estimate: Estimate, by: int) -> Estimate:
    """Return the number of rows on the other side, which is known to be larger by ``by``."""
    return Estimate(estimate.value + by, estimate.low + by, estimate.high + by)


def no_less(estimate: Estimate, least: int) -> Estimate:
    """Return an estimate of what is known to be at least ``least``."""
    return Estimate(*(max(number, least) for number in (estimate.value, estimate.low, estimate.high)))


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """Return the first number from ``low`` for which ``holds``, which stays so; ``high`` where none does."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _at_most(count: int, total: int, sampled: int, rows: int) -> float:
    """Return the probability that a sample holds at most ``count`` of the ``total`` rows that differ."""
    every = _log_choices(rows, sampled)
    first = max(0, sampled - (rows - total))
    return math.fsum(
        math.exp(_log_choices(total, drawn) + _log_choices(rows - total, sampled - drawn) - every)
        for drawn in range(first, min(count, total, sampled) + 1)
    )


def _log_choices(of: int, chosen: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(chosen + 1) - math.lgamma(of - chosen + 1)
