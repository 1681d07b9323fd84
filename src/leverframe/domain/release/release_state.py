"""The recorded releases of a model on one target, oldest first, and the bundles that are refused there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from leverframe.domain.release.release_manifest import ReleaseManifest


@dataclass(frozen=True)
class Release:
    """What was released under one number; ``at`` is when its deployment was recorded, ISO 8601 in UTC."""

    number: int
    manifest: ReleaseManifest
    at: str

    @property
    def bundle(self) -> str:
        """The digest of its bundle."""
        return self.manifest.bundle


@dataclass(frozen=True)
class State:
    """The releases that are kept, the highest number that was ever given, and bundles that failed, with the reason."""

    model: str
    releases: tuple[Release, ...] = ()
    highest: int = 0
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def serving(self) -> Release | None:
        """The release that serves, None before the first."""
        return self.releases[-1] if self.releases else None

    def published(self, release: Release, keep: int) -> State:
        """Return the state with one more release, of which the newest ``keep`` are kept."""
        refused = {bundle: why for bundle, why in self.refused.items() if bundle != release.bundle}
        kept = (*self.releases, release)[-keep:]
        return replace(self, releases=kept, highest=max(self.highest, release.number), refused=refused)

    def wanted_by(self, manifest: ReleaseManifest) -> State:
        """Return the state whose serving release has the manifest of another commit."""
        return replace(self, releases=(*self.releases[:-1], replace(self.releases[-1], manifest=manifest)))

    def back_to(self, number: int, why: str) -> State:
        """Return the state without the releases after ``number``, whose bundles count as refused."""
        gone = {release.bundle: why for release in self.releases if release.number > number}
        kept = tuple(release for release in self.releases if release.number <= number)
        still = {release.bundle for release in kept}
        refused = {bundle: reason for bundle, reason in {**self.refused, **gone}.items() if bundle not in still}
        return replace(self, releases=kept, refused=refused)

    def without(self, bundle: str, why: str, number: int) -> State:
        """Return the state with a bundle that failed, and its number, which is not given again."""
        return replace(self, refused={**self.refused, bundle: why}, highest=max(self.highest, number))
