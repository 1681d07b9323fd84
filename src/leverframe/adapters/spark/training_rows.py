"""The rows that a model learns from, as a frame: each feature a double or a text, the label beside them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name that every reader of Spark knows
from pyspark.sql.types import StructField, StructType, _parse_datatype_string

from leverframe.adapters.spark.parquet import Types, type_of, types_of
from leverframe.adapters.spark.tables import _GLOB, _NAMES, ROW, named
from leverframe.domain.features.training_set import LABEL, Feature, Label
from leverframe.domain.model.distributed import CLASSES, LabelValues
from leverframe.errors import SourceError, nearest

_AGAIN = "run `dvc repro`, so that data and definition match again"


class TrainingRows:
    """A Parquet file on the cluster; ``path`` is what errors call ``file``.

    Raises ``SourceError`` for a file that is missing, damaged, or of other columns.
    """

    def __init__(self, spark: SparkSession, file: Path, path: Path, features: Iterable[Feature]) -> None:
        self._spark, self.file, self._path = spark, file, path
        self._features = tuple(features)
        if not file.is_file():
            raise SourceError(
                f"cannot read {path}", why="there is no such file", next="`dvc pull` fetches it, `dvc repro` makes it"
            )
        self._types = types_of(file)
        for feature in self._features:
            self._check(feature)
        self._has(LABEL)

    def frame(self, label: Label, classes: tuple[Any, ...] = (), *, numbered: bool = False) -> DataFrame:
        """Return the rows, the label as a double: of several classes its place among them.

        ``numbered`` adds the place of each row in the file.
        """
        columns = [_input(feature, self._types[feature.name]).alias(feature.name) for feature in self._features]
        known = named(LABEL).cast("double")
        if label.kind == "multiclass":
            kind = "string" if any(isinstance(value, str) for value in classes) else "bigint"
            values = F.array(*(F.lit(value).cast(kind) for value in classes))
            known = (F.array_position(values, named(LABEL).cast(kind)) - 1).cast("double")
        place = [F.col("_metadata.row_index").alias(ROW)] if numbered else []
        return self._read().select(*columns, known.alias(LABEL), *place)

    def labels(self, label: Label) -> LabelValues:
        """Return what the labels are, without fetching them."""
        dtype = self._types[LABEL]
        shown = _label_type(dtype)
        frame = self._read().select((named(LABEL).cast(shown) if shown else named(LABEL)).alias(LABEL))
        numbers = label.kind == "regression" and not pa.types.is_string(dtype)
        columns = [F.count("*").alias("rows"), F.count(LABEL).alias("known")]
        if numbers:
            nan = F.count(F.when(F.isnan(F.col(LABEL).cast("double")), 1)).alias("nan")
            columns += [F.min(LABEL).alias("low"), F.max(LABEL).alias("high"), nan]
        row = frame.agg(*columns).collect()[0]
        rows, missing = int(row["rows"]), int(row["rows"]) - int(row["known"])
        if numbers:
            ends = [row["low"], row["high"], *([float("nan")] if row["nan"] else [])]
            return LabelValues(rows, missing, np.array([end for end in ends if end is not None]))
        several = frame.where(F.col(LABEL).isNotNull()).groupBy(LABEL).count().select(LABEL).limit(CLASSES + 1)
        values = [group[LABEL] for group in several.collect()]
        texts = any(isinstance(value, str) for value in values)
        return LabelValues(rows, missing, np.array(sorted(values), object if texts else None))

    def _read(self) -> DataFrame:
        wanted = [*(feature.name for feature in self._features), LABEL]
        held = {name: self._types[name] for name in dict.fromkeys(wanted)}
        stored = StructType([StructField(name, _parse_datatype_string(_stored(held[name]))) for name in held])
        return self._spark.read.schema(stored).parquet("file://" + _GLOB.sub(r"\\\1", str(self.file.resolve())))

    def _has(self, name: str) -> None:
        if name not in self._types:
            raise SourceError(
                f"{self._path} has no column `{name}`",
                why=f"the file has {len(self._types)} columns, and {nearest(name, self._types)}",
                next=_AGAIN,
            )

    def _check(self, feature: Feature) -> None:
        self._has(feature.name)
        dtype = self._types[feature.name]
        number = pa.types.is_integer(dtype) or pa.types.is_floating(dtype) or pa.types.is_boolean(dtype)
        fits = number or pa.types.is_decimal(dtype) if feature.kind != "categorical" else pa.types.is_string(dtype)
        if not fits:
            raise SourceError(
                f"feature `{feature.name}` is {feature.kind}, its column in {self._path} is {type_of(dtype)}",
                why="Spark trains on numbers, booleans and texts as they were declared",
                next=f"{_AGAIN}; or set `train.engine: sklearn`",
            )


def columns_of(table: pa.Table, types: Types) -> dict[str, NDArray[Any]]:
    """Return columns of a small table as arrays: texts as objects, None where one is missing."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, dtype in types.items():
        values = table.column(name)
        texts = np.array([*values.to_pylist(), None], object)[:-1]
        arrays[name] = texts if pa.types.is_string(dtype) else values.to_numpy().astype(np.float64)
    return arrays


def _input(feature: Feature, dtype: pa.DataType) -> Column:
    if feature.kind == "categorical":
        return named(feature.name)
    value = named(feature.name).cast("double") if not pa.types.is_boolean(dtype) else named(feature.name).cast("int")
    return F.coalesce(value.cast("double"), F.lit(float("nan")))


def _stored(dtype: pa.DataType) -> str:
    """Return how Spark calls the type of a column of the file."""
    if pa.types.is_decimal(dtype):
        return f"decimal({dtype.precision},{dtype.scale})"
    return "decimal(20,0)" if dtype == pa.uint64() else _NAMES.get(dtype, "string")


def _label_type(dtype: pa.DataType) -> str | None:
    """Return as what a label is looked at, None where as what it is."""
    if pa.types.is_boolean(dtype):
        return "int"
    return "double" if pa.types.is_decimal(dtype) else "bigint" if pa.types.is_unsigned_integer(dtype) else None
