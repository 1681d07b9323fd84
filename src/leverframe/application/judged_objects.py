"""Data that a change brings: from the cache, else the remote of the base, else a folder beside, always hashed anew."""

from __future__ import annotations

import hashlib
import re
import shutil
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from leverframe.adapters.working_tree import WorkingTree
from leverframe.domain.pipeline.status.resolved import Recorded
from leverframe.domain.review.judge.data_pointers import Pointer, listed
from leverframe.files import replacing

_LARGEST = 20_000_000_000  # bytes of one file that a change may bring
_READ = 500_000_000  # bytes of a model or a table that is compared
_LISTING = 50_000_000  # bytes of the listing of a folder, some 500,000 files
_CHUNK = 1 << 20
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


@dataclass(frozen=True)
class Objects:
    """A folder in the layout of a cache of DVC, which code of the change wrote: data, and never more than that."""

    folder: Path | None
    tree: WorkingTree

    def take(self, md5: str) -> bool:
        """Bring what has that digest into the cache; tell whether it is there, every file of it for a folder."""
        if not self._small(md5, _LARGEST):
            return False
        if self.tree.cached(Recorded(md5)):
            return True
        if not self._copied(md5):
            return False
        if not md5.endswith(".dir"):
            return True
        files = listed(self.tree.content(Recorded(md5)) or b"")
        # an owner looks at odd ones
        return isinstance(files, str) or all(self.take(digest) for digest in files.values())

    def content(self, md5: str) -> bytes | None:
        """Return what has that digest, of a file that a claim names; None where it is nowhere, or too large to read."""
        known = self.tree.content(Recorded(md5)) if _MD5.fullmatch(md5) and self._small(md5, _READ) else None
        place = self._place(md5, _READ) if known is None else None
        return place.read_bytes() if place else known

    def _small(self, md5: str, most: int) -> bool:
        """Tell whether what the cache has of that digest can be read; what it has not of course can."""
        try:
            size = self.tree.place_of(md5).stat().st_size
        except OSError:
            return True
        return size <= _most(md5, most)

    def _copied(self, md5: str) -> bool:
        """Copy one object, where the folder has a plain file of that content."""
        place = self._place(md5, _LARGEST)
        if place is None:
            return False
        with replacing(self.tree.place_of(md5)) as temporary:
            shutil.copyfile(place, temporary)
        return True

    def _place(self, md5: str, limit: int) -> Path | None:
        """Return the plain file of the folder that has that content; None where there is none."""
        if self.folder is None or not _MD5.fullmatch(md5):
            return None
        place = self.folder / "files" / "md5" / md5[:2] / md5[2:]
        try:
            known = place.lstat()
        except OSError:
            return None
        if not stat.S_ISREG(known.st_mode) or known.st_size > _most(md5, limit):
            return None
        return place if _md5_of(place) == md5.removesuffix(".dir") else None


def _most(md5: str, limit: int) -> int:
    """Return how many bytes an object may have: a listing is read whole, whatever asks for it."""
    return min(limit, _LISTING) if md5.endswith(".dir") else limit


def _md5_of(file: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with file.open("rb") as handle:
        while block := handle.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()


def missing(pointers: Iterable[Pointer], objects: Objects) -> list[str]:
    """Return the data that are nowhere."""
    return [pointer.path for pointer in pointers if not objects.take(pointer.md5)]


def odd_folders(pointers: Mapping[str, Pointer], objects: Objects) -> dict[str, str]:
    """Return the pointers to folders that hold more than data, with what that is."""
    folders = {file: pointer for file, pointer in pointers.items() if pointer.md5.endswith(".dir")}
    listings = {file: listed(objects.content(pointer.md5) or b"") for file, pointer in folders.items()}
    return {file: reason for file, reason in listings.items() if isinstance(reason, str)}
