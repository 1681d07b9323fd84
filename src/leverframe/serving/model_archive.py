"""The file or folder of a model as one file of a bundle: a tar of plain files, the same for the same content."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from leverframe.errors import EstimatorError
from leverframe.private_files import plain_file

_MOST_FILES = 10_000


def archived(path: Path) -> bytes:
    """Return the archive of a model: its file, or every file of its folder; raises ``EstimatorError`` for neither."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, place in _files(path):
            try:
                data = plain_file(place.resolve())  # DVC may link to its cache
            except ValueError as error:
                raise EstimatorError(
                    f"the model {place} cannot be read", why=str(error), next="a model is a file, or a folder of files"
                ) from error
            member = tarfile.TarInfo(name)  # neither owner nor time: the same model is the same archive
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return written.getvalue()


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    if not path.is_dir():
        yield path.name, path
        return
    inside = sorted(entry for entry in path.resolve().rglob("*") if not entry.is_dir())
    if len(inside) > _MOST_FILES or not inside:
        raise EstimatorError(
            f"the folder {path} is no model",
            why=f"it holds {len(inside):,} files; a model has one at least, and {_MOST_FILES:,} at most",
            next="name the folder that holds the model and nothing else",
        )
    for file in inside:
        yield PurePosixPath(path.resolve().name, *file.relative_to(path.resolve()).parts).as_posix(), file


def unpacked(data: bytes, folder: Path) -> None:
    """Write the files of an archive below ``folder``, for us alone; raises ``ValueError`` for what we never wrote."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for number, member in enumerate(archive):
                parts = PurePosixPath(member.name).parts
                odd = not parts or ".." in parts or PurePosixPath(member.name).is_absolute() or "\0" in member.name
                if odd or not member.isreg() or member.issparse() or number >= _MOST_FILES:
                    raise ValueError(f"it has {ascii(member.name)[:80]}, which is no plain file of a model")
                content = archive.extractfile(member)
                place = folder.joinpath(*parts)
                place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                with place.open("xb") as file:
                    file.write(content.read() if content else b"")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ValueError(f"it is no archive of a model: {error}") from error
