"""How the model of a commit is brought into a folder: from git and the cache, else the remote, else it is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from leverframe.domain import layout
from leverframe.domain.pipeline.status.resolved import Recorded
from leverframe.domain.review.gate.decision import champion_files


class ModelSource(Protocol):
    """Where the files of a commit are, and a folder of its own that they are brought into."""

    def show(self, commit: str, path: str) -> bytes | None:
        """Return a file as git has it at a commit; None where it has none."""

    def cached(self, recorded: Recorded) -> bytes | None:
        """Return what the lock recorded from the cache of DVC; None where it is not there."""

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write files into the folder."""

    def check_out(self, commit: str) -> None:
        """Check the commit out into the folder, which shares the cache."""

    def pull(self, paths: Sequence[str]) -> bool:
        """Fetch outputs from the remote into the folder; tell whether all came, False where none is shared."""

    def run_pipeline(self) -> None:
        """Run the pipeline in the folder; raises ``PipelineError``."""


def bring(commit: str, source: ModelSource, tell: Callable[[str], None]) -> bool:
    """Bring the model of a commit and its predictions into the folder; return False where the commit has no model."""
    description = layout.MODEL_DESCRIPTION.as_posix()
    described = source.show(commit, description)
    if described is None:
        return False
    needed = champion_files(source.show(commit, "dvc.lock") or b"")
    files = {path: content for path, recorded in needed.items() if (content := source.cached(recorded)) is not None}
    if needed and len(files) == len(needed):
        source.write({**files, description: described})
        return True
    tell(f"fetching the champion of {commit[:12]}")
    source.check_out(commit)
    if not needed or not source.pull(list(needed)):
        tell("the champion is in no cache and no remote: its pipeline is run")
        source.run_pipeline()
    return True
