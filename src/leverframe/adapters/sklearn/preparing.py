"""What stands before an estimator class that is named directly: categories as numbers, and no gaps where it takes none.

Classes of a library know nothing of the features of a case. One of the case's own is used as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import get_tags

from leverframe.domain.features.training_set import Feature

LIBRARIES = ("sklearn", "xgboost", "lightgbm", "catboost")
CATEGORIES = 50  # columns that one feature becomes at most


def prepared(estimator: Any, features: Sequence[Feature]) -> Any:
    """Return the estimator behind the preparation that its features call for; itself where it needs none.

    Categories become one column each of the values that training saw most, a missing one among them, and one column of
    the others. Where the estimator takes no missing values, numbers get their median and are scaled.
    """
    categories = [feature.name for feature in features if feature.kind == "categorical"]
    numbers = [feature.name for feature in features if feature.kind != "categorical"]
    takes_gaps = bool(get_tags(estimator).input_tags.allow_nan)
    if not categories and takes_gaps:
        return estimator
    encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=CATEGORIES, sparse_output=False)
    filled = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    parts = [("categories", encoder, categories), ("numbers", "passthrough" if takes_gaps else filled, numbers)]
    columns = ColumnTransformer([part for part in parts if part[2]], verbose_feature_names_out=False)
    return Pipeline([("columns", columns), ("model", estimator)])


def of_library(named: Any) -> bool:
    """Tell whether what an import path names is a class of a library, not of the case."""
    return isinstance(named, type) and named.__module__.partition(".")[0] in LIBRARIES
