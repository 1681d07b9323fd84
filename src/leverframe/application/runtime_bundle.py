"""What a runtime of MLServer, or a function, of an installed package predicts for the rows of a sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import packages_distributions, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.model.bundle.bundle_manifest import is_runtime
from leverframe.domain.model.bundle.conversion import limits, spread
from leverframe.domain.model.table import Table
from leverframe.domain.own_model.own_packing import DeclaredModel, Sample, Served, seen
from leverframe.domain.own_model.runtime_form import RuntimeForm, datatypes_of
from leverframe.errors import BundleError, EstimatorError, SourceError, nearest
from leverframe.serving.model_archive import archived
from leverframe.serving.model_process import ModelTask, OpenedModel


@dataclass(frozen=True)
class Runtime:
    """The import path of a runtime, and which of its outputs has the predictions, None for the first.

    ``columns`` are those that it gets, in their order, none for all but the label.
    """

    path: str
    output: str | None = None
    columns: tuple[str, ...] = ()


def by_runtime(
    runtime: Runtime, model: Path, table: Table, wanted: DeclaredModel, tell: Callable[[str], None]
) -> tuple[Sample, Served]:
    """Return rows that a runtime predicts with a model, and the archive of the model that it serves.

    Raises ``EstimatorError`` where it cannot be imported or does not take the rows, ``BundleError`` for labels in the
    place of probabilities.
    """
    if not is_runtime(runtime.path):
        raise EstimatorError(
            f"`{runtime.path}` is no import path",
            why="`--runtime` names a class, `package.module.Class`, or a function, `module:function`",
            next="name one of a package that is installed, such as `mlserver_xgboost.XGBoostModel`",
        )
    columns, data = _columns(runtime, table, wanted), archived(model)
    form = RuntimeForm(runtime.path, model.resolve().name, datatypes_of(table, columns), output=runtime.output)
    tell(f"predicting {table.height:,} rows with {model} ({runtime.path})")
    try:
        sample = _asked(form, data, table, columns)
    except EstimatorError as first:
        if form.is_function or not form.numbers_alone:
            raise
        try:
            sample = _asked(form := replace(form, input="matrix"), data, table, columns)
        except EstimatorError:  # of the two, the first says what is wrong with the columns
            raise first from None
    _refuse_labels(sample, wanted, runtime)
    _refuse_unlike(sample, wanted, OpenedModel(ModelTask("", runtime=form), data).predict(table, columns))
    how = f"served by `{runtime.path}`" + (", which gets one matrix" if form.input == "matrix" else "")
    return sample, Served("runtime", data, "runtime", how, _versions(form), form)


def _columns(runtime: Runtime, table: Table, wanted: DeclaredModel) -> list[str]:
    known = seen(table, wanted.label)
    missing = [name for name in runtime.columns if name not in known]
    if missing:
        raise SourceError(
            f"the sample has no column `{missing[0]}` that a model may see",
            why="`--column` names it",
            next=nearest(missing[0], known),
        )
    return list(dict.fromkeys(runtime.columns)) or known


def _asked(form: RuntimeForm, data: bytes, table: Table, columns: list[str]) -> Sample:
    about, predictions = OpenedModel(ModelTask("", runtime=form), data).asked(table, columns)
    return Sample(table, replace(about, names=tuple(columns)), predictions)


def _refuse_labels(sample: Sample, wanted: DeclaredModel, runtime: Runtime) -> None:
    """Raise ``BundleError`` where each prediction is 0 or 1: runtimes give labels first, and probabilities if asked."""
    if wanted.kind == "binary" and bool(np.isin(sample.predictions, (0.0, 1.0)).all()):
        function = ":" in runtime.path
        named = (
            f"the output `{runtime.output}`"
            if runtime.output
            else "what it returns"
            if function
            else "its first output"
        )
        fix = "return the probability of class 1, such as `model.predict_proba(rows)[:, 1]`"
        raise BundleError(
            f"`{runtime.path}` gives labels, and not probabilities",
            why=f"{named} is 0 or 1 for each of {sample.table.height:,} rows",
            next=fix if function else "name the output with probabilities, such as `--output predict_proba`",
        )


def _refuse_unlike(sample: Sample, wanted: DeclaredModel, again: NDArray[np.float64]) -> None:
    """Raise ``BundleError`` where another process predicts something else: no server would load such a bundle."""
    scale = spread(sample.predictions) if (wanted.kind or "regression") == "regression" else None
    expected, same = sample.predictions, False
    if again.shape == expected.shape:
        apart = np.abs(again - expected).reshape(len(expected), -1).max(axis=1)
        same = bool((apart <= limits(expected, wanted.tolerance, scale)).all())
    if not same:
        raise BundleError(
            "no server could serve the packed model",
            why="another process predicts something else for the same rows",
            next="let the model predict alike each time, from the columns of the sample alone",
        )


def _versions(form: RuntimeForm) -> dict[str, str]:
    owners = packages_distributions()
    modules = [form.module.partition(".")[0]] if form.is_function else [form.module.partition(".")[0], "mlserver"]
    return {name: version(name) for module in modules for name in owners.get(module, [])[:1]}
