"""The room of the bundle: all that a server needs of a model, in one folder that names each byte."""

from __future__ import annotations

from leverframe.domain.bundle.manifest import Manifest, read_manifest
from leverframe.domain.bundle.run import Bundle, Packed, run
from leverframe.domain.bundle.schema import Field, Schema

__all__ = ["Bundle", "Field", "Manifest", "Packed", "Schema", "read_manifest", "run"]
