"""The public names of Leverframe: what a case imports in its sources.py, contracts.py and model.py.

``from leverframe.case import Source, Csv, Contract, UniqueKey``. These names keep their meaning within a
major version; every other module is private. Nothing heavy is imported here.

- sources.py: ``Source`` with a reader, ``Csv``, ``Parquet``, ``Query`` or ``Function``, which gets a ``Partition``
- contracts.py: ``Contract`` with a pandera schema and the monitors ``UniqueKey``, ``ForeignKey``, ``SchemaDiff``,
  ``Freshness``, ``Volume`` and ``NullRate``, each with a ``Severity``
- model.py: an estimator function gets a ``Label`` and the ``Feature``s of the training set; it returns a scikit-learn
  compatible estimator, or with ``train.engine: spark`` one of ``pyspark.ml`` or ``xgboost.spark``
"""

from __future__ import annotations

from leverframe.domain.data.constraint import Severity
from leverframe.domain.data.contract import Contract
from leverframe.domain.data.ingest import Source
from leverframe.domain.data.readers import Csv, Function, Parquet, Query
from leverframe.domain.data.shape import ForeignKey, SchemaDiff, UniqueKey
from leverframe.domain.data.trend import Freshness, NullRate, Volume
from leverframe.domain.features.training_set import Feature, Label
from leverframe.domain.partition import Partition

__all__ = [
    "Contract",
    "Csv",
    "Feature",
    "ForeignKey",
    "Freshness",
    "Function",
    "Label",
    "NullRate",
    "Parquet",
    "Partition",
    "Query",
    "SchemaDiff",
    "Severity",
    "Source",
    "UniqueKey",
    "Volume",
]
