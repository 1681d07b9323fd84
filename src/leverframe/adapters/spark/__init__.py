"""PySpark: runs the plan of the star compiler on a cluster, or on all cores of one machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leverframe.package import missing_package

if TYPE_CHECKING:
    from leverframe.adapters.spark.engine import SparkEngine


def spark_engine(master: str, memory: str) -> SparkEngine:
    """Return the engine; raises ``InstallationError`` where PySpark is not installed."""
    try:
        from leverframe.adapters.spark.engine import SparkEngine  # noqa: PLC0415 - an optional package
    except ImportError as error:
        raise missing_package(error, ", or set `features.engine: duckdb`") or error from error
    return SparkEngine(master, memory)
