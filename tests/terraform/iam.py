"""What IAM makes of statements: whether they allow a request, with the conditions that they have.

A request is an action, a resource and what AWS tells of both (`context`). What it tells of which action is in
``actions.json``, by AWS's Service Authorization Reference: a condition about anything else is never met.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

Statement = dict[str, Any]
TABLE: dict[str, Any] = json.loads(Path(__file__).with_name("actions.json").read_text(encoding="utf-8"))
# What AWS tells of every request.
EVERYWHERE = {"aws:RequestedRegion", "aws:SecureTransport", "aws:SourceAccount", "aws:SourceArn", "aws:PrincipalArn"}


def like(value: str, pattern: str) -> bool:
    """Whether a pattern of IAM is about a value: `*` and `?`, nothing else."""
    return fnmatch.fnmatchcase(value, pattern.replace("[", "[[]"))


OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": str.__eq__,
    "StringLike": like,
    "ArnEquals": like,
    "ArnLike": like,
    "Bool": str.__eq__,
    "NumericGreaterThanEquals": lambda value, bound: float(value) >= float(bound),
}


def entries(value: Any) -> list[Any]:
    """The entries of an element that may be one or many."""
    return list(value) if isinstance(value, list | tuple | set) else [value]


def met(condition: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    """Whether every part of a condition is met; nothing that is not told equals anything."""
    return all(
        _met(operator, key, wanted, context) for operator, keys in condition.items() for key, wanted in keys.items()
    )


def _met(operator: str, key: str, wanted: Any, context: Mapping[str, str]) -> bool:
    if operator == "Null":
        return (key not in context) == (str(entries(wanted)[0]).lower() == "true")
    base = operator.removesuffix("IfExists")
    negated = "Not" in base
    if key not in context:
        return negated or operator.endswith("IfExists")
    compared = OPERATORS[base.replace("Not", "")]
    return any(compared(context[key], str(value)) for value in entries(wanted)) != negated


def about(statement: Statement, element: str, value: str) -> bool:
    """Whether an element of a statement, or its contrary, is about a value."""
    stated = entries(statement.get(element, statement.get(f"Not{element}", "*")))
    return any(like(value, pattern) for pattern in stated) == (f"Not{element}" not in statement)


def allows(
    statements: Iterable[Statement], action: str, resource: str = "*", context: Mapping[str, str] | None = None
) -> bool:
    """Whether a statement allows a request and none denies it."""
    effects = {
        statement["Effect"]
        for statement in statements
        if about(statement, "Action", action) and about(statement, "Resource", resource)
        if met(statement.get("Condition", {}), context or {})
    }
    return effects == {"Allow"}


def told(action: str, arn: str) -> set[str]:
    """The keys that AWS tells of an action on a resource of a type (an ARN of ``actions.json``)."""
    known = TABLE[action]
    return EVERYWHERE | set(known["keys"]) | set(known["resources"].get(arn, {"keys": []})["keys"])


def overlaps(one: str, other: str) -> bool:
    """Whether some ARN fits two patterns."""
    if not one or not other:
        return not (one + other).strip("*")
    if "*" not in (one[0], other[0]):
        return one[0] == other[0] and overlaps(one[1:], other[1:])
    if one[0] != "*":
        one, other = other, one
    return overlaps(one[1:], other) or overlaps(one, other[1:])


def same_kind(one: str, other: str) -> bool:
    """Whether some resource fits two ARNs, compared part by part."""
    parts = list(zip(one.split(":", 5), other.split(":", 5), strict=False))
    return len(parts) == 6 and all(overlaps(*pair) for pair in parts)


def faults(statements: list[Statement]) -> list[str]:
    """What AWS would never allow though a policy says so: a condition, or a resource, that an action does not know."""
    errors = []
    for statement in statements:
        if statement["Effect"] != "Allow":
            continue
        actions = [action for action in entries(statement["Action"]) if "*" not in action]
        fits = {
            action: [arn for arn in TABLE[action]["resources"] if _named(statement, arn)]
            for action in actions
            if action in TABLE
        }
        errors += [
            f"{action} is not in actions.json: an error in its name, or generate it anew"
            for action in actions
            if action not in TABLE
        ]
        for action, arns in fits.items():
            if not arns and "*" not in entries(statement["Resource"]):
                errors.append(f"{action} is about none of {statement['Resource']}")
            for arn in arns or ["*"]:
                errors += [
                    f"{action} on {arn} does not know {key}" for key in _asked(statement) if not _told(action, arn, key)
                ]
        for resource in entries(statement["Resource"]):
            if resource != "*" and fits and not any(same_kind(resource, arn) for arns in fits.values() for arn in arns):
                errors.append(f"{resource} is what no action of {actions} is about")
        errors += [
            f"{action} needs {needed}"
            for action in fits
            for needed in TABLE[action]["needs"]
            if needed.endswith(("Tags", "TagResource")) and not any(_grants(other, needed) for other in statements)
        ]
    return errors


def _named(statement: Statement, arn: str) -> bool:
    return any(resource != "*" and same_kind(resource, arn) for resource in entries(statement["Resource"]))


def _asked(statement: Statement) -> set[str]:
    """The keys without which a condition is never met."""
    parts = statement.get("Condition", {}).items()
    return {
        key
        for operator, keys in parts
        for key, wanted in keys.items()
        if not operator.endswith("IfExists") and "Not" not in operator and not (operator == "Null" and wanted == "true")
    }


def _told(action: str, arn: str, key: str) -> bool:
    return any(key == known or (known.endswith("/") and key.startswith(known)) for known in told(action, arn))


def _grants(statement: Statement, action: str) -> bool:
    return statement["Effect"] == "Allow" and about(statement, "Action", action)
