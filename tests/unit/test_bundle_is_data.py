"""A bundle of a stranger: whatever its files are and say, it is read within bounds or refused in words."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leverframe.adapters.releases import Releases
from leverframe.bounded import bounded_yaml, json_of
from leverframe.domain.model.bundle.bundle_manifest import (
    CARD,
    FILES,
    MANIFEST,
    ONNX,
    OWN_FILES,
    SKOPS,
    Manifest,
    read_manifest,
    sha256,
)
from leverframe.domain.model.bundle.golden_rows import golden_row
from leverframe.domain.model.bundle.metadata import RUNTIME, released
from leverframe.domain.release.release_manifest import unlike
from leverframe.errors import BundleError
from leverframe.serving.bundle_folder import files_in
from leverframe.yaml_files import parse

SOUND = Manifest("shop", "late", "onnx", 1e-5, "spec", {}, {name: sha256(b"x") for name in (*FILES, ONNX)})
OF_RUNTIME = Manifest(
    "shop", "late", "runtime", 1e-5, "", {}, {name: sha256(b"x") for name in (*OWN_FILES, "model.tar")},
    runtime="shop.scoring:predict",
)  # fmt: skip
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 9)
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a bundle, whose files mean nothing."""
    place = tmp_path / "bundle"
    place.mkdir()
    for name in SOUND.files:
        (place / name).write_bytes(b"x")
    (place / MANIFEST).write_bytes(SOUND.to_bytes())
    return place


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"tolerance": math.inf}, "tolerance of inf"),
        ({"tolerance": math.nan}, "tolerance of nan"),
        ({"tolerance": 0.5}, "tolerance of 0.5"),
        ({"tolerance": -1e-9}, "tolerance of -1e-09"),
        ({"scale": math.inf}, "scale of inf"),
        ({"scale": -1.0}, "scale of -1.0"),
        ({"model": "é"}, r"'\\xe9'"),
        ({"model": "shop-candidate"}, "'shop-candidate'"),
        ({"model": "../shop"}, "'../shop'"),
        ({"model": "shop\n"}, r"'shop\\n'"),
        ({"files": {**SOUND.files, "orjson.py": sha256(b"x")}}, "lists files that no bundle has"),
        ({"files": {**SOUND.files, SKOPS: "x"}}, "a SHA-256 that is none"),
    ],
)
def test_a_manifest_that_no_bundle_has_is_refused(change: dict[str, Any], why: str) -> None:
    """Tolerances that prove nothing, names that are no names, files that run."""
    data = replace(SOUND, **change).to_bytes()
    with pytest.raises(BundleError) as caught:
        read_manifest(data, "here")
    assert why.replace("\\\\", "\\") in caught.value.why


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"runtime": None}, "lacks the name of it"),
        ({"spec": "spec", "files": {name: sha256(b"x") for name in (*FILES, "model.tar")}}, "of another format"),
        ({"engine": "onnx", "files": {name: sha256(b"x") for name in (*OWN_FILES, ONNX)}}, "where none can be"),
        ({"runtime": "os"}, "'os', which is no import path"),
        ({"runtime": "../os.system"}, "no import path"),
        ({"runtime": "shop.scoring:predict\n"}, "no import path"),
        ({"runtime": "shop.scoring:a.b"}, "no import path"),
    ],
)
def test_a_runtime_is_named_as_one_or_not_at_all(change: dict[str, Any], why: str) -> None:
    assert read_manifest(OF_RUNTIME.to_bytes(), "here").runtime == "shop.scoring:predict"
    assert b"runtime" not in SOUND.to_bytes()  # the digests of other bundles stay what they are
    with pytest.raises(BundleError) as caught:
        read_manifest(replace(OF_RUNTIME, **change).to_bytes(), "here")
    assert why in caught.value.why


@pytest.mark.parametrize("model", [["shop"], {"a": 1}, 7, None])
def test_a_model_that_is_no_text_is_refused(model: object) -> None:
    """As JSON has it."""
    content = {**json.loads(SOUND.to_bytes()), "model": model}
    with pytest.raises(BundleError, match="cannot be used"):
        read_manifest(json.dumps(content).encode(), "here")


def test_a_bundle_is_read_whole(folder: Path) -> None:
    """Every file, and nothing else."""
    assert files_in(folder) == {**dict.fromkeys(SOUND.files, b"x"), MANIFEST: SOUND.to_bytes()}


def pipe(path: Path) -> None:
    """Put a pipe into the place of a file."""
    path.unlink()
    os.mkfifo(path)


def link(path: Path) -> None:
    """Put a link into the place of a file."""
    path.unlink()
    path.symlink_to("/etc/hostname")


def inner(path: Path) -> None:
    """Put a folder into the place of a file."""
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda folder: (folder / "orjson.py").write_text("raise SystemExit"), "'orjson.py', which its MANIFEST.json"),
        (lambda folder: (folder / "sub").mkdir(), "'sub', which its MANIFEST.json does not name"),
        (lambda folder: pipe(folder / CARD), "is no plain file"),
        (lambda folder: pipe(folder / MANIFEST), "is no plain file"),
        (lambda folder: link(folder / CARD), "is a link; `dvc unprotect`"),
        (lambda folder: inner(folder / CARD), "is no plain file"),
        (lambda folder: (folder / CARD).unlink(), "no such file"),
    ],
)
def test_a_folder_with_anything_else_is_refused(folder: Path, change: Callable[[Path], object], why: str) -> None:
    """Nothing waits, and nothing that the manifest does not name stays."""
    change(folder)
    with pytest.raises(BundleError) as caught:
        files_in(folder)
    assert why in caught.value.why


def test_a_store_takes_a_bundle_that_somebody_changed_for_none(tmp_path: Path, folder: Path) -> None:
    """It is fetched again in its place, whatever lies there."""
    store = Releases(tmp_path / "server")
    (tmp_path / "server/bundles").mkdir(parents=True)
    target = tmp_path / "server/bundles" / SOUND.digest
    folder.rename(target)
    files = dict(store.bundle(SOUND.digest) or {})
    assert unlike(files, SOUND.digest, "shop") == ""
    assert unlike({**files, "more": b""}, SOUND.digest, "shop") == "it holds files that the manifest does not name"
    (target / "sub").mkdir()
    assert store.bundle(SOUND.digest) is None


def test_documents_are_bounded() -> None:
    """Deep JSON and aliases of YAML cost nothing; what people write passes."""
    for data in (b"[" * 100_000 + b"]" * 100_000, b"[" * 40 + b"]" * 40, b'{"a":' * 50 + b"1" + b"}" * 50):
        with pytest.raises(ValueError, match="nested"):
            json_of(data)
    assert json_of(b'{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}
    for text in (BOMB, "a: &a [*a]", "[" * 40 + "]" * 40, "a: {"):
        with pytest.raises(ValueError, match=r"\w"):
            bounded_yaml(text)
    anchored = "a: &x {one: [1, 2]}\nb: *x\n"
    assert parse(bounded_yaml(anchored), name="here", what="a file")["b"] == {"one": [1, 2]}


@pytest.mark.parametrize("line", [b"[]", b"1", b"{}", b'{"form": "keys", "inputs": [], "prediction": 1}', b"\xff"])
def test_a_golden_row_is_one(line: bytes) -> None:
    """Anything else is refused where it is read."""
    with pytest.raises(ValueError, match=r"\w"):
        golden_row(line)


def test_settings_of_a_bundle_set_nothing_of_the_server() -> None:
    """They describe tensors; the class that is run, its folder and its workers are ours."""
    settings = {
        "name": "other", "implementation": "os.abort", "implementation_": "os.abort", "parallel_workers": 99,
        "parameters": {"uri": "/", "environment_tarball": "/x"}, "inputs": [], "cache_enabled": True,
    }  # fmt: skip
    content = released(settings, SOUND, 3, "../x", "c")
    assert set(content) == {"name", "implementation", "parameters", "inputs"}
    assert (content["name"], content["implementation"], content["parameters"]["uri"]) == ("shop", RUNTIME, "../x")
    wrongs: tuple[object, ...] = ([], None, "x")
    for wrong in wrongs:
        with pytest.raises(BundleError, match="cannot be used"):
            released(wrong, SOUND, 3, "../x", "c")
