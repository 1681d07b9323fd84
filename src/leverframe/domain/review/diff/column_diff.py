"""How far apart the values of a column are at two revisions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from leverframe.domain.data.sketch import Distribution
from leverframe.domain.review.diff.diff_result import Change

COUNTS = "counts"
_LEAST = 1e-4  # share below which an empty bin would make the index infinite


def psi(base: Distribution, head: Distribution, rows: tuple[int, int]) -> float:
    """Return the population stability index of two distributions, of tables of ``rows`` rows each.

    Rows without a value are a bin of their own. 0 for equal shares; by the usual reading below 0.1
    nothing happened and above 0.25 much did (Siddiqi, 2006, "Credit Risk Scorecards").
    """
    pair = _same_bins(base, head)
    if pair is None or not all(rows):
        return 0.0 if pair and rows[0] == rows[1] else _share_of([1, 0], [0, 1])
    ours, theirs = ([*counts, total - sum(counts)] for counts, total in zip(pair, rows, strict=True))
    return _share_of(ours, theirs)


def _share_of(base: Sequence[int], head: Sequence[int]) -> float:
    shares = [[max(count / sum(counts), _LEAST) for count in counts] for counts in (base, head)]
    return math.fsum((q - p) * math.log(q / p) for p, q in zip(*shares, strict=True))


def _same_bins(base: Distribution, head: Distribution) -> tuple[list[int], list[int]] | None:
    """Return the counts of both over the same bins; None where one is of numbers and the other is not."""
    if base.grid.kind != head.grid.kind:
        return None
    if base.grid.kind != "number":
        return list(base.counts), list(head.counts)
    exponent = max(base.grid.exponent, head.grid.exponent)
    # Only wide bins that both sides counted in narrow ones can be compared; all else is below or above them.
    edges = [_covered(distribution, exponent) for distribution in (base, head)]
    first, last = max(edge[0] for edge in edges), min(edge[1] for edge in edges)
    first = min(first, last + 1)  # no bin in common: what is below the higher of the two, and what is above
    ours, theirs = (_coarse(distribution, exponent, first, last) for distribution in (base, head))
    return ours, theirs


def _covered(distribution: Distribution, exponent: int) -> tuple[int, int]:
    """Return the first and the last bin of that width whose values all have bins of their own."""
    grid, wide = distribution.grid, 1 << (exponent - distribution.grid.exponent)
    return -(-grid.first // wide), (grid.last + 1) // wide - 1


def _coarse(distribution: Distribution, exponent: int, first: int, last: int) -> list[int]:
    """Return counts below ``first``, in each bin from ``first`` to ``last``, and above."""
    grid, wide = distribution.grid, 1 << (exponent - distribution.grid.exponent)
    made = [0] * (last - first + 3)
    for number, count in enumerate(distribution.counts, start=grid.first - 1):
        # The tails hold what lies beyond the bins, which is never between the bins in common.
        made[min(max(number // wide, first - 1), last + 1) - first + 1] += count
    return made


def schema_changes(
    table: str, before: Mapping[str, Any], after: Mapping[str, Any], names: Mapping[str, str]
) -> Iterator[Change]:
    """Yield the columns that a table lost, got, or has in another type; both sides as in a profile.

    ``names`` maps the old names of renamed columns to their new ones.
    """
    for column in before:
        if column in names:
            yield Change(table, f"column `{column}` renamed to `{names[column]}`", breaking=True)
        elif column not in after:
            yield Change(table, f"column `{column}` removed, it was `{before[column]['type']}`", breaking=True)
        elif before[column]["type"] != after[column]["type"]:
            types = f"from `{before[column]['type']}` to `{after[column]['type']}`"
            yield Change(table, f"column `{column}` changed its type {types}", breaking=True)
    for column in after:
        if column not in before and column not in names.values():
            yield Change(table, f"column `{column}` added as `{after[column]['type']}`", breaking=False)


def renamed(before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the new name of each column that is there under another one: the only pair alike in all that is known.

    Both sides as in a profile, each entry with the counts of its distribution as ``COUNTS``. Columns without a value,
    or of which only type and nulls are known, could be anything.
    """
    gone = {name: entry for name, entry in before.items() if name not in after and _tells(entry)}
    new = {name: entry for name, entry in after.items() if name not in before}
    pairs = [(old, name) for old, entry in gone.items() for name, other in new.items() if entry == other]
    return {
        old: name
        for old, name in pairs
        if sum(pair[0] == old for pair in pairs) == sum(pair[1] == name for pair in pairs) == 1
    }


def _tells(entry: Mapping[str, Any]) -> bool:
    return any(value is not None for name, value in entry.items() if name not in ("type", "null_rate"))


def shown(entry: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return what a person is told of a column's entry in a profile, in one order."""
    names = ("null_rate", "mean", "min", "p05", "p50", "p95", "max", "distinct", "true_rate")
    return list(itertools.chain((name, entry[name]) for name in names if name in entry))
