"""What tags say of a model, in the convention of GTO, read as GTO itself reads them.

``model@v1.2.0`` registers a version at a commit, ``model@v1.2.0!`` withdraws it, ``model#production`` assigns the
version at that commit to an environment, ``model#production!`` unassigns it, ``model@deprecated`` deprecates the model
until something of it is registered or assigned again. Each may end in a counter, ``#7``. A lightweight tag says
nothing. The model of a project in a folder is ``folder:model``, in tags ``folder=model``.

Events count in the order of their times, those of one second by their counters. Source: GTO 1.10 (`gto show`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from leverframe.domain.release.release_manifest import ReleaseManifest, from_tag_message
from leverframe.domain.release.tag import Tag

_NAME = r"[a-zA-Z0-9](?:[a-zA-Z0-9/_-]*[a-zA-Z0-9])?"
_NUMBER = r"(?:0|[1-9]\d*)"
_IDENTIFIER = rf"(?:{_NUMBER}|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_VERSION = (
    rf"v(?P<major>{_NUMBER})\.(?P<minor>{_NUMBER})\.(?P<patch>{_NUMBER})"
    rf"(?:-(?P<before>{_IDENTIFIER}(?:\.{_IDENTIFIER})*))?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
)
_FORM = re.compile(
    rf"(?P<artifact>(?:[a-zA-Z0-9_./-]+=)?{_NAME})"
    rf"(?:(?:#(?P<stage>{_NAME})|@(?P<version>{_VERSION}))(?P<back>!?)|@(?P<deprecated>deprecated))"
    r"(?:#(?P<counter>[0-9]+))?"
)
_FOLDER = re.compile(r"(?!.*\.\.)(?:(?!\.)[a-zA-Z0-9_.-]+(?<!\.lock)/)*(?!\.)[a-zA-Z0-9_.-]+")


def artifact_of(model: str, folder: str = "") -> str:
    """Return the name that GTO has for the model of a project in ``folder`` of the repository, empty for the whole.

    A folder that no tag can name is written with other characters and a digest.
    """
    place = folder.strip("/")
    if place and not _FOLDER.fullmatch(place):
        words = re.sub(r"[^a-zA-Z0-9_/-]+", "-", place).strip("-/")
        place = f"{re.sub('/+', '/', words)}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"
    return f"{place}:{model}" if place else model


def in_tags(artifact: str) -> str:
    """Return the name of an artifact as tags have it."""
    return artifact.replace(":", "=")


class Kind(Enum):
    """What a tag does; of one second, a later one here counts last."""

    REGISTER = 0
    ASSIGN = 1
    WITHDRAW = 2
    UNASSIGN = 3
    DEPRECATE = -1


@dataclass(frozen=True)
class Event:
    """What one tag says; ``subject`` is the version or the environment, empty for the model."""

    tag: Tag
    artifact: str
    kind: Kind
    subject: str
    counter: int
    number: tuple[int, int, int] = (0, 0, 0)
    before: str = ""

    @property
    def order(self) -> tuple[int, int, int]:
        """Its place in time."""
        return self.tag.at, self.counter, self.kind.value


def read(tag: Tag) -> Event | None:
    """Return what a tag says by its name; None for a name that is none of the convention."""
    match = _FORM.fullmatch(tag.name)
    if match is None:
        return None
    if match["deprecated"]:
        kind = Kind.DEPRECATE
    elif match["version"]:
        kind = Kind.WITHDRAW if match["back"] else Kind.REGISTER
    else:
        kind = Kind.UNASSIGN if match["back"] else Kind.ASSIGN
    number = (int(match["major"]), int(match["minor"]), int(match["patch"])) if match["version"] else (0, 0, 0)
    subject, artifact = match["version"] or match["stage"] or "", match["artifact"].replace("=", ":")
    return Event(tag, artifact, kind, subject, int(match["counter"] or 0), number, match["before"] or "")


@dataclass(frozen=True)
class Version:
    """A registered version of a model at a commit; ``withdrawn`` is the tag that deprecated it, empty where none did.

    ``manifest`` is None for a version that another tool registered.
    """

    number: tuple[int, int, int]
    tag: Tag
    manifest: ReleaseManifest | None
    name: str
    before: str = ""
    withdrawn: str = ""

    @property
    def order(self) -> tuple[tuple[int, int, int], bool, tuple[tuple[bool, int, str], ...]]:
        """Its place among versions, by Semantic Versioning: a pre-release stands before its release."""
        parts = tuple((not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in self.before.split("."))
        return self.number, not self.before, parts


class Registry:
    """What the tags of a repository say of one model, by its name as ``artifact_of`` returns it."""

    def __init__(self, tags: Sequence[Tag], artifact: str) -> None:
        self.artifact = artifact
        self._named = [event for event in map(read, tags) if event and event.artifact == artifact]
        self._events = sorted((event for event in self._named if event.tag.annotated), key=lambda event: event.order)

    @cached_property
    def versions(self) -> list[Version]:
        """The versions that were ever registered, lowest first."""
        registered: dict[tuple[str, str], list[Event]] = {}
        for event in self._of(Kind.REGISTER):
            registered.setdefault((event.subject, event.tag.commit), []).append(event)
        return sorted(map(self._version, registered.values()), key=lambda version: version.order)

    def _version(self, events: Sequence[Event]) -> Version:
        newest = events[-1]
        back = [
            event
            for event in self._of(Kind.WITHDRAW)
            if (event.subject, event.tag.commit) == (newest.subject, newest.tag.commit)
        ]
        manifests = [manifest for event in reversed(events) if (manifest := from_tag_message(event.tag.message))]
        withdrawn = back[-1].tag.name if back and back[-1].order > newest.order else self.deprecated
        latest = manifests[0] if manifests else None
        return Version(newest.number, newest.tag, latest, newest.subject, newest.before, withdrawn)

    @cached_property
    def deprecated(self) -> str:
        """The tag that deprecated the model; empty where none did, or something of it was registered since."""
        if not self._events or self._events[-1].kind is not Kind.DEPRECATE:
            return ""
        return self._events[-1].tag.name

    def serving(self, environment: str) -> Tag | None:
        """Return the assignment that says what an environment serves; None where none does.

        One that was withdrawn does not count, nor one of a version that was.
        """
        gone = {version.tag.commit for version in self.versions if version.withdrawn}
        gone -= {version.tag.commit for version in self.versions if not version.withdrawn}
        return next((tag for tag in self.assigned(environment) if tag.commit not in gone), None)

    def assigned(self, environment: str) -> list[Tag]:
        """Return the assignments to an environment that nobody took back, newest first, one a commit."""
        last = {
            event.tag.commit: event for event in self._of(Kind.ASSIGN, Kind.UNASSIGN) if event.subject == environment
        }
        stands = [event for event in last.values() if event.kind is Kind.ASSIGN]
        return [event.tag for event in sorted(stands, key=lambda event: event.order, reverse=True)]

    def unassigned(self, environment: str) -> str:
        """Return the newest tag that took an assignment to an environment back; empty where none did."""
        names = [event.tag.name for event in self._of(Kind.UNASSIGN) if event.subject == environment]
        return names[-1] if names else ""

    def unassigned_at(self, environment: str, commit: str) -> str:
        """Return the tag that took the assignment of a commit back; empty where it stands, or there never was one."""
        both = self._of(Kind.ASSIGN, Kind.UNASSIGN)
        here = [event for event in both if (event.subject, event.tag.commit) == (environment, commit)]
        return here[-1].tag.name if here and here[-1].kind is Kind.UNASSIGN else ""

    def at(self, commit: str) -> Version | None:
        """Return the highest version at a commit, one that stands before a withdrawn one."""
        return matching(self.versions, lambda version: version.tag.commit == commit)

    def free(self, number: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return a number, or the next patch of it whose tag is not there, lightweight ones and deprecated included."""
        taken = {event.number for event in self._named if event.kind in (Kind.REGISTER, Kind.WITHDRAW)}
        major, minor, patch = number
        while (major, minor, patch) in taken:
            patch += 1
        return major, minor, patch

    @property
    def counter(self) -> int:
        """The next counter; those of lightweight tags count, as in GTO."""
        return 1 + max((event.counter for event in self._named), default=0)

    @property
    def later(self) -> int:
        """A time after every tag of the model, in seconds since 1970: clocks of machines differ."""
        return 1 + max((event.tag.at for event in self._named), default=-1)

    def _of(self, *kinds: Kind) -> list[Event]:
        return [event for event in self._events if event.kind in kinds]


def matching(versions: Sequence[Version], fits: Callable[[Version], bool]) -> Version | None:
    """Return the highest version that fits, one that stands before a withdrawn one; None without one."""
    fitting = [version for version in versions if fits(version)]
    return max(fitting, key=lambda version: (not version.withdrawn, version.order), default=None)
