"""What a deployment needs of the world: the server's folder, the server itself, and the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from leverframe.domain.release.release_state import State
from leverframe.domain.release.smoke import Answer

Metrics = Mapping[tuple[str, ...], float]


class Place(Protocol):
    """The folder of a server: bundles by digest, releases by number, the candidate, and the state."""

    def state(self, model: str) -> State:
        """Return what is recorded; raises ``ServerError`` for a record that cannot be read."""

    def record(self, state: State) -> None:
        """Replace the record."""

    def bundle(self, digest: str) -> Mapping[str, bytes] | None:
        """Return the files of a bundle that is here, None where it is not."""

    def put_bundle(self, digest: str, files: Mapping[str, bytes]) -> None:
        """Put a bundle here, whole or not at all."""

    def numbers(self, model: str) -> list[int]:
        """Return the releases that are in the server's folder."""

    def put_release(self, model: str, number: int, settings: Mapping[str, Any]) -> None:
        """Put the settings of a release where the server looks for them."""

    def remove_release(self, model: str, number: int) -> None:
        """Take a release out of the server's folder."""

    def remove_model(self, model: str) -> bool:
        """Take a model out of the server's folder; return whether it was there."""

    def keep_bundles(self, digests: Sequence[str]) -> None:
        """Remove all other bundles."""


class Server(Protocol):
    """Speaks the V2 protocol with the server."""

    def ready(self, model: str, version: int | None = None) -> bool:
        """Tell whether a release answers."""

    def load(self, model: str) -> str:
        """Let the server load the releases in its folder; return why not."""

    def unload(self, model: str) -> bool:
        """Let the server forget a model."""

    def infer(self, model: str, body: bytes, version: int | None = None) -> Answer:
        """Return status and content of an answer."""

    def metrics(self, model: str) -> Metrics:
        """Return the metrics of a model, by name and labels."""


class Clock(Protocol):
    """The time."""

    def now(self) -> str:
        """Return the moment, ISO 8601 in UTC."""

    def seconds(self) -> float:
        """Return seconds that only grow."""

    def sleep(self, seconds: float) -> None:
        """Wait."""
