"""Converters in double precision for steps before an estimator, which skl2onnx writes in single precision.

ONNX Runtime has no `Imputer` for doubles, and one-hot encoding gives floats, which makes the columns beside it floats.
"""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx.common._registration import register_converter, register_shape_calculator
from skl2onnx.common.data_types import DoubleTensorType, StringTensorType
from skl2onnx.operator_converters.imputer_op import convert_sklearn_imputer
from skl2onnx.operator_converters.one_hot_encoder import convert_sklearn_one_hot_encoder
from skl2onnx.operator_converters.ordinal_encoder import convert_sklearn_ordinal_encoder
from skl2onnx.shape_calculators.one_hot_encoder import calculate_sklearn_one_hot_encoder_output_shapes

from leverframe.adapters.onnx.session import MISSING


def register() -> None:
    """Let skl2onnx use these converters, in this process."""
    register_converter("SklearnSimpleImputer", _imputer, overwrite=True)
    register_converter("SklearnOneHotEncoder", _one_hot, overwrite=True)
    register_shape_calculator("SklearnOneHotEncoder", _one_hot_shape, overwrite=True)
    register_converter("SklearnOrdinalEncoder", _ordinal, overwrite=True)


def _imputer(scope: Any, operator: Any, container: Any) -> None:
    """Write a value in place of NaN, or of a missing text; what leaves columns out is left to skl2onnx."""
    fitted, output = operator.raw_operator, operator.outputs[0].full_name
    if isinstance(operator.inputs[0].type, StringTensorType) and fitted.missing_values is None:
        texts = copy.copy(fitted)
        texts.missing_values = MISSING
        like = SimpleNamespace(raw_operator=texts, inputs=operator.inputs, outputs=operator.outputs)
        convert_sklearn_imputer(scope, like, container)
        return
    doubles = all(isinstance(variable.type, DoubleTensorType) for variable in operator.inputs)
    of_nan = isinstance(fitted.missing_values, float) and np.isnan(fitted.missing_values)
    if not (doubles and of_nan) or fitted.add_indicator or np.isnan(fitted.statistics_.astype(np.float64)).any():
        convert_sklearn_imputer(scope, operator, container)
        return
    columns = _joined(scope, operator, container)
    filling, missing = (scope.get_unique_variable_name(name) for name in ("filling", "missing"))
    values = fitted.statistics_.astype(np.float64).tolist()
    container.add_initializer(filling, TensorProto.DOUBLE, [1, len(values)], values)
    container.add_node("IsNaN", [columns], [missing], name=scope.get_unique_operator_name("IsNaN"))
    container.add_node("Where", [missing, filling, columns], [output], name=scope.get_unique_operator_name("Where"))


def _joined(scope: Any, operator: Any, container: Any) -> str:
    """Return the name of all inputs, which have one type, side by side.

    That of skl2onnx for several inputs has no form for texts, and makes doubles single.
    """
    names = [variable.full_name for variable in operator.inputs]
    if len(names) == 1:
        return str(names[0])
    joined = scope.get_unique_variable_name("joined")
    container.add_node("Concat", names, [joined], axis=1, name=scope.get_unique_operator_name("Concat"))
    return str(joined)


def _ordinal(scope: Any, operator: Any, container: Any) -> None:
    """Encode as skl2onnx does; a missing text, which is a category, has the name that a session gives it."""
    fitted = copy.copy(operator.raw_operator)
    fitted.categories_ = [_without_none(categories) for categories in fitted.categories_]
    like = SimpleNamespace(
        raw_operator=fitted, inputs=operator.inputs, outputs=operator.outputs,
        output_full_names=operator.output_full_names,
    )  # fmt: skip
    convert_sklearn_ordinal_encoder(scope, like, container)


def _without_none(categories: Any) -> Any:
    if categories.dtype != object:
        return categories
    return np.array([MISSING if category is None else category for category in categories], object)


def _one_hot_shape(operator: Any) -> None:
    calculate_sklearn_one_hot_encoder_output_shapes(operator)
    encoded, fitted = operator.outputs[0], operator.raw_operator
    if _texts_alone(operator):
        width = sum(len(fitted._compute_transformed_categories(place)) for place in range(len(fitted.categories_)))
        encoded.type = DoubleTensorType([operator.inputs[0].get_first_dimension(), width])


def _texts_alone(operator: Any) -> bool:
    """Tell whether an encoder is of texts and gives numbers; the others are skl2onnx's."""
    fitted = operator.raw_operator
    texts = all(isinstance(variable.type, StringTensorType) for variable in operator.inputs)
    whole = getattr(fitted, "drop_idx_", None) is None or not fitted._infrequent_enabled
    return bool(texts and whole and np.issubdtype(fitted.dtype, np.number))


def _one_hot(scope: Any, operator: Any, container: Any) -> None:
    """Give a column of doubles for each category, and one for infrequent ones: those that are none of the others."""
    if not _texts_alone(operator):
        convert_sklearn_one_hot_encoder(scope, operator, container)
        return
    texts = _joined(scope, operator, container)
    parts = [
        _columns_of(scope, operator, container, (texts, place))
        for place in range(len(operator.raw_operator.categories_))
    ]
    container.add_node("Concat", parts, [operator.outputs[0].full_name], axis=1,
                       name=scope.get_unique_operator_name("Concat"))  # fmt: skip


def _columns_of(scope: Any, operator: Any, container: Any, of: tuple[str, int]) -> str:
    """Write the columns of one of the ``texts``, by its place, and return their name."""
    texts, place = of
    fitted = operator.raw_operator
    infrequent = bool(fitted._infrequent_enabled and fitted.infrequent_categories_[place] is not None)
    categories = fitted._compute_transformed_categories(place)
    frequent = categories[:-1] if infrequent else categories

    def node(kind: str, inputs: list[str], **attributes: Any) -> str:
        name = scope.get_unique_variable_name(f"encoded_{kind}")
        container.add_node(kind, inputs, [name], name=scope.get_unique_operator_name(kind), **attributes)
        return str(name)

    def constant(kind: int, values: list[Any]) -> str:
        name = scope.get_unique_variable_name("encoding")
        container.add_initializer(name, kind, [len(values)], values)
        return str(name)

    column = node("Gather", [texts, constant(TensorProto.INT64, [place])], axis=1)
    names = [(MISSING if category is None else str(category)).encode() for category in frequent]
    onehot = node("OneHotEncoder", [column], op_domain="ai.onnx.ml", cats_strings=names, zeros=1)
    shape = constant(TensorProto.INT64, [-1, len(names)])
    doubles = node("Cast", [node("Reshape", [onehot, shape])], to=TensorProto.DOUBLE)
    if not infrequent:
        return doubles
    if fitted.handle_unknown == "infrequent_if_exist":
        known = node("ReduceSum", [doubles, constant(TensorProto.INT64, [1])], keepdims=1)
        return node("Concat", [doubles, node("Sub", [constant(TensorProto.DOUBLE, [1.0]), known])], axis=1)
    rare = [(MISSING if name is None else str(name)).encode() for name in fitted.infrequent_categories_[place]]
    among = node("OneHotEncoder", [column], op_domain="ai.onnx.ml", cats_strings=rare, zeros=1)
    flat = node("Cast", [node("Reshape", [among, constant(TensorProto.INT64, [-1, len(rare)])])], to=TensorProto.DOUBLE)
    return node("Concat", [doubles, node("ReduceSum", [flat, constant(TensorProto.INT64, [1])], keepdims=1)], axis=1)
