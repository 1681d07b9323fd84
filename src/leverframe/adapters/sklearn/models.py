"""Scikit-learn: builds estimators by import path, fits them, stores and opens them with skops."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import skops
import threadpoolctl
from numpy.typing import NDArray
from sklearn.utils._param_validation import InvalidParameterError

from leverframe.adapters.sklearn.building import called, check_methods, refuse_distributed
from leverframe.adapters.sklearn.known_types import known
from leverframe.adapters.sklearn.preparing import of_library, prepared
from leverframe.adapters.sklearn.storing import check_types, dumped, opened, types_to_trust
from leverframe.domain.model.train import Recipe, StoredModel
from leverframe.errors import EstimatorError
from leverframe.imports import importable, load
from leverframe.words import first_few, kind_and_line

_WIDE = 1e150  # whose square is no double
_LISTED = 8  # columns that an error names
_SAID_BY = "`train.estimator` in params.yaml"

_log = logging.getLogger(__name__)


class SklearnModels:
    """Builds, fits, stores and opens models; import paths are looked up below ``root`` as well.

    ``trusted`` are the types of the case that a model may hold, as the settings of a commit name them: what lies
    beside a model, or is named in it, says nothing of trust.
    """

    def __init__(self, root: Path, trusted: Collection[str] = ()) -> None:
        self._root, self._trusted = root, tuple(trusted)

    def build(self, recipe: Recipe) -> Any:
        """Return the unfitted estimator of ``recipe``.

        A class is called with the parameters alone, and one of a library is prepared for the features; a function is
        called with the features, and with the label if it takes one.
        Raises ``DefinitionError`` for a path or parameters that do not exist, ``EstimatorError`` for what cannot
        learn, predict the label, or be stored.
        """
        named = load(recipe.estimator, self._root, said_by=_SAID_BY)
        refuse_distributed(named, recipe)
        estimator = called(named, recipe)
        refuse_distributed(type(estimator), recipe)
        check_methods(estimator, recipe)
        if of_library(named):
            estimator = prepared(estimator, recipe.features)
        self._checked_types(dumped(estimator))
        return estimator

    def fit(self, estimator: Any, inputs: Any, labels: NDArray[Any]) -> Any:
        """Return the fitted estimator; ``inputs`` is a frame of (rows, features), ``labels`` (rows,)."""
        began = time.monotonic()
        try:
            fitted = estimator.fit(inputs, labels)
        except InvalidParameterError as error:
            raise EstimatorError(
                f"{type(estimator).__name__} cannot learn with these parameters",
                why=kind_and_line(error).rstrip("."),
                next="fix `train.params` in params.yaml, or the function of `train.estimator`",
            ) from error
        except Exception as error:
            raise EstimatorError(
                f"{type(estimator).__name__} cannot learn from these data",
                why=f"{kind_and_line(error).rstrip('.')}{_hard_columns(inputs)}",
                next="fix `train.params`, or let the function of `train.estimator` encode texts and fill gaps first; "
                "a class of scikit-learn that is named there itself is prepared for both",
            ) from error
        _log.info(f"train: fitted in {time.monotonic() - began:.1f} s")
        return fitted

    def store(self, model: Any, recipe: Recipe) -> StoredModel:
        """Return the model as bytes of a skops file, equal for equal models.

        Raises ``EstimatorError`` for a type that nobody could load again.
        """
        data = dumped(model)
        types = self._checked_types(data)
        classes = (
            tuple(str(label) for label in getattr(model, "classes_", ())) if recipe.label.kind != "regression" else ()
        )
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        return StoredModel(data, digest, types, classes)

    def load(self, data: bytes) -> Any:
        """Return the model in the bytes of a skops file.

        Raises ``EstimatorError`` for a damaged file and for types that are not trusted.
        """
        if any(not known(name) for name in self._checked_types(data)):
            importable(self._root)  # where the types of the case are
        return opened(data)

    def probabilities(self, model: Any, inputs: Any) -> NDArray[np.float64]:
        """Return the probability of each class, shape (rows, classes), in the order of ``StoredModel.classes``."""
        return _predicted(model.predict_proba, inputs)

    def predictions(self, model: Any, inputs: Any) -> NDArray[np.float64]:
        """Return the predicted numbers, shape (rows,)."""
        return _predicted(model.predict, inputs)

    @contextmanager
    def threads(self, count: int) -> Iterator[None]:
        """Give OpenMP and BLAS ``count`` threads inside the block, whatever the environment says."""
        before = os.environ.get("OMP_NUM_THREADS")
        # Scikit-learn takes fewer threads than asked for on few cores, unless this is set.
        os.environ["OMP_NUM_THREADS"] = str(count)
        try:
            with threadpoolctl.threadpool_limits(limits=count):
                yield
        finally:
            if before is None:
                del os.environ["OMP_NUM_THREADS"]
            else:
                os.environ["OMP_NUM_THREADS"] = before

    def versions(self) -> dict[str, str]:
        """Return the versions of Python and of the libraries that made the model."""
        python = ".".join(platform.python_version_tuple()[:2])
        return {"python": python, "numpy": np.__version__, "scikit-learn": sklearn.__version__,
                "skops": skops.__version__}  # fmt: skip

    def _checked_types(self, data: bytes) -> tuple[str, ...]:
        types = types_to_trust(data)
        check_types(types, self._trusted)
        return tuple(types)


class TrainedModel:
    """A stored model that predicts in a server, where it could not be converted to ONNX.

    ``trusted`` are types of the case, ``frame`` makes a table of columns. Raises ``EstimatorError`` for bytes that
    cannot be opened, or hold a type that is not trusted.
    """

    def __init__(self, data: bytes, trusted: Collection[str], frame: Callable[[Mapping[str, Any]], Any]) -> None:
        self._model, self._frame = SklearnModels(Path(), trusted).load(data), frame

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return (n, classes) probabilities, or (n,) numbers of a regression."""
        inputs = self._frame(columns)
        if hasattr(self._model, "classes_"):
            return _predicted(self._model.predict_proba, inputs)
        return _predicted(self._model.predict, inputs)


def _hard_columns(inputs: Any) -> str:
    """Return which columns many estimators do not take, in words."""
    hard = []
    texts = [name for name in inputs.columns if str(inputs[name].dtype) == "String"]
    gaps = [name for name in inputs.columns if inputs[name].null_count() or _has_nan(inputs[name])]
    wide = [name for name in inputs.columns if name not in texts and _is_beyond(inputs[name])]
    for what, names in (("texts", texts), ("missing values", gaps), (f"numbers beyond {_WIDE:g}", wide)):
        if names:
            hard.append(f"{what} in {first_few([f'`{name}`' for name in names], _LISTED)}")
    return f"; it was given {' and '.join(hard)}" if hard else ""


def _is_beyond(column: Any) -> bool:
    return bool((column.abs().fill_nan(0) > _WIDE).any())


def _has_nan(column: Any) -> bool:
    return bool(column.dtype.is_float() and column.is_nan().any())


def _predicted(method: Callable[[Any], Any], inputs: Any) -> NDArray[np.float64]:
    try:
        return np.asarray(method(inputs), dtype=np.float64)
    except Exception as error:
        raise EstimatorError(
            "the model cannot predict these rows",
            why=kind_and_line(error),
            next="run `dvc repro`, so that the model and the data are made for each other",
        ) from error
