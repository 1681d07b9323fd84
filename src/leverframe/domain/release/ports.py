"""What a deployment needs from outside: where a server keeps releases, the server itself, and the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from leverframe.domain.release.release_state import State
from leverframe.domain.release.smoke import Response

Metrics = Mapping[tuple[str, ...], float]


class BundleStore(Protocol):
    """Where bundles are kept by digest, and the settings of releases."""

    def bundle(self, digest: str) -> Mapping[str, bytes] | None:
        """Return the files of a bundle, None where it is not here."""

    def put_bundle(self, digest: str, files: Mapping[str, bytes]) -> None:
        """Write a bundle, whole or not at all."""

    def put_release(self, model: str, number: int, settings: Mapping[str, Any]) -> None:
        """Write the settings of a release to where the server reads them."""


class ReleaseStore(BundleStore, Protocol):
    """Where a server keeps its releases: bundles by digest, releases by number, the candidate, and the record."""

    def state(self, model: str) -> State:
        """Return what is recorded; raises ``ServerError`` for a record that cannot be read."""

    def record(self, state: State) -> None:
        """Replace the record."""

    def numbers(self, model: str) -> list[int]:
        """Return the releases in the server's folder, and those that were removed from it and not discarded."""

    def has_model(self, model: str) -> bool:
        """Tell whether a model is in the server's folder."""

    def remove_release(self, model: str, number: int) -> None:
        """Remove a release from the server's folder; where a run ends before it is discarded, ``numbers`` has it."""

    def discard_release(self, model: str, number: int) -> None:
        """Forget a release that was removed: the server does not have it loaded any more."""

    def remove_model(self, model: str) -> None:
        """Remove a model from the server's folder, if it is there."""

    def keep_bundles(self, digests: Sequence[str]) -> None:
        """Remove all other bundles."""


class Server(Protocol):
    """A client of the server, by the V2 protocol."""

    def ready(self, model: str, version: int | None = None) -> bool:
        """Tell whether a release is ready."""

    def load(self, model: str) -> str:
        """Let the server load the releases in its folder; return why it could not, empty where it did."""

    def unload(self, model: str) -> bool:
        """Let the server unload a model."""

    def infer(self, model: str, body: bytes, version: int | None = None) -> Response:
        """Return status and content of the response to a prediction request."""

    def metrics(self, model: str) -> Metrics:
        """Return the metrics of a model, by name and labels."""


class Clock(Protocol):
    """The time."""

    def now(self) -> str:
        """Return the current time, ISO 8601 in UTC."""

    def seconds(self) -> float:
        """Return seconds that only grow."""

    def sleep(self, seconds: float) -> None:
        """Wait."""
