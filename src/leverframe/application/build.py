"""Build the features of one partition, and write their profile and sketch."""

from __future__ import annotations

from leverframe.adapters.disk import Disk
from leverframe.adapters.duckdb.sketch import DuckDBSketcher
from leverframe.adapters.duckdb.statistics import DuckDBStatistician
from leverframe.application.engines import engine
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.data.profile import table_profile
from leverframe.domain.data.sketch import summed
from leverframe.domain.data.statistics import Survey
from leverframe.domain.features.build import Built, run
from leverframe.files import write_json


def build(workspace: Workspace, partition: str) -> Built:
    """Build the features of one group of partitions by the plan of ``star.yaml``."""
    root, settings, plan = workspace.root, workspace.params, workspace.plan
    group, partitions = workspace.partitions.named(partition), workspace.partitions
    built = run(plan, group, partitions, engine(settings.features), Disk(root).exists, root)
    path = root / built.path
    statistics = DuckDBStatistician().measure(Survey(layout.FEATURE_TABLE, partition, path, settings.data.timezone))
    sketch = summed(DuckDBSketcher(), path, plan.spine_key, statistics.current.columns)
    profiles = {"partition": partition, "tables": {layout.FEATURE_TABLE: table_profile(statistics)}}
    sketches = {"partition": partition, "tables": {layout.FEATURE_TABLE: sketch}}
    write_json(root / layout.feature_profile(partition), profiles)
    write_json(root / layout.feature_sketch(partition), sketches)
    return built
