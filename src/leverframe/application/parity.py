"""Compare the features of built partitions with those that a snapshot gives for their rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from leverframe.adapters.polars import PolarsTables
from leverframe.adapters.snapshot_file import SnapshotFile, write
from leverframe.application.snapshot import described
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.features.online import Span
from leverframe.domain.features.parity import Parity, run
from leverframe.domain.partition import Month, months
from leverframe.files import write_json


def parity(workspace: Workspace, partitions: Sequence[str] = ()) -> Parity:
    """Compare built partitions, by default those of the hold-out, which are also written down."""
    root, zone, plan = workspace.root, workspace.params.data.timezone, workspace.plan
    holdout = workspace.params.features.holdout
    chosen = [Month.of(each) for each in partitions] or months(holdout.first, holdout.last)
    with TemporaryDirectory() as folder:

        def opened(month: Month) -> SnapshotFile:
            path = Path(folder, f"{month}.bin")
            write(path, *described(workspace, Span(month.start(zone) - plan.ahead, month.plus(1).start(zone))))
            return SnapshotFile(path, spec=plan.spec)

        result = run(plan, chosen, PolarsTables(root), opened)
    if not partitions:
        write_json(root / layout.PARITY, result.to_json())
    return result
