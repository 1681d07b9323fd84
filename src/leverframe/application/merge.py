"""Merge two locks stage by stage; the merge driver of git."""

from __future__ import annotations

from pathlib import Path

from leverframe.domain.pipeline.merge import merged
from leverframe.domain.review.check import LOCK
from leverframe.files import write_text


def merge(base: Path, ours: Path, theirs: Path, path: str) -> list[str]:
    """Merge a lock into ``ours``, or leave a report there as it is; return messages."""
    if Path(path).name != LOCK:
        return [f"{path}: kept as on this branch; `dvc repro` writes it again"]
    found = merged(*(each.read_text(encoding="utf-8") for each in (base, ours, theirs)))
    write_text(ours, found.text)
    if not found.dropped:
        return [f"{path}: merged stage by stage; `leverframe status` lists the stale stages"]
    return [f"{path}: both sides ran {', '.join(found.dropped)}; run `dvc repro`, then commit"]
