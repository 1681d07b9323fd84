"""A merged retraining and the model before it on logged requests whose labels came true since."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from leverframe.adapters.disk import Disk
from leverframe.adapters.duckdb.labels import Labels
from leverframe.adapters.duckdb.requests import Requests
from leverframe.adapters.dvc.remotes import RemoteFiles
from leverframe.adapters.polars import PolarsTables
from leverframe.adapters.sklearn import SklearnModels
from leverframe.application.champion import champion
from leverframe.application.log_files import NO_LABELS, log_files
from leverframe.application.servers import server_folder
from leverframe.application.workspace import Workspace
from leverframe.domain.features.training_set import Feature
from leverframe.domain.model.evaluate.holdout import Holdout, numbered
from leverframe.domain.model.evaluate.ranking import Floats
from leverframe.domain.monitoring.batch import Batch, LabelledRows, LogFacts, Numbers, RequestLog, Values
from leverframe.domain.monitoring.log_query import LogFile, LogQuery
from leverframe.domain.monitoring.monitor_result import Monitored
from leverframe.domain.monitoring.subject import monitored_columns
from leverframe.domain.monitoring.window_summary import WindowSpan
from leverframe.domain.partition import Partition
from leverframe.domain.retraining.aftercare import Aftercare, aftercare, by_band, deciding_metric
from leverframe.domain.review.gate.paired import Pair
from leverframe.domain.review.gate.pairing import Side
from leverframe.errors import LeverframeError
from leverframe.settings.monitor import LabelSettings

_DAY = timedelta(days=1)

Tell = Callable[[str], None]


@dataclass(frozen=True)
class MergedRetraining:
    """A retraining on the base branch: its last commit, the one before its first, and when it was merged."""

    commit: str
    before: str
    at: datetime


def watched(
    workspace: Workspace,
    environment: str,
    merged: MergedRetraining,
    monitored: Monitored | None,
    now: datetime,
    tell: Tell,
) -> Aftercare:
    """Return whether the merged model is worse than the one before, on requests of whole days whose labels are due.

    Both predict the logged features anew, whichever of them served a request. Without a case, where no model can be
    asked, the monitor's result decides. Where a comparison is not possible, the reason is in the result.
    """
    if workspace.levers.pipeline.predictions is not None:
        return by_band(monitored, merged.at)
    labels, spans = workspace.levers.monitor.labels, _spans(workspace, merged, now)
    if labels is None:
        return _nothing("`monitor.labels` in leverframe.yaml names no labels")
    if not spans:
        return _nothing("no whole day since the merge has its labels yet")
    try:
        with ExitStack() as stack:
            before = stack.enter_context(champion(workspace, workspace.git.named(merged.before), tell))
            after = stack.enter_context(champion(workspace, workspace.git.named(merged.commit), tell))
            if before is None or after is None:
                return _nothing("the commit of the merge, or the one before it, has no model")
            log = workspace.levers.monitor.log or str(server_folder(workspace, environment).folder / "log")
            within = (spans[0].start, spans[-1].end)
            files = stack.enter_context(log_files(log, workspace.root, RemoteFiles, within))
            late = stack.enter_context(log_files(labels.path, workspace.root, RemoteFiles, nothing=NO_LABELS))
            return _compared(workspace, (_side(after), _side(before)), _Read(files, late, labels, spans, now))
    except LeverframeError as error:
        return _nothing(f"{error.what}: {error.why}")


def _nothing(why: str) -> Aftercare:
    return Aftercare(worse=False, why=f"the models were not compared on requests since the merge: {why}")


def _spans(workspace: Workspace, merged: MergedRetraining, now: datetime) -> list[WindowSpan]:
    """Return the days that began after the merge, within the watch, whose labels are due."""
    zone, delay = workspace.params.data.timezone, workspace.levers.monitor.performance.label_delay_days
    first = Partition.at(merged.at.astimezone(ZoneInfo(zone)).replace(tzinfo=None), "day").plus(1)
    days = (WindowSpan.of(first.plus(day), zone) for day in range(int(workspace.levers.retrain.watch_days)))
    return [span for span in days if span.end + delay * _DAY <= now]


def _side(folder: Path) -> Side:
    return Side(PolarsTables(folder), Disk(folder))


@dataclass(frozen=True)
class _Read:
    """What is read: files of log and labels, how they are joined, the days, and what was known when."""

    log: Sequence[LogFile]
    late: Sequence[LogFile]
    labels: LabelSettings
    spans: Sequence[WindowSpan]
    now: datetime

    def rows(self, log: RequestLog, query: LogQuery) -> list[LabelledRows]:
        """Return the labelled rows of each day, in an order that does not depend on predictions."""
        joined = Labels(self.late, self.labels, log, query, self.spans, self.now)
        return [window.labelled for window in joined.windows()]


def _compared(workspace: Workspace, sides: tuple[Side, Side], read: _Read) -> Aftercare:
    settings, denied = workspace.levers.retrain, workspace.levers.serve.log.deny
    lacking = [feature.name for side in sides for feature in side.model.features if feature.name in denied]
    if lacking:
        return _nothing(f"the log may not hold the feature `{lacking[0]}` (`serve.log.deny`)")
    if sides[0].model.label != sides[1].model.label:
        return _nothing("the models have different labels")
    models = SklearnModels(workspace.root, workspace.params.train.trusted_types)
    features = {feature.name: feature for side in sides for feature in side.model.features}
    after, before = (_asked(workspace, side, tuple(features.values()), models, read) for side in sides)
    if not len(after.labels):
        return _nothing("no logged request with all features of both models has a label")
    metric = deciding_metric(after.kind, settings, workspace.levers.gate)
    return aftercare(Pair(after, before), settings, metric)


def _asked(
    workspace: Workspace, side: Side, features: Sequence[Feature], models: SklearnModels, read: _Read
) -> Holdout:
    """Return what a model predicts for the labelled requests that have all these features."""
    model, monitor = side.model, workspace.levers.monitor
    query = LogQuery(
        workspace.params.bundle.model,
        monitored_columns(features, {}, {}),
        model.label.kind,
        model.classes,
        since=read.spans[0].start,
        until=read.spans[-1].end,
        names=monitor.columns,
        format=monitor.format,
        keys=tuple(read.labels.on),
    )
    with models.threads(1):
        days = read.rows(_Predicted(Requests(read.log, query), features, side, models), query)
    day = np.repeat(np.arange(len(days)), [len(rows.labels) for rows in days])
    labels, predictions = (np.concatenate([getattr(rows, name) for rows in days]) for name in ("labels", "predictions"))
    return Holdout(model.label.kind, model.classes, labels, predictions, numbered(day), {})


@dataclass(frozen=True)
class _Predicted:
    """A log in which a model predicts every row that has all ``features``; a row without one is left out."""

    log: Requests
    features: Sequence[Feature]
    side: Side
    models: SklearnModels

    @property
    def facts(self) -> LogFacts:
        """What can be said of the log."""
        return self.log.facts

    def batches(self) -> Iterator[Batch]:
        """Yield the rows with the predictions of the model."""
        for batch in self.log.batches():
            if all(feature.name in batch.columns for feature in self.features):
                held = {feature.name: _array(batch.columns[feature.name], feature) for feature in self.features}
                table = PolarsTables(Path()).frame(held)
                yield replace(batch, predictions=self.side.predict(self.models, table), columns={})


def _array(values: Values, feature: Feature) -> NDArray[Any]:
    """Return the values of a feature as a table holds them: numbers, NaN where missing, or texts and None."""
    if isinstance(values, Numbers):
        return values.values
    texts = np.array([*values.names, None], object)[values.codes]
    if feature.kind != "boolean":
        return texts
    known: Floats = np.array([{"true": 1.0, "false": 0.0}.get(str(text), np.nan) for text in texts])
    return known
