"""What is recorded of a deployment in git and on the forge.

Versions and assignments are annotated tags in the convention of GTO: ``model@v1.2.0`` registers a
version at a commit, ``model#production#7`` says that the environment serves the version at that
commit. The message of a version is its release manifest. All of it is written so that writing it
again changes nothing: a deployment that was killed after the switch is recorded by the next run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from leverframe.documents import plain as plain_values
from leverframe.domain.markdown import plain
from leverframe.domain.release.release_manifest import ReleaseManifest, from_tag_message, refuse_other, tag_message
from leverframe.domain.release.release_state import Release
from leverframe.domain.release.tag import Tag
from leverframe.domain.verdict import Reason, Violation

_FIRST = (1, 0, 0)


@dataclass(frozen=True)
class Version:
    """A registered version of a model."""

    number: tuple[int, int, int]
    tag: Tag
    manifest: ReleaseManifest | None

    @property
    def name(self) -> str:
        """Its number as it stands in the tag."""
        return self.tag.name.rpartition("@")[2]


class TagStore(Protocol):
    """Where tags are kept."""

    def tags(self, model: str) -> Sequence[Tag]:
        """Return the tags whose name begins with that of the model."""

    def tag(self, tag: Tag) -> None:
        """Add a tag."""


class Forge(Protocol):
    """Where deployments are shown, and where a commit is reverted."""

    def deployment(self, commit: str, environment: str, payload: dict[str, str]) -> int:
        """Return the number of the deployment of a commit to an environment, added where there is none yet."""

    def deployed(self, number: int, state: str, description: str) -> None:
        """Add a state, in GitHub's words, to a deployment, unless it is its newest."""

    def revert(self, commit: str, title: str, body: str) -> str:
        """Open a pull request that reverts a commit, and return its address; empty where it is not the newest."""


@dataclass(frozen=True)
class Recorded:
    """What is recorded: the version, the assignment, the deployment's number, and the pull request that reverts.

    Each is empty where nothing was to be recorded.
    """

    version: str = ""
    assignment: str = ""
    deployment: int | None = None
    revert: str = ""

    def lines(self) -> list[str]:
        """Return it for a terminal."""
        tags = " as ".join(tag for tag in (self.assignment, self.version) if tag)
        lines = [f"recorded {tags}"] if tags else []
        lines += [f"deployment {self.deployment} on the forge"] if self.deployment is not None else []
        return lines + ([f"a pull request reverts the change: {self.revert}"] if self.revert else [])


class Ledger:
    """Records the deployments to one environment; without a ``forge``, in git alone."""

    def __init__(self, tags: TagStore, forge: Forge | None, model: str, environment: str) -> None:
        self._tags, self._forge, self._model, self._environment = tags, forge, model, environment
        self._deployment: int | None = None

    def check(self, desired: ReleaseManifest) -> None:
        """Raise ``PromotionError`` where the commit was registered as something else than it is now."""
        for version in versions(self._tags.tags(self._model), self._model):
            if version.manifest is not None and version.manifest.commit == desired.commit:
                refuse_other(
                    desired, version.manifest, f"the tag `{version.tag.name}` registered",
                    next="find out who changed what: a commit has one lock and one bundle",
                )  # fmt: skip

    def begin(self, desired: ReleaseManifest) -> None:
        """Record that a deployment begins."""
        if self._forge is not None:
            self._deployment = self._forge.deployment(desired.commit, self._environment, plain_values(desired))
            self._forge.deployed(self._deployment, "in_progress", "")

    def served(self, release: Release) -> Recorded:
        """Record that a release serves."""
        version = self._registered(release.manifest)
        assignment = self._assigned(version)
        self._shown(release, f"release {release.number} serves, {version.name}")
        return Recorded(version.tag.name, assignment, self._deployment)

    def failed(self, desired: ReleaseManifest, violation: Violation, serving: Release | None) -> Recorded:
        """Record that a commit could not be deployed, and open the pull request that reverts it."""
        if self._forge is None:
            return Recorded()
        if self._deployment is not None:
            self._forge.deployed(self._deployment, "failure", f"{violation.reason}: {violation.what}"[:140])
        if violation.reason is Reason.BUNDLE_DAMAGED:  # the commit is as good as before: a whole copy may come yet
            return Recorded(deployment=self._deployment)
        address = self._revert(desired.commit, f"{violation.reason}: {violation.what}", serving)
        return Recorded(deployment=self._deployment, revert=address)

    def rolled_back(self, left: Release, serving: Release, why: str) -> Recorded:
        """Record that an earlier release serves again, and open the pull request that reverts the later one."""
        known = _of_bundle(versions(self._tags.tags(self._model), self._model), serving.bundle)
        assignment = self._assigned(known) if known is not None else ""
        self._shown(serving, f"release {serving.number} serves again")
        address = self._revert(left.manifest.commit, why, serving)
        return Recorded(known.tag.name if known else "", assignment, self._deployment, address)

    def lost(self, why: str) -> None:
        """Record that the outcome of a deployment is unknown; its next run finds it out."""
        if self._forge is not None and self._deployment is not None:
            self._forge.deployed(self._deployment, "error", why[:140])

    def _shown(self, release: Release, description: str) -> None:
        if self._forge is not None:
            wanted = release.manifest
            self._deployment = self._forge.deployment(wanted.commit, self._environment, plain_values(wanted))
            self._forge.deployed(self._deployment, "success", description)

    def _revert(self, commit: str, why: str, serving: Release | None) -> str:
        if self._forge is None or serving is None or serving.manifest.commit == commit:
            return ""  # a first release has nothing to go back to
        return self._forge.revert(commit, *_request(self._environment, commit, why, serving))

    def _registered(self, manifest: ReleaseManifest) -> Version:
        known = versions(self._tags.tags(self._model), self._model)
        version = _of_bundle(known, manifest.bundle)
        if version is not None:
            return version
        number = following(known, manifest)
        name = f"v{'.'.join(map(str, number))}"
        tag = Tag(f"{self._model}@{name}", manifest.commit, tag_message(manifest, f"{self._model} {name}"))
        self._tags.tag(tag)
        return Version(number, tag, manifest)

    def _assigned(self, version: Version) -> str:
        tags = self._tags.tags(self._model)
        newest = newest_assignment(tags, self._model, self._environment)
        if newest is not None and newest.commit == version.tag.commit:
            return newest.name
        name = f"{self._model}#{self._environment}#{_next_assignment(tags, self._model)}"
        self._tags.tag(Tag(name, version.tag.commit, f"{self._environment} serves {version.tag.name}\n"))
        return name


def versions(tags: Sequence[Tag], model: str) -> list[Version]:
    """Return the registered versions of a model, lowest first."""
    form = re.compile(rf"{re.escape(model)}@v(\d+)\.(\d+)\.(\d+)")
    matches = [(match, tag) for tag in tags if (match := form.fullmatch(tag.name))]
    known = [Version((int(m[1]), int(m[2]), int(m[3])), tag, from_tag_message(tag.message)) for m, tag in matches]
    return sorted(known, key=lambda version: version.number)


def following(known: Sequence[Version], manifest: ReleaseManifest) -> tuple[int, int, int]:
    """Return the number of the next version.

    The same features and schema, retrained, are a patch; changed ones a minor version. A schema that
    breaks clients never gets this far: it is deployed as another model.
    """
    if not known:
        return _FIRST
    (major, minor, patch), before = known[-1].number, known[-1].manifest
    if before is not None and (before.plan, before.schema) == (manifest.plan, manifest.schema):
        return major, minor, patch + 1
    return major, minor + 1, 0


def newest_assignment(tags: Sequence[Tag], model: str, environment: str) -> Tag | None:
    """Return the tag that says what an environment serves, None where it never served."""
    here = [(number, tag) for place, number, tag in _assignments(tags, model) if place == environment]
    return max(here, key=lambda assignment: assignment[0])[1] if here else None


def assigned(tags: Sequence[Tag], model: str, environment: str) -> ReleaseManifest | None:
    """Return the manifest of what an environment serves, as tags say; None where they say nothing."""
    newest = newest_assignment(tags, model, environment)
    known = [version.manifest for version in versions(tags, model) if newest and version.tag.commit == newest.commit]
    return known[-1] if known else None


def _next_assignment(tags: Sequence[Tag], model: str) -> int:
    return max((number for _, number, _ in _assignments(tags, model)), default=0) + 1


def _assignments(tags: Sequence[Tag], model: str) -> list[tuple[str, int, Tag]]:
    form = re.compile(rf"{re.escape(model)}#([^#]+)#(\d+)")
    return [(match[1], int(match[2]), tag) for tag in tags if (match := form.fullmatch(tag.name))]


def _of_bundle(known: Sequence[Version], bundle: str) -> Version | None:
    matches = (version for version in reversed(known) if version.manifest and version.manifest.bundle == bundle)
    return next(matches, None)


def _request(environment: str, commit: str, why: str, serving: Release) -> tuple[str, str]:
    """Return title and body of the pull request that reverts a commit."""
    return (
        f"Revert {commit[:12]}: `{environment}` does not serve it",
        f"`{environment}` was to serve {commit}, and does not:\n\n{plain(why, 1000)}\n\n"
        f"Release {serving.number} from {serving.manifest.commit} serves. As long as the default branch wants "
        "something else, git does not say what serves; merging this makes both agree again. Close it instead if "
        "another change fixes the cause.\n",
    )
