"""Bundles that are no good in one way each, as files by name."""

from __future__ import annotations

import json

from onnx import TensorProto, helper, load_model_from_string

from leverframe.domain.model.bundle.bundle_manifest import GOLDEN, ONNX
from leverframe.local.bundles import Files, sealed


def wrong(files: Files) -> dict[str, bytes]:
    """Return a bundle whose first golden row expects another answer than the model gives."""
    rows = [json.loads(line) for line in files[GOLDEN].splitlines()]
    rows[0]["prediction"] = rows[0]["prediction"][::-1]
    return sealed({**files, GOLDEN: "".join(json.dumps(row) + "\n" for row in rows).encode()})


def raising(files: Files) -> dict[str, bytes]:
    """Return a bundle whose model opens, and fails with every row: it looks up the first of no values."""
    model = load_model_from_string(files[ONNX])
    graph, answer = model.graph, model.graph.output[-1]
    kept = f"{answer.name}_kept"
    for node in graph.node:
        node.output[:] = [kept if name == answer.name else name for name in node.output]
    graph.initializer.append(helper.make_tensor("far_place", TensorProto.INT64, [1], [9]))
    graph.node.append(helper.make_node("Gather", [kept, "far_place"], [answer.name], axis=1))
    return sealed({**files, ONNX: model.SerializeToString(deterministic=True)})


def failing(files: Files, rows: int = 200) -> dict[str, bytes]:
    """Return a bundle that predicts correctly, and fails for a request of so many rows: it looks up their number."""
    model = load_model_from_string(files[ONNX])
    graph, answer, first = model.graph, model.graph.output[-1], model.graph.input[0].name
    kept = f"{answer.name}_kept"
    for node in graph.node:
        node.output[:] = [kept if name == answer.name else name for name in node.output]
    graph.initializer.append(helper.make_tensor("few_zeros", TensorProto.FLOAT, [rows], [0.0] * rows))
    graph.node.extend(
        [
            helper.make_node("Shape", [first], ["few_rows"], end=1),
            helper.make_node("Gather", ["few_zeros", "few_rows"], ["few_zero"], axis=0),
            helper.make_node("Cast", ["few_zero"], ["few_typed"], to=answer.type.tensor_type.elem_type),
            helper.make_node("Add", [kept, "few_typed"], [answer.name]),
        ]
    )
    return sealed({**files, ONNX: model.SerializeToString(deterministic=True)})
