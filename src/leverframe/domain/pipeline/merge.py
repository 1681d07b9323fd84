"""How two `dvc.lock` become one: stage by stage, and what both sides changed becomes stale.

Lines say nothing here: an entry is true as a whole or not at all. So where one side changed a stage
it is taken, and where both did neither is true of the merged files, so the entry is dropped and
`dvc repro` runs that stage. The text of every entry that is kept stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from leverframe.domain.pipeline.status.lock import split


@dataclass(frozen=True)
class Merged:
    """The text of the merged lock, and the stages that have to run."""

    text: str
    dropped: tuple[str, ...]


def merged(base: str, ours: str, theirs: str) -> Merged:
    """Return both changes of a lock; raises ``RepositoryError`` for a text that is no lock of schema 2.0."""
    before, mine, other = (split(each) for each in (base, ours, theirs))
    kept: dict[str, str] = {}
    dropped: list[str] = []
    for name in _order(list(mine), list(other)):
        one, two, was = mine.get(name), other.get(name), before.get(name)
        if two in (one, was):
            chosen = one
        elif one == was:
            chosen = two
        else:
            dropped.append(name)
            continue
        if chosen is not None:
            kept[name] = chosen
    return Merged("schema: '2.0'\nstages:\n" + "".join(kept.values()), tuple(dropped))


def _order(mine: list[str], other: list[str]) -> list[str]:
    """Return all names in the order of ``mine``; what only ``other`` has follows the one it follows there."""
    order = list(mine)
    for place, name in enumerate(other):
        if name not in order:
            before = next((each for each in reversed(other[:place]) if each in order), None)
            order.insert(order.index(before) + 1 if before is not None else 0, name)
    return order
