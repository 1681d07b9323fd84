"""A bundle of a model that was trained elsewhere: it predicts the columns of a request with the model's own library."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.adapters.polars import PolarsTables
from leverframe.documents import parsed
from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.bundle import bundle_manifest as names
from leverframe.domain.model.bundle.bundle_manifest import Manifest, unusable
from leverframe.domain.own_model.opened import NativeModel, outcome, unopened
from leverframe.domain.own_model.own_packing import OwnDescription, by_class
from leverframe.domain.own_model.runtime_form import TRUSTED, RuntimeForm, not_trusted
from leverframe.errors import EstimatorError
from leverframe.serving.formats import opened_as
from leverframe.serving.model_process import ModelTask, OpenedModel
from leverframe.serving.served import ServedBundle, invalid, verified

_SECONDS = 120.0  # in which a process opens a model and predicts the golden rows


class OwnBundle(ServedBundle):
    """The bundle in ``folder``; with ``digest``, only the one of that name.

    ``trusted`` are own types of its model, and runtimes that may open one.

    Unless it was ``tried``, a process of its own opens the model and predicts the golden rows first: a file that makes
    its library crash ends that one, and not the server. Raises ``BundleError`` as every bundle does, and for a model
    that cannot be opened.
    """

    def __init__(
        self, folder: Path, digest: str | None = None, trusted: Collection[str] = (), *, tried: bool = False
    ) -> None:
        manifest, files = verified(folder, digest)
        super().__init__(folder, manifest, files)
        if not manifest.own:
            raise unusable(str(folder), "it is one of a case")
        try:
            described = parsed(OwnDescription, files[names.DESCRIPTION])
        except ValueError as error:
            raise invalid(folder, error) from error
        self.features, self.apart = described.features, manifest.engine == "runtime"
        data = files[manifest.model_file]
        try:
            order = _order(manifest, described.runtime, trusted)
            if not tried:
                self._try_alone(order, data)
            model = opened_as(order.format, order.runtime, data, trusted)
        except EstimatorError as error:
            raise unusable(str(folder), f"{error.what}: {error.why}; {error.next}") from error
        self._model = _Model(model, tuple(feature.name for feature in self.features), self.schema.label.kind)
        self._prove("columns")

    def _try_alone(self, order: ModelTask, data: bytes) -> None:
        kinds = {feature.name: object if feature.kind == "categorical" else float for feature in self.features}
        rows = {name: np.array([row["inputs"].get(name) for row in self.golden] or [None], kind)
                for name, kind in kinds.items()}  # fmt: skip
        OpenedModel(order, data, _SECONDS).predict(PolarsTables(Path()).frame(rows), list(kinds))


def _order(manifest: Manifest, form: RuntimeForm | None, trusted: Collection[str]) -> ModelTask:
    """Return how the model is opened; raises ``EstimatorError`` for a runtime that nobody trusts."""
    if manifest.engine != "runtime":
        return ModelTask("", manifest.engine, trusted=tuple(trusted))
    if form is None or form.path != manifest.runtime:
        raise unopened(str(manifest.runtime), f"{names.DESCRIPTION} and the manifest name different runtimes")
    if f"{TRUSTED}{form.path}" not in trusted:
        raise not_trusted(form.path)
    return ModelTask("", runtime=form)


def _doubles(values: NDArray[Any]) -> NDArray[Any]:
    """Return whole numbers, of which those that are missing are masked, as models take them."""
    return np.ma.filled(values.astype(np.float64), np.nan) if np.ma.isMaskedArray(values) else values


class _Model:
    """The model as servers ask it: columns in the order of the model, and probabilities of each class."""

    def __init__(self, model: NativeModel, features: tuple[str, ...], kind: LabelKind) -> None:
        self._model, self._features, self._kind = model, features, kind

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return (n, classes) probabilities, or (n,) numbers of a regression."""
        inputs = {name: _doubles(columns[name]) for name in self._features}
        predictions = self._model.predict(inputs)
        return by_class(outcome(predictions, len(predictions), self._kind), self._kind)
