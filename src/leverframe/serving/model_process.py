"""A model that was trained elsewhere, opened in a process of its own.

Parsers in compiled code meet the file of a stranger there, and a function of the repository runs there: either may
crash, take all memory, or never end. Rows go in as Parquet, predictions come back as an array, and none is a pickle.
"""

from __future__ import annotations

import json
import os
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from leverframe.adapters.polars import PolarsTables
from leverframe.adapters.process import TIMED_OUT, run_group
from leverframe.documents import parsed, plain
from leverframe.domain.model.table import Table
from leverframe.domain.own_model.opened import ModelInfo, NativeFormat, itself
from leverframe.domain.own_model.runtime_form import RuntimeForm
from leverframe.errors import EstimatorError, PipelineError
from leverframe.redaction import for_server

ORDER, MODEL, ROWS = "order.json", "model", Path("rows.parquet")  # what a process is given
ABOUT, PREDICTIONS, FAILURE, CONVERSION, ONNX = (
    "about.json", "predictions.npy", "failure.json", "conversion.json", "model.onnx",
)  # fmt: skip
SECONDS, MEGABYTES = 600.0, 8192
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class ModelTask:
    """What a process is to do: open a model of ``format``, or import ``function`` below ``root``, and predict rows.

    ``file`` is the path of the model that the function may open, and ``runtime`` what opens an archive instead.
    ``columns`` are those that the model may see, None where nothing is to be predicted; ``asks`` lets it find out what
    the model takes in them, and ``tolerance`` convert it to ONNX, which may predict otherwise by no more.
    """

    root: str
    format: NativeFormat | None = None
    function: str | None = None
    columns: tuple[str, ...] | None = None
    trusted: tuple[str, ...] = ()
    megabytes: int = MEGABYTES
    asks: bool = False
    tolerance: float | None = None
    file: str | None = None
    runtime: RuntimeForm | None = None


@dataclass(frozen=True)
class OpenedModel:
    """A model in the bytes ``data`` of a file, or a function that the order names.

    Each call is a process that ends within ``seconds``. Raises ``EstimatorError`` for what cannot be opened.
    """

    order: ModelTask
    data: bytes = b""
    seconds: float = SECONDS

    @cached_property
    def about(self) -> ModelInfo:
        """What the file says; nothing of a function."""
        if self.order.function:
            return ModelInfo()
        with TemporaryDirectory(prefix="leverframe-") as place:
            return self._done(Path(place), self.order)

    def predict(self, table: Table, columns: Sequence[str]) -> NDArray[np.float64]:
        """Return what the model says to each row of a table, of which it may see ``columns``.

        Shape (rows,) of probabilities of class 1, or of numbers; (rows, classes) of a multiclass label. Raises
        ``EstimatorError`` for a column that the model needs and does not get, and for rows that it does not take.
        """
        return self._predicted(table, replace(self.order, columns=tuple(columns)))[1]

    def asked(self, table: Table, columns: Sequence[str]) -> tuple[ModelInfo, NDArray[np.float64]]:
        """Return what the file says, with what the model takes in the columns, and what it says to each row."""
        return self._predicted(table, replace(self.order, columns=tuple(columns), asks=True))

    def converted(self, table: Table, columns: Sequence[str], tolerance: float) -> tuple[bytes | None, str]:
        """Return the model in ONNX, None where that does not predict alike, and in words why, or how close it is."""
        with TemporaryDirectory(prefix="leverframe-") as place:
            folder = Path(place)
            try:
                self._done(folder, replace(self.order, columns=tuple(columns), tolerance=tolerance), table)
            except EstimatorError as error:  # the converter ran out of time or memory, or ended the process
                return None, itself(self.order.format or "onnx", f"the conversion to ONNX failed: {error.why}")
            why: str = json.loads((folder / CONVERSION).read_bytes())
            return (folder / ONNX).read_bytes() if (folder / ONNX).is_file() else None, why

    def _predicted(self, table: Table, order: ModelTask) -> tuple[ModelInfo, NDArray[np.float64]]:
        with TemporaryDirectory(prefix="leverframe-") as place:
            about = self._done(Path(place), order, table)
            return about, np.load(Path(place, PREDICTIONS), allow_pickle=False)

    def _done(self, folder: Path, order: ModelTask, table: Table | None = None) -> ModelInfo:
        """Let a process do what is ordered, in a folder that holds its results then."""
        (folder / MODEL).write_bytes(self.data)
        if table is not None:
            PolarsTables(folder).write(ROWS, {name: table.get_column(name) for name in order.columns or ()})
        (folder / ORDER).write_text(json.dumps(plain(order)), encoding="utf-8")
        ended = self._run(folder)
        if (folder / FAILURE).is_file():
            raise EstimatorError(**json.loads((folder / FAILURE).read_bytes()))
        if not (folder / ABOUT).is_file():
            raise EstimatorError(
                "the process that opens the model ended without a result",
                why=ended,
                next="see that the file is whole, and that the model needs no more memory or time than it has",
            )
        return parsed(ModelInfo, (folder / ABOUT).read_bytes())

    def _run(self, folder: Path) -> str:
        """Let a process do what its folder says; return in words how it ended."""
        lines: deque[str] = deque(maxlen=1)
        command = [sys.executable, "-P", "-m", "leverframe.serving.model_child", str(folder)]
        environment = {**for_server(os.environ), **_ONE_THREAD}
        work = Path(self.order.root) if self.order.function else folder
        try:
            code = run_group(command, lines.append, folder=work, environment=environment, timeout=self.seconds)
        except PipelineError as error:
            if error.code != TIMED_OUT:
                raise
            return f"it took longer than {self.seconds:g} seconds, and was ended"
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"{how}; it may take {self.order.megabytes:,} megabytes{''.join(f': {line[:200]}' for line in lines)}"
