"""Files and folders of one user alone: made so from the first byte, and held to it before anything in them is trusted.

And files of a stranger: only plain ones are read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from leverframe.errors import ServerError

_OWN = 0o077  # bits of a mode that a process with this umask gives to nobody else


@contextmanager
def for_us_alone() -> Iterator[None]:
    """Let what the block makes, temporary files and programs that it starts too, be of this user alone."""
    before = os.umask(_OWN)
    try:
        yield
    finally:
        os.umask(before)


def own_folder(folder: Path) -> Path:
    """Make a folder of this user alone, or verify the one that is there; raises ``ServerError`` as ``verify_own``."""
    with for_us_alone(), suppress(FileExistsError):
        folder.mkdir(parents=True)
    verify_own(folder)
    return folder


def verify_own(folder: Path) -> None:
    """Raise ``ServerError`` for a folder that is there and into which somebody else may have put something."""
    try:
        about = os.lstat(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _not_ours(folder, (error.strerror or str(error)).lower()) from error
    if not stat.S_ISDIR(about.st_mode):
        raise _not_ours(folder, "it is no folder")
    if about.st_uid != os.geteuid():
        raise _not_ours(folder, f"it belongs to user {about.st_uid}, and this one is {os.geteuid()}")
    if about.st_mode & 0o022:
        raise _not_ours(folder, f"its mode is {stat.S_IMODE(about.st_mode):04o}, so others may write into it")


def _not_ours(folder: Path, why: str) -> ServerError:
    return ServerError(
        f"{folder} cannot be the folder of a server",
        why=f"{why}; whoever put a model or a key there would decide what this user runs",
        next="move it away, and the next start makes one of mode 0700; or set `serve.folder` to another place",
    )


def plain_file(path: Path, most: int = 4 << 30) -> bytes:
    """Return the bytes of a plain file; raises ``ValueError`` for anything else, or more than ``most`` bytes.

    A pipe would keep who opens it waiting, and a link leads to what somebody may change after it was verified.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        why = "it is a link" if path.is_symlink() else (error.strerror or str(error)).lower()
        raise ValueError(why) from error
    about = os.fstat(number)
    if not stat.S_ISREG(about.st_mode) or about.st_size > most:
        os.close(number)
        raise ValueError(
            f"it has {about.st_size:,} bytes, more than {most:,}"
            if stat.S_ISREG(about.st_mode)
            else "it is no plain file"
        )
    with os.fdopen(number, "rb") as handle:
        return handle.read(most)
