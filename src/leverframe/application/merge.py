"""Merge two versions of a file that stages own, and every other file as git does; the merge driver of git."""

from __future__ import annotations

from pathlib import Path

from leverframe.adapters.git import Git
from leverframe.domain.pipeline.merge import Record, merged, record
from leverframe.domain.review.check import LOCK
from leverframe.errors import RepositoryError
from leverframe.files import md5, write_text


def merge(base: Path, ours: Path, theirs: Path, path: str, marker: int) -> tuple[list[str], bool]:
    """Write the merge into ``ours``; return messages, and whether it has no conflict.

    ``path`` is that of the file from the current folder, the top of the repository; conflict markers are
    ``marker`` characters long. A lock that cannot be merged has a conflict, with markers where lines differ.
    """
    git = Git(Path())
    if Path(path).name != LOCK:
        place = record(path, lambda file: _text(git.show("HEAD", file)))
        if place and _written_by_stage(git, place, (ours, theirs)):
            return [f"{path}: kept as on this branch; `dvc repro` writes it again"], True
        return [], git.merge_file(ours, base, theirs, marker)
    try:
        locks = merged(*(side.read_text(encoding="utf-8") for side in (base, ours, theirs)))
    except (RepositoryError, UnicodeDecodeError) as error:
        git.merge_file(ours, base, theirs, marker)
        why = error.why if isinstance(error, RepositoryError) else "it is not UTF-8 text"
        return [
            f"{path}: not merged stage by stage: {why}",
            f"  next: `git checkout --ours {path}`, `dvc repro`",
        ], False
    write_text(ours, locks.text)
    if not locks.dropped:
        return [f"{path}: merged stage by stage; `leverframe status` lists the stale stages"], True
    return [f"{path}: both sides ran {', '.join(locks.dropped)}; run `dvc repro`, then commit"], True


def _written_by_stage(git: Git, place: Record, sides: tuple[Path, ...]) -> bool:
    """Tell whether some lock records what both sides hold: what a person wrote or edited stands in none."""
    return place.folder or all(git.ever_held(place.lock, f"md5: {md5(side)}") for side in sides)


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode(errors="replace")
