"""Compare the features of built partitions with those that a snapshot gives for their rows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from leverframe.adapters.polars import PolarsTables
from leverframe.adapters.snapshot_file import SnapshotFile, write
from leverframe.application.snapshot import described
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.features.online import Span
from leverframe.domain.features.parity import Parity, run
from leverframe.domain.partition import Partition
from leverframe.files import write_json


def parity(workspace: Workspace, partitions: Sequence[str] = ()) -> Parity:
    """Compare built partitions, by default those of the hold-out, which are also written down."""
    root, plan, every, holdout = workspace.root, workspace.plan, workspace.partitions, workspace.params.features.holdout
    groups = [every.named(key) for key in partitions] or every.groups(holdout.first, holdout.last)
    with TemporaryDirectory() as folder:

        def opened(group: Partition) -> closing[SnapshotFile]:
            path, (start, end) = Path(folder, f"{group}.bin"), every.bounds(group)
            write(path, *described(workspace, Span(start - plan.lead_time, end)))
            return closing(SnapshotFile(path, spec=plan.spec))

        result = run(plan, groups, PolarsTables(root), opened)
    if not partitions:
        write_json(root / layout.PARITY, result.to_json())
    return result
