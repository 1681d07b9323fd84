"""Scikit-learn and skops: how estimators are built and fitted, and models stored and opened."""

from leverframe.adapters.sklearn.models import SklearnModels, TrainedModel

__all__ = ["SklearnModels", "TrainedModel"]
