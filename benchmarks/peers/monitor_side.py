"""Evidently's side of ``benchmarks.monitor``: its preset for drift on two tables, as its documentation runs it.

Runs in an environment of the peer's own, so that nothing of Leverframe may be imported here.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from pathlib import Path

os.environ["DO_NOT_TRACK"] = "1"  # before the imports: nothing is reported to anyone


def main() -> None:
    """Read both tables, run the preset, save the page, and print what each step took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.monitor_side", description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    root = parser.parse_args().root
    warnings.simplefilter("ignore")
    import pandas as pd  # noqa: PLC0415 - the import is part of what is measured
    from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415
    from evidently.presets import DataDriftPreset  # noqa: PLC0415

    reference, live = (
        pd.read_parquet(root / name) for name in ("evidently_reference.parquet", "evidently_live.parquet")
    )
    texts = [name for name in reference.columns if reference[name].dtype == object]
    numbers = [name for name in reference.columns if name not in texts]
    kinds = DataDefinition(numerical_columns=numbers, categorical_columns=texts)
    began, wall = time.process_time(), time.perf_counter()
    sides = [Dataset.from_pandas(frame, data_definition=kinds) for frame in (live, reference)]
    report = Report([DataDriftPreset()]).run(*sides)
    content = report.dict()
    cpu, wall = time.process_time() - began, time.perf_counter() - wall
    page = root / "evidently.html"
    report.save_html(str(page))
    metrics = len(content["metrics"])
    print(
        json.dumps({"wall": wall, "cpu": cpu, "peak": 0.0, "result": {"page": page.stat().st_size, "metrics": metrics}})
    )


if __name__ == "__main__":
    main()
