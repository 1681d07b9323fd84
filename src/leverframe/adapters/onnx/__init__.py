"""ONNX: how a model becomes one (``convert``), in a process of its own, and how it predicts (``session``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import shorten
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.adapters.onnx.exchange import ConversionRequest, read_result, write_order
from leverframe.domain.features.training_set import Feature
from leverframe.settings.params import ConversionSettings

# Converts what lies in a folder within seconds: the exit code, None where the time was up, and what it said last.
Process = Callable[[Path, float], tuple[int | None, str]]


class Onnx:
    """The ``Converter`` port; ``process`` starts what may take forever, or all memory, and ends it in time."""

    def __init__(self, process: Process, limits: ConversionSettings, trusted: Sequence[str] = ()) -> None:
        self._process, self._limits, self._trusted = process, limits, tuple(trusted)

    def convert(
        self, model: bytes, features: Sequence[Feature], columns: Mapping[str, NDArray[Any]]
    ) -> tuple[bytes, NDArray[np.float64]]:
        """Return the model of a skops file in ONNX, and its (rows, classes) probabilities or (rows,) numbers.

        Raises ``BundleError`` where it cannot be converted, or not within the limits of time and memory.
        """
        with TemporaryDirectory(prefix="leverframe-") as place:
            folder = Path(place)
            write_order(
                folder, ConversionRequest(model, tuple(features), columns, self._limits.megabytes, self._trusted)
            )
            code, last = self._process(folder, self._limits.seconds)
            return read_result(folder, self._ended(code, last))

    def versions(self) -> dict[str, str]:
        """Return the versions of what converts and what predicts."""
        return {name: version(name) for name in ("onnx", "onnxruntime", "skl2onnx")}

    def _ended(self, code: int | None, last: str) -> str:
        if code is None:
            return f"took longer than {self._limits.seconds:g} seconds, `bundle.conversion.seconds`, and was ended"
        because = f": {shorten(last, 200, placeholder=' ...')}" if last.strip() else ""
        if code >= 0:
            return f"ended with exit code {code}{because}"
        limit = f"it may take {self._limits.megabytes:,} megabytes, `bundle.conversion.megabytes`"
        return f"was ended by signal {-code}{because}; {limit}"
