"""The closed files of a log: in a folder, by a pattern, or behind an address, from which they are fetched first."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from leverframe.domain.monitoring.log_names import day_of, is_closed, matches, may_hold, split_pattern
from leverframe.domain.monitoring.log_query import LogFile
from leverframe.errors import SourceError

Within = tuple[datetime | None, datetime | None]  # without an end where it is None
LIMIT = 20_000_000_000  # bytes that are fetched at most
NO_LOG = (
    "there is no log",
    "set `monitor.log` to the folder that the server writes to, or start the server that writes it",
)
NO_LABELS = "there are no labels", "set `monitor.labels.path` to the files with labels, or remove `monitor.labels`"


class RemoteLogs(Protocol):
    """The files behind an address."""

    def sizes(self) -> dict[str, int]:
        """Return their paths below the address, and their bytes."""

    def fetch(self, name: str, target: Path) -> bool:
        """Write one of them to ``target``; tell whether it was still there."""


@contextmanager
def log_files(
    source: str,
    root: Path,
    remote: Callable[[str], RemoteLogs],
    within: Within = (None, None),
    limit: int = LIMIT,
    nothing: tuple[str, str] = NO_LOG,
) -> Iterator[list[LogFile]]:
    """Yield the files of ``source`` that may hold rows from the first time of ``within`` to before the second.

    ``source`` is a file, a folder or a pattern, relative to ``root``, or an address whose files are fetched into a
    folder that is gone afterwards. Raises ``SourceError`` where there is nothing, which
    ``nothing`` tells of, and for more than ``limit`` bytes to fetch.
    """
    source = source.removeprefix("file://")
    base, pattern = split_pattern(source)

    def wanted(name: str) -> bool:
        return is_closed(name) and matches(name, pattern) and may_hold(name, *within)

    if "://" not in source:
        yield _local(root / base, source, wanted, nothing)
        return
    files = remote(base)
    sizes = {name: size for name, size in sorted(files.sizes().items()) if wanted(name)}
    if sum(sizes.values()) > limit:
        raise SourceError(
            f"the log has {sum(sizes.values()) / 1e9:,.0f} GB of the windows that are looked at",
            why=f"at most {limit / 1e9:,.0f} GB are fetched",
            next="set a smaller `monitor.lookback`, or name a pattern that fits fewer files in `monitor.log`",
        )
    with tempfile.TemporaryDirectory(prefix="leverframe-log-") as folder:
        kept = [name for name in sizes if files.fetch(name, Path(folder, name))]
        yield [LogFile(Path(folder, name), name, day_of(name)) for name in kept]


def _local(base: Path, source: str, wanted: Callable[[str], bool], nothing: tuple[str, str]) -> list[LogFile]:
    if not base.exists():
        raise SourceError(
            f"{nothing[0]} at {source}",
            why="neither a file nor a folder is there",
            next=nothing[1],
        )
    if not base.is_dir():
        return [LogFile(base, base.name, day_of(base.as_posix()))]
    paths = []
    for folder, folders, names in os.walk(base):
        below = Path(folder).relative_to(base)
        # A folder that is called like a file is looked at, so that it is named as unreadable.
        named = [*names, *(name for name in folders if is_closed(name))]
        paths += [(below / name).as_posix() for name in named]
    return [LogFile(base / name, name, day_of(name)) for name in sorted(paths) if wanted(name)]
