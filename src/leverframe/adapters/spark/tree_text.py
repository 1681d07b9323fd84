"""The trees of `pyspark.ml`, read from the text that describes a model: it has every number to its last digit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from leverframe.domain.model.exported import Indicators, Step, SummedTrees, Tree, not_exported
from leverframe.errors import EstimatorError

# The models that are sums of trees, and by what Spark multiplies the sum for the log odds, or for the number.
TREES = {
    "GBTClassificationModel": 2.0,
    "GBTRegressionModel": 1.0,
    "RandomForestRegressionModel": 1.0,
    "DecisionTreeRegressionModel": 1.0,
}
_TREE = re.compile(r"^\s*Tree \d+ \(weight (\S+)\):$")
_SPLIT = re.compile(r"^\s*If \(feature (\d+) (?:<= (\S+)|in \{([^}]*)\})\)$")
_LEAF = re.compile(r"^\s*Predict: (\S+)$")


def summed_trees(model: Any, steps: Sequence[Step]) -> SummedTrees:
    """Return a fitted model of ``TREES`` over the values of ``steps``.

    Raises ``EstimatorError`` for a split by a set of places of a text, and for a text that is not as expected.
    """
    name = type(model).__name__
    shares = float(model.getNumTrees) if name == "RandomForestRegressionModel" else 1.0
    indicators = [isinstance(step, Indicators) for step in steps for _ in range(step.width)]
    lines = iter(model.toDebugString.splitlines()[1:])
    if name == "DecisionTreeRegressionModel":
        return SummedTrees((_Reading(lines, 1.0, indicators).tree(),))
    trees = []
    for line in lines:
        weight = _TREE.match(line)
        if not weight:
            raise _unexpected(line)
        trees.append(_Reading(lines, TREES[name] * float(weight[1]) / shares, indicators).tree())
    return SummedTrees(tuple(trees))


class _Reading:
    """Reads one tree, whose values are multiplied by ``factor``."""

    def __init__(self, lines: Iterator[str], factor: float, indicators: Sequence[bool]) -> None:
        self._lines, self._factor, self._indicators = lines, factor, indicators
        self._nodes: list[list[float]] = []  # feature, threshold, left, right, value

    def tree(self) -> Tree:
        self._node()
        feature, threshold, left, right, value = np.array(self._nodes, np.float64).reshape(-1, 5).T
        whole = [column.astype(np.int64) for column in (feature, left, right)]
        return Tree(whole[0], threshold, whole[1], whole[2], value)

    def _node(self) -> int:
        """Read a node and all below it; return its place."""
        line, place = next(self._lines, ""), len(self._nodes)
        leaf, split = _LEAF.match(line), _SPLIT.match(line)
        if leaf:
            self._nodes.append([0, 0, 0, 0, self._factor * float(leaf[1])])
            return place
        if not split:
            raise _unexpected(line)
        node = [float(split[1]), float(split[2]) if split[2] else 0.5, 0, 0, 0]
        self._nodes.append(node)
        below = self._node()
        if not next(self._lines, "").lstrip().startswith("Else (feature"):
            raise _unexpected(line)
        other = self._node()
        ones = split[3] is not None and self._is_one(int(split[1]), split[3])
        node[2:4] = (other, below) if ones else (below, other)
        return place

    def _is_one(self, feature: int, values: str) -> bool:
        """Tell whether the rows of a set are those whose value is 1: of an indicator a set is one of two values."""
        if not self._indicators[feature] or values not in ("0.0", "1.0"):
            raise not_exported(
                "a tree that splits by a set of texts",
                "only columns of 0 and 1 for each text are known",
                "put `OneHotEncoder` behind `StringIndexer`",
            )
        return values == "1.0"


def _unexpected(line: str) -> EstimatorError:
    return not_exported(
        f"a tree with the line `{line.strip()[:80]}`",
        "this version of Spark describes trees otherwise",
        "set `train.engine: sklearn`, or train by `xgboost.spark`",
    )
