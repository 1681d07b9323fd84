"""Whether the features at request time are those of the training set: every value of built partitions, compared.

Each group is asked again, row by row, through a snapshot file and the code that serves, and held
against what the build wrote. Equal means equal to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from leverframe.domain.features.plan import Plan
from leverframe.domain.features.request import Requests, required
from leverframe.domain.features.snapshot.store import Store
from leverframe.domain.features.values import nothing
from leverframe.domain.features.vector import vectors
from leverframe.domain.partition import Partition
from leverframe.domain.verdict import Failed, Passed, Reason, Skipped, Verdict, word
from leverframe.errors import ParityError
from leverframe.words import first_few


@dataclass(frozen=True)
class Difference:
    """How one feature differs over ``rows`` rows: other value, lacking, or there where the build has none.

    ``largest`` is the largest distance between two numbers, None where no two numbers differ.
    """

    feature: str
    rows: int
    mismatch: int
    missing: int
    extra: int
    largest: float | None

    @property
    def count(self) -> int:
        """Return in how many rows it differs."""
        return self.mismatch + self.missing + self.extra


@dataclass(frozen=True)
class Parity:
    """What came out: one ``Difference`` a feature, over all rows."""

    rows: int
    features: tuple[Difference, ...]

    @property
    def verdict(self) -> Verdict:
        """Return passed if no value differs; skipped if there was no row."""
        if not self.rows:
            return Skipped("there was no row to compare")
        return Failed((Reason.PARITY_BROKEN,)) if self.broken() else Passed()

    def broken(self) -> list[Difference]:
        """Return the features that differ, those with most rows first."""
        return sorted(
            (feature for feature in self.features if feature.count), key=lambda diff: (-diff.count, diff.feature)
        )

    def lines(self) -> list[str]:
        """Return the result for a person."""
        head = f"{word(self.verdict)}: {self.rows:,} rows of {len(self.features)} features through the snapshot"
        return [
            f"{head}, {sum(feature.count for feature in self.features):,} values differ",
            *map(sentence, self.broken()),
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values; features without a difference are counted only."""
        return {
            "verdict": word(self.verdict),
            "rows": self.rows,
            "features": len(self.features),
            "mismatch": sum(feature.mismatch for feature in self.features),
            "missing": sum(feature.missing for feature in self.features),
            "extra": sum(feature.extra for feature in self.features),
            "broken": [asdict(diff) for diff in self.broken()],
        }


class BuiltGroups(Protocol):
    """Reads columns of a built group of partitions."""

    def arrays(self, group: Partition, columns: Sequence[str]) -> Mapping[str, Any]:
        """Return the columns as arrays, nulls masked; timestamps as microseconds since the epoch."""


def run(
    plan: Plan,
    groups: Sequence[Partition],
    built: BuiltGroups,
    opened: Callable[[Partition], AbstractContextManager[Store]],
) -> Parity:
    """Compare every row of ``groups``; ``opened`` lends the snapshot that answers for a group."""
    parts: list[tuple[Difference, ...]] = []
    for group in groups:
        columns = list(dict.fromkeys([*required(plan), *plan.features(), "as_of"]))
        rows = built.arrays(group, columns)
        asked = Requests({name: rows[name] for name in required(plan)}, np.ma.getdata(rows["as_of"]))
        with opened(group) as store:
            served = vectors(plan, store, asked)
        parts.append(tuple(compared(name, rows[name], served[name]) for name in plan.features()))
    return Parity(sum(part[0].rows for part in parts if part), tuple(map(_together, zip(*parts, strict=True))))


def compared(feature: str, ours: Any, served: Any) -> Difference:
    """Return how ``served`` values differ from built ones; NaN, None and masked are all null."""
    ours, served = np.ma.asarray(ours), np.ma.asarray(served)
    lacking, absent = _null(ours), _null(served)
    both = ~lacking & ~absent
    left, right = np.ma.getdata(ours)[both], np.ma.getdata(served)[both]
    differ = np.asarray(left != right, bool)
    largest = None
    if differ.any() and left.dtype.kind in "iufb" and right.dtype.kind in "iufb":
        largest = float(np.abs(left[differ].astype(float) - right[differ].astype(float)).max())
    missing, extra = int((~lacking & absent).sum()), int((lacking & ~absent).sum())
    return Difference(feature, len(ours), int(differ.sum()), missing, extra, largest)


def refuse(
    parity: Parity,
    than: str = "at request time than in training",
    next: str = "build the snapshot and the features with the same star.yaml and version: `dvc repro`",
) -> None:
    """Raise ``ParityError`` that names the features that differ, where they are others, and what to do."""
    broken = parity.broken()
    if broken:
        raise ParityError(
            f"{len(broken)} of {len(parity.features)} features are others {than}",
            why=first_few([sentence(diff) for diff in broken], 3, "; ", "; and "),
            next=next,
        )


def sentence(diff: Difference) -> str:
    """Return one difference in words."""
    far = f", by up to {diff.largest:.6g}" if diff.largest is not None else ""
    return f"{diff.feature}: {diff.mismatch:,} other{far}, {diff.missing:,} lacking, {diff.extra:,} extra"


def _null(values: Any) -> Any:
    data, mask = np.ma.getdata(values), np.ma.getmaskarray(values)
    if data.dtype == object:
        return mask | nothing(data)
    return mask | np.isnan(data) if data.dtype.kind == "f" else mask


def _together(parts: Sequence[Difference]) -> Difference:
    far = [part.largest for part in parts if part.largest is not None]
    total = {name: sum(getattr(part, name) for part in parts) for name in ("rows", "mismatch", "missing", "extra")}
    return Difference(parts[0].feature, **total, largest=max(far, default=None))
