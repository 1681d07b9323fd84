"""A run of the pipeline of one folder through DVC, each stage told as it ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

from leverframe.adapters.dvc import Repro, StageFailed, StageFinished, StageSkipped
from leverframe.adapters.dvc.plugins import check_plugin
from leverframe.adapters.git import Git
from leverframe.adapters.process import run_group
from leverframe.adapters.working_tree.remote import Remote
from leverframe.application.status import tree_around
from leverframe.application.workspace import Workspace
from leverframe.domain.pipeline.status import staleness
from leverframe.domain.pipeline.status.lock import locked_here
from leverframe.domain.pipeline.status.resolved import Locked, Stage
from leverframe.domain.review.reproduce import StageRun
from leverframe.package import code_folders
from leverframe.programs import RunGroup

_TEXTS = {".csv", ".html", ".json", ".jsonl", ".md", ".svg", ".toml", ".tsv", ".txt", ".yaml", ".yml"}


class PipelineRun:
    """Runs stages in ``root``; modules are first imported from ``folders``, relative to it.

    ``alone`` tells that DVC looks after other projects as well, whose data it must leave alone; ``group`` runs programs
    with all that they start, within limits where it has some.
    """

    def __init__(
        self,
        root: Path,
        folders: Sequence[Path],
        tell: Callable[[str], None],
        *,
        alone: bool = False,
        group: RunGroup = run_group,
    ) -> None:
        self.root, self._tell, self._events = root, tell, list[StageRun]()
        self._within = ("--recursive", ".") if alone else ()
        imported = [os.path.normpath(root.resolve() / folder) for folder in folders]
        self._repro = Repro(root, group, os.pathsep.join(imported))

    @classmethod
    def of(cls, workspace: Workspace, root: Path, tell: Callable[[str], None], group: RunGroup = run_group) -> Self:
        """Return the pipeline of a workspace in ``root``, which is its own or that of another checkout.

        What this checkout imports of the repository, the other one imports of its own.
        """
        folders = code_folders(workspace.root, workspace.git.top())
        return cls(root, folders, tell, alone=not (workspace.root / ".dvc").is_dir(), group=group)

    @cached_property
    def stages(self) -> Sequence[Stage]:
        """The stages of all definitions here; raises ``RepositoryError`` and ``DefinitionError``."""
        return staleness.stages(Git(self.root), tree_around(self.root))

    def lock(self) -> dict[str, Locked]:
        """Return the entries of all locks by the name of the stage, their paths from the root."""
        return locked_here(self.stages, self.text)

    def repro(self, *arguments: str) -> None:
        """Run `dvc repro` of the stages that are named, else of every definition here.

        Raises ``PipelineError`` naming the stage that failed.
        """
        self._check_remote(arguments)
        everywhere = ("--recursive", ".") if "--single-item" not in arguments and self._in_folders() else ()
        self._repro(*arguments, *everywhere, on_event=self._on_event)

    def _in_folders(self) -> bool:
        """Tell whether folders have a `dvc.yaml`, too: by itself DVC reads that of one folder."""
        files = Git(self.root).files("*/dvc.yaml")
        return bool(files) and not all(map(tree_around(self.root).ignored, files))

    def define(self) -> None:
        """Derive the definition of the pipeline again, and tell of another grouping; raises ``PipelineError``."""
        for line in self._repro.define():
            if " " in line:  # a sentence, not the name of a file that was written
                self._tell(f"  {line}")

    def checkout(self) -> None:
        """Bring back from the cache what is there."""
        self.data("checkout", "--quiet", "--allow-missing", *self._within)

    def push(self) -> bool:
        """Send the outputs to the remote; tell whether it succeeded wholly."""
        return self.data("push", *self._within)

    def fetch(self, paths: Sequence[str]) -> None:
        """Bring what is missing of some outputs from the remote; what is not there fails the stage that reads it."""
        missing = [path for path in paths if not (self.root / path).exists()]
        if missing:
            self.data("pull", "--allow-missing", *missing)

    def data(self, *arguments: str) -> bool:
        """Run a DVC command that moves data; tell whether it succeeded wholly."""
        self._check_remote(arguments)
        return self._repro.data(*arguments)

    def _check_remote(self, arguments: Sequence[str]) -> None:
        """Raise ``InstallationError`` where data are to be pulled and what the remote needs is not installed."""
        remote = Remote.of(self.root.resolve()) if {"pull", "--pull"} & set(arguments) else None
        if remote:
            check_plugin(remote.name, remote.url)

    def text(self, path: str) -> str:
        """Return the content of a file; empty where there is none."""
        file = self.root / path
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""

    def texts(self, paths: Sequence[str]) -> dict[str, str]:
        """Return the text files at or below some paths, by path; what a suffix does not call a text is none."""
        places = [self.root / path for path in paths]
        files = [path for place in places for path in ([place] if place.is_file() else place.rglob("*"))]
        names = [file.relative_to(self.root).as_posix() for file in files if file.suffix in _TEXTS and file.is_file()]
        return {path: self.text(path) for path in sorted(names)}

    def runs(self) -> list[StageRun]:
        """Return what happened to each stage since the last call."""
        runs, self._events = self._events, []
        return runs

    def _on_event(self, event: object) -> None:
        if isinstance(event, StageFinished | StageFailed):
            how: Literal["ran", "failed"] = "ran" if isinstance(event, StageFinished) else "failed"
            self._events.append(StageRun(event.stage, how, round(event.seconds, 3)))
            self._tell(f"  {event.stage:<24} {how} {event.seconds:6.1f} s")
        elif isinstance(event, StageSkipped):
            self._events.append(StageRun(event.stage, "restored" if event.restored else "unchanged"))
