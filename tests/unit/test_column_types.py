"""Which type holds the values of two: none is rounded, whatever the order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.data.column_types import NOTHING, common, kind, same_but_case

WHOLE = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
names = st.sampled_from(
    [*WHOLE, "float32", "float64", "decimal(12,2)", "decimal(38,0)", "text", "boolean", "date", NOTHING, "nested INT[]"]
)


def bounds(name: str) -> tuple[int, int]:
    """Return the smallest and the largest number of a type of whole numbers."""
    bits = int(name.lstrip("uint"))
    return (0, 2**bits - 1) if name.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


@given(names, names)
def test_the_order_does_not_matter_and_nothing_is_any_type(one: str, other: str) -> None:
    """A type has itself in common with itself, and with a column that has no value."""
    assert common(one, other) == common(other, one)
    assert common(one, one) == common(one, NOTHING) == one


@given(st.sampled_from(WHOLE), st.sampled_from(WHOLE))
def test_whole_numbers_have_a_type_that_holds_both(one: str, other: str) -> None:
    """Signed and unsigned ones of 64 bits need 128."""
    type_name = common(one, other)
    assert type_name is not None
    for least, most in map(bounds, (one, other)):
        assert bounds(type_name)[0] <= least
        assert most <= bounds(type_name)[1]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("int64", "float64", None),  # the values have to tell
        ("int32", "float64", "float64"),
        ("int32", "float32", "float64"),
        ("decimal(12,2)", "int64", "decimal(21,2)"),
        ("decimal(12,2)", "decimal(10,8)", "decimal(18,8)"),
        ("decimal(38,2)", "decimal(38,4)", None),
        ("decimal(12,2)", "float64", None),
        ("text", "int64", None),
        ("boolean", "int8", None),
    ],
)
def test_numbers_are_made_wider_and_never_rounded(one: str, other: str, expected: str | None) -> None:
    """What has no common type is refused by who asks."""
    assert common(one, other) == expected


def test_names_and_kinds() -> None:
    """Names are equal without regard to case; the widths of numbers are no kind."""
    assert same_but_case(["a", "É", "b", "é"]) == ("É", "é")
    assert same_but_case(["a", "b"]) is None
    assert [kind(name) for name in ("uint64", "decimal(3,1)", "float32", "nested A[]", "date")] == [
        "number", "number", "number", "nested", "date",
    ]  # fmt: skip
