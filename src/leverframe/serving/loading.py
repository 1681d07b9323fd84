"""What a server loads after its start: until then a request for it is refused with 503, and the server is not ready."""

from __future__ import annotations

from collections.abc import Iterable

AFTER = "1"  # seconds after which a client may ask again; a proxy asks another server at once


class Loading:
    """The releases that are still to be loaded, by model."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[str]] = {}
        self._serving: set[str] = set()

    def begin(self, releases: Iterable[tuple[str, str]]) -> None:
        """Take note of releases, each a model and its version."""
        for model, version in releases:
            self._waiting.setdefault(model, set()).add(version)

    def end(self, model: str, version: str, *, loaded: bool) -> None:
        """Take note that a release is loaded, or that it cannot be."""
        if loaded:
            self._serving.add(model)
        self._waiting[model].discard(version)

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return any(self._waiting.values())

    def waits(self, model: str, version: str | None) -> bool:
        """Tell whether a request has to wait: for that version, or without one for the first that is loaded."""
        waiting = self._waiting.get(model, set())
        return bool(waiting) and (version in waiting if version else model not in self._serving)
