"""The plan on Spark: lookups as joins, time as buckets that meet the kernel, Parquet out as a stream."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from leverframe.adapters.spark import parquet
from leverframe.adapters.spark.session import session
from leverframe.adapters.spark.steps import Steps
from leverframe.adapters.spark.stream import in_order, streamed
from leverframe.adapters.spark.tables import need_zone, needed_types
from leverframe.domain.data.column_types import NOTHING, kind
from leverframe.domain.features.build import Inputs, refuse_unknown
from leverframe.domain.features.plan import Plan
from leverframe.files import replacing


class SparkEngine:
    """The ``Engine`` port on a cluster, or on all cores of one machine.

    Each build starts a session and stops it, unless it is given one that is ``running``. The files
    must lie where every worker finds them under the same path, and Leverframe must be installed there.
    """

    def __init__(self, master: str, memory: str, *, running: SparkSession | None = None) -> None:
        self._master, self._memory, self._running = master, memory, running

    def columns(self, files: Sequence[Path], added: Collection[str] = ()) -> dict[str, str]:
        """Return the columns of a table with their kind; raises ``SourceError`` for a damaged file."""
        kinds = {name: kind(parquet.type_of(dtype)) for name, dtype in parquet.types_together(files).items()}
        if parquet.has_rows(files):
            return kinds
        return {
            name: NOTHING if column_kind == "text" and name in added else column_kind
            for name, column_kind in kinds.items()
        }

    def build(self, plan: Plan, inputs: Inputs, out: Path) -> int:
        """Write a row for each row of the spine, in its order, and return their number.

        Raises ``DefinitionError`` before anything is computed for a plan that Spark cannot run:
        a type of ``needed_types``, a step it does not know, a time zone that Java does not know.
        """
        refuse_unknown(plan)
        types = needed_types(plan, inputs)
        with self._session(inputs.files()) as spark, replacing(out) as temporary:
            need_zone(spark, plan.timezone)
            steps = Steps(spark, plan, inputs, types)
            steps.check()
            frame, schema = steps.joined()
            wanted = steps.rows()
            written = parquet.write(temporary, schema, in_order(streamed(frame), schema), plan.spec)
            if written != wanted:  # an invariant of the compiler; no input may break it
                raise AssertionError(f"{written} rows came out for {wanted} rows of the spine")
            return written

    @contextmanager
    def _session(self, files: Sequence[Path]) -> Iterator[SparkSession]:
        try:
            if self._running is not None:
                yield self._running
                return
            with session(self._master, self._memory) as spark:
                yield spark
        except (PySparkException, Py4JError) as error:
            raise (parquet.damage(files) or error) from error
