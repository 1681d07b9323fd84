"""The schema of a request: one field per column, with the constraints of the contract.

The schema travels with the model as ``schema.json``; the server refuses what does not fit it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from leverframe.documents import parsed
from leverframe.domain.features.training_set import Feature, Label

FieldKind = Literal["text", "number", "boolean"]

AS_OF = "as_of"  # the timestamp of a request by entity keys, ISO 8601 with a zone; by default now
MAXIMUM_ROWS = 10_000  # of one request
LONGEST = 256  # characters of a text whose contract sets no limit, and which is not longer in the hold-out


@dataclass(frozen=True)
class Field:
    """One column of a request.

    ``whole`` numbers have no fraction. ``minimum`` and ``maximum`` are allowed themselves, ``above``
    and ``below`` are not. ``pattern`` fits from the start of a text, which has at most ``longest``, else 256,
    characters. ``datatype`` is that of the V2 protocol that holds each of its values, where its kind does not tell.
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
    datatype: str | None = None

    @cached_property
    def members(self) -> frozenset[str | int | float]:
        """The values of ``allowed``: a strict model may have thousands."""
        return frozenset(self.allowed or ())


@dataclass(frozen=True)
class Accepted:
    """What a model takes in a feature: whether it may be missing, and which values it may have, None for any.

    ``longest`` is how many characters a text may have, where that is not the usual number; ``whole`` that a number may
    have no fraction.
    """

    nullable: bool = True
    values: tuple[str | int | float, ...] | None = None
    longest: int | None = None
    whole: bool = False


@dataclass(frozen=True)
class Schema:
    """The two forms of a request: ``columns`` has the features themselves, ``keys`` the keys to look them up by."""

    model: str
    label: Label
    classes: tuple[str, ...]
    columns: tuple[Field, ...]
    keys: tuple[Field, ...]
    maximum_rows: int = MAXIMUM_ROWS

    @cached_property
    def columns_by_name(self) -> Mapping[str, Field]:
        """The features: each request is looked at by their names."""
        return {field.name: field for field in self.columns}

    @cached_property
    def keys_by_name(self) -> Mapping[str, Field]:
        """The keys, as the features."""
        return {field.name: field for field in self.keys}


def derived(
    model: str, learnt: tuple[Label, Sequence[str]], features: Sequence[Feature], constraints: Mapping[str, Field],
    keys: Sequence[Field], accepted: Mapping[str, Accepted] | None = None,
) -> Schema:  # fmt: skip
    """Return the schema of a model with ``features``.

    ``learnt`` are label and classes, ``constraints`` what the contract of the spine says of its
    columns, ``keys`` the fields of a request as the snapshot knows them, ``accepted`` what the model takes
    in features where that is not everything. A feature that is computed has no contract of its own: any finite
    number will do, and a missing one, if the model takes it.
    """
    (label, classes), accepted = learnt, accepted or {}
    columns = tuple(
        narrowed(_column(feature, constraints.get(feature.name)), accepted.get(feature.name)) for feature in features
    )
    fields = tuple(narrowed(_key(key, constraints.get(key.name)), accepted.get(key.name)) for key in keys)
    return Schema(model, label, tuple(classes), columns, (*fields, Field(AS_OF, "text", longest=40)))


def breaking(served: Schema, asked: Schema) -> list[str]:
    """Return how the other schema breaks a client of the ``served`` one; nothing if it is compatible."""
    breaks = []
    if served.label != asked.label or served.classes != asked.classes:
        breaks.append(f"the label was `{served.label.name}` and is `{asked.label.name}`, or its classes changed")
    for form, before, after in (("columns", served.columns, asked.columns), ("keys", served.keys, asked.keys)):
        known = {other.name: other for other in after}
        for field in before:
            now = known.get(field.name)
            if now is None:
                breaks.append(f"{form}: `{field.name}` is gone")
            elif (field.kind, field.whole or now.whole) != (now.kind, field.whole):
                breaks.append(f"{form}: `{field.name}` was {_kind(field)} and is {_kind(now)}")
            elif field.nullable and not now.nullable:
                breaks.append(f"{form}: `{field.name}` may no longer be missing")
        added = [name for name in known if name not in {earlier.name for earlier in before}]
        breaks += [f"{form}: `{name}` is new, and every request must have it" for name in added]
    return breaks


def from_json(content: Mapping[str, Any]) -> Schema:
    """Return the schema of a document that was parsed already; raises ``ValueError`` for anything else."""
    return parsed(Schema, json.dumps(content))


def _column(feature: Feature, constraints: Field | None) -> Field:
    kind: FieldKind = {"categorical": "text", "boolean": "boolean"}.get(feature.kind, "number")  # type: ignore[assignment]
    if constraints is None or constraints.kind != kind:
        return Field(feature.name, kind)
    return replace(constraints, whole=False)  # the model takes any number, so a mean in its place is no error


def _key(field: Field, constraints: Field | None) -> Field:
    if constraints is None or constraints.kind != field.kind:
        return field
    return replace(constraints, datatype=field.datatype, longest=constraints.longest or field.longest)


def narrowed(field: Field, accepted: Accepted | None) -> Field:
    """Return a field that allows no more than the model takes."""
    if accepted is None:
        return field
    allowed = field.allowed
    if accepted.values is not None:
        allowed = tuple(value for value in accepted.values if field.allowed is None or value in field.members)
    nullable, longest = field.nullable and accepted.nullable, field.longest or accepted.longest
    whole = field.whole or accepted.whole
    return replace(field, nullable=nullable, allowed=allowed, longest=longest, whole=whole)


def _kind(field: Field) -> str:
    return "a whole number" if field.whole else field.kind
