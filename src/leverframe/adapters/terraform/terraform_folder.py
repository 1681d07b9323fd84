"""Folders that only this user reads: for a saved plan, and for a look at the backend of a root module alone."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_FOLDER = "leverframe-infra-"  # followed by the process that made it
STATE, STATES = "terraform.tfstate", "terraform.tfstate.d"  # of the local backend where nothing names others


def private_folder() -> Path:
    """Make a folder that only this user reads, and remove those of processes that were killed."""
    for leftover in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        process = leftover.name.removeprefix(_FOLDER).partition("-")[0]
        with suppress(FileNotFoundError):  # another command removes it just now
            if process.isdigit() and leftover.stat().st_uid == os.getuid() and not _lives(int(process)):
                shutil.rmtree(leftover, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-"))


def remove(folder: Path) -> None:
    """Remove a private folder; nothing happens where it is gone."""
    if folder.name.startswith(_FOLDER):
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def without_states(root: Path) -> Iterator[Path]:
    """Yield a folder with links to what is in a root module, but for the states beside it."""
    private = private_folder()
    try:
        folder = private.joinpath(*root.absolute().parts[1:])  # as deep as it is, so that `..` leads out of neither
        folder.mkdir(parents=True)
        for path in root.absolute().iterdir():
            if not path.name.startswith(STATE):
                (folder / path.name).symlink_to(path)
        yield folder
    finally:
        remove(private)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
