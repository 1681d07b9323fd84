"""How a sorted frame reaches the driver: one partition at a time, as Arrow, so that memory is bounded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from leverframe.adapters.spark.tables import ROW


def streamed(frame: DataFrame) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a frame in its order."""
    for row in frame.mapInArrow(_packed, "batch binary").toLocalIterator(prefetchPartitions=True):
        with pa.ipc.open_stream(bytes(row.batch)) as reader:
            yield from reader


def in_order(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield batches in ``schema``, after a look that no row of the spine is twice there or out of order."""
    last = -1
    for batch in batches:
        rows = np.concatenate(([last], batch.column(ROW).to_numpy()))
        if not (np.diff(rows) > 0).all():  # an invariant; no input may break it
            raise AssertionError(f"rows of the spine are twice there or out of order after row {last}")
        last = int(rows[-1])
        columns = [batch.column(field.name).cast(field.type) for field in schema]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _packed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        yield pa.record_batch({"batch": pa.array([sink.getvalue().to_pybytes()], pa.binary())})
