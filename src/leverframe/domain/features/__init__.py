"""The room of features at request time: from the raw fields of a request to the vector of the model."""

from __future__ import annotations

from leverframe.domain.features.request import Requests, parsed
from leverframe.domain.features.vector import Answer, answered, as_inputs, vectors

__all__ = ["Answer", "Requests", "answered", "as_inputs", "parsed", "vectors"]
