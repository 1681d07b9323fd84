"""Fetching a bundle by its digest into a folder that a server starts from, without git and without a repository.

A remote of DVC names every file by its MD5, and a folder by the MD5 of its listing. That is enough to
find a bundle; what makes it the right one is the SHA-256 of its manifest, and through it of every file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from leverframe.bounded import json_of
from leverframe.domain.model.bundle import bundle_manifest as names
from leverframe.domain.model.bundle.bundle_manifest import read_manifest
from leverframe.domain.model.bundle.metadata import released
from leverframe.domain.release.ports import BundleStore
from leverframe.domain.release.release_manifest import unlike
from leverframe.errors import BundleError

_MD5, _SHA256 = re.compile(r"[0-9a-f]{32}(?:\.dir)?"), re.compile(r"[0-9a-f]{64}")  # each becomes part of a path

_DOCUMENT, _BUNDLE = 1 << 20, 8 << 30  # bytes of a listing or a manifest, and of a bundle


class Contents(Protocol):
    """A remote of DVC, read by content."""

    def read(self, md5: str, most: int) -> bytes | None:
        """Return what has that MD5, None where the remote lacks it.

        Raises ``RemoteUnreachableError``, and ``BundleError`` for more than ``most`` bytes.
        """


class Parts(BundleStore, Protocol):
    """A store that keeps verified files of a bundle until all of them are here, by their SHA-256."""

    def part(self, digest: str) -> bytes | None:
        """Return what was kept under that digest, None where nothing was."""

    def put_part(self, digest: str, data: bytes) -> None:
        """Keep a file, whole or not at all."""

    def discard_parts(self) -> None:
        """Forget them."""


@dataclass(frozen=True)
class ReleaseReference:
    """A release: ``md5`` names the folder in the remote, ``bundle`` is the SHA-256 of its manifest.

    ``trusted`` are own types that its model may hold, by the settings of its commit.
    """

    md5: str
    bundle: str
    model: str
    release: int
    commit: str
    trusted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fetched:
    """The result: files and bytes that were read from the remote, none where everything was here already."""

    wanted: ReleaseReference
    files: int
    size: int

    def line(self) -> str:
        """Return it in words."""
        read = f"{self.files} files, {self.size:,} bytes" if self.files else "it was here"
        return f"release {self.wanted.release} of {self.wanted.model}, bundle {self.wanted.bundle[:12]}: {read}"


def run(
    wanted: ReleaseReference, contents: Contents, store: Parts, tell: Callable[[str], None] = lambda _: None
) -> Fetched:
    """Bring a bundle into a folder, every file verified against the manifest.

    What is here and whole is not read again, nor is a file that was read before a run was ended.

    Raises ``BundleError`` where the remote lacks it or has another, ``RemoteUnreachableError``.
    """
    if not (_MD5.fullmatch(wanted.md5) and _SHA256.fullmatch(wanted.bundle)):
        raise _another("it is asked for by an MD5 or a SHA-256 that is none")
    files, read = store.bundle(wanted.bundle), _Read(contents)
    if files is None or unlike(files, wanted.bundle, wanted.model):
        files = _from(read, wanted, store, tell)
        store.put_bundle(wanted.bundle, files)
    store.discard_parts()
    manifest = read_manifest(files[names.MANIFEST], wanted.bundle[:12])
    settings, uri = _settings(files[names.SETTINGS]), f"../../../bundles/{wanted.bundle}"
    content = released(settings, manifest, wanted.release, uri, wanted.commit, wanted.trusted)
    store.put_release(wanted.model, wanted.release, content)
    return Fetched(wanted, read.files, read.size)


@dataclass
class _Read:
    """Reads from the remote, and counts the files of the bundle and all bytes."""

    contents: Contents
    files: int = 0
    size: int = 0

    def __call__(self, md5: str, what: str, most: int) -> bytes:
        content = self.contents.read(md5, most) if md5 else None
        if content is None:
            raise BundleError(
                f"the remote has no {what}",
                why=f"nothing there has the MD5 {md5}" if md5 else "the listing of the bundle does not name it",
                next="`dvc push` where the pipeline ran; the address is that of the remote, without `files/md5`",
            )
        self.size += len(content)
        return content


def _from(read: _Read, wanted: ReleaseReference, store: Parts, tell: Callable[[str], None]) -> dict[str, bytes]:
    """Return the files of the bundle from the remote: the manifest first, then what it names and nothing else."""
    listing = _listing(read(f"{wanted.md5.removesuffix('.dir')}.dir", "listing of the bundle", _DOCUMENT))
    manifest = read(listing.get(names.MANIFEST, ""), names.MANIFEST, _DOCUMENT)
    read.files += 1
    if names.sha256(manifest) != wanted.bundle:
        raise _another(f"its {names.MANIFEST} has another SHA-256")
    files = {names.MANIFEST: manifest}
    for name, digest in read_manifest(manifest, wanted.bundle[:12]).files.items():
        data = store.part(digest)
        if data is None or names.sha256(data) != digest:
            tell(f"fetching {name}")
            data = read(listing.get(name, ""), name, _BUNDLE - read.size)
            read.files += 1
            if names.sha256(data) != digest:
                raise _another(f"`{name}` is not the file that the manifest names")
            store.put_part(digest, data)
        files[name] = data
    wrong = unlike(files, wanted.bundle, wanted.model)
    if wrong:
        raise _another(wrong)
    return files


def _listing(data: bytes) -> dict[str, str]:
    try:
        listed = {str(file["relpath"]): str(file["md5"]) for file in json_of(data)}
        if not all(map(_MD5.fullmatch, listed.values())):
            raise ValueError("an MD5 in it is none")
        return listed
    except (ValueError, KeyError, TypeError) as error:
        raise _another(f"its listing is damaged: {error!r}") from error


def _settings(data: bytes) -> Any:
    try:
        return json_of(data)
    except ValueError as error:
        raise _another(f"its {names.SETTINGS} is damaged: {error}") from error


def _another(why: str) -> BundleError:
    return BundleError(
        "the remote does not have the bundle",
        why=why,
        next="`dvc push` where the pipeline ran; `--md5` and `--bundle` come from the same commit",
    )
