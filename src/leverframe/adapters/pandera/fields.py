"""pandera: the constraints of a schema on the values of each column, as fields of a request."""

from __future__ import annotations

from typing import Any

import pandera.polars as pa

from leverframe.domain.model.bundle.schema import Field, FieldKind

# What a check of pandera is called, and how its statistics are called there and here.
_LIMITS = {
    "greater_than_or_equal_to": {"min_value": "minimum"},
    "less_than_or_equal_to": {"max_value": "maximum"},
    "greater_than": {"min_value": "above"},
    "less_than": {"max_value": "below"},
    "in_range": {"min_value": "minimum", "max_value": "maximum"},
    "isin": {"allowed_values": "allowed"},
    "str_matches": {"pattern": "pattern"},
    "str_length": {"max_value": "longest"},
}

_TYPES: dict[FieldKind, tuple[str, ...]] = {
    "text": ("String", "Categorical", "Enum"),
    "boolean": ("Boolean",),
    "number": ("Int", "UInt", "Float", "Decimal"),
}


def fields(schema: object) -> dict[str, Field]:
    """Return the columns of a schema whose values can stand in a request, by name.

    A check that only warns restricts nothing, and neither does one of another kind than those that
    a field can say; timestamps are left out.
    """
    if isinstance(schema, type) and issubclass(schema, pa.DataFrameModel):
        schema = schema.to_schema()
    columns = getattr(schema, "columns", {})
    candidates = {name: _field(name, column) for name, column in columns.items() if not column.regex}
    return {name: field for name, field in candidates.items() if field is not None}


def _field(name: str, column: Any) -> Field | None:
    dtype = str(column.dtype)
    kind = next((kind for kind, types in _TYPES.items() if dtype.startswith(types)), None)
    if kind is None:
        return None
    limits: dict[str, Any] = {}
    if dtype.startswith("Enum"):
        limits["allowed"] = tuple(column.dtype.categories)
    for check in column.checks:
        if not check.raise_warning:
            limits |= _limits(check, kind)
    return Field(name, kind, whole="Int" in dtype, nullable=bool(column.nullable), **limits)


def _limits(check: Any, kind: FieldKind) -> dict[str, Any]:
    stats = check.statistics or {}
    limits = {
        ours: stats[theirs] for theirs, ours in _LIMITS.get(check.name, {}).items() if stats.get(theirs) is not None
    }
    if check.name == "in_range":  # whose ends may be excluded
        for end, ours, other in (("include_min", "minimum", "above"), ("include_max", "maximum", "below")):
            if stats.get(end) is False and ours in limits:
                limits[other] = limits.pop(ours)
    if "allowed" in limits:
        allowed = {_plain(value, kind) for value in limits["allowed"] if value is not None}
        limits["allowed"] = tuple(sorted(allowed - {None}))
    for name in ("minimum", "maximum", "above", "below"):
        if name in limits:
            limits[name] = _plain(limits[name], "number")
    if "pattern" in limits:  # a compiled one, in some versions
        limits["pattern"] = getattr(limits["pattern"], "pattern", limits["pattern"])
    return limits


def _plain(value: Any, kind: FieldKind) -> str | int | float | None:
    """Return a value of a check as JSON has it; None for one that no column of the kind has."""
    if kind == "text":
        return value if isinstance(value, str) else None
    value = value.item() if hasattr(value, "item") else value
    try:
        return int(value) if isinstance(value, int) else float(value)
    except (TypeError, ValueError):
        return None
