"""A tag, wherever it is kept; apart from what it says, so that git needs nothing else to read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tag:
    """A tag and the commit that it stands at.

    ``at`` is when it was made, in seconds since 1970; of one that is to be made, the earliest that it may be. A
    lightweight tag is not ``annotated``, and has no message.
    """

    name: str
    commit: str
    message: str = ""
    at: int = 0
    annotated: bool = True
