"""Pack the trained model for serving."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from leverframe.adapters.disk import Disk
from leverframe.adapters.duckdb.statistics import DuckDBStatistician
from leverframe.adapters.onnx import Onnx
from leverframe.adapters.pandera.fields import fields
from leverframe.adapters.polars import PolarsTables
from leverframe.adapters.sklearn import SklearnModels
from leverframe.adapters.snapshot_file import SnapshotFile
from leverframe.application.conversion import in_child
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.data.profile import table_profile
from leverframe.domain.data.statistics import Survey
from leverframe.domain.model.bundle.packing import Bundle, Packed, run
from leverframe.errors import BundleError
from leverframe.files import write_folder, write_json
from leverframe.serving.bundle import OpenBundle


def bundle(workspace: Workspace, tell: Callable[[str], object] = str) -> Bundle:
    """Pack the trained model, open it as a server does, and write the folder and its report.

    ``tell`` is told of a conversion that takes long.
    """
    root, settings, plan = workspace.root, workspace.params, workspace.plan
    survey = Survey("train", "train", root / layout.TRAIN, settings.data.timezone)
    contract = workspace.declared("contracts", "CONTRACTS").get(plan.spine)
    packed = Packed(
        plan,
        SnapshotFile(root / layout.SNAPSHOT, spec=plan.spec),
        workspace.star.read_bytes(),
        fields(contract.schema) if contract else {},
        table_profile(DuckDBStatistician().measure(survey)),
    )
    trusted = settings.train.trusted_types
    converter = Onnx(in_child(root, tell), settings.bundle.conversion, trusted)
    made = run(PolarsTables(root), Disk(root), SklearnModels(root, trusted), converter, packed, settings.bundle)
    write_folder(root / layout.BUNDLE, made.files, partial(_refuse_unservable, trusted))
    write_json(root / layout.BUNDLE_REPORT, made.to_json())
    return made


def _refuse_unservable(trusted: Sequence[str], folder: Path) -> None:
    """Raise ``BundleError`` unless a server would open the bundle and predict its golden rows as training did."""
    try:
        OpenBundle(folder, trusted=trusted)
    except BundleError as error:
        raise BundleError(
            "no server could serve the packed model",
            why=error.why,
            next="raise `bundle.tolerance` in params.yaml, or choose an estimator that predicts alike each time",
        ) from error
