"""Feast's side of ``benchmarks.peers_features``: one call of ``get_historical_features``, written as Parquet.

Runs in Feast's own environment, so that nothing of Leverframe but ``benchmarks.alternate`` may be
imported here. The feature repository is one file source, one entity and one feature view.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

os.environ["FEAST_USAGE"] = "False"  # before the import of feast: nothing is reported to anyone

import pandas as pd
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Float32

from benchmarks.alternate import measured

STORES = ("duckdb", "dask")
SETTINGS = """\
project: peers
provider: local
registry: registry.db
offline_store: {{type: {store}}}
online_store: {{type: sqlite, path: online.db}}
entity_key_serialization_version: 3
"""


def main() -> None:
    """Prepare the repository, then retrieve the features of all labels and print the ``Measure``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.feast_side", description=__doc__)
    parser.add_argument("--store", choices=STORES, required=True)
    parser.add_argument("--root", type=Path, required=True, help="folder of history.parquet and the spines")
    parser.add_argument("--labels", type=int, required=True)
    given = parser.parse_args()
    measured(retrieval(repository(given.root, given.store), given.root, given.store, given.labels))


def repository(root: Path, store: str) -> Any:
    """Write a feature repository for ``history.parquet`` and return its store."""
    folder = root / f"feast_{store}"
    folder.mkdir(exist_ok=True)
    (folder / "feature_store.yaml").write_text(SETTINGS.format(store=store), encoding="utf-8")
    features = FeatureStore(repo_path=str(folder))
    key = Entity(name="k", join_keys=["k"], value_type=ValueType.INT32)
    view = FeatureView(
        name="h",
        entities=[key],
        ttl=timedelta(0),  # unbounded: cheaper for Feast, and our tolerance excludes nothing of one year
        schema=[Field(name=name, dtype=Float32) for name in ("a", "b", "c")],
        source=FileSource(path=str(root / "history.parquet"), timestamp_field="known_at"),
    )
    features.apply([key, view])
    return features


def retrieval(features: Any, root: Path, store: str, labels: int) -> Callable[[], dict[str, Any]]:
    """Return the work that is measured: read the labels, look up, write."""

    def work() -> dict[str, Any]:
        spine = pd.read_parquet(root / f"spine_{labels}.parquet", columns=["id", "k", "event_time", "c"])
        spine = spine.rename(columns={"event_time": "event_timestamp", "c": "y"})
        table = features.get_historical_features(entity_df=spine, features=["h:a", "h:b", "h:c"]).to_arrow()
        pq.write_table(table, root / f"feast_{store}_{labels}.parquet", compression="zstd")
        return {}

    return work


if __name__ == "__main__":
    main()
