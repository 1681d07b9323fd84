"""The files of a bundle, and the digest that identifies it."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from leverframe.documents import parsed, plain
from leverframe.errors import BundleError

FORMAT = 1
MANIFEST = "MANIFEST.json"
SCHEMA = "schema.json"
ONNX = "model.onnx"
SKOPS = "model.skops"
DESCRIPTION = "model.json"
STAR = "star.yaml"
SNAPSHOT = "snapshot.bin"
GOLDEN = "golden.jsonl"
PROFILE = "profile.json"
CARD = "model-card.md"
SETTINGS = "model-settings.json"
FILES = (SCHEMA, SKOPS, DESCRIPTION, STAR, SNAPSHOT, GOLDEN, PROFILE, CARD, SETTINGS)  # and the model in ONNX
OWN_FILES = (SCHEMA, DESCRIPTION, GOLDEN, SETTINGS)  # of a model that was trained elsewhere, and the model

CANDIDATE = "-candidate"  # ends the name under which a server tests a release before it gets traffic
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")  # as of `bundle.model`; it names a folder and a path
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LARGEST = 1e-2  # tolerance, as of `bundle.tolerance`: a larger one would prove nothing

Engine = Literal["onnx", "skops", "xgboost", "lightgbm", "catboost", "runtime"]
_MODELS: Mapping[Engine, str] = {
    "onnx": ONNX, "skops": SKOPS, "xgboost": "model.xgboost", "lightgbm": "model.txt", "catboost": "model.cbm",
    "runtime": "model.tar",
}  # fmt: skip
_RUNTIME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*[.:][A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True)
class Manifest:
    """The content of ``MANIFEST.json``.

    ``spec`` is the hash of star.yaml and compiler that the features come from, empty for a model that was trained
    elsewhere and gets them with each request, ``files`` the
    SHA-256 of every other file by name, ``versions`` the libraries that made the model. Golden rows
    are predicted within ``tolerance``, of a regression in units of ``scale``, which is how far its labels lie apart.
    ``runtime`` is the import path of what serves a model of the engine `runtime`: code that a bundle never holds.
    """

    model: str
    label: str
    engine: Engine
    tolerance: float
    spec: str
    versions: Mapping[str, str]
    files: Mapping[str, str]
    format: int = FORMAT
    scale: float | None = None
    runtime: str | None = None

    @property
    def model_file(self) -> str:
        """The file of the served model."""
        return _MODELS[self.engine]

    @property
    def own(self) -> bool:
        """Whether the model was trained elsewhere, and looks no feature up."""
        return not self.spec

    def to_bytes(self) -> bytes:
        """Return the bytes of the file, the same for the same bundle."""
        return (json.dumps(plain(self, without_none=True), indent=1, sort_keys=True) + "\n").encode()

    @property
    def digest(self) -> str:
        """The SHA-256 that identifies the bundle: of the manifest, which has that of every file."""
        return sha256(self.to_bytes())


def sha256(data: bytes) -> str:
    """Return the SHA-256 of bytes as lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def read_manifest(data: bytes, where: str) -> Manifest:
    """Return the manifest in the bytes of a file of the bundle ``where``; raises ``BundleError`` for anything else."""
    try:
        manifest = parsed(Manifest, data)
    except ValueError as error:
        raise unusable(where, f"its {MANIFEST} is damaged: {error}") from error
    wrong = _wrong(manifest)
    if wrong:
        raise unusable(where, f"its {MANIFEST} {wrong}")
    if manifest.to_bytes() != data:
        raise unusable(where, f"its {MANIFEST} was not written by Leverframe")
    return manifest


def unusable(where: str, why: str) -> BundleError:
    """Return the error for a bundle that no server may load."""
    return BundleError(
        f"the bundle {where} cannot be used",
        why=why,
        next="`dvc pull` fetches it again, `dvc repro bundle` makes it again",
    )


def _wrong(manifest: Manifest) -> str:
    """Return what of a manifest no bundle of ours has, empty where it is sound."""
    needed = {*(OWN_FILES if manifest.own else FILES), manifest.model_file}
    allowed = needed if manifest.own else {*FILES, ONNX}
    if manifest.format != FORMAT or not needed <= set(manifest.files) <= allowed:
        return "is of another format, or lists files that no bundle has"
    if not all(map(_DIGEST.fullmatch, manifest.files.values())):
        return "has a SHA-256 that is none"
    if not _NAME.fullmatch(manifest.model) or manifest.model.endswith(CANDIDATE):
        return f"names a model {ascii(manifest.model)[:80]}, which a server cannot serve by that name"
    if not 0 < manifest.tolerance <= _LARGEST:  # NaN is neither
        return f"has a tolerance of {manifest.tolerance}, which would prove nothing"
    if manifest.scale is not None and not (math.isfinite(manifest.scale) and manifest.scale > 0):
        return f"has a scale of {manifest.scale}, which would prove nothing"
    return _wrong_runtime(manifest)


def _wrong_runtime(manifest: Manifest) -> str:
    if (manifest.engine == "runtime") != (manifest.runtime is not None) or (manifest.runtime and not manifest.own):
        return "names a runtime where none can be, or lacks the name of it"
    if manifest.runtime is not None and not is_runtime(manifest.runtime):
        return f"names a runtime {ascii(manifest.runtime)[:80]}, which is no import path"
    return ""


def is_runtime(path: str) -> bool:
    """Tell whether a text is the import path of a class, ``package.module.Class``, or function, ``module:function``."""
    return _RUNTIME.fullmatch(path) is not None
