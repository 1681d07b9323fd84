"""Which estimator learns the delay of a flight: gradient boosted trees over ordinal categories.

The trees' own support for categories stays off: a model with it converts to ONNX without an
error and predicts something else there. Ordinal codes convert exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from leverframe.case import Feature, Label

UNSEEN = -1  # code of a category that training did not hold, and of a missing one


def estimator(
    features: Sequence[Feature],
    *,
    label: Label,
    iterations: int,
    learning_rate: float,
    seed: int,
    leaves: int = 31,
) -> Pipeline:
    """Return the unfitted pipeline for ``features``, a regressor where the label is a number.

    ``iterations`` rounds of one tree, or one a class where there are several, of at most
    ``leaves`` leaves; all of them are grown, so that the same data give the same model.
    """
    categorical = [feature.name for feature in features if feature.kind == "categorical"]
    rest = [feature.name for feature in features if feature.kind != "categorical"]
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=UNSEEN, encoded_missing_value=UNSEEN)
    columns = ColumnTransformer(
        [("categories", codes, categorical), ("numbers", "passthrough", rest)], verbose_feature_names_out=False
    )
    boosting = HistGradientBoostingRegressor if label.kind == "regression" else HistGradientBoostingClassifier
    trees = boosting(
        max_iter=iterations,
        learning_rate=learning_rate,
        max_leaf_nodes=leaves,
        early_stopping=False,
        categorical_features=None,
        random_state=seed,
    )
    return Pipeline([("columns", columns), ("trees", trees)])
