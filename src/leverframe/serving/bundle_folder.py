"""A folder with a bundle, read as data of a stranger: plain files alone, and no others than its manifest names."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from leverframe.domain.model.bundle.bundle_manifest import MANIFEST, Manifest, read_manifest, unusable
from leverframe.private_files import plain_file
from leverframe.words import first_few

_MANIFEST_BYTES = 1 << 20
_FILE_BYTES = 4 << 30


def manifest_in(folder: Path) -> Manifest:
    """Return the manifest of the bundle in ``folder``; raises ``BundleError`` for anything but a bundle.

    The folder has the files that the manifest names and nothing else: what lies beside them would be neither
    verified nor harmless to whoever starts a program there.
    """
    where = str(folder)
    manifest = read_manifest(_read(folder, MANIFEST, _MANIFEST_BYTES), where)
    _refuse_others(folder, {MANIFEST, *manifest.files})
    return manifest


def file_in(folder: Path, name: str) -> bytes:
    """Return the bytes of one file of a bundle; raises ``BundleError`` for what is no plain file."""
    return _read(folder, name, _FILE_BYTES)


def files_in(folder: Path) -> dict[str, bytes]:
    """Return every file of the bundle in ``folder``; raises ``BundleError`` as ``manifest_in`` does."""
    return {name: file_in(folder, name) for name in (MANIFEST, *manifest_in(folder).files)}


def _refuse_others(folder: Path, known: Collection[str]) -> None:
    with os.scandir(folder) as entries:
        others = sorted(entry.name for entry in entries if entry.name not in known)
    if others:
        named = first_few([ascii(other)[:80] for other in others], 1)
        raise unusable(str(folder), f"it holds {named}, which its {MANIFEST} does not name; remove it")


def _read(folder: Path, name: str, most: int) -> bytes:
    try:
        return plain_file(folder / name, most)
    except ValueError as error:
        remedy = "; `dvc unprotect` puts a file in the place of a link of DVC" if (folder / name).is_symlink() else ""
        raise unusable(str(folder), f"{name}: {error}{remedy}") from error
