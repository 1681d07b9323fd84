"""An annotated tag, wherever it is kept; apart from what it says, so that git needs nothing else to read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tag:
    """An annotated tag and the commit that it stands at."""

    name: str
    commit: str
    message: str
