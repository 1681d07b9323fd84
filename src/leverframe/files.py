"""How a file is replaced without ever being seen half written."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from leverframe.errors import DiskError, LeverframeError

_DISK = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "the file would be larger than the system allows",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission is denied",
    errno.EPERM: "the operation is not permitted",
}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of ``path`` that takes its place when the block succeeds.

    A failure removes the sibling and leaves ``path`` as it was. Raises ``DiskError`` where the
    file system refuses the write.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent, path.name)
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        raise disk_error(path, error) from error
    finally:
        with suppress(OSError):  # where nothing can be written there is nothing to remove
            temporary.unlink(missing_ok=True)


def replaced(temporary: Path) -> Path:
    """Return the path whose place a temporary sibling of ``replacing`` was to take."""
    return temporary.with_name(temporary.name.removesuffix(".part").rpartition(".")[0].removeprefix("."))


def sweep(folder: Path, name: str = "*") -> None:
    """Remove what runs that were killed left in ``folder`` beside files of that name; that of living processes stays.

    Of a file those are unfinished siblings, of a folder also the one that was replaced.
    """
    for leftover in [*folder.glob(f".{name}.*.part"), *folder.glob(f".{name}.*.old")]:
        pid = leftover.stem.rpartition(".")[2]
        try:
            os.kill(int(pid), 0)
        except (ProcessLookupError, ValueError):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)
        except OSError:  # the process of another user lives
            continue


def private_folder(path: Path) -> Path:
    """Make the folder of what is kept for this machine alone, hidden from git, and return it."""
    path.mkdir(parents=True, exist_ok=True)
    ignore = path / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    return path


def disk_error(path: Path, error: OSError) -> LeverframeError:
    """Return the ``DiskError`` that tells why ``path`` could not be written."""
    why = _DISK.get(error.errno or 0, error.strerror or str(error))
    return DiskError(
        f"cannot write {path}",
        why=f"{why}; the previous version of the file is untouched",
        next="free some space or fix the permission, then run the same command again",
    )


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` with ``text`` in UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Any) -> None:
    """Replace ``path`` with ``content`` as JSON, keys in the order given, NaN refused."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_folder(path: Path, files: Mapping[str, bytes], verify: Callable[[Path], object] = lambda _: None) -> None:
    """Replace the folder ``path`` by one that holds ``files`` by name, and nothing else.

    The old folder stands until the new one is whole; between the two there is a short time with none. ``verify`` is
    called with the new one before; where it raises, the old one stays. Raises ``DiskError`` where the file system
    refuses the write.
    """
    fresh, old = (path.with_name(f".{path.name}.{os.getpid()}.{end}") for end in ("part", "old"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent, path.name)
        fresh.mkdir()
        for name, data in files.items():
            with (fresh / name).open("wb") as handle:
                handle.write(data)
                handle.flush()
                os.fsync(handle.fileno())
        verify(fresh)
        if path.exists():
            path.rename(old)
        fresh.rename(path)
    except OSError as error:
        raise disk_error(path, error) from error
    finally:
        for leftover in (fresh, old):
            shutil.rmtree(leftover, ignore_errors=True)


def md5(path: Path) -> str:
    """Return the MD5 of a file's bytes as DVC writes it into ``dvc.lock``."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
