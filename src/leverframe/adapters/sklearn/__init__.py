"""Scikit-learn and skops: how estimators are built and fitted, and models stored and opened."""

from leverframe.adapters.sklearn.models import SklearnModels

__all__ = ["SklearnModels"]
