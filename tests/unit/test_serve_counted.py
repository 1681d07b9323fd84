"""What a body or a message holds is counted in its bytes, however they are cut, and no more than that is parsed."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.features.training_set import Label
from leverframe.domain.model.bundle.schema import MAXIMUM_ROWS, Field, Schema
from leverframe.serving.counted import (
    CONTAINERS,
    DEPTH,
    KEYS,
    OF_A_COLUMN,
    UNCOUNTED,
    VALUES,
    Bounds,
    Count,
    Limits,
    Watch,
    limits_of,
)
from leverframe.serving.wire import FIELDS, too_many_fields
from tests.integration.serve_hostiles import BODIES, field, messages

TEXTS = st.text('a"\\[]{},: \u00e9', max_size=6)
CONTENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


def counted(*pieces: bytes) -> tuple[int, int, int, int]:
    """Return values, containers, keys and depth of a text in pieces."""
    count = Count()
    for piece in pieces:
        count.add(piece)
    return count.values, count.containers, count.keys, count.depth


def held(content: Any) -> tuple[int, int, int, int]:
    """Return the same of what a parser made of it."""
    if not isinstance(content, list | dict):
        return 1, 0, 0, 0
    inner = [held(child) for child in (content.values() if isinstance(content, dict) else content)]
    own = len(content) if isinstance(content, dict) else 0
    values, containers, keys = (sum(counts[place] for counts in inner) for place in range(3))
    return 1 + values, 1 + containers, own + keys, 1 + max((counts[3] for counts in inner), default=0)


@given(CONTENTS, st.booleans(), st.sampled_from([None, 1]), st.lists(st.integers(0, 300)))
def test_any_pieces_of_a_text_have_what_a_parser_finds(
    content: Any, ascii: bool, indent: int | None, cuts: Any
) -> None:
    """Also where a string, an escape or an empty container is cut."""
    text = json.dumps(content, ensure_ascii=ascii, indent=indent).encode()
    pieces, bounds = cut_at(text, cuts), Bounds()
    exact = held(json.loads(text))
    assert counted(*pieces) == exact
    for piece in pieces:
        bounds.add(piece)
    assert (bounds.containers, bounds.depth) == (exact[1], exact[3])
    assert bounds.values >= exact[0]
    assert bounds.keys >= exact[2]


@given(CONTENTS, st.integers(0, 12), st.lists(st.integers(0, 60)), st.binary(max_size=9))
def test_a_body_is_refused_at_the_piece_at_which_its_count_passes_a_limit(
    content: Any, limit: int, cuts: Any, behind: bytes
) -> None:
    """That few are counted exactly changes nothing, nor what stands behind the JSON."""
    text = json.dumps(content).encode()
    body, came, count, end = text + behind, 0, Count(), len(text)
    limits = Limits(limit, limit, limit)
    watch = Watch(limits, end)
    for piece in cut_at(body, cuts):
        count.add(piece[: max(0, end - came)])
        came += len(piece)
        expected = limits.refusal(count)
        assert watch.refusal(piece) == expected
        if expected is not None:
            break


def cut_at(text: bytes, cuts: list[int]) -> list[bytes]:
    """Return a text in pieces."""
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[start:end] for start, end in pairwise(places)]


@pytest.mark.parametrize("name", BODIES)
def test_a_costly_body_is_refused_before_its_end(name: str) -> None:
    """As soon as a limit of a model with fifteen columns is passed; what only looks costly is left to the parser."""
    watch, body = Watch(limits_of(schema(15))), BODIES[name]()
    for at in range(0, len(body), 65_536):
        refusal = watch.refusal(body[at : at + 65_536])
        if refusal is not None:
            break
    if name == "escapes":  # one text
        assert refusal is None
        return
    assert refusal is not None
    assert at < 0.7 * len(body)
    assert refusal[0] in (400, 413)


def schema(columns: int) -> Schema:
    """Return a schema with so many columns."""
    return Schema(
        "s", Label("y", "binary"), ("0", "1"), tuple(Field(f"c{number}", "number") for number in range(columns)), ()
    )


def test_every_request_that_fits_a_schema_is_within_its_limits() -> None:
    """All rows, each in a list of its own, with parameters; and no schema has more than a parser takes in a moment."""
    one = {"name": "c", "shape": [MAXIMUM_ROWS, 1], "datatype": "FP64", "data": [[1]] * MAXIMUM_ROWS}
    whole = {"id": "a", "inputs": [{**one, "parameters": {str(number): 1 for number in range(100)}}] * 3}
    count = Count()
    count.add(json.dumps(whole).encode())
    assert limits_of(schema(3)).refusal(count) is None
    assert limits_of(schema(5_000)) == Limits(VALUES, CONTAINERS, KEYS)
    assert limits_of(schema(3)).keys == 10_000 + 3 * OF_A_COLUMN
    for limits, words in (
        (Limits(values=10), "at most 10 values"),
        (Limits(VALUES, containers=10), "at most 10 lists"),
        (Limits(VALUES, CONTAINERS, keys=10), "at most 10 keys"),
    ):
        refusal = limits.refusal(count)
        assert refusal is not None
        assert (refusal[0], words in refusal[1]) == (413, True)
    assert Limits().containers > UNCOUNTED // 2  # a body that is not counted is within all limits
    for depth, refused in ((DEPTH, False), (DEPTH + 1, True)):
        count = Count()
        count.add(b"[" * depth + b"1")
        assert (Limits().refusal(count) is not None) is refused


def test_the_fields_of_a_message_are_counted() -> None:
    """Those of the message and of its tensors; values are as large as they are long. A wrong length ends it."""
    assert [too_many_fields(message) for message in messages("m")] == [True, True, False, True, False, True]
    assert not too_many_fields(field(5, b"") * FIELDS)
    assert too_many_fields(field(5, b"") * (FIELDS + 1))
    for odd in (
        b"\x2a\xff\xff\xff\xff\x7f",
        b"\x2a",
        b"\x80" * 100,
        b"\x0e" * 100,
        b"\x09\x00",
        b"\x2d\x00",
        b"\x08" * 9,
    ):
        assert not too_many_fields(odd)
