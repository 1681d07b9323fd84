"""MLServer with a runtime that does nothing but ask ONNX Runtime: no check, no lookup, no log."""

from __future__ import annotations

from pathlib import Path

from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput
from mlserver.utils import get_model_uri

from benchmarks.peers.serving import with_onnx


class BareRuntime(MLModel):  # type: ignore[misc]
    """The model of a bundle, and nothing around it."""

    async def load(self) -> bool:
        """Open the model."""
        self._answer = with_onnx(Path(await get_model_uri(self._settings)))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer without looking."""
        answers = self._answer({tensor.name: tensor.data.root for tensor in payload.inputs})
        output = ResponseOutput(name="probability", datatype="FP64", shape=[len(answers), 1], data=answers)
        return InferenceResponse(model_name=self.name, outputs=[output])
