"""What a server is told of the online store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class OnlineConfig:
    """Which store, and how old its features may be.

    ``folder`` is that of the store `file`, ``redis`` the environment variable with the URL of the store `redis`.
    """

    store: Literal["bundle", "file", "redis"]
    folder: str = ""
    redis: str = ""
    maximum_age_hours: float | None = None
    when_stale: Literal["flag", "refuse"] = "flag"
