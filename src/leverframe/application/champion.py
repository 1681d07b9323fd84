"""The model of a commit, in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from leverframe.adapters.working_tree.remote import Remote
from leverframe.application.pipeline import PipelineRun
from leverframe.application.status import tree_around
from leverframe.application.workspace import Workspace
from leverframe.domain.pipeline.status.resolved import Recorded
from leverframe.domain.review.gate.champion import bring
from leverframe.files import replacing


@contextmanager
def champion(workspace: Workspace, commit: str, tell: Callable[[str], None]) -> Iterator[Path | None]:
    """Yield a folder with the model of a commit and its predictions; None where it has no model."""
    with TemporaryDirectory(prefix="leverframe-") as place:
        source = _Source(workspace, Path(place, "champion"), tell)
        yield source.folder if bring(commit, source, tell) else None


class _Source:
    """The port of ``domain/review/gate/champion.py``, over git, the cache and the remote of a workspace."""

    def __init__(self, workspace: Workspace, whole: Path, tell: Callable[[str], None]) -> None:
        self._workspace, self._whole = workspace, whole
        self.folder = whole / workspace.git.prefix()  # the root may be a folder of the repository
        self._tree = tree_around(workspace.root)
        self._pipeline = PipelineRun.of(workspace, self.folder, tell)

    def show(self, commit: str, path: str) -> bytes | None:
        return self._workspace.git.show(commit, path)

    def cached(self, recorded: Recorded) -> bytes | None:
        return self._tree.content(recorded)

    def write(self, files: Mapping[str, bytes]) -> None:
        for path, content in files.items():
            with replacing(self.folder / path) as temporary:
                temporary.write_bytes(content)

    def check_out(self, commit: str) -> None:
        self._workspace.git.copied(commit, self._whole)
        self._tree.lend(self.folder)

    def pull(self, paths: Sequence[str]) -> bool:
        return Remote.of(self._workspace.root) is not None and self._pipeline.data("pull", "--force", *paths)

    def run_pipeline(self) -> None:
        self._pipeline.checkout()
        self._pipeline.repro("--no-run-cache")
