"""A run of the pipeline whose tables and models are compared with those of the cache, by what they hold.

What is claimed is data that nobody verified: a model is opened in the runtime of ONNX, or of types that skops and we
know, which run no code; one with types of its own is not opened.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.adapters.disk import Disk
from leverframe.adapters.polars.same_values import same_values
from leverframe.application.pipeline import PipelineRun
from leverframe.application.status import tree_around
from leverframe.domain import layout
from leverframe.domain.model.artefacts import read_as
from leverframe.domain.model.bundle.bundle_manifest import ONNX, SKOPS
from leverframe.domain.model.table import Table, model_inputs
from leverframe.domain.model.train import ModelDescription
from leverframe.domain.pipeline.status.resolved import Recorded
from leverframe.domain.review.same_outputs import TABLE, SameModel, alike, same_but_digests

_TEXTS = (".json", ".jsonl", ".md", ".yaml")  # of a bundle, which are compared as such
Predict = Callable[[bytes], NDArray[np.float64]]


class Rerun(PipelineRun):
    """A run whose outputs are compared with those of the cache, which a record names by their digest."""

    def same_table(self, path: str, claimed: Recorded, tolerance: float) -> bool | None:
        """Tell whether a table or text has the values of a record of the cache; None where either cannot be read."""
        content = tree_around(self.root).content(claimed)
        file = self.root / path
        if content is not None and file.is_file() and not path.endswith(TABLE):
            return alike(content.decode(errors="replace"), self.text(path), tolerance)
        return same_values(content, file, tolerance) if content is not None and file.is_file() else None

    def same_model(self, path: str, claimed: Recorded, tolerance: float) -> SameModel | None:
        """Compare the predictions of a model with those of a record on the hold-out; None where one cannot be asked."""
        listed = _Listed.of(self.root, path, claimed, tolerance)
        pair = listed.model() if listed else self._file(path, claimed)
        if pair is None:
            return None
        name, *models = pair
        try:
            asked = _Asked.of(self.root)
            ours, theirs = (asked.onnx(data) if name == ONNX else asked.skops(self.root, data) for data in models)
        except Exception:  # what a model does not take, ONNX and libraries say by exceptions without a common class
            return None
        others = listed is not None and (listed.others() or not self._same_source(listed, name, asked, tolerance))
        return compared(ours, theirs, tolerance, others=others)

    def _same_source(self, listed: _Listed, name: str, asked: _Asked, tolerance: float) -> bool:
        """Tell whether the model that was converted to ONNX predicts the same; False where nobody can tell."""
        pair = listed.source() if name == ONNX else None
        if pair is None:
            return name != ONNX or listed.same_source()
        try:
            ours, theirs = (asked.skops(self.root, data) for data in pair)
            same = compared(ours, theirs, tolerance)
        except Exception:  # as above
            return False
        return same is not None and not same.differing

    def _file(self, path: str, claimed: Recorded) -> tuple[str, bytes, bytes] | None:
        content, file = tree_around(self.root).content(claimed), self.root / path
        return (SKOPS, content, file.read_bytes()) if content is not None and file.is_file() else None


def compared(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], tolerance: float, *, others: bool = False
) -> SameModel | None:
    """Return how many rows differ beyond a tolerance, relative and absolute; None for models of other classes."""
    if ours.shape != theirs.shape or not len(ours):
        return None
    rows = (len(ours), -1)
    apart = np.abs(ours - theirs).reshape(rows).max(axis=1)
    close = np.isclose(ours, theirs, rtol=tolerance, atol=tolerance, equal_nan=True).reshape(rows).all(axis=1)
    largest = float(np.nanmax(apart)) if np.isfinite(apart).any() else float("nan")
    return SameModel(len(ours), int((~close).sum()), largest, others)


class _Listed:
    """A folder as its record lists it, beside what is there now."""

    def __init__(self, root: Path, path: str, before: dict[str, str], tolerance: float) -> None:
        self._tree, self._folder, self._before, self._tolerance = tree_around(root), root / path, before, tolerance

    @classmethod
    def of(cls, root: Path, path: str, claimed: Recorded, tolerance: float) -> _Listed | None:
        """Return it; None for a file, and for a listing that is not in the cache or is none."""
        listing = tree_around(root).content(claimed) if claimed.md5.endswith(".dir") else None
        try:
            before = {str(entry["relpath"]): str(entry["md5"]) for entry in json.loads(listing or b"[]")}
        except (ValueError, KeyError, TypeError):
            return None
        return cls(root, path, before, tolerance) if before and (root / path).is_dir() else None

    def model(self) -> tuple[str, bytes, bytes] | None:
        """Return the name of the model that predicts, as claimed and as it is now; None where it is the same."""
        name = ONNX if ONNX in self._before else SKOPS
        pair = self._pair(name)
        return (name, *pair) if pair else None

    def same_source(self) -> bool:
        """Tell whether both sides have the same bytes of the converted model, or neither has any."""
        content, now = self._sides(SKOPS)
        return (content is None) == (SKOPS not in self._before) and content == now

    def source(self) -> tuple[bytes, bytes] | None:
        """Return the converted model as claimed and as it is now; None where one is missing, or both are the same."""
        return self._pair(SKOPS)

    def _pair(self, name: str) -> tuple[bytes, bytes] | None:
        content, now = self._sides(name)
        return (content, now) if content is not None and now is not None and content != now else None

    def _sides(self, name: str) -> tuple[bytes | None, bytes | None]:
        """Return a file as it is claimed and as it is now, None where a side lacks it or nobody can read it."""
        known, file = self._before.get(name), self._folder / name
        content = self._tree.content(Recorded(known)) if known is not None else None
        return content, file.read_bytes() if file.is_file() else None

    def others(self) -> bool:
        """Tell whether a file beside the model differs; a text may in last digits, and in digests that it names."""
        now = {file.relative_to(self._folder).as_posix(): file for file in self._folder.rglob("*") if file.is_file()}
        names = [name for name in {*now, *self._before} if name not in (ONNX, SKOPS)]
        return any(name not in now or self._differs(name, now[name].read_bytes()) for name in names)

    def _differs(self, name: str, now: bytes) -> bool:
        content = self._tree.content(Recorded(self._before.get(name, "")))
        if content is None or content == now or not name.endswith(_TEXTS):
            return content != now
        one, other = (data.decode(errors="replace") for data in (content, now))
        return not same_but_digests(one, other, self._tolerance)


class _Asked:
    """The rows that both models are asked, as each form of a model takes them."""

    def __init__(self, inputs: Table, description: ModelDescription) -> None:
        self._inputs, self._description = inputs, description

    @classmethod
    def of(cls, root: Path) -> _Asked:
        """Return the rows of the hold-out; raises ``LeverframeError`` where there are none, or no description."""
        from leverframe.adapters.polars import PolarsTables  # noqa: PLC0415 - only where models differ

        description = read_as(ModelDescription, layout.MODEL_DESCRIPTION, Disk(root))
        table = PolarsTables(root).read(layout.HOLDOUT)
        return cls(model_inputs(table, description.features, file=layout.HOLDOUT), description)

    def onnx(self, data: bytes) -> NDArray[np.float64]:
        """Return what a model in ONNX predicts; raises ``LeverframeError`` for bytes that are none."""
        from leverframe.adapters.onnx.session import OnnxModel  # noqa: PLC0415 - only where models differ

        columns: dict[str, NDArray[Any]] = {
            feature.name: self._inputs.get_column(feature.name).to_numpy() for feature in self._description.features
        }
        return OnnxModel(data).predict(columns)

    def skops(self, root: Path, data: bytes) -> NDArray[np.float64]:
        """Return what a model of known types predicts; raises ``LeverframeError`` for any other type."""
        from leverframe.adapters.sklearn import SklearnModels  # noqa: PLC0415 - only where models differ

        models = SklearnModels(root)
        model = models.load(data)
        if self._description.label.kind == "regression":
            return models.predictions(model, self._inputs)
        return models.probabilities(model, self._inputs)
