"""Trees whose values are added, as histogram gradient boosting of scikit-learn: it compares doubles, as Spark does."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

from leverframe.domain.model.exported import ExportedModel, SummedTrees, Tree


def summed(trees: SummedTrees, model: ExportedModel) -> Any:
    """Return a fitted estimator with these trees and no others.

    It is fitted to two rows, so that it has all that an estimator of this version has; then its trees are exchanged.
    """
    boosting = HistGradientBoostingRegressor if model.kind == "regression" else HistGradientBoostingClassifier
    estimator = boosting(max_iter=1, early_stopping=False, random_state=0)
    estimator.fit(np.stack([np.zeros(model.width), np.ones(model.width)]), np.array(model.classes or (0.0, 1.0)))
    estimator._predictors = [[_predictor(tree)] for tree in trees.trees]
    estimator._baseline_prediction = np.zeros((1, 1))
    estimator.max_iter = len(trees.trees)
    return estimator


def _predictor(tree: Tree) -> TreePredictor:
    nodes = np.zeros(len(tree.value), PREDICTOR_RECORD_DTYPE)
    nodes["value"], nodes["feature_idx"], nodes["num_threshold"] = tree.value, tree.feature, tree.threshold
    nodes["left"], nodes["right"], nodes["is_leaf"] = tree.left, tree.right, tree.left == 0
    for parent in np.flatnonzero(tree.left):
        nodes["depth"][[tree.left[parent], tree.right[parent]]] = nodes["depth"][parent] + 1
    empty = np.zeros((0, 8), np.uint32)
    return TreePredictor(nodes, empty, empty)
