"""A remote of DVC that is a folder, asked for the objects that a lock names."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from leverframe.domain.review.pushed import RemoteResponse, StoredObject


@dataclass(frozen=True)
class FolderStore:
    """A remote that is a folder, as a store of objects: nothing of it is remembered, as looking costs nothing."""

    name: str
    folder: Path

    def known(self) -> Collection[str]:
        """Return nothing."""
        return ()

    def remember(self, places: Collection[str]) -> None:
        """Keep nothing."""

    def listings(self, wanted: Sequence[StoredObject]) -> RemoteResponse[bytes]:
        """Return the content of the listings of directories."""
        contents = {stored: content for stored in wanted if (content := self._content(stored)) is not None}
        return RemoteResponse(contents, [stored for stored in wanted if stored not in contents])

    def sizes(self, wanted: Sequence[StoredObject]) -> RemoteResponse[int | None]:
        """Return the bytes of each object."""
        sizes = {stored: size for stored in wanted if (size := self._size(stored)) is not None}
        return RemoteResponse(sizes, [stored for stored in wanted if stored not in sizes])

    def _content(self, wanted: StoredObject) -> bytes | None:
        try:
            return (self.folder / wanted.place).read_bytes()
        except OSError:
            return None

    def _size(self, wanted: StoredObject) -> int | None:
        place = self.folder / wanted.place
        return place.stat().st_size if place.is_file() else None
