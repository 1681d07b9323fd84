"""What the text of a request holds, counted while it comes in, before any object is made of it.

Nested or empty containers cost a hundred times the bytes that they are written with: four megabytes of them held the
server for most of a second. Each piece costs a few passes over its bytes, whatever stands in them. Of a text that is no
JSON the counts are right up to where a parser gives up, so that it makes no more objects than were counted.

Most bodies are far from the limits, so that the values need no count: what they have at most is found in a third of the
time. Exactly is counted what passes a limit by that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.model.bundle.schema import Schema
from leverframe.serving.envelope import PARAMETERS

DEPTH = 16  # what the protocol has is five deep: request, inputs, input, data, row
VALUES, CONTAINERS, KEYS = 1_000_000, 200_000, 50_000  # of any body: a parser holds the whole process meanwhile
_BASE = 10_000  # values of a body that are none of a column
OF_A_COLUMN = (
    PARAMETERS + 28
)  # values of an input beside those of its rows: parameters, shape and the fields themselves
UNCOUNTED = 16_384  # bytes of a body that cannot pass the limits: a value has two at least
_COMMA, _COLON, _QUOTE, _OPENS, _CLOSES = b',:"{}'
_SPACE = b" \t\r\n"
_STRING = b'"'  # what is left of each
PIECE = 262_144  # bytes that are counted at once
_LIKE, _BRACKET = 0x26, 0x7F  # every bracket becomes this letter with these bits; few others do
_STEPS = np.zeros(256, np.int8)  # how much deeper one is behind a letter
_STEPS[list(b"[{")], _STEPS[list(b"]}")] = 1, -1
_FIRST = np.zeros(1, np.intp)
# Written over by each piece, as bodies are counted in one thread: fresh memory would take longer than the counting.
_HITS, _FOLDED = np.empty(PIECE, bool), np.empty(PIECE, np.uint8)


@dataclass(frozen=True)
class Limits:
    """How many values a body may have, how many lists and objects among them, and how many keys of objects."""

    values: int = _BASE
    containers: int = _BASE
    keys: int = _BASE

    def refusal(self, count: Count | Bounds) -> tuple[int, str] | None:
        """Return the status and the reason for which a body is refused, None while it is within the limits."""
        if count.values > self.values:
            return 413, f"a body for this path has at most {self.values:,} values; send the rows in parts"
        if count.containers > self.containers:
            return 413, f"a body for this path has at most {self.containers:,} lists and objects; send flat lists"
        if count.keys > self.keys:
            return 413, f"a body for this path has at most {self.keys:,} keys; send fewer inputs and parameters"
        if count.depth > DEPTH:
            return 400, f"a body is nested at most {DEPTH} deep; the protocol needs five levels"
        return None


def limits_of(schema: Schema) -> Limits:
    """Return what a request to a model needs at most: each value in its own list, and parameters for each input."""
    columns = len(schema.columns) + len(schema.keys)
    rows, more = columns * schema.maximum_rows, _BASE + columns * OF_A_COLUMN
    return Limits(min(VALUES, 2 * rows + more), min(CONTAINERS, rows + more), min(KEYS, more))


class Watch:
    """Whether a body is within limits, told each piece of it that came; the first ``end`` bytes are JSON."""

    def __init__(self, limits: Limits, end: int | None = None) -> None:
        self._limits, self._left = limits, end
        self._bounds, self._pieces = Bounds(), list[bytes]()
        self._count: Count | None = None

    def refusal(self, piece: bytes) -> tuple[int, str] | None:
        """Return the status and the reason for which a body is refused of which one more piece has come, or None."""
        if self._left is not None:
            piece = piece[: self._left]
            self._left -= len(piece)
        if self._count is None:
            self._pieces.append(piece)
            _add(piece, self._bounds)
            if self._limits.refusal(self._bounds) is None:
                return None
            self._count = Count()
            for chunk in self._pieces:
                _add(chunk, self._count)
            self._pieces.clear()
        else:
            _add(piece, self._count)
        return self._limits.refusal(self._count)


def _add(piece: bytes, to: Bounds | Count) -> None:
    for at in range(0, len(piece), PIECE):
        to.add(piece[at : at + PIECE])


class _Strings:
    """Where the strings of a text are of which pieces are added."""

    def __init__(self) -> None:
        self._in_string = self._escaped = False

    def _plain(self, piece: bytes) -> bytes:
        """Return a piece without what is escaped in it, so that each quotation mark begins or ends a string."""
        if self._escaped:
            piece, self._escaped = piece[1:], not piece
        if b"\\" in piece:
            piece = piece.replace(rb"\\", b"").replace(rb"\"", b"")
            self._escaped = piece.endswith(b"\\")
        return piece


class Bounds(_Strings):
    """How many values and keys a JSON text has at most of which pieces are added; its containers and depth exactly.

    Commas and colons are counted within strings, too, and an empty container as if it had a value.
    """

    def __init__(self) -> None:
        super().__init__()
        self.values, self.containers, self.keys, self.depth = 1, 0, 0, 0
        self._open = 0

    def add(self, piece: bytes) -> None:
        """Count what a piece of the text, of at most ``PIECE`` bytes, adds at most."""
        letters = np.frombuffer(self._plain(piece), np.uint8)
        if not len(letters):
            return
        hits, folded = _HITS[: len(letters)], _FOLDED[: len(letters)]
        self.keys += int(np.count_nonzero(np.equal(letters, _COLON, out=hits)))
        self.values += int(np.count_nonzero(np.equal(letters, _COMMA, out=hits)))
        np.bitwise_or(letters, _LIKE, out=folded)
        places = np.flatnonzero(np.equal(folded, _BRACKET, out=hits))
        # whether a string is open behind each stretch: up to the first bracket, from one to the next, from the last
        quotes, starts = np.equal(letters, _QUOTE, out=hits).view(np.uint8), np.concatenate((_FIRST, places))
        open_ = np.bitwise_xor.accumulate(np.bitwise_xor.reduceat(quotes, starts)) ^ np.uint8(self._in_string)
        steps = _STEPS[letters[places[open_[:-1] == 0]]]
        if len(steps):
            depths = steps.cumsum(dtype=np.int64)
            self.depth = max(self.depth, self._open + int(depths.max()))
            self._open += int(depths[-1])
            opened = int(np.count_nonzero(steps > 0))
            self.containers += opened
            self.values += opened
        self._in_string = bool(open_[-1])


class Count(_Strings):
    """The values of a JSON text of which pieces are added, the containers among them, and how deep they are nested.

    A container counts as a value; keys of objects are counted apart.
    """

    def __init__(self) -> None:
        super().__init__()
        self.values = self.containers = self.keys = self.depth = 0
        self._open, self._begun = 0, False  # containers that are not closed
        self._opening = b""  # a bracket at the end of a piece: the next one tells whether its container is empty

    def add(self, piece: bytes) -> None:
        """Count what a piece of the text adds."""
        outside = self._opening + self._outside(piece)
        letters = np.frombuffer(outside, np.uint8)
        folded = letters | 32  # brackets of lists are then those of objects
        places = np.flatnonzero((folded == _OPENS) | (folded == _CLOSES))
        self._opening = b""
        if len(places) and folded[places[-1]] == _OPENS and not outside[places[-1] + 1 :].strip(_SPACE):
            self._opening, places = outside[places[-1] : places[-1] + 1], places[:-1]
        opens = folded[places] == _OPENS
        if len(places):
            depths = np.where(opens, 1, -1).cumsum()
            self.depth = max(self.depth, self._open + int(depths.max()))
            self._open += int(depths[-1])
        opened = int(np.count_nonzero(opens))
        self.containers += opened
        self.keys += int(np.count_nonzero(letters == _COLON))
        if not self._begun and outside.strip(_SPACE):
            self._begun, self.values = True, 1
        # a container that is not empty has one value more than commas
        self.values += int(np.count_nonzero(letters == _COMMA)) + opened - _empty(outside, places, opens)

    def _outside(self, piece: bytes) -> bytes:
        """Return a piece without what stands in its strings, of each of which a quotation mark is left."""
        parts = self._plain(piece).split(_STRING)
        outside = _STRING.join(parts[self._in_string :: 2])
        self._in_string ^= len(parts) % 2 == 0
        return outside + _STRING if self._in_string and len(parts) > 1 else outside


def _empty(outside: bytes, places: NDArray[np.intp], opens: NDArray[np.bool_]) -> int:
    """Return how many containers are empty, of the brackets of a text without strings."""
    closed = np.flatnonzero(opens[:-1] & ~opens[1:])  # those with no bracket in between
    starts, ends = places[closed] + 1, places[closed + 1]
    empty = int(np.count_nonzero(starts == ends))
    letters = np.frombuffer(outside, np.uint8)
    spaced = (starts < ends) & (letters[starts] <= 32)
    between = zip(starts[spaced].tolist(), ends[spaced].tolist(), strict=True)
    return empty + sum(not outside[start:end].strip(_SPACE) for start, end in between)
