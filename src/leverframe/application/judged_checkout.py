"""The base's tip with the data, settings and declarations of a change, in a folder of its own, and its stages run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from leverframe.adapters.bounds import Bounded
from leverframe.adapters.process import run_group
from leverframe.adapters.working_tree.remote import Remote
from leverframe.application.judged_objects import Objects
from leverframe.application.rerun import Rerun
from leverframe.application.status import status, tree_around
from leverframe.application.workspace import Workspace
from leverframe.bounded import bounded_yaml
from leverframe.domain import layout
from leverframe.domain.pipeline.status.lock import entries
from leverframe.domain.pipeline.status.reasons import PipelineStatus
from leverframe.domain.review.check import LOCK
from leverframe.domain.review.judge.judged_paths import ProjectPaths, Sorted
from leverframe.domain.review.reproduce import StageRun
from leverframe.domain.review.same_outputs import State
from leverframe.errors import RepositoryError, SettingsError
from leverframe.settings import LEVERS, PARAMS
from leverframe.settings.levers import JudgeSettings, read_levers
from leverframe.settings.params import read_params

_LOCK = 20_000_000  # bytes of a lock
_SCORED = [path.as_posix() for path in (layout.MODEL, layout.HOLDOUT, layout.PREDICTIONS)]
Tell = Callable[[str], None]
_FILES = 50_000_000  # bytes of all outputs in git, which are compared: the rest counts as not there


class JudgedCheckout:
    """A checkout of a commit on top of the tip, which shares the cache; its stages run within limits, by base code."""

    def __init__(
        self, workspace: Workspace, place: Path, commit: str, limits: JudgeSettings, objects: Path | None, tell: Tell
    ) -> None:
        git = workspace.git.copied(commit, place)
        self.root = git.root
        tree_around(workspace.root).lend(self.root)
        self.workspace = replace(
            workspace,
            root=self.root,
            git=git,
            read_params=lambda: read_params(self.root / PARAMS),
            read_levers=lambda: read_levers(self.root / LEVERS),
        )
        group = Bounded(run_group, limits.minutes * 60, int(limits.memory_gb * 1e9))
        self.pipeline = Rerun.of(workspace, self.root, tell, group)
        self.objects = Objects(objects, tree_around(self.root))
        self._shared = Remote.of(workspace.root) is not None

    def run(self, *, stale: bool = True) -> list[StageRun]:
        """Run what the change made stale, never from the run cache; raises ``PipelineError``.

        Where nothing can be ``stale``, as the change brings no input, only what is scored is brought here.
        """
        fetching = ("--pull", "--allow-missing") if self._shared else ()
        if not self._shared:
            self.pipeline.checkout()
        if stale:
            self.pipeline.repro("--no-run-cache", *fetching)
        if self._shared:
            known = {path for entry in entries(self.pipeline.text(LOCK), LOCK).values() for path in entry.outputs}
            self.pipeline.fetch([path for path in _SCORED if path in known])
        return self.pipeline.runs()

    def again(self, names: list[str], kept: list[str]) -> State:
        """Run some stages once more, and return what they left then."""
        self.pipeline.repro("--no-run-cache", "--force", "--single-item", *names)
        return self.made(kept)

    def made(self, kept: list[str]) -> State:
        """Return the lock and the outputs that git keeps, as the stages left them."""
        places = [self.root / path for path in kept]
        files = [file for place in places for file in ([place] if place.is_file() else sorted(place.rglob("*")))]
        texts = {file.relative_to(self.root).as_posix(): _text(file.read_bytes()) for file in files if file.is_file()}
        return State(entries(self.pipeline.text(LOCK), LOCK), texts)


@contextmanager
def judged_checkout(
    workspace: Workspace, change: tuple[str, Sorted], limits: JudgeSettings, objects: Path | None, tell: Tell
) -> Iterator[JudgedCheckout]:
    """Yield the tip with the inputs of a change, in a folder that is removed in the end."""
    tip, sorting = change
    entries_of = {path.path: (path.mode_after, path.after) for path in sorting.inputs}
    commit = workspace.git.trees.committed(tip, entries_of, "Data, settings and declarations of a change")
    with TemporaryDirectory(prefix="leverframe-", ignore_cleanup_errors=True) as place:
        yield JudgedCheckout(workspace, Path(place, "judged"), commit, limits, objects, tell)


def claimed_state(workspace: Workspace, tree: str, kept: list[str]) -> State:
    """Return the lock and the outputs that git keeps, as the tree of a change has them."""
    prefix, trees = workspace.git.prefix(), workspace.git.trees
    lock = trees.blob(tree, prefix + LOCK) or b""
    listed = trees.files(tree, [prefix + path for path in kept])
    contents = trees.read(listed.values(), _FILES)
    texts = {path.removeprefix(prefix): _text(contents.get(blob, b"")) for path, blob in listed.items()}
    try:
        text = bounded_yaml(lock.decode(errors="replace")) if len(lock) <= _LOCK else "no lock"
        known = entries(text, f"{LOCK} of the change")
    except (AttributeError, TypeError, KeyError, ValueError, RecursionError) as error:
        raise RepositoryError(
            f"{LOCK} of the change is not a lock as DVC writes it",
            why=f"it cannot be read: {type(error).__name__}",
            next=f"restore {LOCK} from the base branch, then run `dvc repro`",
        ) from error
    return State(known, texts)


def kept_in_git(state: PipelineStatus) -> list[str]:
    """Return the outputs of stages that git keeps."""
    stages = [stage.stage for stage in state.stages if not stage.stage.is_source]
    return sorted({output.path for stage in stages for output in stage.outputs if not output.cached})


def has_dvc(root: Path) -> bool:
    """Tell whether a checkout has a pipeline of DVC."""
    try:
        tree_around(root)
    except RepositoryError:
        return False
    return (root / "dvc.yaml").is_file()


def paths_of(workspace: Workspace, root: Path) -> ProjectPaths:
    """Return what a checkout knows of its paths; nothing where it has no pipeline."""
    state = status(root)
    stages = [stage.stage for stage in state.stages if not stage.stage.is_source]
    settings = {file.path for stage in stages for file in stage.parameters}
    star = _star(workspace)
    read = {artefact.path for stage in stages for artefact in stage.dependencies}
    return ProjectPaths(workspace.git.prefix(), settings | {str(PARAMS)}, star, kept_in_git(state), read)


def _star(workspace: Workspace) -> str:
    """Return the file of the declarations; empty for a pipeline of one's own, which has none."""
    try:
        star = workspace.star
    except SettingsError:
        return ""
    return star.relative_to(workspace.root).as_posix() if star.is_file() else ""


def _text(content: bytes) -> str:
    return content.decode("utf-8", errors="surrogateescape")
