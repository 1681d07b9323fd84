"""PySpark: runs the plan of the star compiler on a cluster, or on all cores of one machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leverframe.errors import PipelineError

if TYPE_CHECKING:
    from leverframe.adapters.spark.engine import SparkEngine


def spark_engine(master: str, memory: str) -> SparkEngine:
    """Return the engine; raises ``PipelineError`` where PySpark is not installed."""
    try:
        from leverframe.adapters.spark.engine import SparkEngine  # noqa: PLC0415 - an optional package
    except ModuleNotFoundError as error:
        raise PipelineError(
            "the engine `spark` cannot start",
            why=f"the Python package `{error.name}` is not installed",
            next="`pip install 'leverframe[spark]'`, or set `features.engine: duckdb`",
        ) from error
    return SparkEngine(master, memory)
