"""A revision of a pipeline of one's own in a folder: its metrics, its rows, and what its model predicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from leverframe.adapters.working_tree import WorkingTree
from leverframe.adapters.working_tree.remote import Remote
from leverframe.application.opened_model import open_model
from leverframe.application.pipeline import PipelineRun
from leverframe.application.role_files import read_rows
from leverframe.application.status import status, tree_around
from leverframe.application.workspace import Workspace
from leverframe.domain.model.table import Table
from leverframe.domain.pipeline.status.parameters import parsed
from leverframe.domain.pipeline.status.reasons import PipelineStatus
from leverframe.domain.pipeline.status.resolved import Recorded
from leverframe.domain.review.gate.role_rows import Predicted, Roles, predictions_of
from leverframe.errors import RepositoryError, SourceError
from leverframe.files import replacing
from leverframe.settings.pipeline import PipelineSettings


@dataclass(frozen=True)
class OwnRevision:
    """The port ``OwnSide`` of ``domain/review/gate/own_decision.py``, over a checkout in ``root``.

    ``name`` is what people call the revision; what is not here is brought from the cache or the remote of DVC.
    """

    name: str
    root: Path
    settings: PipelineSettings
    pipeline: PipelineRun

    @cached_property
    def tree(self) -> WorkingTree:
        """The checkout as DVC sees it."""
        return tree_around(self.root)

    @cached_property
    def status(self) -> PipelineStatus:
        """Its stages; raises ``RepositoryError`` where it has none."""
        return status(self.root)

    def metrics(self) -> Mapping[str, Any]:
        """Return the content of the files of metrics, by path; those that no run ever wrote are left out."""
        return {path: self._metrics(path) for path in self.metric_files() if self._there(path)}

    def metric_files(self) -> list[str]:
        """Return the paths of the files of metrics: those that the settings name, else those of the definition."""
        return list(dict.fromkeys(self.settings.metrics or [view.path for view in self.status.metrics]))

    def table(self, path: str) -> Table:
        """Return the rows of a file, or of all files of a pattern."""
        if not self._there(path):
            raise SourceError(
                f"{self.name} has no {path}",
                why="no stage of it ever wrote that, and git has no such file",
                next="run `dvc repro` there, or correct the path in leverframe.yaml",
            )
        return read_rows(self.root, path)

    def predicted(self, roles: Roles, table: Table) -> Predicted:
        """Return what the model predicts for rows; a function of the repository is that of this checkout."""
        model = self.settings.model
        if model is None or (model.path and not self._there(model.path)):
            raise SourceError(
                f"{self.name} has no model" + (f" {model.path}" if model else ""),
                why="`pipeline.model` in leverframe.yaml says where it is",
                next="run `dvc repro` there, or correct the path",
            )
        opened = open_model(self.root, model)
        predictions = predictions_of(roles, table, opened.predict(table, roles.features(table)), opened.about.classes)
        return replace(predictions, function=model.predict or "")

    def content(self, path: str) -> bytes | None:
        """Return the content of a file that is here or in the cache; None where it is neither, or none at all."""
        place = self.root / path
        if place.is_file():
            return place.read_bytes()
        record = self.status.recorded.get(path)
        return None if record is None or record.md5.endswith(".dir") else self.tree.content(record)

    def megabytes(self) -> float:
        """Return the size of the model, 0 where no path of one is declared."""
        path = self.settings.model.path if self.settings.model else None
        if path is None:
            return 0.0
        sizes = [record.size or 0 for record in self._outputs(path).values()]
        place = self.root / path
        return (sum(sizes) if sizes else place.stat().st_size if place.is_file() else 0) / 1e6

    def _metrics(self, path: str) -> Any:
        try:
            return parsed((self.root / path).read_text(encoding="utf-8"), path)
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError(
                f"{path} of {self.name} cannot be read", why=str(error)[:200], next="`dvc repro` writes it anew"
            ) from error

    def _there(self, pattern: str) -> bool:
        """Tell whether a file, or one of a pattern, is there once what the lock names has been brought.

        Raises ``SourceError`` where the lock names it and nobody has it.
        """
        missing = {path: record for path, record in self._outputs(pattern).items() if not (self.root / path).exists()}
        if missing:
            self._bring(missing)
        return any(self.root.glob(pattern))

    def _outputs(self, pattern: str) -> dict[str, Recorded]:
        """Return what the locks name of a path: the output itself, those of a pattern, or the folder that holds it."""
        return {
            path: record
            for path, record in self.status.recorded.items()
            if fnmatchcase(path, pattern) or pattern.startswith(f"{path}/")
        }

    def _bring(self, missing: Mapping[str, Recorded]) -> None:
        for path, record in missing.items():
            content = None if record.md5.endswith(".dir") else self.tree.content(record)
            if content is not None:
                with replacing(self.root / path) as temporary:
                    temporary.write_bytes(content)
        left = [path for path in missing if not (self.root / path).exists()]
        if left:
            self.pipeline.data("checkout", "--quiet", "--allow-missing", *left)
        left = [path for path in left if not (self.root / path).exists()]
        if left and Remote.of(self.root.resolve()) is not None:
            self.pipeline.data("pull", *left)
        left = [path for path in left if not (self.root / path).exists()]
        if left:
            raise SourceError(
                f"nobody has {', '.join(left[:3])} of {self.name}",
                why="neither the cache nor the remote of DVC holds what the lock names",
                next="run `dvc push` on the machine that ran the stages, or `dvc repro` on that branch",
            )


def own_revision(workspace: Workspace, tell: Callable[[str], None], settings: PipelineSettings) -> OwnRevision:
    """Return the working tree of a workspace as this change."""
    return OwnRevision("this change", workspace.root, settings, PipelineRun.of(workspace, workspace.root, tell))


@contextmanager
def revision_of(
    workspace: Workspace, commit: str, settings: PipelineSettings, tell: Callable[[str], None]
) -> Iterator[OwnRevision | None]:
    """Yield a commit in a folder of its own, which shares the cache of this one; None where it has no pipeline."""
    with TemporaryDirectory(prefix="leverframe-") as place:
        whole = Path(place, "base")
        git = workspace.git.copied(commit, whole)
        run = PipelineRun.of(workspace, git.root, tell)
        revision = OwnRevision("the base branch", git.root, settings, run)
        try:
            tree_around(workspace.root).lend(git.root)
            revision.status  # noqa: B018 - it is read only now
        except (RepositoryError, FileNotFoundError):  # no definition, or no `.dvc` that a cache could be lent to
            yield None
            return
        yield revision
