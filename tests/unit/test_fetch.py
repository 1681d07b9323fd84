"""Fetching by content: what is read, what is refused, and what is not read again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest

from leverframe.domain.model.bundle.bundle_manifest import FILES, MANIFEST, ONNX, SETTINGS, Manifest, sha256
from leverframe.domain.release.fetch import Wanted, run
from leverframe.domain.release.release_manifest import unlike
from leverframe.errors import BundleError


def bundle(model: str = "shop") -> dict[str, bytes]:
    """Return the files of a small bundle, whose content means nothing."""
    files = {name: name.encode() for name in (*FILES, ONNX)}
    files[SETTINGS] = json.dumps({"name": model}).encode()
    digests = {name: sha256(data) for name, data in files.items()}
    files[MANIFEST] = Manifest(model, "late", "onnx", 1e-5, "p" * 64, {}, digests).to_bytes()
    return files


def md5(data: bytes) -> str:
    """Return the MD5 of bytes."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class Remote:
    """A remote in memory that counts what it is asked."""

    def __init__(self, files: Mapping[str, bytes], more: Mapping[str, bytes] | None = None) -> None:
        listed = {**files, **(more or {})}
        listing = json.dumps([{"md5": md5(data), "relpath": name} for name, data in sorted(listed.items())]).encode()
        self.folder = md5(listing)
        self.held = {f"{self.folder}.dir": listing, **{md5(data): data for data in listed.values()}}
        self.asked: list[str] = []

    def read(self, md5: str) -> bytes | None:
        """Return what has that MD5."""
        self.asked.append(md5)
        return self.held.get(md5)


class Folder:
    """A server's folder in memory."""

    def __init__(self) -> None:
        self.bundles: dict[str, Mapping[str, bytes]] = {}
        self.releases: dict[tuple[str, int], Mapping[str, Any]] = {}

    def bundle(self, digest: str) -> Mapping[str, bytes] | None:
        """Return the files of a bundle."""
        return self.bundles.get(digest)

    def put_bundle(self, digest: str, files: Mapping[str, bytes]) -> None:
        """Put a bundle here."""
        self.bundles[digest] = files

    def put_release(self, model: str, number: int, settings: Mapping[str, Any]) -> None:
        """Put the settings of a release here."""
        self.releases[model, number] = settings


def wanted(remote: Remote, files: Mapping[str, bytes], **said: Any) -> Wanted:
    """Return what should be fetched."""
    content = {"md5": f"{remote.folder}.dir", "bundle": sha256(files[MANIFEST]), "model": "shop", "release": 3}
    return Wanted(**{**content, "commit": "c" * 40, **said})


def test_a_bundle_is_laid_with_its_release() -> None:
    """Only what the manifest names is read; the release says number, commit and bundle."""
    files, place = bundle(), Folder()
    remote = Remote(files, {"notes.txt": b"not of the bundle"})
    found = run(wanted(remote, files, md5=remote.folder), remote, place)
    assert place.bundles == {sha256(files[MANIFEST]): files}
    said = place.releases["shop", 3]["parameters"]
    assert said["version"] == "3"
    assert said["extra"]["commit"] == "c" * 40
    assert md5(b"not of the bundle") not in remote.asked
    assert f"{len(files)} files" in found.line()


def test_what_is_here_is_not_read_again_and_what_is_damaged_is() -> None:
    """A second run asks the remote nothing; a file that was cut short is replaced."""
    files, place = bundle(), Folder()
    remote = Remote(files)
    run(wanted(remote, files), remote, place)
    remote.asked.clear()
    assert run(wanted(remote, files), remote, place).files == 0
    assert remote.asked == []
    place.bundles = {sha256(files[MANIFEST]): {**files, ONNX: b"mod"}}
    assert run(wanted(remote, files), remote, place).files == len(files)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda remote, _: remote.held.pop(f"{remote.folder}.dir"), "has no listing"),
        (lambda remote, _: remote.held.update({f"{remote.folder}.dir": b"[1]"}), "does not have the bundle"),
        (lambda remote, _: remote.held.update({f"{remote.folder}.dir": b"[]"}), "has no MANIFEST.json"),
        (lambda remote, _: _listed_as(remote, "../../../../etc/passwd"), "does not have the bundle"),
        (lambda remote, files: remote.held.pop(md5(files[ONNX])), "has no model.onnx"),
        (lambda remote, files: remote.held.update({md5(files[ONNX]): b"else"}), "does not have the bundle"),
        (lambda remote, files: remote.held.update({md5(files[MANIFEST]): b"{}"}), "does not have the bundle"),
    ],
)
def test_a_remote_that_lacks_or_spoils_something_is_refused(change: Any, words: str) -> None:
    """One error, and nothing is put into the folder."""
    files, place = bundle(), Folder()
    remote = Remote(files)
    change(remote, files)
    with pytest.raises(BundleError, match=words):
        run(wanted(remote, files), remote, place)
    assert (place.bundles, place.releases) == ({}, {})


def _listed_as(remote: Remote, path: str) -> None:
    """List a path in the place of an MD5, which a remote in a folder would follow."""
    listing = json.loads(remote.held[f"{remote.folder}.dir"])
    remote.held[path] = b"a secret"
    remote.held[f"{remote.folder}.dir"] = json.dumps([{**file, "md5": path} for file in listing]).encode()


@pytest.mark.parametrize(
    "said", [{"md5": "../../x"}, {"md5": "a" * 32 + "\n"}, {"bundle": "../.."}, {"bundle": "A" * 64}]
)
def test_what_is_no_digest_is_asked_of_nobody(said: dict[str, str]) -> None:
    """It would be a part of a path, in the remote or here."""
    files = bundle()
    remote = Remote(files)
    with pytest.raises(BundleError, match="does not have the bundle"):
        run(wanted(remote, files, **said), remote, Folder())
    assert remote.asked == []


def test_a_bundle_of_another_model_is_refused() -> None:
    """Its digest may be right, and it is still not what the release is called."""
    files = bundle("garden")
    assert "a bundle of `garden`" in unlike(files, sha256(files[MANIFEST]), "shop")
    assert "is not that of bundle" in unlike({}, "a" * 64, "shop")
    remote = Remote(files)
    with pytest.raises(BundleError, match="does not have the bundle"):
        run(wanted(remote, files), remote, Folder())
