"""Which types the columns of a table have, and in which type those of several files hold all values.

A type is named as in ``int64``, ``uint8``, ``float32``, ``decimal(12,2)``, ``text``, ``boolean``; ``nothing`` is
that of a column without any value. What is named otherwise is equal to itself alone: ``nested`` and ``other``
come with the engine's own name behind them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

from leverframe.errors import SourceError

NOTHING = "nothing"
FEATURES = ("number", "text", "boolean", NOTHING)  # kinds that a model can learn from
KEYS = ("number", "text", "boolean", "date", "timestamp", NOTHING)  # kinds that a key may have
EXACT = 2**53  # up to which a double holds each whole number

_WHOLE = re.compile(r"(u?)int(8|16|32|64|128)")
_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
_WIDEST_DECIMAL = 38


def folded(name: str) -> str:
    """Return the name of a column as names are compared: DuckDB knows no upper case, and a reader hardly does."""
    return name.casefold()


def same_but_case(names: Iterable[str]) -> tuple[str, str] | None:
    """Return two names that differ in case only, or not at all; None if there are none."""
    ordered = sorted(names, key=folded)
    return next(((one, other) for one, other in pairwise(ordered) if folded(one) == folded(other)), None)


def kind(name: str) -> str:
    """Return what a type is to a star schema: ``number`` for each of numbers, else its own name."""
    if name.startswith(("nested", "other")):
        return name.split(maxsplit=1)[0]
    return "number" if _WHOLE.fullmatch(name) or _DECIMAL.fullmatch(name) or name.startswith("float") else name


def common(one: str, other: str) -> str | None:
    """Return the smallest type that holds every value of both, None where the names alone do not tell of one."""
    if other in (one, NOTHING):
        return one
    if one == NOTHING:
        return other
    if {one, other} == {"float32", "float64"}:
        return "float64"
    if floating(one) or floating(other):
        whole = _WHOLE.fullmatch(other if floating(one) else one)
        return "float64" if whole and int(whole[2]) <= 32 else None
    return _common_whole(one, other) or _common_decimal(one, other)


def whole(name: str) -> bool:
    """Tell whether a type is that of whole numbers which a file can hold."""
    match = _WHOLE.fullmatch(name)
    return match is not None and match[2] != "128"


def floating(name: str) -> bool:
    """Tell whether a type is that of doubles or floats."""
    return name.startswith("float")


def mixed(one: str, other: str) -> bool:
    """Tell whether one type is of whole numbers and the other of doubles, so that the values have to tell."""
    return (floating(one) and bool(_WHOLE.fullmatch(other))) or (floating(other) and bool(_WHOLE.fullmatch(one)))


def two_types(name: str, one: tuple[str, str], other: tuple[str, str]) -> SourceError:
    """Return the error about a column of two types that no type holds; each with the file it is in."""
    numbers = kind(one[0]) == kind(other[0]) == "number"
    return SourceError(
        f"the column `{name}` is {one[0]} in {one[1]} and {other[0]} in {other[1]}",
        why="no type holds every value of both: some would be rounded, and different ones become equal"
        if numbers
        else "read together, values of the two would silently become one kind",
        next="give the column one type in sources.py, as in `Csv(..., types={...})`, and ingest again",
    )


def differ_in_case(names: tuple[str, str], file: str) -> SourceError:
    """Return the error about two columns of a file that SQL takes for one."""
    return SourceError(
        f"the columns `{names[0]}` and `{names[1]}` of {file} differ in case only",
        why="SQL takes them for one column, and so would a reader",
        next="rename one of them in the transform of the source",
    )


def inexact_key(name: str, table: str, dtype: str, why: str) -> SourceError:
    """Return the error about a key whose values cannot be told apart for sure."""
    return SourceError(
        f"`{name}` of `{table}` is a key of type {dtype}, which cannot be compared exactly",
        why=why,
        next="store it as whole numbers or as text in the transform of the source",
    )


LARGE_KEY = f"values from {EXACT} on were whole numbers once, and different ones are the same double"


def _common_whole(one: str, other: str) -> str | None:
    both = [_WHOLE.fullmatch(name) for name in (one, other)]
    if None in both:
        return None
    signed = any(match and not match[1] for match in both)
    bits = max(int(match[2]) * (2 if signed and match[1] else 1) for match in both if match)
    return f"{'' if signed else 'u'}int{min(bits, 128)}"


def _common_decimal(one: str, other: str) -> str | None:
    parts = [_digits(name) for name in (one, other)]
    if None in parts:
        return None
    before, after = (max(part[place] for part in parts if part) for place in (0, 1))
    return f"decimal({before + after},{after})" if before + after <= _WIDEST_DECIMAL else None


def _digits(name: str) -> tuple[int, int] | None:
    """Return how many digits a type has before and after the point."""
    decimal, whole = _DECIMAL.fullmatch(name), _WHOLE.fullmatch(name)
    if decimal:
        return int(decimal[1]) - int(decimal[2]), int(decimal[2])
    return (len(str(2 ** (int(whole[2]) - (not whole[1])))), 0) if whole else None
