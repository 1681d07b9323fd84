"""A function of an installed package that predicts: it gets rows as a table of Arrow, and the path of its model."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.own_model.opened import Columns, ModelInfo, described, unpredicted
from leverframe.domain.own_model.runtime_form import RuntimeForm
from leverframe.errors import EstimatorError


def asked(function: Callable[..., Any], table: Any, model: Path | None) -> Any:
    """Return what a function says to a table; one of two parameters gets the path of the model as well."""
    return function(table, model) if model is not None and _takes_two(function) else function(table)


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        given = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of compiled code nobody knows
        return False
    needed = [
        parameter
        for parameter in given
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    return len([parameter for parameter in needed if parameter.default is parameter.empty]) == 2


class FunctionModel:
    """A model as one function predicts it; raises ``EstimatorError`` for what it does not take."""

    about = ModelInfo()

    def __init__(self, form: RuntimeForm, function: Callable[..., Any], model: Path) -> None:
        self._form, self._function, self._model = form, function, model

    def predict(self, columns: Columns) -> NDArray[np.float64]:
        """Return what the function gives for each row: (n,), or (n, classes)."""
        from leverframe.adapters.pyarrow import arrow_table  # noqa: PLC0415 - heavy, for most servers for nothing

        table = arrow_table(columns, self._form.datatypes)
        try:
            return np.asarray(asked(self._function, table, self._model), np.float64)
        except (Exception, SystemExit, GeneratorExit, asyncio.CancelledError) as error:  # it raises what it likes
            raise self._failed(error, columns) from error
        except KeyboardInterrupt as error:
            if threading.current_thread() is threading.main_thread():  # a person's
                raise
            raise self._failed(error, columns) from error

    def _failed(self, error: BaseException, columns: Columns) -> EstimatorError:
        names = ", ".join(columns)
        taken = f"{names[:200]}..." if len(names) > 200 else names
        fix = f"let it take a table of Arrow with {taken}, and return a number, or probabilities, for each row"
        return unpredicted(f"`{self._form.path}`", described(error), fix)
