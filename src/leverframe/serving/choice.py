"""Which features a request by keys gets, and what its response says of their age."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from mlserver.errors import MLServerError

from leverframe.domain.features.online import microseconds_of
from leverframe.domain.model.bundle.input_check import Checked
from leverframe.domain.model.bundle.schema import AS_OF
from leverframe.errors import SnapshotError, StoreUnreachableError
from leverframe.serving import metrics, process
from leverframe.serving.bundle import OpenBundle, wrong_timestamp
from leverframe.serving.feature_source import FeatureSource
from leverframe.serving.served import Predicted, ServedBundle

WAITS = 2.0  # seconds that a request waits for a store on another machine
_HOUR = 3_600_000_000  # microseconds
_AHEAD = 300_000_000  # microseconds that the clock of a client may be ahead of ours
_lookups = ThreadPoolExecutor(16, thread_name_prefix="lookup")  # of its own: a store that hangs must not stop the rest


class RefusedError(MLServerError):  # type: ignore[misc]
    """A request that is not answered because of its features: 503, and why it is counted."""

    def __init__(self, outcome: str, message: str) -> None:
        super().__init__(message, 503)
        self.outcome = outcome


@dataclass(frozen=True)
class Choice:
    """The features of one request, and whether they are older than `online.maximum_age_hours` allows."""

    source: FeatureSource
    stale: bool = False

    def parameters(self) -> dict[str, Any]:
        """Return what a response says of them."""
        where = "online" if self.source.online else "bundle"
        stale = {"stale": True} if self.stale else {}
        return {"features_as_of": self.source.written, "features_from": where, **stale}


def chosen(bundle: OpenBundle, request: Checked, now: datetime) -> Choice:
    """Return the features for a request by keys: those of the online store, unless the bundle knows better.

    The bundle's own snapshot is right for timestamps that both it and its training knew, and it is all there is
    where the store has another definition. Raises ``RefusedError`` for features that are too old, and where
    the store cannot be asked; ``RequestError`` for a timestamp in the future.
    """
    timestamps = bundle.timestamps(request, now)
    first, last = int(timestamps.min()), int(timestamps.max())
    if last > microseconds_of(now) + _AHEAD:
        row = int(timestamps.argmax())
        text = np.ma.asarray(request.columns[AS_OF]).tolist()[row]
        why = f"that is after now, {now.isoformat(timespec='seconds')}, and nobody knows the features of then"
        raise wrong_timestamp(row, text, why, "leave the column out, which means now")
    source = newest(bundle)
    own = bundle.source
    if source.online and first < source.since and own.since <= first and last <= own.as_of:
        source = own
    freshness = process.freshness()
    limit = freshness.config.maximum_age_hours if freshness else None
    stale = limit is not None and last - source.delivered > limit * _HOUR
    if stale and freshness and freshness.config.when_stale == "refuse":
        raise RefusedError(
            "stale",
            f"the features of this request are {(last - source.delivered) / _HOUR:.1f} hours old: they are as of "
            f"{source.written}, and `online.maximum_age_hours` is {limit:g}; "
            "`leverframe materialize` brings newer ones, and a request with all columns needs none",
        )
    return Choice(source, stale)


def newest(bundle: OpenBundle) -> FeatureSource:
    """Return the newest features of the bundle's definition; raises ``RefusedError`` where these are not known."""
    freshness = process.freshness()
    try:
        online = freshness.source(bundle.spec) if freshness else None
    except StoreUnreachableError as error:
        raise _unavailable(error) from error
    return online if online is not None and online.as_of >= bundle.source.as_of else bundle.source


async def looked_up(bundle: ServedBundle, request: Checked, now: datetime, source: FeatureSource) -> Predicted:
    """Return the prediction with features of another machine; raises ``RefusedError`` where that does not answer.

    A key is never taken for unknown because its store is gone.
    """
    loop = asyncio.get_running_loop()
    try:
        work = loop.run_in_executor(_lookups, bundle.predict, request, now, source)
        return await asyncio.wait_for(work, WAITS)
    except TimeoutError as error:
        metrics.STORE_FAILURES.inc()
        raise RefusedError("unavailable", f"the online store did not answer within {WAITS:g} seconds") from error
    except (StoreUnreachableError, SnapshotError) as error:
        metrics.STORE_FAILURES.inc()
        raise _unavailable(error) from error


def _unavailable(error: StoreUnreachableError | SnapshotError) -> RefusedError:
    return RefusedError("unavailable", f"{error.what}: {error.why}; {error.next}")
