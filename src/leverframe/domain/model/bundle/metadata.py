"""The description of a bundle in the V2 inference protocol, which MLServer reads from ``model-settings.json``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from leverframe.domain.model.bundle.bundle_manifest import SETTINGS, Manifest, unusable
from leverframe.domain.model.bundle.schema import Field, Schema

RUNTIME = "leverframe.serving.runtime.BundleRuntime"
_TOLD = ("platform", "versions", "max_batch_size", "inputs", "outputs")  # what a bundle tells MLServer of itself


def model_settings(schema: Schema, name: str, platform: str, versions: dict[str, str]) -> dict[str, Any]:
    """Return the content of ``model-settings.json``: every input of either form, and the outputs."""
    forms: dict[str, tuple[Field, list[str]]] = {}
    for form, fields in (("columns", schema.columns), ("keys", schema.keys)):
        for field in fields:
            forms.setdefault(field.name, (field, []))[1].append(form)
    return {
        "name": name,
        "implementation": RUNTIME,
        "platform": platform,
        "versions": [f"{library}/{version}" for library, version in sorted(versions.items())],
        "max_batch_size": 0,
        "inputs": [_input(field, used) for field, used in forms.values()],
        "outputs": outputs(schema),
    }


def released(
    settings: Any, manifest: Manifest, release: int, uri: str, commit: str, trusted: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the settings of one release: those of the bundle, the release number, and the path of the files.

    ``trusted`` are the types that the settings of the commit trust.

    ``release`` must be a whole number: MLServer compares others as text, where 10 is less than 9.
    Name and class are ours whatever the settings in a bundle say: it is data, names no code to run, and sets nothing
    of the server but what describes its tensors. Raises ``BundleError`` for settings that are none.
    """
    if not isinstance(settings, dict):
        raise unusable(manifest.model, f"its {SETTINGS} has no settings")
    extra: dict[str, Any] = {"bundle": manifest.digest, "schema": manifest.files["schema.json"], "commit": commit}
    if trusted:
        extra["trusted"] = list(trusted)
    parameters = {"uri": uri, "version": str(release), "extra": extra}
    described = {name: settings[name] for name in _TOLD if name in settings}
    return {**described, "name": manifest.model, "implementation": RUNTIME, "parameters": parameters}


def outputs(schema: Schema) -> list[dict[str, Any]]:
    """Return the tensors of a response: the label and its probability, or the predicted number."""
    number = {"datatype": "FP64", "shape": [-1, 1]}
    if schema.label.kind == "regression":
        return [{"name": "prediction", **number}]
    label: dict[str, Any] = {
        "name": "label",
        "datatype": "BYTES",
        "shape": [-1, 1],
        "parameters": {"content_type": "str"},
    }
    known = {"parameters": {"classes": probability_classes(schema)}}
    if schema.label.kind == "binary":
        return [{**label, "datatype": "INT64", "parameters": None}, {"name": "probability", **number, **known}]
    return [label, {"name": "probability", "datatype": "FP64", "shape": [-1, len(schema.classes)], **known}]


def probability_classes(schema: Schema) -> list[str]:
    """Return of which class each value is that `probability` has for a row: of a binary label only that of 1."""
    return ["1"] if schema.label.kind == "binary" else list(schema.classes)


def datatype(field: Field) -> str:
    """Return the V2 datatype that a field is documented with; a number may have any numeric datatype."""
    known = {"text": "BYTES", "boolean": "BOOL"}.get(field.kind, "INT64" if field.whole else "FP64")
    return field.datatype or known


def _input(field: Field, forms: list[str]) -> dict[str, Any]:
    parameters: dict[str, Any] = {"form": "both" if len(forms) > 1 else forms[0], "nullable": field.nullable}
    if field.kind == "text":
        parameters["content_type"] = "str"
    limits = ("minimum", "maximum", "above", "below", "pattern", "longest")
    parameters |= {name: getattr(field, name) for name in limits if getattr(field, name) is not None}
    if field.allowed is not None:
        parameters["allowed"] = list(field.allowed)
    return {"name": field.name, "datatype": datatype(field), "shape": [-1, 1], "parameters": parameters}
