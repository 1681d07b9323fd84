"""The parameters of a Python file: what DVC reads of it, which is literals and never a run of the file."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from leverframe.errors import SettingsError


@dataclass(frozen=True)
class Expression:
    """A name whose value only a run of the file would tell, with the line where it is assigned."""

    name: str
    line: int


def python_values(text: str, path: str) -> tuple[dict[str, Any], tuple[Expression, ...]]:
    """Return the values of a file by name, those of a class below its name, and what has a value that is no literal.

    Of a class also what its ``__init__`` gives to ``self``. Raises ``SettingsError`` for a text that is no Python.
    """
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise SettingsError(f"cannot read {path}", why=str(error), next="fix the line named above") from error
    left: list[Expression] = []
    return _values(module.body, "", left), tuple(left)


def _values(body: Sequence[ast.stmt], prefix: str, left: list[Expression], *, of_self: bool = False) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            values[statement.name] = _values(statement.body, f"{prefix}{statement.name}.", left)
        elif isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            values |= _values(statement.body, prefix, left, of_self=True)
        else:
            values |= _assigned(statement, prefix, left, of_self=of_self)
    return values


def _assigned(statement: ast.stmt, prefix: str, left: list[Expression], *, of_self: bool) -> dict[str, Any]:
    for name, value in _assignments(statement, of_self=of_self):
        try:
            return {name: ast.literal_eval(value)}
        except ValueError:
            left.append(Expression(prefix + name, statement.lineno))
    return {}


def _assignments(statement: ast.stmt, *, of_self: bool) -> Iterator[tuple[str, ast.expr]]:
    """Yield the one name that a statement assigns, and its value; what assigns several at once is not read by DVC."""
    target: ast.expr
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        target, value = statement.target, statement.value
    elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value = statement.targets[0], statement.value
    else:
        return
    if isinstance(target, ast.Name) and not of_self:
        yield target.id, value
    elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
        yield target.attr, value
