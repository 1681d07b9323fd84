"""What the run of a pull request leaves for whoever judges it: the outputs that its base has not, as DVC keeps them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from leverframe import wiring
from leverframe.application.left_outputs import leave_outputs
from leverframe.domain.pipeline.status.lock import entries
from tests.integration.shop import Shop, copied, finished


@pytest.fixture
def shop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A finished shop whose folder is the working one."""
    place = copied(finished(tmp_path_factory), tmp_path)
    monkeypatch.chdir(place.root)
    return place


def _relocked(shop: Shop, contents: dict[str, bytes]) -> dict[str, str]:
    """Let the lock say other contents of some outputs, which the cache has, and commit that; return the digests."""
    text, digests = shop.repository.read("dvc.lock"), {}
    recorded = {path: output for entry in entries(text, "dvc.lock").values() for path, output in entry.outputs.items()}
    for path, content in contents.items():
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest() + recorded[path].md5[32:]
        text = text.replace(recorded[path].md5, digest).replace(f"size: {recorded[path].size}", f"size: {len(content)}")
        shop.repository.write(f".dvc/cache/files/md5/{digest[:2]}/{digest[2:]}", content.decode())
        digests[path] = digest
    shop.repository.write("dvc.lock", text)
    shop.repository.commit("Other outputs")
    return digests


def test_only_what_is_new_is_left(shop: Shop, tmp_path: Path) -> None:
    """Nothing where nothing changed; else the content by its digest, of a folder the listing and its files, too."""
    left = tmp_path / "left"
    assert leave_outputs(wiring.workspace(), "HEAD", left) == []
    assert not left.exists()
    file = hashlib.md5(b"one", usedforsecurity=False).hexdigest()
    shop.repository.write(f".dvc/cache/files/md5/{file[:2]}/{file[2:]}", "one")
    listing = json.dumps([{"md5": file, "relpath": "a"}]).encode()
    digests = _relocked(shop, {"models/model.skops": b"another model", "models/bundle": listing})
    hashes = leave_outputs(wiring.workspace(), "HEAD~1", left)
    assert sorted(hashes) == sorted([*digests.values(), file])
    for digest in hashes:
        content = (left / "files/md5" / digest[:2] / digest[2:]).read_bytes()
        assert hashlib.md5(content, usedforsecurity=False).hexdigest() == digest[:32]


def test_the_smallest_come_first_and_what_exceeds_the_limit_is_left_out(shop: Shop, tmp_path: Path) -> None:
    """So is what the cache lacks, or holds another content of: it is in the remote, or nowhere."""
    digests = _relocked(shop, {"models/model.skops": b"small", "data/training/train.parquet": b"l" * 500})
    workspace = wiring.workspace()
    assert leave_outputs(workspace, "HEAD~1", tmp_path / "left", limit=100) == [digests["models/model.skops"]]
    small = digests["models/model.skops"]
    shop.repository.write(f".dvc/cache/files/md5/{small[:2]}/{small[2:]}", "other")
    assert leave_outputs(workspace, "HEAD~1", tmp_path / "more") == [digests["data/training/train.parquet"]]
    shop.repository.write("dvc.lock", "<<<<<<< ours\n")
    assert leave_outputs(workspace, "HEAD~1", tmp_path / "none") == []  # `check` says what is wrong with it
