"""The schema of a request: one field per column, with the constraints of the contract.

The schema travels with the model as ``schema.json``; the server refuses what does not fit it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from leverframe.documents import parsed
from leverframe.domain.features.training_set import Feature, Label

FieldKind = Literal["text", "number", "boolean"]

AS_OF = "as_of"  # the timestamp of a request by entity keys, ISO 8601 with a zone; by default now
MAXIMUM_ROWS = 10_000  # of one request


@dataclass(frozen=True)
class Field:
    """One column of a request.

    ``whole`` numbers have no fraction. ``minimum`` and ``maximum`` are allowed themselves, ``above``
    and ``below`` are not. ``pattern`` fits from the start of a text, which has at most ``longest``, else 256,
    characters.
    """

    name: str
    kind: FieldKind
    whole: bool = False
    nullable: bool = True
    minimum: int | float | None = None
    maximum: int | float | None = None
    above: int | float | None = None
    below: int | float | None = None
    allowed: tuple[str | int | float, ...] | None = None
    pattern: str | None = None
    longest: int | None = None


@dataclass(frozen=True)
class Schema:
    """The two forms of a request: ``columns`` has the features themselves, ``keys`` the keys to look them up by."""

    model: str
    label: Label
    classes: tuple[str, ...]
    columns: tuple[Field, ...]
    keys: tuple[Field, ...]
    maximum_rows: int = MAXIMUM_ROWS


def derived(
    model: str, learnt: tuple[Label, Sequence[str]], features: Sequence[Feature], constraints: Mapping[str, Field],
    keys: Sequence[Field],
) -> Schema:  # fmt: skip
    """Return the schema of a model with ``features``.

    ``learnt`` are label and classes, ``constraints`` what the contract of the spine says of its
    columns, ``keys`` the fields of a request as the snapshot knows them. A feature that is
    computed has no contract of its own: any finite number will do, and a missing one.
    """
    label, classes = learnt
    columns = tuple(_column(feature, constraints.get(feature.name)) for feature in features)
    fields = tuple(_key(key, constraints.get(key.name)) for key in keys)
    return Schema(model, label, tuple(classes), columns, (*fields, Field(AS_OF, "text", longest=40)))


def breaking(served: Schema, asked: Schema) -> list[str]:
    """Return how the other schema breaks a client of the ``served`` one; nothing if it is compatible."""
    found = []
    if served.label != asked.label or served.classes != asked.classes:
        found.append(f"the label was `{served.label.name}` and is `{asked.label.name}`, or its classes changed")
    for form, before, after in (("columns", served.columns, asked.columns), ("keys", served.keys, asked.keys)):
        known = {each.name: each for each in after}
        for each in before:
            now = known.get(each.name)
            if now is None:
                found.append(f"{form}: `{each.name}` is gone")
            elif (each.kind, each.whole or now.whole) != (now.kind, each.whole):
                found.append(f"{form}: `{each.name}` was {_kind(each)} and is {_kind(now)}")
            elif each.nullable and not now.nullable:
                found.append(f"{form}: `{each.name}` may no longer be missing")
        added = [name for name in known if name not in {each.name for each in before}]
        found += [f"{form}: `{name}` is new, and every request must have it" for name in added]
    return found


def from_json(content: Mapping[str, Any]) -> Schema:
    """Return the schema of a document that was parsed already; raises ``ValueError`` for anything else."""
    return parsed(Schema, json.dumps(content))


def _column(feature: Feature, constraints: Field | None) -> Field:
    kind: FieldKind = {"categorical": "text", "boolean": "boolean"}.get(feature.kind, "number")  # type: ignore[assignment]
    if constraints is None or constraints.kind != kind:
        return Field(feature.name, kind)
    return replace(constraints, whole=False)  # the model takes any number, so a mean in its place is no error


def _key(field: Field, constraints: Field | None) -> Field:
    return constraints if constraints is not None and constraints.kind == field.kind else field


def _kind(field: Field) -> str:
    return "a whole number" if field.whole else field.kind
