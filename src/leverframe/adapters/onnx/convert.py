"""skl2onnx: turns a fitted scikit-learn model into ONNX, in double precision where the model has it.

Histogram gradient boosting splits at doubles; the converter writes its thresholds as 32-bit floats,
and a value beside a threshold goes down the wrong branch. On real data that moved single predictions
by 0.07. The operators know doubles since version 3 of their set, so the thresholds and leaves are
written again, from the model, and only where each fits what the converter wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, checker, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, StringTensorType

from leverframe.domain.features.training_set import Feature
from leverframe.errors import BundleError

_OPSET, _ML_OPSET = 18, 3
_DOUBLES = 3  # version of the set ai.onnx.ml from which trees may hold doubles
_LEAVES = {"TreeEnsembleClassifier": "class", "TreeEnsembleRegressor": "target"}


def converted(model: Any, features: Sequence[Feature]) -> bytes:
    """Return ``model`` in ONNX: one input (rows, 1) a feature, text for a category and double for the rest.

    Raises ``BundleError`` for a model that cannot be converted. Whether the result predicts alike
    is another question, for the caller.
    """
    text, number = StringTensorType([None, 1]), DoubleTensorType([None, 1])
    inputs = [(feature.name, text if feature.kind == "categorical" else number) for feature in features]
    options = {"zipmap": False} if hasattr(model, "classes_") else None
    try:
        found = to_onnx(
            model, initial_types=inputs, options=options, target_opset={"": _OPSET, "ai.onnx.ml": _ML_OPSET}
        )
        _check_inputs(found, features)
        _correct_types(found)
        _restore_doubles(found, list(_boosted(model, set())))
        found.opset_import.sort(key=lambda each: each.domain)  # it comes from a set: in another order in each process
        checker.check_model(found)
    except Exception as error:  # the converter raises what it likes, for what it does not know
        raise BundleError(
            f"{type(model).__name__} cannot be converted to ONNX",
            why=f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:200]}",
            next="the model is served by scikit-learn instead, which is slower",
        ) from error
    data: bytes = found.SerializeToString(deterministic=True)
    return data


def _check_inputs(found: Any, features: Sequence[Feature]) -> None:
    """Raise ``ValueError`` where the converter gave an input another name, as it does with names of its own."""
    names = {each.name for each in found.graph.input}
    lost = [feature.name for feature in features if feature.name not in names]
    if lost:
        raise ValueError(f"the converter calls a column of its own `{lost[0]}`, as a feature is called")


def _correct_types(found: Any) -> None:
    """Let the graph say of a regressor of trees that it predicts floats, which the converter calls doubles."""
    floats = {name for node in found.graph.node if node.op_type == "TreeEnsembleRegressor" for name in node.output}
    for output in found.graph.output:
        if output.name in floats:
            output.type.tensor_type.elem_type = TensorProto.FLOAT


def _restore_doubles(found: Any, boosted: list[list[Any]]) -> None:
    for node in found.graph.node:
        trees = next((each for each in boosted if node.op_type in _LEAVES and _fits(node, each)), None)
        if trees is not None:
            _write_doubles(node, trees)
            for each in found.opset_import:
                if each.domain == "ai.onnx.ml":
                    each.version = max(each.version, _DOUBLES)


def _boosted(part: Any, seen: set[int]) -> Iterator[list[Any]]:
    """Yield of each histogram gradient boosting inside ``part`` the node tables of its trees, in order."""
    if id(part) in seen or isinstance(part, str | bytes | int | float | np.ndarray | type(None)):
        return
    seen.add(id(part))
    if hasattr(part, "_predictors") and hasattr(part, "_baseline_prediction"):
        yield [tree.nodes for iteration in part._predictors for tree in iteration]
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list | tuple) else None
    for each in inner if inner is not None else getattr(part, "__dict__", {}).values():
        yield from _boosted(each, seen)


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
        kept = [each for each in node.attribute if each.name != name]
        del node.attribute[:]
        node.attribute.extend(kept)
        if len(values):
            node.attribute.append(helper.make_attribute(f"{name}_as_tensor", numpy_helper.from_array(values)))


def _inner(node: Any) -> NDArray[np.bool_]:
    modes = next(each.strings for each in node.attribute if each.name == "nodes_modes")
    return np.array([mode != b"LEAF" for mode in modes])


def _looked_up(trees: list[Any], column: str, tree: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.float64]:
    starts = np.cumsum([0, *map(len, trees)])
    values: NDArray[np.float64] = np.concatenate([each[column] for each in trees])[starts[tree] + place]
    return values


def _ints(node: Any, name: str) -> NDArray[np.int64]:
    return np.array(next(each.ints for each in node.attribute if each.name == name), np.int64)


def _floats(node: Any, name: str) -> NDArray[np.float32]:
    found = next((each.floats for each in node.attribute if each.name == name), ())
    return np.array(found, np.float32)
