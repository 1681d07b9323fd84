"""What a training set holds: its label, its features, and the definition they came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LabelKind = Literal["binary", "multiclass", "regression"]
FeatureKind = Literal["numeric", "categorical", "boolean"]

AS_OF = "as_of"  # column with the timestamp of each row, UTC
LABEL = "label"  # column with the label: 0/1, a class name, or a number


@dataclass(frozen=True)
class Feature:
    """One column that the model sees."""

    name: str
    kind: FeatureKind


@dataclass(frozen=True)
class Label:
    """What the model learns, and which metrics that calls for."""

    name: str
    kind: LabelKind


@dataclass(frozen=True)
class Split:
    """One side of the time split: rows kept, and rows left out with the reason.

    ``of`` is the number of rows that those kept were drawn from, None where all were kept.
    """

    first: str
    last: str
    rows: int
    without_label: int
    label_known_too_late: int
    of: int | None = None


@dataclass(frozen=True)
class LearningSet:
    """The part of a training set that a model learns from; ``spec`` as in ``TrainingSet``."""

    label: Label
    features: tuple[Feature, ...]
    spec: str
    train: Split


@dataclass(frozen=True)
class TrainingSet:
    """The description that travels with the training files and the model.

    ``spec`` is the hash of the definition and the compiler that built the features; a model
    and a lookup snapshot with another hash do not belong together.
    """

    label: Label
    features: tuple[Feature, ...]
    spec: str
    train: Split
    holdout: Split

    @property
    def learning(self) -> LearningSet:
        """The part that a model learns from."""
        return LearningSet(self.label, self.features, self.spec, self.train)

    def lines(self) -> list[str]:
        """Return the description in words, a line a side of the split."""
        head = f"{len(self.features)} features for the label `{self.label.name}` ({self.label.kind}), plan {self.spec}"
        sides = (("train", self.train), ("holdout", self.holdout))
        return [head] + [
            f"{name:<8} {side.first} to {side.last}  {side.rows:,} rows; left out: {side.without_label:,} without a "
            f"label, {side.label_known_too_late:,} with a label known too late{_drawn(side)}"
            for name, side in sides
        ]


def _drawn(side: Split) -> str:
    return "" if side.of is None else f"; drawn by key out of {side.of:,}"
