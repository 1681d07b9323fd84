"""Whether a request can be served: every tensor against the schema, before any of it is used.

What does not fit is refused with the name of the column and the number of the row, so that a
client can fix it. Nothing is guessed: text is never read as a number, a number never as a boolean.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.model.bundle.schema import AS_OF, LONGEST, Field, Schema
from leverframe.errors import RequestError, nearest
from leverframe.words import first_few

FEW = 16  # rows up to which values are looked at one by one, and features looked up so
_LARGEST = sys.float_info.max
_WHOLE = {
    **{f"INT{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
}
_INTEGERS = {int}
_END = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\$", re.DOTALL)  # also what an end may not be: escaped, or in a set
_SINGLE = float(np.finfo(np.float32).max)
_DATATYPES = {
    "text": frozenset({"BYTES"}),
    "boolean": frozenset({"BOOL"}),
    "number": frozenset({*_WHOLE, "FP32", "FP64"}),
}
_TYPES: dict[str, frozenset[type]] = {
    "text": frozenset({str, bytes, type(None)}),
    "boolean": frozenset({bool, type(None)}),
    "number": frozenset({int, float, type(None)}),
}
_WANTED = {
    "text": "texts, datatype BYTES",
    "boolean": "true or false, datatype BOOL",
    "number": "numbers, such as FP64",
}

Form = Literal["columns", "keys"]


class Tensor(NamedTuple):  # a frozen dataclass takes three times as long to make, and a request has many
    """One input of a request as it came: ``data`` is a list, flat or of rows with one value each."""

    name: str
    shape: Sequence[int]
    datatype: str
    data: Any


@dataclass(frozen=True)
class Checked:
    """A request that fits: its form, and n values a column.

    Among ``columns`` texts are arrays of objects with None where one is missing, numbers and booleans are
    doubles with NaN. Keys of up to ``FEW`` rows are lists of plain values with None; those of more rows
    are masked arrays of their own type, as a lookup of many takes them.
    """

    form: Form
    rows: int
    columns: Mapping[str, Any]


def checked(schema: Schema, tensors: Sequence[Tensor]) -> Checked:
    """Return the values of a request; raises ``RequestError`` for the first thing that does not fit."""
    given = {tensor.name: tensor for tensor in tensors}
    if len(given) < len(tensors):
        twice = next(tensor.name for tensor in tensors if sum(other.name == tensor.name for other in tensors) > 1)
        raise _wrong(f"the request has `{_cut(twice)}` twice", "a column may occur once", "send it once")
    form, fields = _form(schema, given)
    rows = _rows(schema, tensors)
    decode = _doubles if form == "columns" else _plain if rows <= FEW else _typed
    return Checked(form, rows, {field.name: decode(field, _values(field, given[field.name], rows)) for field in fields})


def strict_features(schema: Schema) -> tuple[Field, ...]:
    """Return the features of which the model takes not every value, and which a request by keys need not have."""
    keys = {field.name for field in schema.keys}
    strict = (field for field in schema.columns if not field.nullable or field.allowed is not None)
    return tuple(field for field in strict if field.name not in keys)


def unaccepted(fields: Sequence[Field], columns: Mapping[str, Any]) -> Iterator[tuple[int, RequestError]]:
    """Yield the rows of a request by keys for which tables gave a value that the model does not take.

    ``columns`` are the inputs of the model, ``fields`` the ``strict_features``.
    """
    for field in fields:
        for row, value in enumerate(columns[field.name].tolist()):
            if value is None or value != value:  # noqa: PLR0124 - NaN
                if not field.nullable:
                    yield row, _wrong(f"`{field.name}` in row {row} has no value",
                                      "the tables have none for the keys of that row, and the model needs one",
                                      f"send `{field.name}` beside the keys, or keys that the tables have")  # fmt: skip
            elif field.allowed is not None and value not in field.members:
                yield row, _wrong(f"`{field.name}` in row {row} is {_cut(repr(value))}",
                                  "the model was trained without that value, and takes no other",
                                  f"send `{field.name}` beside the keys, or train with it")  # fmt: skip


def _form(schema: Schema, given: Mapping[str, Tensor]) -> tuple[Form, list[Field]]:
    """Return which form a request has, and the fields that stand in it."""
    columns, keys = schema.columns_by_name, schema.keys_by_name
    if given.keys() == columns.keys():
        return "columns", list(schema.columns)
    known = {**columns, **keys}
    unknown = [name for name in given if name not in known]
    if unknown:
        raise _wrong(f"`{_cut(unknown[0])}` is not a column of this model", "its schema has no such name",
                     nearest(_cut(unknown[0]), known))  # fmt: skip
    lacking = [name for name in keys if name not in given and name != AS_OF]
    if keys and not lacking:  # features that came along go before what would be looked up
        return "keys", [known[name] for name in given]
    wanted = [name for name in columns if name not in given]
    if not wanted:
        beside = next(name for name in given if name not in columns)
        raise _wrong(f"the request has `{beside}` beside all feature columns", "such a request looks nothing up",
                     f"leave it out, or send the keys {', '.join(f'`{name}`' for name in keys)}")  # fmt: skip
    by_columns = not keys or len(wanted) < len(lacking)
    missing, form = (wanted, "raw columns") if by_columns else (lacking, "entity keys")
    words = first_few([f"`{name}`" for name in missing], 8)
    raise _wrong(
        f"the request lacks `{missing[0]}`",
        f"as a request by {form} it lacks {words}",
        f"send all {len(columns)} feature columns"
        + (f", or the keys {', '.join(f'`{name}`' for name in keys)}" if keys else ""),
    )


def _rows(schema: Schema, tensors: Sequence[Tensor]) -> int:
    """Return the number of rows, the same in every tensor."""
    rows, alike = 0, all(tensor.shape == tensors[0].shape for tensor in tensors)
    for tensor in tensors[:1] if alike else tensors:
        shape = list(tensor.shape)
        if len(shape) not in (1, 2) or shape[1:] not in ([], [1]) or shape[0] < 1:
            raise _wrong(
                f"`{tensor.name}` has the shape {str(shape)[:60]}", "a column has one value per row",
                "send the shape [rows] or [rows, 1], with at least one row",
            )  # fmt: skip
        rows = rows or shape[0]
        if shape[0] != rows:
            raise _wrong(
                f"`{tensor.name}` has {shape[0]} rows, `{tensors[0].name}` has {rows}",
                "every column needs one value per row", "send the same number of values in each",
            )  # fmt: skip
    if rows > schema.maximum_rows:
        raise _wrong(f"the request has {rows:,} rows", f"a request has at most {schema.maximum_rows:,} rows",
                     "send it in parts")  # fmt: skip
    return rows


def _values(field: Field, tensor: Tensor, rows: int) -> list[Any]:
    """Return the values of a tensor that are of the kind of the field, one a row."""
    if tensor.datatype not in _DATATYPES[field.kind]:
        raise _wrong(f"`{field.name}` has the datatype {tensor.datatype}", f"the column holds {_WANTED[field.kind]}",
                     "send that datatype")  # fmt: skip
    data = tensor.data
    if not isinstance(data, list):
        raise _wrong(f"`{field.name}` has no list of values", f"its data are {type(data).__name__}",
                     "send a list with one value per row")  # fmt: skip
    if data and type(data[0]) is list:
        if not all(type(cell) is list and len(cell) == 1 for cell in data):
            raise _wrong(f"`{field.name}` has rows of several values", "a column has one value per row",
                         "send one value a row")  # fmt: skip
        data = [cell[0] for cell in data]
    if len(data) != rows:
        raise _wrong(f"`{field.name}` has {len(data)} values for {rows} rows", "its shape does not match its data",
                     "let shape and data agree")  # fmt: skip
    types = set(map(type, data))
    if not types <= _TYPES[field.kind]:
        row = next(row for row, value in enumerate(data) if type(value) not in _TYPES[field.kind])
        raise _bad(field, row, data[row], f"must be of {_WANTED[field.kind]}")
    limits = _WHOLE.get(tensor.datatype)
    if limits is not None:
        if types != _INTEGERS or min(data) < limits[0] or max(data) > limits[1]:
            _check_whole(field, tensor.datatype, data)
    elif tensor.datatype == "FP32":
        _check_single(field, data)
    return data


def _check_whole(field: Field, datatype: str, data: list[Any]) -> None:
    """Refuse numbers that are none of a whole datatype: JSON can write them all the same."""
    least, most = _WHOLE[datatype]
    for row, value in enumerate(data):
        if value is not None and not (least <= value <= most and float(value).is_integer()):
            raise _not_held(field, row, value, f"{datatype} holds whole numbers from {least} to {most}")


def _check_single(field: Field, data: list[Any]) -> None:
    """Refuse finite numbers that single precision does not reach."""
    for row, value in enumerate(data):
        if value is not None and _SINGLE < abs(value) != np.inf:
            raise _not_held(field, row, value, f"FP32 holds numbers up to {_SINGLE:g}")


def _not_held(field: Field, row: int, value: Any, why: str) -> RequestError:
    return _wrong(f"`{field.name}` in row {row} is {_cut(repr(value))}", why, "send it in a datatype that holds it")


def _doubles(field: Field, values: list[Any]) -> NDArray[Any]:
    if field.kind == "text":
        return _texts(field, values)
    if len(values) <= FEW and _fine(field, values):
        return np.array(values, np.float64)
    try:
        doubles = np.array(values, np.float64)  # None becomes NaN
    except OverflowError:  # a whole number beyond every double
        doubles = np.array([_within(value) for value in values], np.float64)
    _refuse(field, values, np.isinf(doubles), "must be finite")
    _limits(field, values, doubles)
    return doubles


def _fine(field: Field, values: list[Any]) -> bool:
    """Tell of a few values whether all are surely right; for them numpy would take longer than the prediction."""
    if field.above is not None or field.below is not None or field.allowed is not None:
        return False
    least = -_LARGEST if field.minimum is None else field.minimum
    most = _LARGEST if field.maximum is None else field.maximum
    return all(field.nullable if value is None else least <= value <= most for value in values)


def arrays(schema: Schema, request: Checked) -> dict[str, Any]:
    """Return the keys of few rows as those of many."""
    fields = {column.name: column for column in (*schema.columns, *schema.keys)}
    return {name: _typed(fields[name], values) for name, values in request.columns.items()}


def _plain(field: Field, values: list[Any]) -> list[Any]:
    """Return a few keys as plain values, None for null."""
    if field.kind == "text":
        return _checked_texts(field, values)
    exact = field.whole or field.datatype is not None
    if not _fine(field, values) or (exact and not all(map(_whole, values))):
        plain: list[Any] = _typed(field, values).tolist()  # says what is wrong, unless a rare rule is kept after all
        return plain
    if field.kind == "boolean":
        return [None if value is None else bool(value) for value in values]
    # Whole numbers stay what they are: as doubles, keys beyond 2**53 would be those of their neighbours.
    return [int(value) if exact and value is not None else value for value in values]


def _whole(value: Any) -> bool:
    return value is None or type(value) is int or (abs(value) <= 2**53 and int(value) == value)


def _typed(field: Field, values: list[Any]) -> Any:
    if field.kind == "text":
        texts = _texts(field, values)
        return np.ma.masked_array(texts, mask=[text is None for text in texts.tolist()])
    doubles = _doubles(field, values)
    missing = np.isnan(doubles)
    if field.kind == "boolean":
        return np.ma.masked_array(np.where(missing, 0, doubles).astype(bool), mask=missing)
    if all(value is None or type(value) is int for value in values):
        return _integers(values, missing)
    if field.whole or field.datatype is not None:
        whole = np.where(missing, 0, doubles)
        fractions = whole != np.floor(whole)
        _refuse(field, values, fractions & field.whole, "must be a whole number")
        _refuse(
            field, values, np.abs(whole) > 2**53, "must be smaller, as doubles hold no exact whole numbers of that size"
        )
        if not fractions.any():
            return np.ma.masked_array(whole.astype(np.int64), mask=missing)
    return np.ma.masked_array(doubles, mask=missing)


def _integers(values: list[Any], missing: NDArray[np.bool_]) -> Any:
    """Return whole numbers as such, whatever their size."""
    whole = [0 if value is None else value for value in values]
    fits = all(-(2**63) <= number < 2**63 for number in whole)
    return np.ma.masked_array(np.array(whole, np.int64 if fits else object), mask=missing)


def _texts(field: Field, values: list[Any]) -> NDArray[Any]:
    texts = np.empty(len(values), object)
    texts[:] = _checked_texts(field, values)
    return texts


def _checked_texts(field: Field, values: list[Any]) -> list[str | None]:
    raw = bytes in set(map(type, values))  # as gRPC has texts
    texts = (
        [_text(field, row, value) if type(value) is bytes else value for row, value in enumerate(values)]
        if raw
        else values
    )
    wrong = {text: why for text in set(texts) if (why := _text_fault(field, text))}  # a text that comes often, once
    if wrong:
        row = next(row for row, text in enumerate(texts) if text in wrong)
        raise _bad(field, row, texts[row], wrong[texts[row]])
    return texts


def _text_fault(field: Field, text: str | None) -> str:
    """Return what a text must be, empty if it is valid."""
    longest = field.longest or LONGEST
    if text is None:
        return "" if field.nullable else "must never be missing"
    if len(text) > longest:
        return f"must have at most {longest} characters"
    if field.allowed is not None and text not in field.members:
        return f"must be one of {', '.join(map(str, field.allowed[:12]))}"
    if field.pattern is not None and not _compiled(field.pattern).match(text):
        return f"must match the pattern {field.pattern}"
    return ""


def _text(field: Field, row: int, value: bytes) -> str | None:
    """Return bytes as text; without any, gRPC has no other way to say that a text is missing."""
    try:
        return value.decode("utf-8") if value or not field.nullable else None
    except UnicodeDecodeError:
        raise _bad(field, row, value[:20], "must be UTF-8") from None


def _limits(field: Field, values: list[Any], doubles: NDArray[np.float64]) -> None:
    if not field.nullable:
        _refuse(field, values, np.isnan(doubles), "must never be missing")
    for limit, broken, words in (
        (field.minimum, np.less, "at least"),
        (field.maximum, np.greater, "at most"),
        (field.above, np.less_equal, "more than"),
        (field.below, np.greater_equal, "less than"),
    ):
        if limit is not None:
            _refuse(field, values, broken(doubles, limit), f"must be {words} {limit:g}")
    if field.allowed is not None:
        strange = ~np.isin(doubles, np.array(field.allowed, np.float64)) & ~np.isnan(doubles)
        _refuse(field, values, strange, f"must be one of {', '.join(map(str, field.allowed[:12]))}")


def _refuse(field: Field, values: list[Any], wrong: Any, why: str) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        raise _bad(field, row, values[row], why)


def _within(value: Any) -> float:
    try:
        return np.nan if value is None else float(value)
    except OverflowError:
        return np.inf


def _bad(field: Field, row: int, value: Any, why: str) -> RequestError:
    return _wrong(
        f"`{field.name}` in row {row} is {_cut(repr(value))}", f"by the schema of the model it {why}", "fix the value"
    )


def _wrong(what: str, why: str, next: str) -> RequestError:
    return RequestError(what, why=why, next=next)


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern as the contract means it: for the tables ``$`` is the end, for Python also before a newline."""
    if re.compile(pattern).flags & re.MULTILINE:
        return re.compile(pattern)
    return re.compile(_END.sub(lambda part: r"\Z" if part[0] == "$" else part[0], pattern))
