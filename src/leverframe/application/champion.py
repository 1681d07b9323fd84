"""The model of a commit, in a folder of its own: from git and the cache, else the remote, else its pipeline is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from leverframe.adapters.working_tree import WorkingTree
from leverframe.adapters.working_tree.remote import Remote
from leverframe.application.pipeline import PipelineRun
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.review.gate.decision import champion_files
from leverframe.files import replacing
from leverframe.package import source_folder


@contextmanager
def champion(workspace: Workspace, commit: str, tell: Callable[[str], None]) -> Iterator[Path | None]:
    """Yield a folder with the model of a commit and its predictions; None where it has no model."""
    git, description = workspace.git, layout.MODEL_DESCRIPTION.as_posix()
    described = git.show(commit, description)
    if described is None:
        yield None
        return
    tree, needed = WorkingTree.around(workspace.root), champion_files(git.show(commit, "dvc.lock") or b"")
    with TemporaryDirectory(prefix="leverframe-") as place:
        folder = Path(place, "champion")
        files = {path: tree.content(recorded) for path, recorded in needed.items()}
        if None in files.values() or not files:
            _fetch_or_rebuild(workspace, commit, folder, list(needed), tell)
        else:
            for path, content in {**files, description: described}.items():
                with replacing(folder / path) as temporary:
                    temporary.write_bytes(content or b"")
        yield folder


def _fetch_or_rebuild(
    workspace: Workspace, commit: str, folder: Path, paths: list[str], tell: Callable[[str], None]
) -> None:
    """Check a commit out into ``folder`` and bring its files there, by pulling or by running its pipeline."""
    tell(f"fetching the champion of {commit[:12]}")
    workspace.git.copied(commit, folder)
    WorkingTree.around(workspace.root).lend(folder)
    pipeline = PipelineRun(folder, source_folder(workspace.root), tell)
    shared = Remote.of(workspace.root.resolve()) is not None
    if shared and paths and pipeline.data("pull", "--force", *paths):
        return
    tell("the champion is nowhere to be fetched from: its pipeline is run")
    pipeline.checkout()
    pipeline.repro("--no-run-cache")
