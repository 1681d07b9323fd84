"""Make the features of logged requests again, from the data of the case as they are known now."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from leverframe.adapters.snapshot_file import SnapshotFile, write
from leverframe.application.snapshot import described
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.features.online import Span, microseconds_of
from leverframe.domain.features.request import Requests, timestamp
from leverframe.domain.features.vector import as_inputs, vectors
from leverframe.domain.model.bundle.input_check import Checked, Tensor, arrays, checked
from leverframe.domain.model.bundle.metadata import datatype
from leverframe.domain.model.bundle.schema import AS_OF
from leverframe.domain.monitoring.finding import Finding
from leverframe.domain.monitoring.log_query import LogFile
from leverframe.domain.monitoring.monitor_result import Skew
from leverframe.domain.monitoring.serving_skew import (
    LookedUp,
    Recomputed,
    predictions_skew,
    skew_findings,
    skews,
)
from leverframe.errors import LeverframeError, RequestError
from leverframe.serving.bundle import OpenBundle
from leverframe.serving.logged import newest_lookups
from leverframe.settings.monitor import MonitorSettings


@dataclass(frozen=True)
class SkewFacts:
    """What came out of it; ``notes`` say what was not recomputed, and why."""

    skew: tuple[Skew, ...] = ()
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


def serving_skew(
    workspace: Workspace, model: str, files: Sequence[LogFile], settings: MonitorSettings, windows: tuple[str, str]
) -> SkewFacts:
    """Return how served features differ from those that training would see, for the newest logged requests by keys.

    Only requests of the bundle in the workspace are looked at, as others may have been served by other definitions.
    """
    if not settings.skew_rows:
        return SkewFacts(notes=("features of logged requests were not recomputed: `monitor.skew_rows` is 0",))
    logged = newest_lookups([file.path for file in files], model, settings.skew_rows)
    if not logged:
        return _none("no logged request by keys says what was looked up for it")
    try:
        bundle = OpenBundle(workspace.root / layout.BUNDLE, trusted=workspace.params.train.trusted_types)
    except (LeverframeError, ImportError) as error:
        return _none(f"the bundle in {layout.BUNDLE.as_posix()} cannot be opened: {error}")
    asked, skipped = _asked(workspace, bundle, logged)
    if not asked:
        return _none(_reasons(skipped))
    try:
        parts = tuple(_recomputed(workspace, bundle, asked))
    except LeverframeError as error:
        return _none(f"{error.what}: {error.why}")
    used = tuple(request for part in parts for request in part.requests)
    skipped["lack what the log may not hold, or do not fit the schema"] += len(asked) - len(used)
    all_skews = (*skews(bundle.features, parts), *_of_predictions(bundle, used))
    notes = (f"of {len(logged):,} logged requests, {_reasons(skipped)}",) if +skipped else ()
    return SkewFacts(all_skews, skew_findings(all_skews, used, settings.quality, windows), notes)


def _none(why: str) -> SkewFacts:
    return SkewFacts(notes=(f"features of logged requests were not recomputed: {why}",))


def _reasons(skipped: Counter[str]) -> str:
    return ", ".join(f"{count:,} {why}" for why, count in skipped.most_common() if count)


def _asked(workspace: Workspace, bundle: OpenBundle, logged: Sequence[LookedUp]) -> tuple[list[LookedUp], Counter[str]]:
    """Return the requests that can be recomputed, and how many cannot, by reason."""
    first, last = workspace.partitions.start, workspace.partitions.end
    own = datetime.fromisoformat(bundle.source.written)
    skipped: Counter[str] = Counter()
    asked = []
    for request in logged:
        timestamps = _timestamps(request)
        if request.bundle != bundle.digest or bundle.spec != workspace.plan.spec:
            skipped["were served by another bundle than that of the workspace"] += 1
        elif timestamps is None:
            skipped["lack what the log may not hold, or do not fit the schema"] += 1
        elif min(timestamps) < first or max(timestamps) > _covered(request, own, last):
            skipped[
                f"ask for a time that the data of the workspace, which end at {last.isoformat()}, do not cover"
            ] += 1
        else:
            asked.append(request)
    return asked, skipped


def _covered(request: LookedUp, own: datetime, end: datetime) -> datetime:
    """Return up to when the data of the workspace are those that a request was answered from; they end at ``end``.

    The bundle's ``own`` snapshot is made of them alone, also where it reaches to rows that became known after the end.
    An online store has events of that time which the workspace lacks: they would look like skew.
    """
    return max(end, own) if request.snapshot == own else end


def _timestamps(request: LookedUp) -> list[datetime] | None:
    """Return the timestamps that the rows of a request ask for; None where one is no timestamp."""
    try:
        texts = request.columns.get(AS_OF, [None] * request.rows)
        return [request.at if text is None else timestamp(str(text)) for text in texts]
    except (RequestError, OverflowError):
        return None


def _recomputed(workspace: Workspace, bundle: OpenBundle, asked: Sequence[LookedUp]) -> Iterator[Recomputed]:
    """Yield the requests with the features that a snapshot of today's data gives for their timestamps."""
    timestamps = {request.id: _timestamps(request) or [] for request in asked}
    every = [timestamp_of_row for times in timestamps.values() for timestamp_of_row in times]
    with TemporaryDirectory(prefix="leverframe-skew-") as folder:
        path = Path(folder, "snapshot.bin")
        write(path, *described(workspace, Span(min(every), max(every))))
        store = SnapshotFile(path, spec=workspace.plan.spec, verify=False)
        try:
            for requests in _alike(asked):
                fields = _fields(bundle, requests)
                if fields is None:
                    continue
                at = np.array([microseconds_of(time) for one in requests for time in timestamps[one.id]], np.int64)
                made = vectors(workspace.plan, store, Requests(fields, at))
                yield Recomputed(requests, as_inputs(made, bundle.features))
        finally:
            store.close()


def _alike(asked: Sequence[LookedUp]) -> list[tuple[LookedUp, ...]]:
    """Return the requests in groups that sent the same columns."""
    groups: dict[tuple[str, ...], list[LookedUp]] = defaultdict(list)
    for request in asked:
        groups[tuple(sorted(request.columns))].append(request)
    return [tuple(group) for group in groups.values()]


def _fields(bundle: OpenBundle, requests: Sequence[LookedUp]) -> dict[str, Any] | None:
    """Return the keys of all rows as a lookup takes them; None where they do not fit the schema."""
    known = {field.name: field for field in (*bundle.schema.columns, *bundle.schema.keys)}
    made: dict[str, list[Any]] = {
        name: [value for request in requests for value in request.columns[name]]
        for name in requests[0].columns
        if name in known and name != AS_OF
    }
    rows = sum(request.rows for request in requests)
    columns: dict[str, list[Any]] = defaultdict(list)
    for start in range(0, rows, bundle.schema.maximum_rows):
        part = slice(start, start + bundle.schema.maximum_rows)
        tensors = [
            Tensor(name, [len(values[part])], datatype(known[name]), values[part]) for name, values in made.items()
        ]
        try:
            request = checked(bundle.schema, tensors)
        except RequestError:
            return None
        for name, values in _typed(bundle, request).items():
            columns[name].append(values)
    return {name: np.ma.concatenate(parts) for name, parts in columns.items()}


def _typed(bundle: OpenBundle, request: Checked) -> dict[str, Any]:
    few = any(isinstance(values, list) for values in request.columns.values())
    return arrays(bundle.schema, request) if few else dict(request.columns)


def _of_predictions(bundle: OpenBundle, requests: Sequence[LookedUp]) -> tuple[Skew, ...]:
    """Return whether the model says again what it said, where every input of it was logged."""
    names = [feature.name for feature in bundle.features]
    whole = [request for request in requests if all(name in request.features for name in names)]
    if not whole:
        return ()
    inputs = {
        feature.name: np.array(
            [value for request in whole for value in request.features[feature.name]],
            object if feature.kind == "categorical" else np.float64,
        )
        for feature in bundle.features
    }
    made = bundle.predict(Checked("columns", sum(request.rows for request in whole), inputs), whole[0].at).predictions
    logged = [prediction for request in whole for prediction in request.predictions]
    return (predictions_skew(logged, made, bundle.manifest.tolerance, bundle.manifest.scale),)
