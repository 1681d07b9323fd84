"""Files of partitions that no stage makes any more: other groups, other months, tables that are gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from leverframe.domain import layout
from leverframe.settings.periods import period_of
from leverframe.words import first_few

_SHOWN = 5  # paths that are named
# Folders in which files named after a partition are those of stages.
REPORTS = (layout.CONTRACTS, layout.PROFILES, layout.SKETCHES, layout.FEATURE_PROFILES)
DATA = (layout.RAW, layout.FEATURES)

Listing = Callable[[str], Sequence[str]]
"""Return the paths of all files below a folder."""


def left_over(listing: Listing, groups: Iterable[str], kept: Sequence[str], own: str) -> tuple[list[str], list[str]]:
    """Return reports, which derive from data alone, and files of data, that belong to none of ``groups``.

    ``kept`` are files and folders that sources read, ``own`` is the text of one's own stages, which may name others.
    """
    there = set(groups)

    def of(folders: Iterable[Path], ending: str) -> list[str]:
        paths = [path for folder in folders for path in listing(folder.as_posix()) if path.endswith(ending)]
        keys = {path: Path(path).stem for path in paths}
        stale = [path for path, key in keys.items() if period_of(key) and key not in there and path not in own]
        return [path for path in stale if not any(Path(path).is_relative_to(place) for place in kept)]

    return of(REPORTS, ".json"), of(DATA, ".parquet")


def described(reports: Sequence[str], data: Sequence[str]) -> list[str]:
    """Return in words what was removed, and what a person may remove."""
    lines = []
    if reports:
        lines.append(f"removed {first_few(reports, _SHOWN)} of partitions that the declarations no longer have")
    if data:
        lines.append(f"{first_few(data, _SHOWN)} of such partitions can be removed; git ignores them")
    return lines
