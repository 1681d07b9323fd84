"""Two samples told apart by gradient-boosted trees of scikit-learn, which take missing values as they are."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.inspection import permutation_importance
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from threadpoolctl import ThreadpoolController

from leverframe.domain.monitoring.batch import Floats

FOLDS = 3


class TreeDiscriminator:
    """Small trees, so that a few thousand rows take a second; the same rows give the same figures."""

    def auc(self, reference: Floats, live: Floats) -> float:
        """Return the area under ROC over all rows, each scored by a model that did not learn from it."""
        rows, sides = joined(reference, live)
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
        scores = cross_val_predict(trees(), rows, sides, cv=folds, method="predict_proba")[:, 1]
        return float(roc_auc_score(sides, scores))

    def weights(self, reference: Floats, live: Floats) -> Floats:
        """Return by how much the area falls when a feature is shuffled in the half that was not learned from."""
        return shuffled(reference, live)


class _OneThread(HistGradientBoostingClassifier):  # type: ignore[misc]
    """The classifier in one thread, as its pieces of work are small.

    Threads that wait for the next keep cores busy: where others use them too, for twenty times as long as the work.
    """

    def fit(self, *given: Any, **more: Any) -> _OneThread:
        with _libraries().limit(limits=1, user_api="openmp"):
            super().fit(*given, **more)
        return self

    def predict_proba(self, rows: Floats) -> Floats:
        with _libraries().limit(limits=1, user_api="openmp"):
            return np.asarray(super().predict_proba(rows), np.float64)

    def decision_function(self, rows: Floats) -> Floats:
        with _libraries().limit(limits=1, user_api="openmp"):
            return np.asarray(super().decision_function(rows), np.float64)


@cache
def _libraries() -> ThreadpoolController:
    """Return the libraries that are loaded with scikit-learn: to look for them takes longer than a prediction."""
    return ThreadpoolController()


def trees() -> HistGradientBoostingClassifier:
    """Return the classifier, not fitted yet."""
    return _OneThread(max_iter=40, max_leaf_nodes=15, learning_rate=0.1, random_state=0)


def joined(reference: Floats, live: Floats) -> tuple[Floats, Floats]:
    """Return the rows of both sides, and 0 for the reference and 1 for live traffic."""
    return np.concatenate([reference, live]), np.repeat([0.0, 1.0], [len(reference), len(live)])


def shuffled(reference: Floats, live: Floats) -> Floats:
    """Return by how much the area falls when a feature is shuffled in the half that was not learned from."""
    rows, sides = joined(reference, live)
    learned, other, known, truth = train_test_split(rows, sides, test_size=0.5, random_state=0, stratify=sides)
    fitted = trees().fit(learned, known)
    importances = permutation_importance(fitted, other, truth, scoring="roc_auc", n_repeats=3, random_state=0)
    return np.asarray(importances.importances_mean, np.float64)
