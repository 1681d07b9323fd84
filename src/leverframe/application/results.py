"""The last result of each lever, as files; the report reads them."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from leverframe.documents import plain
from leverframe.domain import layout
from leverframe.files import disk_error, private_folder, write_json
from leverframe.settings import LEVERS

Result = TypeVar("Result")


def forget(root: Path, lever: str) -> None:
    """Remove the last result of a lever, so that a crash is not taken for the same result again.

    Raises ``DiskError`` where the file system refuses that.
    """
    path = root / layout.lever(lever)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(path, error) from error


def begin(root: Path, lever: str) -> None:
    """Replace the last result of a lever by a mark that it began, so that a crash is told from never having run.

    A folder in which no project is gets none. Raises ``DiskError`` where the file system refuses that.
    """
    if any((root / name).is_file() for name in (LEVERS, "dvc.yaml")):
        kept(root, lever, {})
    else:
        forget(root, lever)


def kept(root: Path, lever: str, result: Result) -> Result:
    """Store the result of a lever for the report, and return it."""
    private_folder((root / layout.RESULTS).parent)
    write_json(root / layout.lever(lever), plain(result))
    return result
