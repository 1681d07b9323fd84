"""The model that a change commits, by its digest: never unpickled, no code of the change imported, only scored."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leverframe.adapters.disk import Disk
from leverframe.adapters.polars import PolarsTables
from leverframe.adapters.sklearn import SklearnModels
from leverframe.application.judged_objects import Objects
from leverframe.application.rerun import Rerun, compared
from leverframe.application.workspace import Workspace
from leverframe.documents import parsed
from leverframe.domain import layout
from leverframe.domain.model.artefacts import read_as
from leverframe.domain.model.evaluate.evaluation import predicted
from leverframe.domain.model.train import ModelDescription
from leverframe.domain.pipeline.status.resolved import Recorded
from leverframe.domain.review.check import LOCK
from leverframe.domain.review.same_outputs import SameModel, State
from leverframe.errors import LeverframeError

_MODEL, _DESCRIPTION = layout.MODEL.as_posix(), layout.MODEL_DESCRIPTION.as_posix()
_IN_GIT = (_DESCRIPTION, layout.METRICS.as_posix())


@dataclass(frozen=True)
class ClaimedOutputs:
    """The outputs that a change commits, and where their contents may be."""

    state: State
    objects: Objects

    @property
    def recorded(self) -> Recorded | None:
        """The record of the model in the lock."""
        return recorded_model(self.state)

    @property
    def model(self) -> bytes | None:
        """The model, hashed anew; None where it is nowhere."""
        recorded = self.recorded
        return self.objects.content(recorded.md5) if recorded else None

    @property
    def description(self) -> ModelDescription:
        """What the change says of it; raises ``ValueError`` where that is no description."""
        return parsed(ModelDescription, self.state.texts.get(_DESCRIPTION, ""))


def recorded_model(state: State) -> Recorded | None:
    """Return the record of the model in a lock; None where it has none."""
    return next((entry.outputs[_MODEL] for entry in state.lock.values() if _MODEL in entry.outputs), None)


@dataclass(frozen=True)
class ClaimedContents:
    """What is in outputs that are no texts, as the run wrote them and as the change claims them."""

    place: Workspace
    rerun: Rerun
    claimed: ClaimedOutputs

    def same_table(self, path: str, claimed: Recorded, tolerance: float) -> bool | None:
        """Tell whether a table has the values of a record; None where either cannot be read."""
        self.claimed.objects.take(claimed.md5)
        return self.rerun.same_table(path, claimed, tolerance)

    def same_model(self, path: str, claimed: Recorded, tolerance: float) -> SameModel | None:
        """Compare a model with a record by predictions; None where either cannot be asked."""
        if path == _MODEL:
            return self._same_predictions(tolerance)
        self.claimed.objects.take(claimed.md5)
        return self.rerun.same_model(path, claimed, tolerance)

    def _same_predictions(self, tolerance: float) -> SameModel | None:
        """Compare on all rows of training and hold-out; the types that the base trusts are trusted."""
        model, file, place = self.claimed.model, self.place.root / layout.MODEL, self.place
        if model is None or not file.is_file():
            return None
        models, tables = SklearnModels(place.root, place.params.train.trusted_types), PolarsTables(place.root)
        sides: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        try:
            ours = read_as(ModelDescription, layout.MODEL_DESCRIPTION, Disk(place.root))
            for path in (layout.TRAIN, layout.HOLDOUT):
                table = tables.read(path)
                with models.threads(1):
                    claimed = predicted(models, self.claimed.description, table, model)
                    sides.append((claimed, predicted(models, ours, table, file.read_bytes())))
        except (LeverframeError, ValueError):
            return None
        if any(one.shape != other.shape for one, other in sides):
            return None
        one, other = (np.concatenate([pair[side] for pair in sides]) for side in (0, 1))
        return compared(one, other, tolerance)


@contextmanager
def overlaid(place: Workspace, claimed: ClaimedOutputs | None) -> Iterator[str]:
    """Let the claimed model stand in the place of the run's while it is scored; yield why it is not, else nothing.

    Its hold-out stays that of the run.
    """
    model, why = (claimed.model if claimed else None), _unfit(place, claimed)
    if claimed is None or model is None or why:
        yield why
        return
    texts = {path: claimed.state.texts[path] for path in _IN_GIT if path in claimed.state.texts}
    lock = (place.root / LOCK).read_text(encoding="utf-8")
    contents = {path: text.encode("utf-8", "surrogateescape") for path, text in texts.items()}
    contents |= {_MODEL: model}
    contents |= {LOCK: _with_claimed(lock, contents, claimed).encode()}
    before = {path: file.read_bytes() for path in contents if (file := place.root / path).is_file()}
    try:
        _written(place, contents)
        yield ""
    finally:
        _written(place, before)


def _unfit(place: Workspace, claimed: ClaimedOutputs | None) -> str:
    """Return why a claimed model cannot be scored; empty where it can, or where there is none."""
    if claimed is None:
        return ""
    if claimed.model is None:
        return "it is neither in the cache nor among the outputs of the run"
    try:
        names = {feature.name for feature in claimed.description.features}
        columns = {*PolarsTables(place.root).read(layout.HOLDOUT).columns}
    except (LeverframeError, ValueError) as error:
        return error.what if isinstance(error, LeverframeError) else "its description cannot be read"
    lacking = sorted(names - columns)
    return f"the hold-out of the base lacks `{lacking[0]}`" if lacking else ""


def _with_claimed(lock: str, paths: Iterable[str], claimed: ClaimedOutputs) -> str:
    """Return a lock that names what stands in the place of some outputs of the run: of the change, by its records."""
    recorded = {path: known for entry in claimed.state.lock.values() for path, known in entry.outputs.items()}
    for path in paths:
        known = recorded.get(path)
        if known is not None:
            pattern = rf"(- path: {re.escape(path)}\n\s+hash: md5\n\s+md5: )\S+(\n\s+size: )\d+"
            lock = re.sub(pattern, rf"\g<1>{known.md5}\g<2>{known.size or 0}", lock)
    return lock


def _written(place: Workspace, contents: dict[str, bytes]) -> None:
    """Write files anew: what stands there may be a link into the cache, which must not change."""
    for path, content in contents.items():
        file = place.root / path
        file.unlink(missing_ok=True)
        file.write_bytes(content)
