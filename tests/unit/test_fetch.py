"""Fetching by content: what is read, what is refused, and what is not read again."""

from __future__ import annotations

import hashlib
import http.server
import itertools
import json
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from leverframe.adapters.dvc.remotes import RemoteContents
from leverframe.adapters.releases import Releases
from leverframe.domain.model.bundle.bundle_manifest import FILES, MANIFEST, ONNX, SETTINGS, Manifest, sha256
from leverframe.domain.release.fetch import ReleaseReference, run
from leverframe.domain.release.release_manifest import unlike
from leverframe.errors import BundleError, RemoteUnreachableError


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
        self.most: list[int] = []
        self.ends = 1000

    def read(self, md5: str, most: int) -> bytes | None:
        """Return what has that MD5; after so many calls it is gone."""
        if len(self.asked) >= self.ends:
            raise RemoteUnreachableError("gone", why="in a test", next="nothing")
        self.asked.append(md5)
        self.most.append(most)
        return self.held.get(md5)


class Folder:
    """A server's folder in memory."""

    def __init__(self) -> None:
        self.bundles: dict[str, Mapping[str, bytes]] = {}
        self.releases: dict[tuple[str, int], Mapping[str, Any]] = {}
        self.parts: dict[str, bytes] = {}

    def part(self, digest: str) -> bytes | None:
        """Return a file that was kept."""
        return self.parts.get(digest)

    def put_part(self, digest: str, data: bytes) -> None:
        """Keep a file."""
        self.parts[digest] = data

    def discard_parts(self) -> None:
        """Forget them."""
        self.parts.clear()

    def bundle(self, digest: str) -> Mapping[str, bytes] | None:
        """Return the files of a bundle."""
        return self.bundles.get(digest)

    def put_bundle(self, digest: str, files: Mapping[str, bytes]) -> None:
        """Put a bundle here."""
        self.bundles[digest] = files

    def put_release(self, model: str, number: int, settings: Mapping[str, Any]) -> None:
        """Put the settings of a release here."""
        self.releases[model, number] = settings


def wanted(remote: Remote, files: Mapping[str, bytes], **fields: Any) -> ReleaseReference:
    """Return what should be fetched."""
    content = {"md5": f"{remote.folder}.dir", "bundle": sha256(files[MANIFEST]), "model": "shop", "release": 3}
    return ReleaseReference(**{**content, "commit": "c" * 40, **fields})


def test_a_bundle_is_laid_with_its_release() -> None:
    """Only what the manifest names is read; the release says number, commit and bundle."""
    files, place = bundle(), Folder()
    remote = Remote(files, {"notes.txt": b"not of the bundle"})
    outcome = run(wanted(remote, files, md5=remote.folder), remote, place)
    assert place.bundles == {sha256(files[MANIFEST]): files}
    parameters = place.releases["shop", 3]["parameters"]
    assert parameters["version"] == "3"
    assert parameters["extra"]["commit"] == "c" * 40
    assert "trusted" not in parameters["extra"]
    assert md5(b"not of the bundle") not in remote.asked
    assert f"{len(files)} files" in outcome.line()


def test_a_release_names_the_own_types_that_it_was_fetched_with() -> None:
    """They are those of the settings of its commit: nothing beside the bundle adds one."""
    files, place = bundle(), Folder()
    run(wanted(Remote(files), files, trusted=("shop.model.Same",)), Remote(files), place)
    assert place.releases["shop", 3]["parameters"]["extra"]["trusted"] == ["shop.model.Same"]


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
    "digests", [{"md5": "../../x"}, {"md5": "a" * 32 + "\n"}, {"bundle": "../.."}, {"bundle": "A" * 64}]
)
def test_what_is_no_digest_is_asked_of_nobody(digests: dict[str, str]) -> None:
    """It would be a part of a path, in the remote or here."""
    files = bundle()
    remote = Remote(files)
    with pytest.raises(BundleError, match="does not have the bundle"):
        run(wanted(remote, files, **digests), remote, Folder())
    assert remote.asked == []


def test_a_bundle_of_another_model_is_refused() -> None:
    """Its digest may be right, and it is still not what the release is called."""
    files = bundle("garden")
    assert "a bundle of `garden`" in unlike(files, sha256(files[MANIFEST]), "shop")
    assert "is not that of bundle" in unlike({}, "a" * 64, "shop")
    remote = Remote(files)
    with pytest.raises(BundleError, match="does not have the bundle"):
        run(wanted(remote, files), remote, Folder())


def test_a_fetch_that_was_ended_goes_on_where_it_stood() -> None:
    """Files that are here and whole are not read again, one that was spoilt is; afterwards nothing of them is left."""
    files, place = bundle(), Folder()
    remote = Remote(files)
    remote.ends = 6
    with pytest.raises(RemoteUnreachableError):
        run(wanted(remote, files), remote, place)
    assert len(place.parts) == 4  # besides the listing and the manifest
    spoilt = next(iter(place.parts))
    place.parts[spoilt] = b"cut"
    before, remote.ends = set(remote.asked), 1000
    remote.asked.clear()
    outcome = run(wanted(remote, files), remote, place)
    again = {md5(data) for data in files.values() if sha256(data) in (spoilt, sha256(files[MANIFEST]))}
    assert set(remote.asked) & before == {f"{remote.folder}.dir", *again}
    assert (place.bundles[sha256(files[MANIFEST])], place.parts) == (files, {})
    assert outcome.files == len(files) - 3


def test_what_is_read_is_bounded() -> None:
    """A listing and a manifest are small, and all files together have a limit."""
    files = bundle()
    remote = Remote(files)
    run(wanted(remote, files), remote, Folder())
    assert remote.most[:2] == [1 << 20] * 2
    assert all(most > later for most, later in itertools.pairwise(remote.most[2:]))


class Dripping(http.server.BaseHTTPRequestHandler):
    """Sends a byte now and then, of a body that it says to be long."""

    def do_GET(self) -> None:
        """Go on until somebody hangs up."""
        self.send_response(200)
        self.send_header("content-length", "100000")
        self.end_headers()
        with suppress(OSError):
            while not self.server.ends.wait(0.05):  # type: ignore[attr-defined]
                self.wfile.write(b"x")
                self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_remote_that_drips_is_given_up_in_time() -> None:
    """Nothing waits for it longer than it was said, however many files are asked for."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Dripping)
    server.ends = threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        remote = RemoteContents(f"http://127.0.0.1:{server.server_address[1]}", seconds=0.5)
        for _ in range(2):
            with pytest.raises(RemoteUnreachableError) as caught:
                remote.read("a" * 32, 1000)
            assert "more than 0.5 seconds" in caught.value.why
    finally:
        server.ends.set()  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()


def test_only_files_of_a_size_are_read(tmp_path: Path) -> None:
    """A pipe, a folder or a long file in the place of one is refused in words."""
    held, name = tmp_path / "files/md5/aa", "a" * 30
    held.mkdir(parents=True)
    remote = RemoteContents(str(tmp_path), seconds=30)
    assert remote.read(f"aa{name}", 10) is None
    (held / name).write_bytes(b"x" * 10)
    assert remote.read(f"aa{name}", 10) == b"x" * 10
    with pytest.raises(BundleError, match="something else") as caught:
        remote.read(f"aa{name}", 9)
    assert "more than 9 bytes" in caught.value.why
    (held / name).unlink()
    os.mkfifo(held / name)
    with pytest.raises(BundleError, match="something else"):
        remote.read(f"aa{name}", 10)


def test_a_store_keeps_parts_until_all_are_here(tmp_path: Path) -> None:
    """Of this user alone, and gone afterwards."""
    store = Releases(tmp_path / "server")
    assert store.part("a" * 64) is None
    store.put_part("a" * 64, b"part")
    assert store.part("a" * 64) == b"part"
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "server").rglob("*")} == {0}
    store.discard_parts()
    store.discard_parts()
    assert list((tmp_path / "server").rglob("*")) == []
