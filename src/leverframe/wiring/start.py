"""How a repository gets ready, and how git has locks merged."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from leverframe import __version__
from leverframe.domain.pipeline.init import WORKFLOW, SetConfig, Step, WriteFile, steps
from leverframe.domain.review.check import LOCK
from leverframe.wiring import ROOT

ACTIONS = f"leverframe/leverframe/actions@v{__version__}"


def init(actions: str, *, dry_run: bool) -> list[Step]:
    """Return what had to be done to make this repository ready, done unless ``dry_run``."""
    from leverframe.adapters.git import Git
    from leverframe.files import write_text

    git = Git(ROOT)
    git.named("HEAD")
    files = {path: _text(ROOT / path) for path in (".gitattributes", WORKFLOW)}
    program = f"{shlex.quote(sys.executable)} -m leverframe"
    wanted = steps(files, git.config("merge."), program, actions)
    for step in [] if dry_run else wanted:
        if isinstance(step, WriteFile):
            write_text(ROOT / step.path, step.content)
        elif isinstance(step, SetConfig):
            git.set_config(step.key, step.value)
    return wanted


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None


def merge(base: Path, ours: Path, theirs: Path, path: str) -> list[str]:
    """Merge a lock into ``ours``, or leave a report there as it is; return what to tell."""
    from leverframe.domain.pipeline.merge import merged
    from leverframe.files import write_text

    if Path(path).name != LOCK:
        return [f"{path}: kept as on this branch; `dvc repro` writes it anew"]
    found = merged(*(each.read_text(encoding="utf-8") for each in (base, ours, theirs)))
    write_text(ours, found.text)
    if not found.dropped:
        return [f"{path}: merged stage by stage; `leverframe status` tells what has to run"]
    return [f"{path}: both sides ran {', '.join(found.dropped)}; `dvc repro` runs what has to, then commit"]
