"""A list that is cut says how many it leaves out, and an error without words is no fault."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.words import and_more, first_few, first_line, kind_and_line

COUNT = re.compile(r"(?:^|\W)and ([\d,]+) more$")


@given(
    st.integers(0, 3000),
    st.integers(1, 50),
    st.sampled_from([(", ", " and "), (", ", ", and "), ("; ", " and "), ("; ", "; and ")]),
)
def test_what_is_named_and_what_is_counted_are_all(number: int, most: int, words: tuple[str, str]) -> None:
    """The first names are there in their order, and no name is lost between them and the count."""
    between, last = words
    names = [f"n{index}" for index in range(number)]
    text = first_few(names, most, between, last)
    match = COUNT.search(text)
    left = int(match[1].replace(",", "")) if match else 0
    shown = text.removesuffix(f"{last}{left:,} more") if match else text
    assert [name for name in shown.split(between) if name] == names[:most]
    assert min(number, most) + left == number


@pytest.mark.parametrize(
    ("number", "text"), [(0, ""), (1, "a"), (2, "a, a"), (3, "a, a and 1 more"), (1002, "a, a and 1,000 more")]
)
def test_a_list_as_a_person_reads_it(number: int, text: str) -> None:
    """Nothing is counted where all are named, and thousands are separated."""
    assert first_few(["a"] * number, 2) == text


def test_a_line_counts_what_is_left() -> None:
    """There is one line, and none where nothing is left."""
    assert and_more(1200) == ["- and 1,200 more"]
    assert and_more(1, "  and ", " findings") == ["  and 1 more findings"]
    assert and_more(0) == and_more(-3) == []


@pytest.mark.parametrize(
    ("error", "line"), [(ValueError("a\nb"), "a"), (ValueError(), ""), ("", ""), ("\nb", ""), ("a\r\nb", "a")]
)
def test_the_first_line_of_an_error(error: object, line: str) -> None:
    """What has no words has an empty line."""
    assert first_line(error) == line


def test_the_kind_of_an_error_stands_before_its_line() -> None:
    """Blank lines are no words, and other words can stand for those of the error."""
    assert kind_and_line(ValueError("\n  a  \nb")) == "ValueError: a"
    assert kind_and_line(ValueError(" \n")) == "ValueError"
    assert kind_and_line(ValueError("a"), "of Java\n") == "ValueError: of Java"
