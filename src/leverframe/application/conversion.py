"""Convert a model to ONNX in a process of its own: a converter may run forever, take all memory, or end its process."""

from __future__ import annotations

import os
import resource
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from threading import Timer

from leverframe.adapters.onnx import Process
from leverframe.adapters.onnx.exchange import (
    megabytes_of,
    not_converted,
    read_order,
    short_line,
    write_failure,
    write_result,
)
from leverframe.adapters.process import TIMED_OUT, run_group
from leverframe.errors import LeverframeError, PipelineError

_LONG = 5.0  # seconds of a conversion after which a person wants to know what is going on
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def in_child(root: Path, tell: Callable[[str], object] = str) -> Process:
    """Return what converts the model in a folder by a child that ends in time, and whenever this process does.

    ``tell`` is told of a conversion that takes long.
    """

    def run(folder: Path, seconds: float) -> tuple[int | None, str]:
        command = [sys.executable, "-P", "-m", "leverframe", "bundle", "--convert", str(folder)]
        lines: deque[str] = deque(maxlen=3)
        environment = {**os.environ, **_ONE_THREAD}
        environment.pop("DVC_STAGE", None)  # it ends with this process, which ends with DVC
        words = f"converting the model to ONNX, for up to {seconds:g} seconds (`bundle.conversion.seconds`)"
        timer = Timer(_LONG, tell, [words])
        timer.start()
        try:
            code = run_group(command, lines.append, folder=root, environment=environment, timeout=seconds)
        except PipelineError as error:
            if error.code != TIMED_OUT:
                raise
            return None, ""
        finally:
            timer.cancel()
        whys = [line.partition("why:")[2].strip() for line in lines if line.startswith("  why:")]  # of an error of ours
        return code, [*lines, *whys][-1] if lines else ""

    return run


def convert(root: Path, folder: Path) -> None:
    """Convert the model in ``folder``, and predict its rows with the result; leave both there, or why not."""
    size = megabytes_of(folder) << 20
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (size if hard == resource.RLIM_INFINITY else min(size, hard), hard))
    try:
        _convert(root, folder)
    except LeverframeError as error:
        write_failure(folder, error.what, error.why)
    except MemoryError:
        why = f"the conversion needs more than {size >> 20:,} megabytes, `bundle.conversion.megabytes`"
        write_failure(folder, "the model cannot be converted to ONNX", why)
    except Exception as error:  # the runtime raises what it likes, for a node that fails with these rows
        write_failure(folder, "the model in ONNX cannot predict", f"{type(error).__name__}: {short_line(error)}")


def _convert(root: Path, folder: Path) -> None:
    from leverframe.adapters.onnx.convert import converted  # noqa: PLC0415 - within the limit
    from leverframe.adapters.onnx.session import OnnxModel  # noqa: PLC0415 - as above
    from leverframe.adapters.sklearn import SklearnModels  # noqa: PLC0415 - as above
    from leverframe.adapters.sklearn.tree_bounds import split_on_missing  # noqa: PLC0415 - as above

    order = read_order(folder)
    model = SklearnModels(root, order.trusted).load(order.model)
    if split_on_missing(model):
        raise not_converted(
            "the model cannot be converted to ONNX",
            "its trees learned from missing values, which sends the converter round for ever; behind a step that fills "
            "them, such as `SimpleImputer`, they convert",
        )
    data = converted(model, order.features)
    write_result(folder, data, OnnxModel(data).predict(order.columns))
