"""What opens a model that was trained elsewhere: `python -m leverframe.serving.model_child FOLDER`."""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from leverframe.documents import parsed, plain
from leverframe.domain.model.bundle.acceptance import accepted
from leverframe.domain.own_model.opened import ModelInfo, as_inputs, first_line, matched, outcome, unpredicted
from leverframe.domain.own_model.own_packing import features_of
from leverframe.domain.own_model.whole_numbers import with_whole
from leverframe.errors import EstimatorError, LeverframeError
from leverframe.imports import load
from leverframe.serving.model_process import (
    ABOUT,
    CONVERSION,
    FAILURE,
    MODEL,
    ONNX,
    ORDER,
    PREDICTIONS,
    ROWS,
    ModelTask,
)


def main(folder: Path) -> None:
    """Open the model that the order in a folder names, predict the rows beside it, and leave the result there."""
    order = parsed(ModelTask, (folder / ORDER).read_bytes())
    size, hard = order.megabytes << 20, resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (size if hard == resource.RLIM_INFINITY else min(size, hard), hard))
    try:
        about = _by_function(folder, order) if order.function else _by_file(folder, order)
    except LeverframeError as error:
        _fail(folder, error)
    except MemoryError:
        why = f"it needs more than {order.megabytes:,} megabytes"
        _fail(folder, EstimatorError("the model cannot be opened", why=why, next="give it fewer rows at once"))
    else:
        (folder / ABOUT).write_text(json.dumps(plain(about)), encoding="utf-8")


def _by_file(folder: Path, order: ModelTask) -> ModelInfo:
    from leverframe.adapters.polars import PolarsTables  # noqa: PLC0415 - within the limit of memory, as all that is heavy
    from leverframe.serving.formats import opened_as  # noqa: PLC0415 - as above
    from leverframe.serving.own_conversion import to_onnx  # noqa: PLC0415 - as above

    model = opened_as(order.format, order.runtime, (folder / MODEL).read_bytes(), order.trusted)
    if order.columns is not None:
        table = PolarsTables(folder).read(ROWS)
        names = matched(model.about, order.columns)
        inputs = as_inputs(table, names)
        np.save(
            folder / PREDICTIONS, outcome(model.predict(inputs), table.height, model.about.kind), allow_pickle=False
        )
        if order.asks or order.tolerance is not None:
            features = features_of(table, names)
            takes = accepted(model.predict, inputs, features, lambda: inputs)
            if order.runtime is not None:
                takes = with_whole(takes, order.runtime.datatypes, model.predict, inputs, features)
            about = replace(model.about, accepts=takes)
            if order.tolerance is not None and order.format is not None:
                _convert(folder, to_onnx(order.format, model, about, (features, inputs), order.tolerance))
            return about
    return model.about


def _convert(folder: Path, conversion: tuple[bytes | None, str]) -> None:
    (folder / CONVERSION).write_text(json.dumps(conversion[1]), encoding="utf-8")
    if conversion[0] is not None:
        (folder / ONNX).write_bytes(conversion[0])


def _by_function(folder: Path, order: ModelTask) -> ModelInfo:
    from leverframe.adapters.polars import PolarsTables  # noqa: PLC0415 - as above
    from leverframe.serving.own_function import asked  # noqa: PLC0415 - as above

    assert order.function is not None  # noqa: S101 - as above
    function = load(order.function, Path(order.root), said_by="`pipeline.model.predict`")
    table = PolarsTables(folder).read(ROWS)
    try:
        predictions = asked(function, table.to_arrow(), Path(order.file) if order.file else None)
    except Exception as error:  # a function of a user raises what it likes
        raise unpredicted(f"`{order.function}`", f"{type(error).__name__}: {first_line(error)}") from error
    np.save(folder / PREDICTIONS, outcome(predictions, table.height, None), allow_pickle=False)
    return ModelInfo()


def _fail(folder: Path, error: LeverframeError) -> None:
    failure = {"what": error.what, "why": error.why, "next": error.next}
    temporary = folder / f"{FAILURE}.new"
    temporary.write_text(json.dumps(failure), encoding="utf-8")
    temporary.rename(folder / FAILURE)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
