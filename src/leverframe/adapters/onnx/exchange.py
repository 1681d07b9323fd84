"""What a process that converts a model is given and gives back, as files of one folder; none of them is a pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.features.training_set import Feature
from leverframe.errors import BundleError
from leverframe.words import first_line

_MODEL, _ORDER, _NUMBERS, _TEXTS = "model.skops", "order.json", "numbers.npz", "texts.json"
_CONVERTED, _PREDICTIONS, _FAILURE = "model.onnx", "predictions.npy", "failure.json"


@dataclass(frozen=True)
class ConversionRequest:
    """A conversion: the ``model`` as bytes of a skops file, its features, and the rows to predict with the result.

    ``megabytes`` is the address space that the process may take, ``trusted`` names the types that the model may hold
    beside those that are known.
    """

    model: bytes
    features: tuple[Feature, ...]
    columns: Mapping[str, NDArray[Any]]
    megabytes: int
    trusted: tuple[str, ...] = ()


def write_order(folder: Path, order: ConversionRequest) -> None:
    """Write what the process needs."""
    texts = {name: column.tolist() for name, column in order.columns.items() if column.dtype == object}
    numbers = {name: column for name, column in order.columns.items() if name not in texts}
    about = {
        "features": [asdict(feature) for feature in order.features],
        "megabytes": order.megabytes,
        "trusted": order.trusted,
        "numbers": list(numbers),
    }
    (folder / _MODEL).write_bytes(order.model)
    (folder / _ORDER).write_text(json.dumps(about), encoding="utf-8")
    (folder / _TEXTS).write_text(json.dumps(texts), encoding="utf-8")
    np.savez(folder / _NUMBERS, *numbers.values())  # by place: a feature may be called as an argument


def megabytes_of(folder: Path) -> int:
    """Return the limit of memory alone, which is set before the rest is read."""
    return int(json.loads((folder / _ORDER).read_bytes())["megabytes"])


def read_order(folder: Path) -> ConversionRequest:
    """Return what was written."""
    about = json.loads((folder / _ORDER).read_bytes())
    texts = json.loads((folder / _TEXTS).read_bytes())
    with np.load(folder / _NUMBERS, allow_pickle=False) as kept:
        columns = {name: kept[f"arr_{place}"] for place, name in enumerate(about["numbers"])}
    columns |= {name: np.array([*values, None], object)[:-1] for name, values in texts.items()}
    features = tuple(Feature(**feature) for feature in about["features"])
    return ConversionRequest(
        (folder / _MODEL).read_bytes(), features, columns, about["megabytes"], tuple(about["trusted"])
    )  # fmt: skip


def write_result(folder: Path, data: bytes, predictions: NDArray[np.float64]) -> None:
    """Write the model in ONNX and what it predicts for the rows."""
    np.save(folder / _PREDICTIONS, predictions, allow_pickle=False)
    (folder / _CONVERTED).write_bytes(data)


def write_failure(folder: Path, what: str, why: str) -> None:
    """Write why there is no result."""
    data = json.dumps({"what": what, "why": why}).encode()
    temporary = folder / f"{_FAILURE}.new"  # memory may run out while it is written, too
    temporary.write_bytes(data)
    temporary.rename(folder / _FAILURE)


def read_result(folder: Path, ended: str) -> tuple[bytes, NDArray[np.float64]]:
    """Return model and predictions; raises ``BundleError`` for the failure, or with how the process ``ended``."""
    if (folder / _FAILURE).is_file():
        raise not_converted(**json.loads((folder / _FAILURE).read_bytes()))
    if not (folder / _CONVERTED).is_file():
        raise not_converted("the model cannot be converted to ONNX", f"the process that converts it {ended}")
    predictions = np.load(folder / _PREDICTIONS, allow_pickle=False)
    return (folder / _CONVERTED).read_bytes(), np.asarray(predictions, np.float64)


def short_line(error: Exception) -> str:
    """Return the first line of what an error says, cut between words where it is long."""
    return shorten(first_line(str(error).strip()), 240, placeholder=" ...")


def not_converted(what: str, why: str) -> BundleError:
    """Return the error for a model that has no form in ONNX."""
    return BundleError(what, why=why, next="the model is served by scikit-learn instead, which is slower")
