"""The online store of this machine: a folder with immutable files, and one small file that names those in force.

    current.json                      the generation in force; replaced in one step, last of all
    layers/base-5f0c….bin             snapshot files
    raw/orders/2024-05-03-1f0c….parquet   the rows that the layers were made from
    work/                             of the run that is under way; what a killed one left is removed
    lock

Each star.yaml has a folder of its own, so a model that is rolled back finds the store of its definition.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from leverframe.documents import parsed, plain
from leverframe.domain import layout
from leverframe.domain.features.materialize import FORMAT, Generation, LayerFile, Raw, written
from leverframe.domain.features.snapshot.layers import Layer, Layered
from leverframe.domain.features.snapshot.store import SnapshotInfo
from leverframe.errors import MaterializeBusyError, SnapshotError
from leverframe.files import disk_error, private_folder, replacing, write_json
from leverframe.locks import held

_POINTER, _RAW, _LAYERS, _WORK = "current.json", "raw", "layers", "work"
_TRIES = 5


class StoreFolder:
    """The store of one spec in ``folder``; ``opener`` opens a layer, verified."""

    def __init__(self, folder: Path, spec: str, opener: Callable[[Path, str], Layer]) -> None:
        self._base, self.spec, self._open = folder, spec, opener
        self.folder = folder / spec[:16]
        self.work = self.folder / _WORK

    def stamp(self) -> tuple[int, int]:
        """Return what changes with the pointer; zeros where there is none."""
        try:
            status = (self.folder / _POINTER).stat()
        except OSError:
            return 0, 0
        return status.st_ino, status.st_mtime_ns

    def current(self, *, whatever: bool = False) -> Generation | None:
        """Return the generation in force, None where there is none of this spec.

        Raises ``SnapshotError`` for one that cannot be read; ``whatever`` it is, it is none then.
        """
        try:
            generation = parsed(Generation, (self.folder / _POINTER).read_bytes())
            for at in (generation.as_of, generation.since, generation.base_as_of):
                written(at)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, OverflowError) as error:
            if whatever:
                return None
            raise self._unusable(f"{_POINTER}: {error}") from error
        if generation.format != FORMAT and not whatever:
            raise self._unusable(f"it has format {generation.format}, this version reads {FORMAT}")
        return generation if generation.spec == self.spec else None

    def opened(self, known: Mapping[str, Layer] | None = None) -> OpenGeneration | None:
        """Return the generation in force with its files open, those of ``known`` as they are; None where there is none.

        A file that went between two looks was of an old generation: the pointer is read again.
        """
        for _ in range(_TRIES):
            generation = self.current()
            if generation is None:
                return None
            try:
                return OpenGeneration(generation, self._opened(generation, known or {}))
            except SnapshotError as error:
                if not isinstance(error.__cause__, FileNotFoundError):
                    raise
        raise self._unusable("its files go faster than they can be opened")

    def _opened(self, generation: Generation, known: Mapping[str, Layer]) -> dict[str, Layer]:
        opened = {}
        for layer in generation.layers():
            opened[layer.file] = known.get(layer.file) or self.open_layer(layer)
        return opened

    def open_layer(self, layer: LayerFile) -> Layer:
        """Return a layer, verified; raises ``SnapshotError`` for one that is missing or damaged."""
        try:
            return self._open(self.layer_path(layer), self.spec)
        except SnapshotError as error:
            raise self._unusable(f"{layer.file}: {error.why}") from error.__cause__ or error

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the store in the block, its work folder fresh; raises ``MaterializeBusyError``."""
        private_folder(self._base)
        busy = MaterializeBusyError(
            f"another run brings {self.folder} up to date",
            why="it holds the lock of the store",
            next="wait for it, then run the same command again",
        )
        with held(self.folder / "lock", busy):
            shutil.rmtree(self.work, ignore_errors=True)
            self.work.mkdir()
            try:
                yield
            finally:
                shutil.rmtree(self.work, ignore_errors=True)

    def layer_path(self, layer: LayerFile) -> Path:
        """Return where a layer lies."""
        return self.folder / _LAYERS / layer.file

    def layer(self, kind: str) -> Path:
        """Return where a layer is written before it is put in force; no two have one name."""
        return self.work / f"{kind}-{secrets.token_hex(8)}.bin"

    def named(self, table: str, part: str) -> str:
        """Return the name by which the rows of a partition in the work folder are kept: that of their content."""
        with (self.work / layout.raw(table, part)).open("rb") as handle:
            return f"{part}-{hashlib.file_digest(handle, 'sha256').hexdigest()[:32]}.parquet"

    def lend(self, raw: Raw) -> None:
        """Put the rows of a generation into the work folder where it has none, as `ingest` lays them out."""
        for table, part, file in _files(raw):
            path = self.work / layout.raw(table, part)
            if path.exists():
                continue
            if not self.raw(table, file).exists():
                raise self._unusable(f"{self.raw(table, file).name}, rows that it was made from, is missing")
            self._linked(self.raw(table, file), path)

    def raw(self, table: str, file: str) -> Path:
        """Return where the rows of a partition lie."""
        return self.folder / _RAW / table / file

    def put(self, generation: Generation, layers: Sequence[Path]) -> None:
        """Put a generation in force: its files first, then the pointer in one step, then what nobody needs goes.

        Files that are open stay readable.
        """
        for table, part, file in _files(generation.raw):
            if not self.raw(table, file).exists():
                self._linked(self.work / layout.raw(table, part), self.raw(table, file))
        for layer in layers:
            layer.chmod(0o444)  # servers have it mapped: written in place it would end them
            self._linked(layer, self.folder / _LAYERS / layer.name)
        write_json(self.folder / _POINTER, plain(generation))
        needed = generation.files()
        for path in (*(self.folder / _LAYERS).glob("*"), *(self.folder / _RAW).glob("*/*")):
            if path.name not in needed:
                path.unlink(missing_ok=True)

    def _linked(self, source: Path, target: Path) -> None:
        """Give a file a second name, or copy it where a file has one name only; both are never written again."""
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(source, target)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
                raise disk_error(target, error) from error
            with replacing(target) as temporary:
                shutil.copyfile(source, temporary)

    def _unusable(self, why: str) -> SnapshotError:
        return SnapshotError(
            f"the online store in {self.folder} cannot be used", why=why, next="`leverframe materialize --full`"
        )


def _files(raw: Raw) -> Iterator[tuple[str, str, str]]:
    return ((table, part, file) for table, files in raw.items() for part, file in files.items())


class OpenGeneration:
    """A generation whose files are open."""

    def __init__(self, generation: Generation, files: Mapping[str, Layer]) -> None:
        self.generation, self.files = generation, files
        about = SnapshotInfo(generation.spec, generation.as_of, generation.attributes())
        self.store = Layered(about, [(files[layer.file], layer.whole) for layer in generation.layers()])
