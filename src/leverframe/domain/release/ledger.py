"""What is recorded of a deployment in git and on the forge.

Versions and assignments are annotated tags in the convention of GTO: ``model@v1.2.0`` registers a
version at a commit, ``model#production#7`` says that the environment serves the version at that
commit. The message of a version is its release manifest. All of it is written so that writing it
again changes nothing: a deployment that was killed after the switch is recorded by the next run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from leverframe.documents import plain as plain_values
from leverframe.domain.release.registry import Registry, Version, in_tags, matching
from leverframe.domain.release.release_manifest import ReleaseManifest, refuse_other, tag_message
from leverframe.domain.release.release_state import Release
from leverframe.domain.release.tag import Tag
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import PromotionError
from leverframe.inert.markdown import code, plain

_FIRST = (1, 0, 0)


class TagStore(Protocol):
    """Where tags are kept."""

    def tags(self, artifact: str) -> Sequence[Tag]:
        """Return the tags of a model, by its name as ``registry.artifact_of`` returns it."""

    def tag(self, tag: Tag) -> None:
        """Add a tag."""


class Forge(Protocol):
    """Where deployments are shown, and where a change is reverted."""

    def deployment(self, commit: str, environment: str, payload: dict[str, str]) -> int:
        """Return the number of the deployment of a commit to an environment, added where there is none yet."""

    def deployed(self, number: int, state: str, description: str) -> None:
        """Add a state, in GitHub's words, to a deployment, unless it is its newest."""

    def revert(self, revert: Revert) -> Reverted:
        """Open the pull request that restores the files of the release that serves."""


@dataclass(frozen=True)
class Revert:
    """That the default branch should have the files of the release ``serving`` again, instead of those of ``left``."""

    environment: str
    left: ReleaseManifest
    serving: Release
    why: str

    @property
    def title(self) -> str:
        """The title of the pull request."""
        return f"Revert {self.left.commit[:12]}: `{self.environment}` does not serve it"

    @property
    def text(self) -> str:
        """The beginning of its body."""
        serving = self.serving
        return (
            f"{code(self.environment, 60)} was to serve {code(self.left.commit, 40)}, and does not:\n\n"
            f"{plain(self.why, 1000)}\n\nRelease {serving.number} from {code(serving.manifest.commit, 40)} serves, "
            f"bundle {code(serving.bundle[:12], 12)}. As long "
            "as the default branch wants something else, git does not say what serves; merging this makes both agree "
            "again. Close it instead if another change fixes the cause."
        )


@dataclass(frozen=True)
class Reverted:
    """The address of a pull request that reverts a change; else why there is none."""

    address: str = ""
    note: str = ""


@dataclass(frozen=True)
class Recorded:
    """What is recorded: the version, the assignment, the deployment's number, and the pull request that reverts.

    Each is empty where nothing was to be recorded; ``note`` is why no pull request reverts.
    """

    version: str = ""
    assignment: str = ""
    deployment: int | None = None
    revert: str = ""
    note: str = ""

    def lines(self) -> list[str]:
        """Return it for a terminal."""
        tags = " as ".join(tag for tag in (self.assignment, self.version) if tag)
        lines = [f"recorded {tags}"] if tags else []
        lines += [f"deployment {self.deployment} on the forge"] if self.deployment is not None else []
        lines += [f"a pull request reverts the change: {self.revert}"] if self.revert else []
        return lines + ([f"no pull request reverts the change: {self.note}"] if self.note else [])


class Ledger:
    """Records the deployments to one environment; without a ``forge``, in git alone."""

    def __init__(self, tags: TagStore, forge: Forge | None, artifact: str, environment: str) -> None:
        self._tags, self._forge, self._artifact, self._environment = tags, forge, artifact, environment
        self._deployment: int | None = None

    def check(self, desired: ReleaseManifest, serving: Release | None = None) -> None:
        """Raise ``PromotionError`` for a commit that was registered as something else, or a version that was withdrawn.

        What is ``serving`` already may go on: taking a version back does not stop a server.
        """
        registry = self._registry
        for version in registry.versions:
            if not version.withdrawn and version.manifest is not None and version.manifest.commit == desired.commit:
                refuse_other(
                    desired, version.manifest, f"the tag `{version.tag.name}` registered",
                    next="find out who changed what: a commit has one lock and one bundle",
                )  # fmt: skip
        known = _version_of(registry, desired)
        if serving is not None and serving.bundle == desired.bundle:
            return
        tag = known.withdrawn if known is not None else registry.deprecated
        if tag:
            raise withdrawn(known.tag.name if known else registry.artifact, tag, desired)

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
        assignment = self._still(serving)
        if self._forge is None:
            return Recorded(assignment=assignment)
        if self._deployment is not None:
            self._forge.deployed(self._deployment, "failure", f"{violation.reason}: {violation.what}"[:140])
        if violation.reason is Reason.BUNDLE_DAMAGED:  # the commit is as good as before: a whole copy may come yet
            return Recorded(assignment=assignment, deployment=self._deployment)
        done = self._revert(desired, f"{violation.reason}: {violation.what}", serving)
        return Recorded("", assignment, self._deployment, done.address, done.note)

    def _still(self, serving: Release | None) -> str:
        """Assign what serves, where a run that was killed before it could left another assignment; return its tag."""
        registry = self._registry
        version = _version_of(registry, serving.manifest) if serving is not None else None
        newest = next(iter(registry.assigned(self._environment)), None)
        if version is None or newest is None or newest.commit == version.tag.commit:
            return ""
        return self._assigned(version)

    def rolled_back(self, left: Release, serving: Release, why: str) -> Recorded:
        """Record that an earlier release serves again, and open the pull request that reverts the later one."""
        known = _version_of(self._registry, serving.manifest)
        assignment = self._assigned(known) if known is not None else ""
        self._shown(serving, f"release {serving.number} serves again")
        done = self._revert(left.manifest, why, serving)
        return Recorded(known.tag.name if known else "", assignment, self._deployment, done.address, done.note)

    def lost(self, why: str) -> None:
        """Record that the outcome of a deployment is unknown; its next run finds it out."""
        if self._forge is not None and self._deployment is not None:
            self._forge.deployed(self._deployment, "error", why[:140])

    def _shown(self, release: Release, description: str) -> None:
        if self._forge is not None:
            wanted = release.manifest
            self._deployment = self._forge.deployment(wanted.commit, self._environment, plain_values(wanted))
            self._forge.deployed(self._deployment, "success", description)

    def _revert(self, left: ReleaseManifest, why: str, serving: Release | None) -> Reverted:
        if self._forge is None or serving is None or serving.manifest.commit == left.commit:
            return Reverted()  # a first release has nothing to go back to
        return self._forge.revert(Revert(self._environment, left, serving, why))

    @property
    def _registry(self) -> Registry:
        return Registry(self._tags.tags(self._artifact), self._artifact)

    def _registered(self, manifest: ReleaseManifest) -> Version:
        registry = self._registry
        version = _version_of(registry, manifest)
        if version is not None:
            return version
        number = registry.free(following(registry.versions, manifest))
        name = f"v{'.'.join(map(str, number))}"
        message = tag_message(manifest, f"{self._artifact} {name}")
        tag = Tag(f"{in_tags(self._artifact)}@{name}", manifest.commit, message, registry.later)
        self._tags.tag(tag)
        return Version(number, tag, manifest, name)

    def _assigned(self, version: Version) -> str:
        registry = self._registry
        newest = next(iter(registry.assigned(self._environment)), None)
        if newest is not None and newest.commit == version.tag.commit:
            return newest.name
        name = f"{in_tags(self._artifact)}#{self._environment}#{registry.counter}"
        message = f"{self._environment} serves {version.tag.name}\n"
        self._tags.tag(Tag(name, version.tag.commit, message, registry.later))
        return name


def withdrawn(what: str, tag: str, desired: ReleaseManifest) -> PromotionError:
    """Return the error for a version, or a model, that the tag ``tag`` took back."""
    return PromotionError(
        f"bundle {desired.bundle[:12]} is not deployed: `{what}` was deprecated",
        why=f"the tag `{tag}` says so",
        next=f"deploy another commit; or remove the tag here and there: `git push --delete origin '{tag}'`",
    )


def following(known: Sequence[Version], manifest: ReleaseManifest) -> tuple[int, int, int]:
    """Return the number of the next version.

    The same features and schema, retrained, are a patch; changed ones a minor version. A schema that
    breaks clients never gets this far: it is deployed as another model.
    """
    if not known:
        return _FIRST
    (major, minor, patch), before = known[-1].number, known[-1].manifest
    if known[-1].before:  # a pre-release of that number: the number itself is still free
        return major, minor, patch
    if before is not None and (before.plan, before.schema) == (manifest.plan, manifest.schema):
        return major, minor, patch + 1
    return major, minor + 1, 0


@dataclass(frozen=True)
class Assigned:
    """What an environment serves by the tags; without a ``manifest``, ``why`` nothing is known to serve."""

    manifest: ReleaseManifest | None
    why: str = ""


def assigned(tags: Sequence[Tag], artifact: str, environment: str) -> Assigned:
    """Return what an environment serves, as tags say."""
    registry = Registry(tags, artifact)
    newest = registry.serving(environment)
    version = registry.at(newest.commit) if newest else None
    if registry.deprecated:
        why = f"the tag `{registry.deprecated}` deprecated the model"
    elif newest is None:
        why = _nothing_serves(registry, environment)
    elif version is None:
        why = f"`{newest.name}` stands at {newest.commit[:12]}, where no version is registered"
    elif version.manifest is None:
        why = f"`{version.tag.name}` was registered by another tool: its message names no bundle"
    else:
        return Assigned(version.manifest)
    return Assigned(None, why)


def refuse_unassigned(tags: Sequence[Tag], artifact: str, environment: str, desired: ReleaseManifest) -> None:
    """Raise ``PromotionError`` where somebody took the assignment of a bundle to an environment back."""
    registry = Registry(tags, artifact)
    version = _version_of(registry, desired)
    tag = registry.unassigned_at(environment, version.tag.commit) if version else ""
    if version and tag:
        raise PromotionError(
            f"bundle {desired.bundle[:12]} is not promoted: `{version.tag.name}` was unassigned from `{environment}`",
            why=f"the tag `{tag}` says so, whatever the server still serves",
            next=f"`leverframe deploy --environment {environment}` assigns it again, where that is right",
        )


def _nothing_serves(registry: Registry, environment: str) -> str:
    """Return which tag ended the last assignment to an environment; empty where there never was one."""
    stands = registry.assigned(environment)
    if stands and (gone := registry.at(stands[0].commit)):
        return f"`{gone.tag.name}`, which it serves, was deprecated by the tag `{gone.withdrawn}`"
    back = registry.unassigned(environment)
    return f"the tag `{back}` took the assignment back" if back else ""


def _version_of(registry: Registry, manifest: ReleaseManifest) -> Version | None:
    """Return the version of a bundle; else one that another tool registered at the commit that wants it."""
    same = matching(registry.versions, lambda version: _bundle(version) == manifest.bundle)
    if same is not None:
        return same
    there = registry.at(manifest.commit)
    return there if there is not None and there.manifest is None else None


def _bundle(version: Version) -> str:
    return version.manifest.bundle if version.manifest else ""
