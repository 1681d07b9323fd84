"""Check whether a change can be judged at all: settings, definitions and lock, from git alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from leverframe.adapters.git.base import Base
from leverframe.application.remote_store import remote_store
from leverframe.application.results import begin, kept
from leverframe.application.runner_check import runner_violations
from leverframe.application.status import tree_around
from leverframe.application.untouched import untouched
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.pipeline.status import staleness
from leverframe.domain.pipeline.status.parameters import parsed
from leverframe.domain.pipeline.status.reasons import PipelineStatus
from leverframe.domain.pipeline.status.resolved import Recorded
from leverframe.domain.review.check import Checked, run, uncommitted_notes
from leverframe.domain.review.dvc_settings import CONFIG
from leverframe.domain.review.pushed import Pushed, RequiredOutput, Store
from leverframe.domain.review.pushed import run as pushed_of
from leverframe.domain.review.tracked_data import HEAVY, heavy_notes
from leverframe.errors import LeverframeError
from leverframe.files import private_folder, write_text
from leverframe.settings import LEVERS, PARAMS

_PACKAGE = Path(__file__).parents[1]
_VERIFIED = layout.PRIVATE / "pushed.json"  # what remotes were found to hold


def check(
    workspace: Workspace, base: str | None, tell: Callable[[str], None], claimed: Mapping[str, Recorded] | None = None
) -> Checked:
    """Compare settings, definitions and lock of this change with what git has, and keep the result.

    Where the lock here is that of a run, which nobody pushed, ``claimed`` are the records of outputs by path that the
    lock of the change has.
    """
    begin(workspace.root, "check")
    since = workspace.git.base(base)
    unaffected = untouched(workspace, since)
    if unaffected:
        return kept(workspace.root, "check", Checked(workspace.git.named("HEAD"), notes=(*since.notes, unaffected)))
    change = _Change(workspace, since, tell, claimed)
    result = run(change)
    edited = [] if result.violations else change.uncommitted_notes()
    violations = tuple(dict.fromkeys((*result.violations, *runner_violations(workspace))))
    notes = (*since.notes, *result.notes, *edited)
    return kept(workspace.root, "check", replace(result, violations=violations, notes=notes))


def deciding() -> list[Path]:
    """Return the modules that decide whether settings are valid: where one changes, they are read anew."""
    return [*sorted((_PACKAGE / "settings").glob("*.py")), _PACKAGE / "documents.py", _PACKAGE / "yaml_files.py"]


class _Change:
    """The port of ``domain/review/check.py``, over git, the working tree and the remote."""

    def __init__(
        self, workspace: Workspace, base: Base, tell: Callable[[str], None], claimed: Mapping[str, Recorded] | None
    ) -> None:
        self._workspace, self._git, self._tell, self._claimed = workspace, workspace.git, tell, claimed or {}
        self._of_run = claimed is not None
        self._base, self._partial = base.commit, base.partial
        self._tree = tree_around(workspace.root)

    @property
    def has_case(self) -> bool:
        return self._workspace.has_case

    @property
    def config(self) -> str:
        """The one of the folder that holds `.dvc`, which a project in a folder may share with others."""
        return Path(os.path.relpath(self._tree.home / CONFIG, self._workspace.root.resolve())).as_posix()

    def head(self) -> str:
        return self._git.named("HEAD")

    def before(self, path: str) -> str:
        return (self._git.show(self._base, path) or b"").decode(errors="replace")

    def now(self, path: str) -> str:
        return self._tree.text(path) or ""

    def changed(self) -> Mapping[str, str]:
        return self._changes

    @cached_property
    def _changes(self) -> Mapping[str, str]:
        return dict.fromkeys(self._git.files(), "A") if self._partial else self._git.changed_around(self._base)

    def read_settings(self) -> None:
        """Validate the settings, unless the same bytes were valid before: loading what does it takes a while."""
        known, digest = self._workspace.root / layout.VALID_SETTINGS, self._digest()
        if known.is_file() and known.read_text(encoding="utf-8", errors="replace").strip() == digest:
            return
        if self.has_case:
            self._workspace.read_params()
        self._workspace.read_levers()
        private_folder(known.parent)
        write_text(known, digest + "\n")

    def check_rules(self) -> None:
        from leverframe.domain.review.gate.rule_names import refuse_unknown_metrics  # noqa: PLC0415 - loads NumPy

        levers = self._workspace.levers
        role, kind, figures = levers.pipeline.predictions, None, set[str]()
        if not self.has_case:
            figures = self._figures(levers.pipeline.metrics)
            if not figures:
                return  # no stage ever ran, or they are elsewhere: the gate says what lacks
        elif role is None:
            with suppress(LeverframeError):  # what is wrong with the declarations is said elsewhere
                wanted = self._workspace.params.features.label
                kind = next((label.kind for label in self._workspace.plan.labels if label.name == wanted), None)
        refuse_unknown_metrics(levers.gate, role.kind if role else kind, figures)

    def _figures(self, files: Sequence[str]) -> set[str]:
        """Return the names of figures in the files of metrics that are here; none where one of them is not."""
        from leverframe.domain.review.gate.figures import named  # noqa: PLC0415 - only where rules changed

        texts = {path: self._tree.text(path) for path in files or [view.path for view in self._status.metrics]}
        if not all(texts.values()):
            return set()
        return set(named({path: parsed(text or "", path) for path, text in texts.items()}))

    def heavy(self) -> Sequence[str]:
        if self._partial:  # nobody knows what the change brings
            return ()
        tracked = set(self._tracked)
        changed = [path for path, letter in self._changes.items() if letter in "AM" and path in tracked]
        places = [(path, self._tree.root / path) for path in changed]
        sizes = {path: place.stat().st_size for path, place in places if place.is_file()}
        return heavy_notes({path: size for path, size in sizes.items() if size > HEAVY})

    def check_definition(self) -> None:
        from leverframe.application.stages import check_definition  # noqa: PLC0415 - loads sources, and what they use

        check_definition(self._workspace)

    def undeclared(self) -> Sequence[str]:
        from leverframe.application.stages import undeclared  # noqa: PLC0415 - loads sources, and what they use

        return undeclared(self._workspace)

    def status(self) -> PipelineStatus:
        return self._status

    @cached_property
    def _status(self) -> PipelineStatus:
        return staleness.run(self._git, self._tree)

    def uncommitted(self) -> Sequence[str]:
        return self._uncommitted

    @cached_property
    def _uncommitted(self) -> Sequence[str]:
        if self._of_run:
            return ()
        return [path for path, letter in self._git.changed("HEAD").items() if letter == "M"]

    def uncommitted_notes(self) -> Sequence[str]:
        """Return a note on edits that no commit has, of locks and what they are of."""
        return uncommitted_notes(self._status, self.uncommitted())

    def pushed(self, outputs: Sequence[RequiredOutput]) -> Pushed:
        claimed = [replace(output, recorded=self._claimed.get(output.path, output.recorded)) for output in outputs]
        return pushed_of(claimed, self._store, self._tree.content)

    def _store(self, name: str) -> Store:
        # What a change brings along proves nothing.
        remembered = None if _VERIFIED.as_posix() in self._tracked else self._workspace.root / _VERIFIED
        return remote_store(self._tree, name, remembered, self._tell)

    def tracked(self) -> Collection[str]:
        return self._tracked

    def untracked(self, paths: Sequence[str]) -> Sequence[str]:
        return [path for path in self._git.untracked(paths) if not self._tree.ignored(path)]

    def git_ignores(self, path: str) -> bool:
        return self._git.ignores(path)

    @cached_property
    def _tracked(self) -> Collection[str]:
        return self._git.tracked()

    def _digest(self) -> str:
        digest = sha256()
        for file in (self._workspace.root / PARAMS, self._workspace.root / LEVERS, *deciding()):
            content = file.read_bytes() if file.is_file() else b""
            digest.update(len(content).to_bytes(8, "big") + content)
        return digest.hexdigest()
