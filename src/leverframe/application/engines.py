"""Which engine runs a plan: found by name, so that a stage loads, and depends on, the one that is chosen alone."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leverframe.domain.features.build import Engine
    from leverframe.settings.params import FeaturesSettings

# The module of each engine; `domain/pipeline/stages.py` counts it to the code of the stages that run it.
ENGINES: Mapping[str, str] = {"duckdb": "leverframe.adapters.duckdb.engine", "spark": "leverframe.adapters.spark"}
# The module that trains elsewhere than on this machine, by engine; counted in the same way.
TRAINERS: Mapping[str, str] = {"spark": "leverframe.application.train_spark"}


def engine(settings: FeaturesSettings) -> Engine:
    """Return the engine that the settings name; raises ``PipelineError`` where what it needs is not installed."""
    module = importlib.import_module(ENGINES[settings.engine])
    made: Engine
    if settings.engine == "spark":
        made = module.spark_engine(settings.spark.master, settings.spark.memory)
    else:
        made = module.DuckDBEngine()
    return made
