"""The runtime that MLServer loads: a request in the V2 protocol becomes a response that names its model.

MLServer imports this module anew with each load, so nothing is kept here.
"""

from __future__ import annotations

import asyncio
import math
import time
from bisect import bisect_left
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlserver import MLModel
from mlserver.errors import MLServerError
from mlserver.types import InferenceRequest, InferenceResponse, MetadataModelResponse, Parameters, ResponseOutput
from mlserver.utils import generate_uuid, get_model_uri

from leverframe.domain.model.bundle.input_check import Checked, Tensor, checked
from leverframe.errors import LeverframeError, RequestError
from leverframe.serving import cache, earlier, metrics, process
from leverframe.serving.apart import predicted_apart
from leverframe.serving.bundle import OpenBundle
from leverframe.serving.choice import Choice, RefusedError, chosen, looked_up, newest
from leverframe.serving.content_types import Parameters as Given
from leverframe.serving.content_types import plain_parameters
from leverframe.serving.counted import limits_of
from leverframe.serving.datatypes import refuse_undeclared
from leverframe.serving.feature_source import FeatureSource
from leverframe.serving.inference_log import Outcome
from leverframe.serving.off_loop import off_loop
from leverframe.serving.served import Predicted, ServedBundle
from leverframe.serving.v2_request import V2Request

_IN_THREAD = 256  # rows from which a prediction would keep other requests waiting


class BundleRuntime(MLModel):  # type: ignore[misc]
    """One release of a bundle: ``parameters.uri`` is its folder, ``parameters.extra`` names its digest and commit."""

    async def load(self) -> bool:
        """Open the bundle, at once where it is open already; raises ``MLServerError`` with the reason."""
        extra = self._settings.parameters.extra or {}
        bundle = cache.cached(str(extra.get("bundle", "")))
        if bundle is None:
            folder = Path(await get_model_uri(self._settings))
            try:
                bundle = await asyncio.to_thread(cache.opened, folder, extra.get("bundle"), extra.get("trusted", ()))
            except LeverframeError as error:
                raise MLServerError(f"{error.what}: {error.why}", 422) from error
        freshness, of_case = process.freshness(), bundle if isinstance(bundle, OpenBundle) else None
        if freshness is not None and of_case and not freshness.watches(of_case.spec):
            await asyncio.to_thread(freshness.watch, of_case.plan)  # a bundle that is swapped in waits for nothing
        self._bundle: ServedBundle = bundle
        self.limits = limits_of(bundle.schema)
        self._version = str(self.version or "1")
        self._labels = (self.name, self._version)
        self._told = {"bundle": bundle.digest, "schema": bundle.schema_digest, "commit": str(extra.get("commit", ""))}
        self._answered = metrics.REQUESTS.labels(*self._labels, "answered")
        self._rows, self._seconds = metrics.ROWS.labels(*self._labels), metrics.SECONDS.labels(*self._labels)
        self._release = (*self._labels, bundle.digest[:16], self._told["commit"])
        earlier.loaded(*self._labels, bundle)
        metrics.RELEASE.labels(*self._release).inc()  # one that is loaded anew is unloaded after
        if of_case:
            metrics.ages(self._labels, lambda: _seconds_of(of_case))
        return True

    async def unload(self) -> bool:
        """Forget the release; the bundle stays open for a rollback."""
        release = getattr(self, "_release", None)  # a load that failed is unloaded, too
        if release is not None:
            earlier.unloaded(*self._labels, self._bundle)
            metrics.RELEASE.labels(*release).dec()
            if isinstance(self._bundle, OpenBundle):
                metrics.no_ages(self._labels)
        return True

    async def metadata(self) -> MetadataModelResponse:
        """Return the description of the model: its versions are releases, its libraries a parameter."""
        description = await super().metadata()
        libraries = Parameters(libraries=list(self._settings.versions or ()))
        return description.model_copy(update={"versions": process.versions(self.name), "parameters": libraries})

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Return the response to a request over gRPC; raises ``MLServerError`` 400 for one that does not fit."""
        tensors = [Tensor(tensor.name, tensor.shape, tensor.datatype, tensor.data.root) for tensor in payload.inputs]
        own = {place: given for place, tensor in enumerate(payload.inputs) if (given := _parameters(tensor))}
        wanted = {output.name: _parameters(output) for output in payload.outputs or ()}
        parameters = Given(_parameters(payload), own, {name: given for name, given in wanted.items() if given})
        reply = await self.reply(V2Request(payload.id, tensors, frozenset(wanted), parameters))
        return InferenceResponse(
            **{
                **reply,
                "parameters": Parameters(**reply["parameters"]),
                "outputs": [ResponseOutput(**plain_parameters(output)) for output in reply["outputs"]],
            }
        )

    def check(self, asked: V2Request) -> Checked | RequestError:
        """Return a request as the schema has it, or why it does not fit."""
        try:
            tensors = asked.plain()
            request = checked(self._bundle.schema, tensors)
            if process.as_declared() and process.is_traffic(self.name, asked.internal):
                refuse_undeclared(self._bundle.schema, tensors)
        except RequestError as error:
            return error
        return request

    async def reply(self, asked: V2Request, request: Checked | RequestError | None = None) -> dict[str, Any]:
        """Return the response in the V2 protocol; raises ``MLServerError`` 400 for what does not fit the schema.

        And 503 for a request by keys whose features are not to be had, or too old. ``request`` is what ``check`` has
        returned, where it was asked already.
        """
        began, now = time.perf_counter(), datetime.now(UTC)
        name, bundle = asked.id or generate_uuid(), self._bundle
        try:
            if request is None:
                request = await off_loop(self.check, asked) if asked.many(_IN_THREAD) else self.check(asked)
            if isinstance(request, RequestError):
                raise request
            choice = self._choice(asked.internal, request, now)
            source = choice.source if choice else None
            predicted = await self._predicted(request, now, source)
            outputs = bundle.outputs(predicted.predictions, asked.outputs)
        except RefusedError as error:
            self._not_answered(error.outcome, asked, name, now)
            raise
        except RequestError as error:
            self._not_answered("refused", asked, name, now)
            raise MLServerError(f"{error.what}: {error.why}; {error.next}", 400) from error
        except Exception:
            if await asyncio.to_thread(earlier.fails_too, *self._labels, asked, now):
                metrics.FAILED_BEFORE.labels(*self._labels).inc()  # first: who compares both must not see one alone
            self._not_answered("failed", asked, name, now)
            raise
        took = time.perf_counter() - began
        self._count(request, predicted, took)
        if process.is_traffic(self.name, asked.internal):
            self._log(name, request, predicted, now, took, source)
        if choice and choice.stale:
            metrics.STALE.labels(*self._labels).inc()
        return {
            "model_name": self.name,
            "model_version": self._version,
            "id": name,
            "parameters": {**self._told, **choice.parameters()} if choice else self._told,
            "outputs": outputs,
        }

    async def _predicted(self, request: Checked, now: datetime, source: FeatureSource | None) -> Predicted:
        """Return the prediction; while it takes long, others are served."""
        bundle = self._bundle
        if source is not None and source.remote:
            return await looked_up(bundle, request, now, source)
        if bundle.apart:
            return await predicted_apart(bundle, request, now)
        if request.rows > _IN_THREAD:
            return await asyncio.to_thread(bundle.predict, request, now, source)
        return bundle.predict(request, now, source)

    def _choice(self, internal: bool, request: Checked, now: datetime) -> Choice | None:
        """Return where the features come from; None for a request that brings them.

        What a deployment sends proves the bundle, so it is answered from the bundle's own snapshot.
        """
        bundle = self._bundle
        if request.form == "columns" or not isinstance(bundle, OpenBundle):
            return None
        if not process.is_traffic(self.name, internal):
            return Choice(bundle.source)
        return chosen(bundle, request, now)

    def _count(self, request: Checked, predicted: Predicted, took: float) -> None:
        self._answered.inc()
        self._rows.inc(request.rows)
        self._seconds.observe(took)
        for table, rows in predicted.missed.items():
            metrics.MISSES.labels(self.name, table).inc(len(rows))

    def _not_answered(self, outcome: str, asked: V2Request, id: str, now: datetime) -> None:
        """Count a request that was refused or that failed; the log gets their number, as a flood must not fill it."""
        metrics.REQUESTS.labels(*self._labels, outcome).inc()
        log = process.log()
        if log is not None and process.is_traffic(self.name, asked.internal) and log.wants(id):
            logged = outcome if outcome == "refused" else "failed"  # the client's fault, or not
            log.count(Outcome(self.name, self._version, self._told["bundle"], logged), now)

    def _log(
        self, id: str, request: Checked, predicted: Predicted, now: datetime, took: float,
        source: FeatureSource | None,
    ) -> None:  # fmt: skip
        log = process.log()
        if log is None or not log.wants(id):
            return
        kept, deny = min(request.rows, log.settings.rows), log.settings.deny
        record = {
            "at": now.isoformat(),
            "id": id,
            "model": self.name,
            "version": self._version,
            **self._told,
            "form": request.form,
            "rows": request.rows,
            "columns": {name: values[:kept] for name, values in request.columns.items() if name not in deny},
            "predictions": predicted.predictions[:kept],
            "milliseconds": round(took * 1000, 3),
        }
        if source is not None:
            record["features"] = {name: array[:kept] for name, array in predicted.features.items() if name not in deny}
            record["missed"] = {table: rows[: bisect_left(rows, kept)] for table, rows in predicted.missed.items()}
            record["snapshot"] = source.written
        log.put(record)


def _parameters(part: Any) -> dict[str, Any]:
    """Return the parameters of a request over gRPC or a part of it, without the headers that MLServer puts there."""
    return part.parameters.model_dump(exclude={"headers"}, exclude_none=True) if part.parameters else {}


def _seconds_of(bundle: OpenBundle) -> tuple[float, bool]:
    """Return before when the rows of its features came, in seconds since the epoch, and whether of the online store."""
    try:
        source = newest(bundle)
    except RefusedError:
        return math.nan, True
    return source.delivered / 1e6, source.online
