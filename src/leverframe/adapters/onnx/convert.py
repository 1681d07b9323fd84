"""skl2onnx: turns a fitted scikit-learn model into ONNX, in double precision where the model has it.

The outcome is always declared and given as doubles: what the converter declares is often another type than the one
that its nodes compute, which ONNX Runtime refuses.

Histogram gradient boosting splits at doubles; the converter writes its thresholds as 32-bit floats,
and a value beside a threshold goes down the wrong branch. On real data that moved single predictions
by 0.07. The operators know doubles since version 3 of their set, so the thresholds and leaves are
written again, from the model, and only where each fits what the converter wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, checker, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, StringTensorType
from skl2onnx.common.utils import InvalidInputLengthException

from leverframe.adapters.onnx.doubles import register
from leverframe.adapters.onnx.exchange import not_converted, short_line
from leverframe.domain.features.training_set import Feature

_OPSET, _ML_OPSET = 18, 3
_DOUBLES = 3  # version of the set ai.onnx.ml from which trees may hold doubles
_MATRIX = "all_features"  # a feature of that name is found out by its being twice
_FLOATS_ONLY = ("SVMRegressor",)  # of which ONNX Runtime has no implementation for doubles
_LEAVES = {"TreeEnsembleClassifier": "class", "TreeEnsembleRegressor": "target"}


def converted(model: Any, features: Sequence[Feature]) -> bytes:
    """Return ``model`` in ONNX: one input (rows, 1) a feature, text for a category and double for the rest.

    Raises ``BundleError`` for a model that cannot be converted. Whether the result predicts alike
    is another question, for the caller.
    """
    register()
    try:
        proto = _by_columns(model, features)
        _check_inputs(proto, features)
        _restore_doubles(proto, list(_boosted(model, set())))
        _cast_inputs(proto)
        _give_doubles(proto)
        proto.opset_import.sort(key=lambda opset: opset.domain)  # it comes from a set: in another order in each process
        checker.check_model(proto)
    except Exception as error:  # the converter raises what it likes, for what it does not know
        raise not_converted(
            f"{type(model).__name__} cannot be converted to ONNX",
            f"{type(error).__name__}: {short_line(error)}",
        ) from error
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def _by_columns(model: Any, features: Sequence[Feature]) -> Any:
    """Return the model with an input a feature, of numbers alone also where it takes them as one matrix."""
    text, number = StringTensorType([None, 1]), DoubleTensorType([None, 1])
    inputs = [(feature.name, text if feature.kind == "categorical" else number) for feature in features]
    try:
        return _to_onnx(model, inputs)
    except InvalidInputLengthException:  # an estimator without a step before it
        if any(kind is text for _, kind in inputs):
            raise
    proto = _to_onnx(model, [(_MATRIX, DoubleTensorType([None, len(features)]))])
    del proto.graph.input[:]
    names = [feature.name for feature in features]
    proto.graph.input.extend(helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, 1]) for name in names)
    proto.graph.node.insert(0, helper.make_node("Concat", names, [_MATRIX], axis=1))
    return proto


def _to_onnx(model: Any, inputs: list[tuple[str, Any]]) -> Any:
    options = {"zipmap": False} if hasattr(model, "classes_") else None
    return to_onnx(model, initial_types=inputs, options=options, target_opset={"": _OPSET, "ai.onnx.ml": _ML_OPSET})


def _check_inputs(proto: Any, features: Sequence[Feature]) -> None:
    """Raise ``ValueError`` where the converter gave an input another name, as it does with names of its own."""
    names = {tensor.name for tensor in proto.graph.input}
    lost = [feature.name for feature in features if feature.name not in names]
    if lost:
        raise ValueError(f"the converter calls a column of its own `{lost[0]}`, as a feature is called")


def _cast_inputs(proto: Any) -> None:
    """Let nodes that know no doubles have floats."""
    for place, node in reversed(list(enumerate(proto.graph.node))):
        if node.op_type in _FLOATS_ONLY:
            name, single = node.input[0], f"{node.output[0]}_single"
            node.input[0] = single
            proto.graph.node.insert(place, helper.make_node("Cast", [name], [single], to=TensorProto.FLOAT))


def _give_doubles(proto: Any) -> None:
    """Cast what the model predicts to doubles, whatever it is computed in."""
    output = proto.graph.output[-1]
    inner = _behind(proto.graph.node, output.name)
    proto.graph.node.append(helper.make_node("Cast", [inner], [output.name], to=TensorProto.DOUBLE))
    output.type.tensor_type.elem_type = TensorProto.DOUBLE


def _behind(nodes: Any, name: str) -> str:
    """Let what nodes give as ``name`` have another name, and return that."""
    inner = f"{name}_inner"
    for node in nodes:
        node.output[:] = [inner if output == name else output for output in node.output]
        node.input[:] = [inner if taken == name else taken for taken in node.input]
    return inner


@dataclass(frozen=True)
class _Boosting:
    """The node tables of the trees of one histogram gradient boosting, in order, and what they are added to."""

    trees: list[Any]
    baseline: NDArray[np.float64]


def _restore_doubles(proto: Any, boosted: list[_Boosting]) -> None:
    for place, node in reversed(list(enumerate(proto.graph.node))):
        boosting = next(
            (candidate for candidate in boosted if node.op_type in _LEAVES and _fits(node, candidate.trees)), None
        )
        if boosting is None:
            continue
        _write_doubles(node, boosting.trees)
        for opset in proto.opset_import:
            if opset.domain == "ai.onnx.ml":
                opset.version = max(opset.version, _DOUBLES)
        if node.op_type == "TreeEnsembleRegressor":
            _add_baseline(proto, place, boosting.baseline)


def _add_baseline(proto: Any, place: int, baseline: NDArray[np.float64]) -> None:
    """Add the baseline in doubles to the sum of the trees: in floats, a large one swallows the digits of the sum."""
    node = proto.graph.node[place]
    output, constant, double = node.output[0], f"{node.output[0]}_baseline", f"{node.output[0]}_double"
    node.output[0] = f"{output}_sum"
    kept = [attribute for attribute in node.attribute if attribute.name != "base_values_as_tensor"]
    del node.attribute[:]
    node.attribute.extend(kept)
    proto.graph.initializer.append(numpy_helper.from_array(baseline.reshape(1, -1), constant))
    cast = helper.make_node("Cast", [node.output[0]], [double], to=TensorProto.DOUBLE)
    added = helper.make_node("Add", [double, constant], [output])
    proto.graph.node.insert(place + 1, cast)
    proto.graph.node.insert(place + 2, added)


def _boosted(part: Any, seen: set[int]) -> Iterator[_Boosting]:
    """Yield each histogram gradient boosting inside ``part``."""
    if id(part) in seen or isinstance(part, str | bytes | int | float | np.ndarray | type(None)):
        return
    seen.add(id(part))
    if hasattr(part, "_predictors") and hasattr(part, "_baseline_prediction"):
        baseline = np.asarray(part._baseline_prediction, np.float64)
        yield _Boosting([tree.nodes for iteration in part._predictors for tree in iteration], baseline)
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list | tuple) else None
    for child in inner if inner is not None else getattr(part, "__dict__", {}).values():
        yield from _boosted(child, seen)


def _fits(node: Any, trees: list[Any]) -> bool:
    """Tell whether a node of the graph was made from these trees, rounded."""
    tree, place = _ints(node, "nodes_treeids"), _ints(node, "nodes_nodeids")
    if len(tree) != sum(map(len, trees)) or tree.max() >= len(trees):
        return False
    rounded = _looked_up(trees, "num_threshold", tree, place).astype(np.float32)
    return bool((rounded == _floats(node, "nodes_values"))[_inner(node)].all())


def _write_doubles(node: Any, trees: list[Any]) -> None:
    leaves = _LEAVES[node.op_type]
    thresholds = _looked_up(trees, "num_threshold", _ints(node, "nodes_treeids"), _ints(node, "nodes_nodeids"))
    weights = _looked_up(trees, "value", _ints(node, f"{leaves}_treeids"), _ints(node, f"{leaves}_nodeids"))
    base = _floats(node, "base_values").astype(np.float64)
    for name, values in (
        ("nodes_values", np.where(_inner(node), thresholds, 0.0)),
        (f"{leaves}_weights", weights),
        ("base_values", base),
    ):
        kept = [attribute for attribute in node.attribute if attribute.name != name]
        del node.attribute[:]
        node.attribute.extend(kept)
        if len(values):
            node.attribute.append(helper.make_attribute(f"{name}_as_tensor", numpy_helper.from_array(values)))


def _inner(node: Any) -> NDArray[np.bool_]:
    modes = next(attribute.strings for attribute in node.attribute if attribute.name == "nodes_modes")
    return np.array([mode != b"LEAF" for mode in modes])


def _looked_up(trees: list[Any], column: str, tree: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.float64]:
    starts = np.cumsum([0, *map(len, trees)])
    values: NDArray[np.float64] = np.concatenate([table[column] for table in trees])[starts[tree] + place]
    return values


def _ints(node: Any, name: str) -> NDArray[np.int64]:
    return np.array(next(attribute.ints for attribute in node.attribute if attribute.name == name), np.int64)


def _floats(node: Any, name: str) -> NDArray[np.float32]:
    floats = next((attribute.floats for attribute in node.attribute if attribute.name == name), ())
    return np.array(floats, np.float32)
