"""A bundle that predicts correctly but slowly, for the demo and for tests of own deployments."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import TensorProto, helper, load_model_from_string

from leverframe.domain.model.bundle.bundle_manifest import MANIFEST, ONNX, Manifest, read_manifest, sha256

Files = Mapping[str, bytes]


def sealed(files: Files) -> dict[str, bytes]:
    """Return the files with a manifest of their current content."""
    known = read_manifest(files[MANIFEST], "of a test")
    digests = {name: sha256(data) for name, data in sorted(files.items()) if name != MANIFEST}
    return {**files, MANIFEST: Manifest(**{**vars(known), "files": digests}).to_bytes()}


def slow(files: Files, size: int = 1200) -> dict[str, bytes]:
    """Return a bundle that predicts correctly but slowly: every request multiplies a matrix of ``size`` by itself.

    Nothing but the time of a prediction tells it from the good one.
    """
    model = load_model_from_string(files[ONNX])
    graph, output = model.graph, model.graph.output[-1]
    kept, first = f"{output.name}_kept", graph.input[0].name
    for node in graph.node:
        node.output[:] = [kept if name == output.name else name for name in node.output]
    output_type = output.type.tensor_type.elem_type
    graph.initializer.extend(
        [
            helper.make_tensor("slow_size", TensorProto.INT64, [2], [size, size]),
            helper.make_tensor("slow_nothing", TensorProto.FLOAT, [1], [0.0]),
        ]
    )
    graph.node.extend(
        [  # the number of rows, which is known only when it is asked: a constant would be computed once
            helper.make_node("Shape", [first], ["slow_rows"], end=1),
            helper.make_node("Cast", ["slow_rows"], ["slow_number"], to=TensorProto.FLOAT),
            helper.make_node("Expand", ["slow_number", "slow_size"], ["slow_matrix"]),
            helper.make_node("MatMul", ["slow_matrix", "slow_matrix"], ["slow_product"]),
            helper.make_node("ReduceMax", ["slow_product"], ["slow_largest"], keepdims=0),
            helper.make_node("Mul", ["slow_largest", "slow_nothing"], ["slow_zero"]),
            helper.make_node("Cast", ["slow_zero"], ["slow_typed"], to=output_type),
            helper.make_node("Add", [kept, "slow_typed"], [output.name]),
        ]
    )
    return sealed({**files, ONNX: model.SerializeToString(deterministic=True)})
