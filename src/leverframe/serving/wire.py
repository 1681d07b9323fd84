"""How many fields a message of gRPC has, counted in its bytes before the objects are made of which it is full.

A field of two bytes can be an empty tensor, of which the parser makes one of a hundred bytes. Values are not looked at:
they are as large as they are long.
"""

from __future__ import annotations

FIELDS = 50_000  # of a message and of its tensors
_NESTED = (4, 5, 6)  # parameters, inputs and outputs of a ModelInferRequest
_FIXED = {1: 8, 5: 4}  # bytes of a field by its wire type


def too_many_fields(message: bytes) -> bool:
    """Tell whether a message has more than ``FIELDS`` fields, counted up to where a parser gives up."""
    count, parts = 0, [(0, len(message), True)]
    for start, end, outer in parts:
        at = start
        while at < end:
            count += 1
            if count > FIELDS:
                return True
            tag, at = _number(message, at, end)
            kind = tag & 7
            if kind == 2:
                size, at = _number(message, at, end)
                if outer and tag >> 3 in _NESTED:
                    parts.append((at, min(at + size, end), False))
                at += size
            elif kind == 0:
                _, at = _number(message, at, end)
            elif kind in (6, 7):
                break
            else:
                at += _FIXED.get(kind, 0)  # groups, which nobody uses, are parsed as what stands in them
    return False


def _number(message: bytes, at: int, end: int) -> tuple[int, int]:
    """Return a number of seven bits a byte and where it ends."""
    value, shift = 0, 0
    while at < end:
        byte = message[at]
        value, at, shift = value | (byte & 127) << shift, at + 1, shift + 7
        if byte < 128 or shift > 63:
            return value, at
    return value, end
