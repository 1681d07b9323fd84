"""A runtime of MLServer that is not ours, asked as MLServer asks it, on a loop of its own.

It gets rows that were checked, and no request: what it predicts is a prediction of the bundle like any other. Whether
it waits or computes, requests to others are answered meanwhile, unless its compiled code keeps the interpreter.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
import weakref
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.context import model_context
from mlserver.errors import MLServerError
from mlserver.settings import ModelParameters, ModelSettings
from mlserver.types import InferenceRequest, Parameters, RequestInput, RequestOutput, TensorData
from numpy.typing import NDArray

from leverframe.domain.own_model.opened import (
    Columns,
    ModelInfo,
    NativeModel,
    described,
    first_line,
    unopened,
    unpredicted,
)
from leverframe.domain.own_model.runtime_form import Datatype, RuntimeForm, not_importable
from leverframe.errors import EstimatorError
from leverframe.serving.model_archive import unpacked
from leverframe.serving.own_function import FunctionModel

LOADS, PREDICTS = 120.0, 60.0  # seconds that a runtime may take
_NAME = "leverframe"  # of the model in the runtime's own settings: it has no release
_T = TypeVar("_T")


def open_runtime(form: RuntimeForm, data: bytes) -> NativeModel:
    """Return the model in an archive, as the runtime or the function that the form names predicts it.

    Its files lie in a folder of ours as long as it is open. Raises ``EstimatorError`` where it cannot be imported or
    does not load the model.
    """
    symbol = _imported(form)
    folder = TemporaryDirectory(prefix="leverframe-")
    place = Path(folder.name, form.file)
    try:
        unpacked(data, Path(folder.name))
        if place.parent != Path(folder.name) or not place.exists() or form.file in ("", ".", ".."):
            raise ValueError(f"its archive has no {ascii(form.file)[:80]}")  # a path would lead out of it
    except ValueError as error:
        raise unopened(form.path, str(error)) from error
    opened: NativeModel
    opened = FunctionModel(form, symbol, place) if form.is_function else RuntimeModel(form, symbol, place)
    weakref.finalize(opened, folder.cleanup)
    return opened


def _imported(form: RuntimeForm) -> Any:
    try:
        symbol = getattr(importlib.import_module(form.module), form.name)
    except (Exception, SystemExit) as error:  # what a user's module raises is theirs to fix
        missing = error.name if isinstance(error, ModuleNotFoundError) and error.name else ""
        raise not_importable(form, missing, described(error)) from error
    if form.is_function and not callable(symbol):
        raise not_importable(form, "", "it is no function")
    if not form.is_function and not (isinstance(symbol, type) and issubclass(symbol, MLModel)):
        raise not_importable(form, "", "it is no class that inherits from `mlserver.MLModel`")
    return symbol


class RuntimeModel:
    """A model as a runtime of MLServer predicts it; raises ``EstimatorError`` for what it does not take."""

    about = ModelInfo()

    def __init__(self, form: RuntimeForm, runtime: type[MLModel], model: Path) -> None:
        self._form = form
        self._settings = ModelSettings(
            name=_NAME, implementation=runtime, parameters=ModelParameters(uri=str(model), version="1")
        )
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name=f"runtime {form.path}", daemon=True).start()
        self._model: Any = None
        try:
            self._model = self._done(self._made(runtime), LOADS)
            loaded = self._done(self._loaded(), LOADS)
        except Exception as error:  # a runtime raises what it likes
            raise unopened(form.path, described(error)) from error
        finally:
            weakref.finalize(self, _end, self._loop, self._model)
        if not loaded:
            raise unopened(form.path, "its `load` returns false")

    def predict(self, columns: Columns) -> NDArray[np.float64]:
        """Return what the runtime gives for each row: (n,), or (n, classes)."""
        request = asked(self._form, columns)
        try:
            return self._numbers(self._done(self._predicted(request), PREDICTS))
        except EstimatorError:
            raise
        except MLServerError as error:
            cause = ValueError(str(error)) if error.status_code < 500 else error
            raise unpredicted(f"`{self._form.path}`", first_line(error)) from cause
        except Exception as error:  # a runtime raises what it likes
            raise unpredicted(f"`{self._form.path}`", described(error)) from error

    async def _made(self, runtime: type[MLModel]) -> Any:
        return runtime(self._settings)

    async def _loaded(self) -> bool:
        with model_context(self._settings):
            self._model.ready = bool(await self._model.load())
            return bool(self._model.ready)

    async def _predicted(self, request: InferenceRequest) -> Any:
        with model_context(self._settings):
            return await self._model.predict(request)

    def _done(self, work: Coroutine[Any, Any, _T], seconds: float) -> _T:
        waiting = asyncio.run_coroutine_threadsafe(_contained(work), self._loop)
        try:
            return waiting.result(seconds)
        except TimeoutError:
            if waiting.done():  # of its own
                raise
            waiting.cancel()
            raise TimeoutError(f"it takes longer than {seconds:g} seconds") from None

    def _numbers(self, reply: Any) -> NDArray[np.float64]:
        outputs: Mapping[str, Any] = {output.name: output for output in reply.outputs}
        name = self._form.output or next(iter(outputs), "")
        output = outputs.get(name)
        if output is None:
            raise unpredicted(f"`{self._form.path}`", f"it has no output `{name}`, but {', '.join(outputs) or 'none'}")
        kind = getattr(output.datatype, "value", output.datatype)
        if kind == "BYTES":
            raise unpredicted(f"`{self._form.path}`", f"its output `{name}` has texts, not numbers")
        return np.asarray(NumpyCodec.decode_output(output), np.float64)


async def _contained(work: Coroutine[Any, Any, _T]) -> _T:
    """Wait for the work of a runtime; what would end its loop, and so every later prediction, is an error of it."""
    try:
        return await work
    except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
        raise RuntimeError(described(error)) from error


def _end(loop: asyncio.AbstractEventLoop, model: Any) -> None:
    """Let a runtime that nobody needs any more give back what it holds, and end its loop."""

    async def unloaded() -> None:
        with suppress(Exception):  # a runtime raises what it likes
            if model is not None:
                await asyncio.wait_for(model.unload(), PREDICTS)
        loop.stop()

    with suppress(RuntimeError):  # of a process that ends, the loop may have ended before
        asyncio.run_coroutine_threadsafe(unloaded(), loop)


def asked(form: RuntimeForm, columns: Columns) -> InferenceRequest:
    """Return rows as a request: an input a column, or one matrix."""
    outputs = [RequestOutput(name=form.output)] if form.output else None
    if form.input == "matrix":
        matrix = np.column_stack(list(columns.values()))
        one = _input("input", "FP64", list(matrix.shape), matrix.ravel().tolist())
        return InferenceRequest(inputs=[one], outputs=outputs, parameters=Parameters(content_type="np"))
    inputs = [_column(name, values, form.datatypes[name]) for name, values in columns.items()]
    return InferenceRequest(inputs=inputs, outputs=outputs, parameters=Parameters(content_type="pd"))


def _column(name: str, values: NDArray[Any], datatype: Datatype) -> RequestInput:
    shape = [len(values), 1]
    if values.dtype == object:
        return _input(name, "BYTES", shape, values.tolist(), "str")
    whole = datatype != "FP64" and bool(np.isfinite(values).all() and (values == np.floor(values)).all())
    if not whole or not bool((np.abs(values) < 2.0**63).all()):  # a missing value is a double
        return _input(name, "FP64", shape, values.tolist())
    return _input(name, datatype, shape, values.astype(bool if datatype == "BOOL" else np.int64).tolist())


def _input(name: str, datatype: str, shape: list[int], values: list[Any], content: str = "np") -> RequestInput:
    data = TensorData.model_construct(root=values)  # which would look at each value in turn
    return RequestInput(
        name=name, shape=shape, datatype=datatype, parameters=Parameters(content_type=content), data=data
    )
