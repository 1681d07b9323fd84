"""The actions that a deployment has on every target."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fetch:
    """Read the files of the bundle, and verify each against the manifest."""

    bundle: str

    def __str__(self) -> str:
        """Return the action in words."""
        return f"fetch bundle {self.bundle[:12]} and verify every file"


@dataclass(frozen=True)
class Compare:
    """Refuse a schema that breaks clients of the release that serves."""

    served: str

    def __str__(self) -> str:
        """Return the action in words."""
        return f"compare its schema with the served one, {self.served[:12]}"


@dataclass(frozen=True)
class Record:
    """Record that the release serves."""

    number: int

    def __str__(self) -> str:
        """Return the action in words."""
        return f"record release {self.number}"


@dataclass(frozen=True)
class Adopt:
    """Record that a newer commit wants the bundle that serves already."""

    commit: str

    def __str__(self) -> str:
        """Return the action in words."""
        return f"note that {self.commit[:12]} wants what serves already"


@dataclass(frozen=True)
class GoBack:
    """Serve an earlier release again; bundles of later ones are refused from then on.

    It is recorded first: a rollback that is killed is finished by the next run.
    """

    number: int
    why: str

    def __str__(self) -> str:
        """Return the action in words."""
        return f"go back to release {self.number}"
