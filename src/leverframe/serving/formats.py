"""Which adapter opens a model that was trained elsewhere; each is imported where a model of its format is opened."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from leverframe.domain.own_model.opened import NativeFormat, NativeModel, format_of, is_pickle, pickled, unopened
from leverframe.domain.own_model.runtime_form import RuntimeForm
from leverframe.errors import EstimatorError
from leverframe.package import check_extras
from leverframe.private_files import plain_file
from leverframe.settings.pipeline import ModelFormat

_EXTRAS = {"onnx": "serving", "xgboost": "xgboost", "lightgbm": "lightgbm", "catboost": "catboost"}
_MOST = 4 << 30  # bytes of a model


def model_in(path: Path, format: ModelFormat | None = None) -> tuple[NativeFormat, bytes]:
    """Return the format and the bytes of the model in a file, or in a folder of MLflow.

    ``format`` is what it is said to be. Raises ``EstimatorError`` for a pickle, and for what is no model.
    """
    from leverframe.adapters.mlflow import NAME, native_file  # noqa: PLC0415 - reads YAML

    if (path / NAME).is_file():
        return model_in(native_file(path))
    if format == "mlflow":
        raise unopened("MLflow", f"{path} is no folder with a file {NAME}")
    data = _read(path)
    if is_pickle(path.name, data):
        raise pickled(str(path))
    return format or format_of(path.name, data), data


def opened_as(
    format: NativeFormat | None, runtime: RuntimeForm | None, data: bytes, trusted: Collection[str] = ()
) -> NativeModel:
    """Return the model in the bytes of a file of a format, or in the archive of a runtime; as ``opened`` does."""
    if runtime is not None:
        from leverframe.serving.own_runtime import open_runtime  # noqa: PLC0415 - imports MLServer

        return open_runtime(runtime, data)
    assert format is not None  # noqa: S101 - a model has one of the two
    return opened(format, data, trusted)


def opened(format: NativeFormat, data: bytes, trusted: Collection[str] = ()) -> NativeModel:
    """Return the model in the bytes of a file, open in this process; raises ``EstimatorError`` for none.

    ``trusted`` are own types that a model of scikit-learn may hold.
    """
    if format in _EXTRAS:
        check_extras((_EXTRAS[format],), f"a model of format {format}")
    match format:
        case "onnx":
            from leverframe.adapters.onnxruntime import OwnOnnxModel  # noqa: PLC0415 - heavy, as all below

            return OwnOnnxModel(data)
        case "skops":
            from leverframe.adapters.polars import PolarsTables  # noqa: PLC0415
            from leverframe.adapters.sklearn.own import OwnSklearnModel  # noqa: PLC0415

            return OwnSklearnModel(data, trusted, PolarsTables(Path()).frame)
        case "xgboost":
            from leverframe.adapters.xgboost import XGBoostModel  # noqa: PLC0415

            return XGBoostModel(data)
        case "lightgbm":
            from leverframe.adapters.lightgbm import LightGBMModel  # noqa: PLC0415

            return LightGBMModel(data)
        case "catboost":
            from leverframe.adapters.catboost import CatBoostModel  # noqa: PLC0415

            return CatBoostModel(data)


def _read(path: Path) -> bytes:
    try:
        return plain_file(path.resolve(), _MOST)  # DVC may link to its cache
    except ValueError as error:
        raise EstimatorError(
            f"the model {path} cannot be read",
            why=str(error),
            next="`dvc pull` fetches it, `dvc repro` makes it; `pipeline.model.path` or `--model` names it",
        ) from error
