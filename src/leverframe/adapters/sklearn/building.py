"""How an import path becomes an estimator, with errors that name the nearest right word."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from leverframe.adapters.sklearn.storing import first_line
from leverframe.domain.train import Recipe
from leverframe.errors import DefinitionError, EstimatorError, nearest

_REST = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


def found(path: str, root: Path) -> Any:
    """Return what an import path names; raises ``DefinitionError`` when it names nothing."""
    module, _, name = path.partition(":")
    place = module_of(path, root)
    if not hasattr(place, name):
        public = [each for each, value in vars(place).items() if callable(value) and not each.startswith("_")]
        raise DefinitionError(
            f"`{module}` has no `{name}`",
            why=f"`train.estimator` in params.yaml is {path}",
            next=nearest(name, public),
        )
    return getattr(place, name)


def module_of(path: str, root: Path) -> Any:
    """Return the module of an import path, which may lie below ``root``; raises ``DefinitionError``."""
    name = path.partition(":")[0]
    folder = str(root.resolve())
    if folder not in sys.path:  # an installed command does not look into the working directory
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except Exception as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}.")
        raise DefinitionError(
            f"there is no module `{name}`" if missing else f"the module `{name}` cannot be imported",
            why="`train.estimator` in params.yaml names it" if missing else first_line(error),
            next=nearest(name, _neighbours(name)) if missing else f"mend it until `python -c 'import {name}'` works",
        ) from error


def _neighbours(name: str) -> list[str]:
    """Return the modules beside the one that was named, if its package exists."""
    package, _, _ = name.rpartition(".")
    try:
        folder = importlib.import_module(package).__path__ if package else None
    except (ImportError, AttributeError):
        return []
    return [f"{package}.{each.name}" for each in pkgutil.iter_modules(folder)] if folder else []


def called(found: Any, recipe: Recipe) -> Any:
    """Return what ``found`` gives for the recipe: a class for its parameters, a function for the features too.

    A function with a parameter ``label`` is given the label. Raises ``DefinitionError`` for
    parameters that do not fit, ``EstimatorError`` when the call fails.
    """
    given: list[Any] = [] if inspect.isclass(found) else [recipe.features]
    params = dict(recipe.params)
    if not callable(found):
        raise DefinitionError(
            f"`{recipe.estimator}` is neither a class nor a function",
            why=f"it is {type(found).__name__}",
            next="name an estimator class, or a function from features to an estimator",
        )
    _check_params(found, given, params, recipe)
    if not inspect.isclass(found) and "label" in inspect.signature(found).parameters:
        params["label"] = recipe.label
    try:
        return found(*given, **params)
    except Exception as error:
        raise EstimatorError(
            f"`{recipe.estimator}` cannot be built",
            why=first_line(error),
            next="mend `train.params` in params.yaml, or the function",
        ) from error


def _check_params(found: Callable[..., Any], given: Sequence[Any], params: Mapping[str, Any], recipe: Recipe) -> None:
    known = dict(list(inspect.signature(found).parameters.items())[len(given) :])
    open_ended = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in known.values())
    settable = [name for name, each in known.items() if each.kind not in _REST and name != "label"]
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
    """Raise ``EstimatorError`` unless the estimator can learn and answer a label of this kind."""
    needed = ("fit", "predict") if recipe.label.kind == "regression" else ("fit", "predict_proba")
    for method in needed:
        if not callable(getattr(estimator, method, None)):
            raise EstimatorError(
                f"`{recipe.estimator}` gives {type(estimator).__name__}, which has no `{method}`",
                why=f"a {recipe.label.kind} label needs an estimator with {' and '.join(needed)}",
                next="choose one that has them; CalibratedClassifierCV gives probabilities to any classifier",
            )
