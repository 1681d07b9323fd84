"""How an import path becomes an estimator, with errors that name the nearest right word."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from leverframe.domain.model.train import Recipe
from leverframe.errors import DefinitionError, EstimatorError, nearest
from leverframe.words import kind_and_line

_REST = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


def called(factory: Any, recipe: Recipe) -> Any:
    """Return what ``factory`` gives for the recipe: a class for its parameters, a function for the features too.

    A function with a parameter ``label`` is given the label. Raises ``DefinitionError`` for
    parameters that do not fit, ``EstimatorError`` when the call fails.
    """
    given: list[Any] = [] if inspect.isclass(factory) else [recipe.features]
    params = dict(recipe.params)
    if not callable(factory):
        raise DefinitionError(
            f"`{recipe.estimator}` is neither a class nor a function",
            why=f"it is {type(factory).__name__}",
            next="name an estimator class, or a function from features to an estimator",
        )
    known = _parameters(factory, recipe)
    _check_params(dict(list(known.items())[len(given) :]), params, recipe)
    if not inspect.isclass(factory) and "label" in known:
        params["label"] = recipe.label
    try:
        return factory(*given, **params)
    except Exception as error:
        if _without_spark(error):
            raise _needs_spark(recipe) from error
        raise EstimatorError(
            f"`{recipe.estimator}` cannot be built",
            why=kind_and_line(error),
            next="fix `train.params` in params.yaml, or the function",
        ) from error


def refuse_distributed(made: Any, recipe: Recipe) -> None:
    """Raise ``EstimatorError`` for a class of estimators that train on Spark, where this machine trains."""
    if isinstance(made, type) and f"{made.__module__}.".startswith(("pyspark.", "xgboost.spark.")):
        raise _needs_spark(recipe)


def _without_spark(error: BaseException) -> bool:
    """Tell whether PySpark raised what it does without a session, by a bare assertion."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    raised_in = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
    return isinstance(error, AssertionError | RuntimeError) and f"{raised_in}.".startswith("pyspark.")


def _needs_spark(recipe: Recipe) -> EstimatorError:
    return EstimatorError(
        f"`{recipe.estimator}` gives an estimator that trains on Spark",
        why="`train.engine` in params.yaml is sklearn, which trains on this machine",
        next="set `train.engine: spark`, or choose an estimator of scikit-learn's interface",
    )


def _parameters(factory: Callable[..., Any], recipe: Recipe) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(factory).parameters
    except (TypeError, ValueError) as error:  # a function in C may tell none
        raise DefinitionError(
            f"`{recipe.estimator}` does not say which parameters it takes",
            why=f"{kind_and_line(error)}; `train.params` are checked by their names",
            next="name an estimator class, or a function in Python from features to an estimator",
        ) from error


def _check_params(known: Mapping[str, inspect.Parameter], params: Mapping[str, Any], recipe: Recipe) -> None:
    open_ended = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values())
    settable = [name for name, parameter in known.items() if parameter.kind not in _REST and name != "label"]
    for name in params:
        if name not in settable and not open_ended:
            raise DefinitionError(
                f"`{recipe.estimator}` takes no parameter `{name}`",
                why="`train.params` in params.yaml gives it",
                next=nearest(name, settable),
            )
    for name in settable:
        if known[name].default is inspect.Parameter.empty and name not in params:
            raise DefinitionError(
                f"`{recipe.estimator}` needs the parameter `{name}`",
                why="it has no default, and `train.params` in params.yaml does not give it",
                next=f"add `{name}` to `train.params`",
            )


def check_methods(estimator: Any, recipe: Recipe) -> None:
    """Raise ``EstimatorError`` unless the estimator can learn and predict a label of this kind."""
    needed = ("fit", "predict") if recipe.label.kind == "regression" else ("fit", "predict_proba")
    for method in needed:
        if not callable(getattr(estimator, method, None)):
            raise EstimatorError(
                f"`{recipe.estimator}` gives {type(estimator).__name__}, which has no `{method}`",
                why=f"a {recipe.label.kind} label needs an estimator with {' and '.join(needed)}",
                next="choose one that has them; CalibratedClassifierCV gives probabilities to any classifier",
            )
