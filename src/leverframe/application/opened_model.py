"""The model of a pipeline of one's own, opened so that it predicts rows of a table."""

from __future__ import annotations

from pathlib import Path

from leverframe.serving.formats import model_in
from leverframe.serving.model_process import SECONDS, ModelTask, OpenedModel
from leverframe.settings.pipeline import ModelRole

__all__ = ["OpenedModel", "open_model"]


def open_model(root: Path, role: ModelRole, seconds: float = SECONDS) -> OpenedModel:
    """Return the model that ``role`` names in a checkout at ``root``; it predicts in processes of its own.

    A function of the repository runs the code of that checkout. Raises ``EstimatorError`` for a pickle and for what
    is no model of a known format.
    """
    if role.predict is not None:
        file = str((root / role.path).resolve()) if role.path else None
        return OpenedModel(ModelTask(str(root.resolve()), function=role.predict, file=file), seconds=seconds)
    source, data = model_in(root / (role.path or ""), role.format)
    return OpenedModel(ModelTask(str(root.resolve()), source), data, seconds)
