"""Which rows differ between two sketches of a table: counted where few do, estimated from a sample where many do.

The difference of two invertible Bloom lookup tables holds only the elements of one side (Eppstein,
Goodrich, Uyeda and Varghese, 2011, "What's the difference?"). Strata hold ever smaller samples
of the keys, so the first ones that can be taken apart tell how much of the table differs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from leverframe.domain.data.sketch import CELLS, ROW_BITS, TABLES_OF_CELLS, Cell, Sketch, Stratum, cells, places
from leverframe.domain.review.diff.diff_result import Estimate, RowsDiff

_Z = 1.96  # 95 % of a normal distribution lie within that many standard deviations


def rows_diff(base: Sketch, head: Sketch) -> RowsDiff:
    """Return how the rows differ by key; without the counts by key where two keys or too many rows forbid them."""
    if base.key != head.key:
        return RowsDiff(base.rows, head.rows)
    ours, theirs, sizes = _aligned(base, head)
    removed, added, changed = 0, 0, 0
    first = len(sizes)
    for number in range(len(sizes) - 1, -1, -1):
        found = taken_apart(ours[number], theirs[number])
        if found is None:
            break
        first, keys = number, [{element >> ROW_BITS for element in side} for side in found]
        removed += len(keys[0] - keys[1])
        added += len(keys[1] - keys[0])
        changed += len(keys[0] & keys[1])
    if first == len(sizes):
        return RowsDiff(base.rows, head.rows)
    sampled = [sum(size[side] for size in sizes[first:]) for side in (0, 1)]
    return RowsDiff(
        base.rows,
        head.rows,
        _scaled(added, sampled[1], head.rows),
        _scaled(removed, sampled[0], base.rows),
        _scaled(changed, sampled[0], base.rows),
    )


def taken_apart(base: Stratum, head: Stratum) -> tuple[set[int], set[int]] | None:
    """Return the elements of ``base`` alone and of ``head`` alone; None where there are too many to tell."""
    left = [
        Cell((one.count - other.count) % 256, one.element ^ other.element, one.check ^ other.check)
        for one, other in zip(base, head, strict=True)
    ]
    found: tuple[set[int], set[int]] = (set(), set())
    size = len(left) // TABLES_OF_CELLS
    waiting = list(range(len(left)))
    while waiting:
        cell = left[waiting.pop()]
        if cell.count not in (1, 255):
            continue
        check, spots = places(cell.element, size)
        if check != cell.check or cell.element in found[0] | found[1]:
            continue
        found[0 if cell.count == 1 else 1].add(cell.element)
        for spot in spots:
            old = left[spot]
            left[spot] = Cell((old.count - cell.count) % 256, old.element ^ cell.element, old.check ^ check)
            waiting.append(spot)
    return found if all(cell == Cell() for cell in left) else None


def _aligned(base: Sketch, head: Sketch) -> tuple[list[Stratum], list[Stratum], list[tuple[int, int]]]:
    """Return the strata of both with the same numbers of cells, and the rows in each.

    A table of fewer rows has fewer strata: the further ones of the other are put into its last.
    """
    many = min(len(base.strata), len(head.strata))
    same = len(base.strata) == len(head.strata)
    sides = [list(each.strata) if same else _shortened(each.strata, many) for each in (base, head)]
    sizes = [[*each.sizes[: many - 1], sum(each.sizes[many - 1 :])] for each in (base, head)]
    return sides[0], sides[1], list(zip(*sizes, strict=True))


def _shortened(strata: Sequence[Stratum], many: int) -> list[Stratum]:
    last = [Cell()] * (CELLS[-1] * TABLES_OF_CELLS)
    for number in range(many - 1, len(strata)):
        for spot, cell in enumerate(strata[number]):
            table, place = divmod(spot, cells(number))
            at = table * CELLS[-1] + place % CELLS[-1]
            old = last[at]
            last[at] = Cell((old.count + cell.count) % 256, old.element ^ cell.element, old.check ^ cell.check)
    return [*strata[: many - 1], tuple(last)]


def _scaled(found: int, sampled: int, rows: int) -> Estimate:
    """Return how many of ``rows`` that are, ``found`` of ``sampled`` being so (Wilson, 1927)."""
    if sampled >= rows or not sampled:
        return Estimate(found, found, found)
    share, z2 = found / sampled, _Z**2
    middle = (share + z2 / (2 * sampled)) / (1 + z2 / sampled)
    spread = _Z / (1 + z2 / sampled) * math.sqrt(share * (1 - share) / sampled + z2 / (4 * sampled**2))
    low, high = max(0.0, middle - spread) * rows, min(1.0, middle + spread) * rows
    return Estimate(round(share * rows), math.floor(low), math.ceil(high))
