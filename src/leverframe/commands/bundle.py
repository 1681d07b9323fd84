"""Pack a model with everything that a server needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from leverframe import output, wiring
from leverframe.domain import layout

_FORMATS = ("onnx", "skops", "xgboost", "lightgbm", "catboost", "mlflow")
_KINDS = ("binary", "multiclass", "regression")
_file = click.Path(exists=True, path_type=Path)


@click.command(epilog="Examples: leverframe bundle --json; leverframe bundle --model model.ubj --sample rows.parquet")
@click.option("--json", "as_json", is_flag=True, help="Print the contents of the bundle as JSON.")
@click.option("--model", type=_file, help="A model trained elsewhere: a file, or a folder of MLflow.")
@click.option("--sample", type=_file, help="Rows that it predicts, as Parquet, CSV or JSON lines; with --model.")
@click.option("--runtime", help="What opens and predicts it instead, of an installed package: a runtime of MLServer, "
              "package.module.Class, or module:function.")  # fmt: skip
@click.option("--output", help="Output of the runtime with the predictions.  [default: the first]")
@click.option("--column", "columns", multiple=True,
              help="Column that the runtime gets; again for each, in order.  [default: all but the label]")  # fmt: skip
@click.option("--format", type=click.Choice(_FORMATS), help="Format of the model.  [default: told by its content]")
@click.option("--kind", type=click.Choice(_KINDS), help="Kind of its label.  [default: told by its file]")
@click.option("--label", help="Column of the sample with the label, which the model does not see.")
@click.option("--name", help="Name that it is served under.  [default: `pipeline.predictions.model`, or model]")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=layout.BUNDLE, show_default=True,
              help="Folder of the bundle; with --model.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Pack and verify, and write nothing; with --model.")
@click.option("--convert", type=click.Path(path_type=Path, file_okay=False), hidden=True,
              help="Convert the model in a folder and leave the result there: the child of the stage.")  # fmt: skip
def bundle(as_json: bool, model: Path | None, convert: Path | None, dry_run: bool, **own: Any) -> None:
    """Pack the model that the pipeline trained, or one that was trained elsewhere, with schema and golden rows.

    Without --model this is a stage: it converts the model to ONNX, compares that with scikit-learn, and packs it with
    the snapshot. With --model and --sample it opens a model of ONNX, skops, XGBoost, LightGBM, CatBoost or MLflow,
    infers what requests may hold from the sample, and packs it with what it predicts for rows of it. With --runtime,
    code of an installed package opens the model.
    """
    if convert is not None:  # the child that does the first of these
        from leverframe.application.conversion import convert as alone

        return alone(Path(), convert)
    packed = _own(model, dry_run, own) if model or own["sample"] or dry_run else _trained()
    output.product_json(packed.to_json()) if as_json else output.product("\n".join(packed.lines()))
    return None


def _trained() -> Any:
    from leverframe.application.bundle import bundle as run

    with wiring.stage("bundle") as (workspace, record):
        packed = run(workspace, output.progress)
        record.rows(packed.conversion.rows)
        return packed


def _own(model: Path | None, dry_run: bool, own: dict[str, Any]) -> Any:
    from leverframe.application.own_bundle import OwnBundleOptions, own_bundle

    if own["runtime"] is None and (own["output"] is not None or own["columns"]):
        raise click.UsageError("`--output` and `--column` are for a `--runtime`")
    if own["runtime"] is not None and own["format"] is not None:
        raise click.UsageError("`--format` is told to Leverframe, and a `--runtime` opens the model itself")
    if model is None or own["sample"] is None:
        raise click.UsageError("`--model` and `--sample` belong together, and `--dry-run` with them")
    return own_bundle(wiring.workspace(anywhere=True), OwnBundleOptions(model, dry_run=dry_run, **own), output.progress)
