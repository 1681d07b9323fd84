"""What most teams write instead: a FastAPI app around the model, with scikit-learn or with ONNX Runtime.

``python -m benchmarks.peers.serving sklearn|onnx PORT BUNDLE`` serves ``POST /predict`` with
``{"columns": {name: [values]}}``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import uvicorn
from fastapi import FastAPI, Request, Response

# ruff: noqa: PLC0415 - a side imports only what it compares


def main() -> None:
    """Serve the bundle on a port until the process ends."""
    kind, port, bundle = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    answer = with_sklearn(bundle) if kind == "sklearn" else with_onnx(bundle)
    app = FastAPI()

    @app.post("/predict")
    async def predict(request: Request) -> Response:
        """Answer columns with probabilities."""
        columns = orjson.loads(await request.body())["columns"]
        return Response(orjson.dumps({"probability": answer(columns)}), media_type="application/json")

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


def with_sklearn(bundle: Path) -> Any:
    """Return what answers with the pipeline as it was trained, over a frame of pandas."""
    import pandas as pd

    from leverframe.adapters.sklearn import SklearnModels

    described = json.loads((bundle / "model.json").read_bytes())
    model = SklearnModels(Path()).load((bundle / "model.skops").read_bytes())
    numbers = [feature["name"] for feature in described["features"] if feature["kind"] != "categorical"]

    def answer(columns: dict[str, Any]) -> Any:
        frame = pd.DataFrame(columns)
        frame[numbers] = frame[numbers].astype(float)
        return model.predict_proba(frame)[:, 1].tolist()

    return answer


def with_onnx(bundle: Path) -> Any:
    """Return what answers with ONNX Runtime and nothing around it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession((bundle / "model.onnx").read_bytes(), options)
    text = {tensor.name: tensor.type == "tensor(string)" for tensor in session.get_inputs()}

    def answer(columns: dict[str, Any]) -> Any:
        inputs = {
            name: np.array(values, object if text[name] else np.float64).reshape(-1, 1)
            for name, values in columns.items()
        }
        return session.run(["probabilities"], inputs)[0][:, 1].tolist()

    return answer


if __name__ == "__main__":
    main()
