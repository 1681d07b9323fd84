"""A model server in memory: loads what its folder has, and predicts what the golden rows of a bundle say."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from leverframe.domain.model.bundle import bundle_manifest as names
from leverframe.domain.model.bundle.metadata import datatype
from leverframe.domain.model.bundle.schema import Schema, from_json

Fault = Literal["load", "wrong", "accepts", "breaks", "flip", "flips", "publish", "fails", "alike", "slow"]


@dataclass
class ModelServer:
    """Serves the newest loaded release of each model below ``folder``; ``faults`` says what a bundle does wrong.

    `load` and `publish`: it cannot be loaded, or only not for traffic. `wrong`: golden rows are predicted
    otherwise. `accepts`: it refuses nothing. `breaks`: it fails instead. `flip`, `flips`: the five or six smallest
    of the other rows get another label. `fails`: so its metrics say; `alike`: they say that the release before fails
    for the same requests. `slow`: a response takes a second, by ``wait``.
    """

    folder: Path
    faults: dict[str, Fault] = field(default_factory=dict)
    wait: Callable[[float], None] = lambda _: None
    _loaded: dict[str, dict[int, str]] = field(default_factory=dict)

    def serving(self, model: str) -> tuple[int, str] | None:
        """Return number and bundle of what gets the requests to a model."""
        known = self._loaded.get(model, {})
        return (max(known), known[max(known)]) if known else None

    def models(self) -> list[str]:
        """Return the models that are loaded."""
        return sorted(self._loaded)

    def ready(self, model: str, version: int | None = None) -> bool:
        """Tell whether a release is ready."""
        return version in self._loaded.get(model, {}) if version else model in self._loaded

    def load(self, model: str) -> str:
        """Load the releases in the folder; a release that cannot be loaded leaves the others as they were."""
        wanted = {}
        for release in (self.folder / "models" / model).glob("*/model-settings.json"):
            settings = json.loads(release.read_bytes())["parameters"]
            wanted[int(settings["version"])] = str(settings["extra"]["bundle"])
        for bundle in wanted.values():
            fault = self.faults.get(bundle)
            if fault == "load" or (fault == "publish" and not model.endswith("-candidate")):
                return "the model file is damaged"
        self._loaded[model] = wanted
        return ""

    def unload(self, model: str) -> bool:
        """Unload a model."""
        return self._loaded.pop(model, None) is not None

    def infer(self, model: str, body: bytes, version: int | None = None) -> tuple[int, Mapping[str, Any]]:  # noqa: ARG002
        """Return what the golden rows say, 0.25 for any other row; refuse what is no request."""
        serving = self.serving(model)
        if serving is None:
            return 404, {"error": "there is no such model"}
        number, bundle = serving
        files = self.folder / "bundles" / bundle
        schema, fault = from_json(json.loads((files / names.SCHEMA).read_bytes())), self.faults.get(bundle)
        if fault == "slow":
            self.wait(1.0)
        rows = _rows(schema, body)
        if rows is None and fault != "accepts":
            return 500 if fault == "breaks" else 400, {"error": "it is no request"}
        golden = [json.loads(line) for line in (files / names.GOLDEN).read_text(encoding="utf-8").splitlines()]
        known = {json.dumps(row["inputs"], sort_keys=True): row["prediction"][1] for row in golden}
        flipped = {"flip": 5, "flips": 6}.get(fault or "", 0)  # rows by size: those below
        probabilities = [
            known.get(json.dumps(row, sort_keys=True), 0.75 if (row.get("size") or 0) < flipped else 0.25)
            for row in rows or []
        ]
        if fault == "wrong":
            probabilities = [1 - probability for probability in probabilities]
        outputs = [{"name": "probability", "data": probabilities}]
        return 200, {"model_version": str(number), "parameters": {"bundle": bundle}, "outputs": outputs}

    def metrics(self, model: str) -> Mapping[tuple[str, ...], float]:
        """Return how many requests to every release failed, and how many of them fail on the release before, too."""
        counts: dict[tuple[str, ...], float] = {}
        for number, bundle in self._loaded.get(model, {}).items():
            fault = self.faults.get(bundle)
            counts["leverframe_requests", "failed", str(number)] = 3.0 if fault in ("fails", "alike") else 0.0
            counts["leverframe_failed_before", str(number)] = 3.0 if fault == "alike" else 0.0
        return counts


def _rows(schema: Schema, body: bytes) -> list[dict[str, Any]] | None:
    """Return the rows of a request, None for what is none."""
    try:
        tensors = json.loads(body)["inputs"]
        given = {tensor["name"]: tensor for tensor in tensors}
        forms = [{field.name: field for field in fields} for fields in (schema.columns, schema.keys)]
        fields = next(form for form in forms if form.keys() == given.keys())
        count = len(tensors[0]["data"])
        fine = len(given) == len(tensors) and count > 0
        for name, tensor in given.items():
            kind, data = datatype(fields[name]), tensor["data"]
            fine &= isinstance(data, list) and tensor["shape"] == [count] == [len(data)] and tensor["datatype"] == kind
            fine &= all(_fits(kind, value) for value in data)
    except (ValueError, TypeError, KeyError, IndexError, StopIteration, RecursionError, OverflowError):
        return None
    return [{name: given[name]["data"][row] for name in given} for row in range(count)] if fine else None


def _fits(kind: str, value: object) -> bool:
    if value is None:
        return True
    if kind == "BYTES":
        return isinstance(value, str)
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(float(value))
