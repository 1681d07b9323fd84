"""A model that was trained elsewhere: of which format its file is, what it says of itself, and rows as it takes them.

Every format has one form of input: columns of doubles with NaN, or of texts with None. And one of output: the
probability of class 1 or a number, shape (rows,); of a multiclass label a probability a class, shape (rows, classes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.bundle.schema import Accepted
from leverframe.domain.model.table import Table
from leverframe.errors import EstimatorError, guide_page, nearest

NativeFormat = Literal["onnx", "skops", "xgboost", "lightgbm", "catboost"]

_PICKLES = (".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle")
_HEAD = 4096  # bytes that tell a format
TEXTS = ("String", "Categorical", "Enum")  # types of polars whose values are texts
GUIDE = "own-model.md"

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class ModelInfo:
    """What a model file says of itself.

    ``names`` are its inputs in the order of the model and ``width`` is their number, None where it knows none;
    ``kind`` is that of its label, None where the file does not tell, and ``classes`` are in the order of
    probabilities, empty where it has none or does not name them. ``accepts`` is what the model takes in inputs where
    that is not everything, which no file says: it is asked with rows.
    """

    names: tuple[str, ...] | None = None
    width: int | None = None
    kind: LabelKind | None = None
    classes: tuple[str, ...] = ()
    accepts: Mapping[str, Accepted] = field(default_factory=dict)


class NativeModel(Protocol):
    """A model of one format, open in this process."""

    @property
    def about(self) -> ModelInfo:
        """What its file says."""

    def predict(self, columns: Columns) -> NDArray[np.float64]:
        """Return what the model says to n rows: (n,), or (n, classes); ``columns`` are its inputs in their order.

        Raises ``EstimatorError`` for what it does not take.
        """


def format_of(name: str, data: bytes) -> NativeFormat:
    """Return the format of a file that is called ``name``, by its content first; raises ``EstimatorError`` for none."""
    head = data[:_HEAD]
    if head[:4] == b"CBM1":
        return "catboost"
    if head[:5] == b"tree\n":
        return "lightgbm"
    if head[:2] == b"PK":
        return "skops"
    if head[:1] == b"{" and b"learner" in head:
        return "xgboost"
    if head[:1] == b"\x08" or name.lower().endswith(".onnx"):  # the version of its form comes first
        return "onnx"
    raise EstimatorError(
        f"{name} is no model of a format that Leverframe opens",
        why="formats are ONNX, skops, XGBoost (.json, .ubj), LightGBM (.txt), CatBoost (.cbm) and folders of MLflow",
        next=f"save the model in one of these, or name a function: `predict: module:function`, {guide_page(GUIDE)}",
    )


def is_pickle(name: str, data: bytes) -> bool:
    """Tell whether a file is a pickle by its first byte, or by its name, as where one is compressed."""
    return data[:1] == b"\x80" or name.lower().endswith(_PICKLES)


def pickled(name: str) -> EstimatorError:
    """Return the error for a pickle, which is never opened."""
    return EstimatorError(
        f"{name} is a pickle, which is not opened",
        why="opening a pickle runs whatever code it holds",
        next="save the model in the format of its library (`save_model`), by skops or as ONNX; or name a function of "
        f"the repository that predicts, `predict: module:function`: {guide_page(GUIDE)}",
    )


def matched(about: ModelInfo, columns: Sequence[str]) -> list[str]:
    """Return which of the ``columns`` the model takes, in its order.

    A model that knows no names takes all of them as they stand. LightGBM writes `_` for a space in a name. Raises
    ``EstimatorError`` for an input without a column.
    """
    if about.names is None:
        if about.width not in (None, len(columns)):
            raise EstimatorError(
                f"the model takes {about.width} columns, and there are {len(columns)}",
                why="its file does not name them, so every column of the table that is no label must be one of them",
                next="name the `features` in the order of training, or train with the names of columns",
            )
        return list(columns)
    spaced = {name.replace(" ", "_"): name for name in columns}
    matches = [name if name in columns else spaced.get(name) for name in about.names]
    missing = [name for name, column in zip(about.names, matches, strict=True) if column is None]
    if missing:
        raise EstimatorError(
            f"the rows have no column `{missing[0]}`" + (f", nor {len(missing) - 1} others" if missing[1:] else ""),
            why="the model was trained with it",
            next=nearest(missing[0], columns),
        )
    return [column for column in matches if column is not None]


def as_inputs(table: Table, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return columns of a table as models take them; raises ``EstimatorError`` for other than numbers and texts."""
    return {name: _input(name, table.get_column(name)) for name in names}


def _input(name: str, column: Any) -> NDArray[Any]:
    kind = str(column.dtype).partition("(")[0]
    if kind in TEXTS:
        texts: NDArray[Any] = np.array([*column.cast(str).to_list(), None], object)[:-1]
        return texts
    if column.dtype.is_numeric() or kind in ("Boolean", "Null"):
        return np.asarray(column.cast(float).to_numpy(), np.float64)
    raise EstimatorError(
        f"the column `{name}` is of type {column.dtype}",
        why="a model takes numbers, booleans and texts",
        next="leave it out of `features`, or derive a number",
    )


def outcome(predictions: Any, rows: int, kind: LabelKind | None) -> NDArray[np.float64]:
    """Return predictions in the one form of output; raises ``EstimatorError`` for what is none for each row.

    Two probabilities a row are, unless ``kind`` is multiclass, that of class 1.
    """
    try:
        values = np.asarray(predictions, np.float64)
    except (TypeError, ValueError) as error:
        raise unpredicted("the model", f"it gives no numbers: {first_line(error)}", _FORM) from error
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim not in (1, 2) or len(values) != rows:
        raise unpredicted("the model", f"it gives values of shape {values.shape} for {rows} rows", _FORM)
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values).reshape(rows, -1).all(axis=1)))
        raise unpredicted("the model", f"its prediction for row {row} is no finite number", _FORM)
    return values[:, 1] if values.ndim == 2 and values.shape[1] == 2 and kind != "multiclass" else values


def unopened(library: str, why: str) -> EstimatorError:
    """Return the error for a file that is no model of ``library``."""
    return EstimatorError(
        f"the model cannot be opened with {library}",
        why=why,
        next="see that the file is whole, and that no newer version of the library wrote it",
    )


_TAKES = "give it the columns, and values of the kinds, that the model was trained with"
_FORM = f"{_TAKES}; a function of yours returns a finite number, or a list of probabilities, for each row"


def unpredicted(library: str, why: str, next: str = _TAKES) -> EstimatorError:
    """Return the error for rows that a model of ``library`` does not take."""
    return EstimatorError(f"{library} cannot predict these rows", why=why, next=next)


def itself(format: NativeFormat, why: str = "") -> str:
    """Return in words that the library of a model serves it, and why not ONNX."""
    return f"served by {format} itself" + (f": {why}" if why else "")


def described(error: BaseException) -> str:
    """Return the kind of an error and the first line of what it says."""
    return f"{type(error).__name__}: {first_line(error)}"


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says."""
    try:
        message = str(error)
    except Exception:  # an error of a user's code may be unable to tell what it is
        message = ""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
