"""A model that a cluster trained, as plain values: what it makes of each feature, and what it computes of that.

It says all that a prediction needs, so that the same model can be built again where there is no cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.features.training_set import LabelKind
from leverframe.errors import EstimatorError

Floats = NDArray[np.float64]

TOLERANCE = 1e-6  # between what the cluster and the exported model predict; of 32-bit floats six digits are sure


@dataclass(frozen=True)
class Number:
    """A number as it is; ``fill`` takes the place of a missing one, None where it stays missing."""

    feature: str
    fill: float | None = None

    @property
    def width(self) -> int:
        """The number of values that the model sees of it."""
        return 1


@dataclass(frozen=True)
class Code:
    """The place of a text among ``values``; their number for any other text, and for a missing one."""

    feature: str
    values: tuple[str, ...]

    @property
    def width(self) -> int:
        """The number of values that the model sees of it."""
        return 1


@dataclass(frozen=True)
class Indicators:
    """One value for each of ``values``: 1 where the text is that one, else 0; another text is zeros."""

    feature: str
    values: tuple[str, ...]

    @property
    def width(self) -> int:
        """The number of values that the model sees of it."""
        return len(self.values)


Step = Number | Code | Indicators


@dataclass(frozen=True)
class Linear:
    """Sums of weighed values: ``weights`` of shape (outputs, values), ``intercepts`` of shape (outputs,).

    Of two classes there is one output, the log odds of the second; of more, one a class, before the softmax.
    """

    weights: Floats
    intercepts: Floats


@dataclass(frozen=True)
class BoostedTrees:
    """Trees in the binary format of the library that grew them; ``library`` is its name."""

    library: Literal["xgboost"]
    data: bytes


@dataclass(frozen=True)
class Tree:
    """The nodes of a tree, each array of shape (nodes,), a parent before its children, the root first.

    A value of ``feature`` up to ``threshold`` goes to ``left``, any other to ``right``, which are 0 for a leaf; there
    ``value`` is what the tree gives.
    """

    feature: NDArray[np.int64]
    threshold: Floats
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: Floats


@dataclass(frozen=True)
class SummedTrees:
    """Trees whose values are added: to a number, or to the log odds of the second of two classes."""

    trees: tuple[Tree, ...]


@dataclass(frozen=True)
class ExportedModel:
    """The steps in the order of the values that the model sees, and the model.

    ``classes`` are those of a classifier in the order of its probabilities, as whole numbers or texts.
    """

    kind: LabelKind
    classes: tuple[Any, ...]
    steps: tuple[Step, ...]
    model: Linear | BoostedTrees | SummedTrees

    @property
    def width(self) -> int:
        """The number of values that the model sees of a row."""
        return sum(step.width for step in self.steps)


def scaled(linear: Linear, shift: Floats, factor: Floats) -> Linear:
    """Return a linear model of values ``(value - shift) * factor`` as one of the values themselves."""
    weights = linear.weights * factor
    return Linear(weights, linear.intercepts - weights @ shift)


def refuse_mismatch(predicted: Floats, exported: Floats, kind: LabelKind) -> float:
    """Return how far the predictions of the exported model are from those of the cluster, relative for numbers.

    Both have shape (rows,) or (rows, classes). Raises ``EstimatorError`` where they are not the same within
    ``TOLERANCE``: then the model that is served would be another one.
    """
    unit = 1.0 if kind != "regression" else max(1.0, float(np.abs(predicted).max(initial=0.0)))
    apart = np.abs(exported - predicted) if predicted.shape == exported.shape else np.full((1,), np.inf)
    worst = float(apart.max(initial=0.0)) / unit
    if not worst <= TOLERANCE:  # NaN is no agreement, either
        raise EstimatorError(
            f"the exported model predicts other values than the cluster: they differ by up to {worst:.3g}",
            why=f"on {len(predicted):,} rows of the training set at most {TOLERANCE:g} is allowed",
            next="leave out steps that are not exported exactly, or report the pipeline of the estimator",
        )
    return worst


def not_exported(what: str, why: str, remedy: str) -> EstimatorError:
    """Return the error for a part of a model that has no exported form."""
    return EstimatorError(f"{what} cannot be exported", why=why, next=remedy)
