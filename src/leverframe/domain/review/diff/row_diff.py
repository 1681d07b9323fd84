"""Which rows differ between two sketches of a table: counted where few do, estimated from a sample where many do.

The difference of two invertible Bloom lookup tables holds only the elements of one side (Eppstein,
Goodrich, Uyeda and Varghese, 2011, "What's the difference?"). Strata hold ever smaller samples
of the keys, so the first ones that can be taken apart tell how much of the table differs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from leverframe.domain.data.sketch import CELLS, HASHES, ROW_BITS, TABLES_OF_CELLS, Cell, Sketch, Stratum, cells, places
from leverframe.domain.review.diff.diff_result import Estimate, RowsDiff
from leverframe.domain.review.diff.row_estimate import estimated, no_less, shifted, useful

Apart = tuple[Counter[int], Counter[int]]


@dataclass(frozen=True)
class _Stratum:
    base: Stratum
    head: Stratum
    sizes: tuple[int, int]
    same_keys: bool


def rows_diff(base: Sketch, head: Sketch) -> RowsDiff:
    """Return how the rows differ by key; a count is None where another key or too many differences forbid it."""
    if base.key != head.key:
        return RowsDiff(base.rows, head.rows)
    strata = list(_aligned(base, head))
    apart = [_keys(stratum.base, stratum.head) for stratum in strata]
    # The first strata hold the most rows, so what is known is known from the last one on.
    start = next((at for at in range(len(strata), 0, -1) if apart[at - 1] is None), 0)
    known = next((at for at in range(len(strata), 0, -1) if apart[at - 1] is None and not strata[at - 1].same_keys), 0)
    removed, added = _by_side([pair for pair in apart[known:] if pair is not None], strata[known:], (base, head))
    changed = sum(sum((pair[0] & pair[1]).values()) for pair in apart[start:] if pair is not None)
    sampled = sum(stratum.sizes[0] for stratum in strata[start:])
    rows = max(base.rows, head.rows)
    return RowsDiff(
        base.rows,
        head.rows,
        useful(added, rows),
        useful(removed, rows),
        useful(estimated(changed, sampled, base.rows), rows),
    )


def _by_side(
    apart: Sequence[Apart], strata: Sequence[_Stratum], tables: tuple[Sketch, Sketch]
) -> tuple[Estimate, Estimate]:
    """Return the rows removed and added: the smaller number from the sample, the other from the tables' rows."""
    grown = tables[1].rows - tables[0].rows
    counts = [sum(sum((pair[side] - pair[1 - side]).values()) for pair in apart) for side in (0, 1)]
    sampled = [sum(stratum.sizes[side] for stratum in strata) for side in (0, 1)]
    fewer = int(counts[1] < counts[0])
    estimate = estimated(counts[fewer], sampled[fewer], tables[fewer].rows)
    by = -grown if fewer else grown
    estimate = no_less(estimate, max(0, -by))
    other = shifted(estimate, by)
    return (other, estimate) if fewer else (estimate, other)


def _keys(base: Stratum, head: Stratum) -> Apart | None:
    """Return how often each key is in an element of one side alone; None where too many elements differ."""
    sides = taken_apart(base, head)
    return sides and tuple(Counter(element >> ROW_BITS for element in side) for side in sides)  # type: ignore[return-value]


def taken_apart(base: Stratum, head: Stratum) -> tuple[set[int], set[int]] | None:
    """Return the elements of ``base`` alone and of ``head`` alone; None where there are too many to tell."""
    left = [
        Cell((one.count - other.count) % 256, one.element ^ other.element, one.check ^ other.check)
        for one, other in zip(base, head, strict=True)
    ]
    alone: tuple[set[int], set[int]] = (set(), set())
    size = len(left) // TABLES_OF_CELLS
    waiting = list(range(len(left)))
    while waiting:
        cell = left[waiting.pop()]
        if cell.count not in (1, 255):
            continue
        check, spots = places(cell.element, size)
        if check != cell.check or cell.element in alone[0] | alone[1]:
            continue
        alone[0 if cell.count == 1 else 1].add(cell.element)
        for spot in spots:
            old = left[spot]
            left[spot] = Cell((old.count - cell.count) % 256, old.element ^ cell.element, old.check ^ check)
            waiting.append(spot)
    return alone if all(cell == Cell() for cell in left) else None


def _aligned(base: Sketch, head: Sketch) -> Iterator[_Stratum]:
    """Yield the strata of both with the same numbers of cells.

    A table of fewer rows has fewer strata: the further ones of the other are put into its last.
    """
    many = min(len(base.strata), len(head.strata))
    same = len(base.strata) == len(head.strata)
    sides = [sketch.strata if same else _shortened(sketch.strata, many) for sketch in (base, head)]
    for number, (ours, theirs) in enumerate(zip(*sides, strict=True)):
        part = slice(number, None if number == many - 1 else number + 1)
        keys = [sum(sketch.keys[part]) % HASHES for sketch in (base, head)]
        yield _Stratum(ours, theirs, (sum(base.sizes[part]), sum(head.sizes[part])), same_keys=keys[0] == keys[1])


def _shortened(strata: Sequence[Stratum], many: int) -> list[Stratum]:
    last = [Cell()] * (CELLS[-1] * TABLES_OF_CELLS)
    for number in range(many - 1, len(strata)):
        for spot, cell in enumerate(strata[number]):
            table, place = divmod(spot, cells(number))
            at = table * CELLS[-1] + place % CELLS[-1]
            old = last[at]
            last[at] = Cell((old.count + cell.count) % 256, old.element ^ cell.element, old.check ^ cell.check)
    return [*strata[: many - 1], tuple(last)]
