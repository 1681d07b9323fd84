"""Merge two versions of `dvc.lock` stage by stage; a stage that both sides changed becomes stale.

A merge by lines would be wrong: an entry is valid only as a whole. If one side changed a stage, its
entry wins. If both did, neither entry describes the merged files, so the merge drops the entry and
`dvc repro` runs the stage. The text of every other entry stays as it is.
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
    """Return all names in the order of ``mine``; a name only in ``other`` follows its predecessor there."""
    order = list(mine)
    for place, name in enumerate(other):
        if name not in order:
            before = next((each for each in reversed(other[:place]) if each in order), None)
            order.insert(order.index(before) + 1 if before is not None else 0, name)
    return order
