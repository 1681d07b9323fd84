"""The runtime that MLServer loads: a request in the V2 protocol becomes an answer that names its model.

MLServer imports this module anew with each load, so nothing is kept here.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from mlserver import MLModel
from mlserver.errors import MLServerError
from mlserver.types import InferenceRequest, InferenceResponse, Parameters, ResponseOutput
from mlserver.utils import generate_uuid, get_model_uri

from leverframe.errors import LeverframeError, RequestError
from leverframe.serving import cache, metrics, process
from leverframe.serving.bundle import Answers, OpenBundle
from leverframe.serving.check import Checked, Tensor, checked

_IN_THREAD = 256  # rows from which an answer would keep other requests waiting


class BundleRuntime(MLModel):  # type: ignore[misc]
    """One release of a bundle: ``parameters.uri`` is its folder, ``parameters.extra`` names its digest and commit."""

    async def load(self) -> bool:
        """Open the bundle, at once where it is open already; raises ``MLServerError`` with the reason."""
        extra = self._settings.parameters.extra or {}
        found = cache.cached(str(extra.get("bundle", "")))
        if found is None:
            folder = Path(await get_model_uri(self._settings))
            try:
                found = await asyncio.to_thread(cache.opened, folder, extra.get("bundle"))
            except LeverframeError as error:
                raise MLServerError(f"{error.what}: {error.why}", 422) from error
        self._bundle: OpenBundle = found
        self._version = str(self.version or "1")
        self._labels = (self.name, self._version)
        self._told = {"bundle": found.digest, "schema": found.schema_digest, "commit": str(extra.get("commit", ""))}
        self._answered = metrics.REQUESTS.labels(*self._labels, "answered")
        self._rows, self._seconds = metrics.ROWS.labels(*self._labels), metrics.SECONDS.labels(*self._labels)
        self._release = (*self._labels, found.digest[:16], self._told["commit"])
        metrics.RELEASE.labels(*self._release).inc()  # one that is loaded anew is unloaded after
        return True

    async def unload(self) -> bool:
        """Forget the release; the bundle stays open for a rollback."""
        release = getattr(self, "_release", None)  # a load that failed is unloaded, too
        if release is not None:
            metrics.RELEASE.labels(*release).dec()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Return the answer; raises ``MLServerError`` 400 for a request that does not fit the schema."""
        began = time.perf_counter()
        payload.id = payload.id or generate_uuid()
        bundle, now = self._bundle, datetime.now(UTC)
        try:
            tensors = [Tensor(each.name, each.shape, each.datatype, each.data.root) for each in payload.inputs]
            request = checked(bundle.schema, tensors)
            wanted = _wanted(bundle, payload)
            if request.rows > _IN_THREAD:
                answers, missed = await asyncio.to_thread(bundle.answer, request, now)
            else:
                answers, missed = bundle.answer(request, now)
        except RequestError as error:
            metrics.REQUESTS.labels(*self._labels, "refused").inc()
            raise MLServerError(f"{error.what}: {error.why}; {error.next}", 400) from error
        except Exception:
            metrics.REQUESTS.labels(*self._labels, "failed").inc()
            raise
        outputs = [each for each in bundle.outputs(answers) if not wanted or each[0] in wanted]
        took = time.perf_counter() - began
        self._count(request, missed, took)
        self._log(payload.id, request, answers, now, took)
        return InferenceResponse(
            model_name=self.name,
            model_version=self._version,
            id=payload.id,
            parameters=Parameters(**self._told),
            outputs=[
                ResponseOutput(name=name, datatype=datatype, shape=shape, data=data)
                for name, datatype, shape, data in outputs
            ],
        )

    def _count(self, request: Checked, missed: Counter[str], took: float) -> None:
        self._answered.inc()
        self._rows.inc(request.rows)
        self._seconds.observe(took)
        for table, rows in missed.items():
            metrics.MISSES.labels(self.name, table).inc(rows)

    def _log(self, id: str, request: Checked, answers: Answers, now: datetime, took: float) -> None:
        log = process.log()
        if log is None or not process.is_traffic(self.name, id) or not log.wants(id):
            return
        kept, deny = min(request.rows, log.settings.rows), log.settings.deny
        columns = {name: values[:kept] for name, values in request.columns.items() if name not in deny}
        log.put(
            {
                "at": now.isoformat(),
                "id": id,
                "model": self.name,
                "version": self._version,
                **self._told,
                "form": request.form,
                "rows": request.rows,
                "columns": columns,
                "answers": answers[:kept],
                "milliseconds": round(took * 1000, 3),
            }
        )


def _wanted(bundle: OpenBundle, payload: InferenceRequest) -> set[str]:
    """Return the outputs that are asked for, none for all; raises ``RequestError`` for one that there is not."""
    wanted = {each.name for each in payload.outputs or []}
    known = ["prediction"] if bundle.schema.label.kind == "regression" else ["label", "probability"]
    unknown = sorted(wanted - set(known))
    if unknown:
        raise RequestError(
            f"`{unknown[0][:60]}` is no output of this model",
            why=f"its outputs are {', '.join(f'`{name}`' for name in known)}",
            next="ask for one of them, or leave `outputs` out",
        )
    return wanted
