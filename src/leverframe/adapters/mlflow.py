"""MLflow: finds the model of a library's own format in a folder of a model; MLflow itself is not needed."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from leverframe.bounded import bounded_yaml
from leverframe.domain.own_model.opened import pickled, unopened
from leverframe.errors import SettingsError
from leverframe.private_files import plain_file
from leverframe.yaml_files import parse

NAME = "MLmodel"
_FLAVOURS = ("xgboost", "lightgbm", "catboost", "onnx", "sklearn")
_FILES = ("data", "pickled_model", "model_data")  # under which a flavour names its file


def native_file(folder: Path) -> Path:
    """Return the path of the model in a folder of MLflow.

    Raises ``EstimatorError`` for a folder that names none of a library's own format, such as a pickle.
    """
    where = str(folder / NAME)
    try:
        text = bounded_yaml(plain_file((folder / NAME).resolve(), 1 << 20).decode())
        flavours = parse(text, name=where, what="description of MLflow").get("flavors")
    except (ValueError, SettingsError) as error:
        raise unopened("MLflow", f"{where} cannot be read: {error}") from error
    if not isinstance(flavours, dict):
        raise unopened("MLflow", f"{where} names no flavour")
    named = next(filter(None, (_named(flavours.get(flavour)) for flavour in _FLAVOURS)), None)
    if named is not None:
        return _inside(folder, named)
    raise pickled(f"the model in {folder}")


def _named(flavour: Any) -> str | None:
    """Return the file that a flavour names, None for a pickle and for what names none."""
    if not isinstance(flavour, dict):
        return None
    named = next((flavour[name] for name in _FILES if isinstance(flavour.get(name), str)), None)
    by_pickle = flavour.get("serialization_format") in ("pickle", "cloudpickle")
    return None if by_pickle or named is None or named.endswith((".pkl", ".pickle", ".joblib")) else named


def _inside(folder: Path, named: str) -> Path:
    if PurePosixPath(named).is_absolute() or ".." in PurePosixPath(named).parts:
        raise unopened("MLflow", f"{folder / NAME} names a file outside of its folder")
    return folder / named
