"""A candidate in a work folder: the base tip checked out, its window moved, its pipeline run by DVC, and one commit."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from leverframe.adapters.disk import Disk
from leverframe.adapters.dvc import LOG
from leverframe.adapters.git.host import HostedGit
from leverframe.adapters.polars import PolarsTables
from leverframe.adapters.sklearn import SklearnModels
from leverframe.adapters.working_tree.remote import Remote
from leverframe.application.champion import champion
from leverframe.application.gate import declared_at
from leverframe.application.pipeline import PipelineRun
from leverframe.application.retrain_base import BaseRevision, recorded_md5
from leverframe.application.retrain_pulls import CandidateCommit
from leverframe.application.status import tree_around
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.features.training_set import TrainingSet
from leverframe.domain.model.artefacts import read_as
from leverframe.domain.retraining.attempt import Comparison, Cost, RetrainWindow
from leverframe.domain.retraining.candidate_comparison import compare
from leverframe.domain.retraining.outcome import GateMisses
from leverframe.domain.retraining.pulls.pull_commit import signed
from leverframe.domain.retraining.retrain import DueAttempt, Trained
from leverframe.domain.review.gate.decision import Evidence, bundle_sizes
from leverframe.domain.review.gate.pairing import GateInputs, Side
from leverframe.errors import DiskError, PipelineError, RepositoryError
from leverframe.files import private_folder, write_text
from leverframe.settings import PARAMS
from leverframe.yaml_files import decoded, with_values

WORK = layout.RETRAIN / "work"
_KEPT = layout.RETRAIN / "repro.log"
_MARK = "work.ours"  # beside the work folder, while there is one of ours
_MODEL = layout.MODEL.as_posix()
_FULL = "No space left on device"

Tell = Callable[[str], None]


class Checkout:
    """The base tip in a folder of its own, which shares the cache of DVC; nothing of the working tree is touched."""

    def __init__(self, workspace: Workspace, folder: Path, base: str, tell: Tell) -> None:
        self.workspace, self.base, self.tell = workspace, base, tell
        self.root = workspace.git.copied(base, folder).root
        self.git = HostedGit(self.root)
        tree_around(workspace.root).lend(self.root)
        self._remote = Remote.of(workspace.root) is not None
        self.pipeline = PipelineRun.of(workspace, self.root, tell)

    def move(self, file: Path, values: Mapping[str, str]) -> None:
        """Change parameters in place."""
        change(self.root / file, values, name=str(file))

    def run(self) -> float:
        """Run what is stale, the rest comes from cache and remote; return the seconds. Raises ``PipelineError``."""
        started = time.monotonic()
        self.pipeline.checkout()
        fetching = ("--pull", "--allow-missing") if self._remote else ()
        try:
            self.pipeline.repro(*fetching)
        except PipelineError as error:
            log = self.pipeline.text(LOG.as_posix())
            write_text(self.workspace.root / _KEPT, log)  # the work folder is gone when somebody reads the error
            error.next = error.next.replace(LOG.as_posix(), _KEPT.as_posix())
            if _FULL in error.why or _FULL in log:
                raise DiskError(
                    "the candidate was not trained",
                    why=f"the disk is full: {error.what}",
                    next="free some space, or `dvc gc --workspace`, then run the same command again",
                ) from error
            raise
        return time.monotonic() - started

    def commit(self, planned: DueAttempt) -> CandidateCommit:
        """Commit what the run made on top of the base; the same content gives the same commit."""
        subject = f"Train on the window that ends in {planned.window.train_last}"
        body = f"The candidate is {planned.window}."

        tree = self.git.staged()
        message = signed(subject, body, tree=tree, parent=self.base, evidence=planned.digest)
        return CandidateCommit(self.root, self.git.committed(tree, self.base, message), self.base)


def change(path: Path, values: Mapping[str, str], *, name: str) -> None:
    """Change values in a YAML file, and nothing else of it: neither line ends nor its mode."""
    text, mode = decoded(path.read_bytes(), name=name), path.stat().st_mode
    write_text(path, with_values(text, values, name=name))
    path.chmod(mode)


@contextmanager
def checkout(workspace: Workspace, base: str, tell: Tell) -> Iterator[Checkout]:
    """Yield the base tip in the work folder, which is removed in the end; so is one that a killed run left."""
    private_folder(workspace.root / layout.PRIVATE)
    folder = emptied(workspace.root / WORK)
    try:
        tell(f"checking {base[:12]} out into {WORK}")
        yield Checkout(workspace, folder, base, tell)
    finally:
        removed(folder)


def emptied(work: Path) -> Path:
    """Return the place of a work folder, from which what a killed run of ours left is removed.

    Raises ``DiskError`` for a link, or for a folder that nobody here made: what is in it may be the only copy.
    """
    work.parent.mkdir(parents=True, exist_ok=True)
    folder, mark = work.parent.resolve() / work.name, work.parent / _MARK
    if folder.is_symlink() or (folder.exists() and not mark.exists()):
        raise DiskError(
            f"{work} is {'a link' if folder.is_symlink() else 'there already'}",
            why="a candidate is trained in a folder of that name, which is removed before and after, with all in it",
            next=f"move it away; for a larger disk let the folder {work.parent} be a link to an empty one",
        )
    shutil.rmtree(folder, ignore_errors=True)
    mark.touch()
    return folder


def removed(folder: Path) -> None:
    """Remove a work folder; files of DVC's cache may be read-only."""
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        (folder.parent / _MARK).unlink(missing_ok=True)


class CaseTrainer:
    """The port of ``domain/retraining/retrain.py`` for a case of Leverframe."""

    def __init__(self, work: Checkout, base: BaseRevision) -> None:
        self._work, self._base = work, base
        self._lock = work.workspace.git.show(work.base, "dvc.lock") or b""

    def train(self, window: RetrainWindow) -> Trained:
        """Move the window in ``params.yaml``, derive the pipeline again, and run it."""
        work, base = self._work, self._base
        values = {
            "data.last": window.data_last,
            "features.train.first": window.train_first,
            "features.train.last": window.train_last,
            "features.holdout.first": window.holdout_first,
            "features.holdout.last": window.holdout_last,
        }
        work.move(PARAMS, values)
        work.pipeline.define()
        work.tell(f"running the pipeline: {window}")
        seconds = work.run()
        made = read_as(TrainingSet, layout.TRAINING_SET, Disk(work.root))
        before, after = bundle_sizes(self._lock), bundle_sizes(self._lock_now())
        cost = Cost(made.train.rows, made.holdout.rows, round(seconds, 1), sum(before.values()), sum(after.values()))
        return Trained(recorded_md5(self._lock_now(), _MODEL), base.champion, cost)

    def compare(self, confidence: float) -> tuple[Comparison, GateMisses]:
        """Compare by the rules of the gate of the base tip; its model comes from cache or remote, or is trained."""
        work, levers = self._work, self._base.levers
        here, there = replace(work.workspace, root=work.root, git=work.git), work.workspace
        tree = work.git.staged()
        after, before = declared_at(here, tree), declared_at(there, work.base)
        assert after is not None  # noqa: S101 - the pipeline was run with it
        question = GateInputs(work.base, tree, self._base.timezone, after, before)
        disk = Disk(work.root)
        contracts = {
            path.stem: disk.read_json(path.relative_to(work.root))
            for path in sorted((work.root / layout.CONTRACTS).glob("*.json"))
        }
        parity = disk.read_json(layout.PARITY) if (work.root / layout.PARITY).is_file() else None
        evidence = Evidence(contracts, parity, None, bundle_sizes(self._lock_now()))
        with champion(work.workspace, work.base, work.tell) as folder:
            if folder is None:
                raise RepositoryError(
                    f"the commit {work.base[:12]} has no model",
                    why=f"it has no {layout.MODEL_DESCRIPTION}, so there is nothing to compare a candidate with",
                    next="train the first model by hand: `dvc repro`, commit, and merge it",
                )
            work.tell("comparing the candidate with the champion")
            sides = (Side(PolarsTables(work.root), disk), Side(PolarsTables(folder), Disk(folder)))
            rules, how = self._base.rules, (levers.retrain, confidence)
            models = SklearnModels(work.root, work.workspace.params.train.trusted_types)
            return compare(question, sides, models, rules, evidence, how)

    def _lock_now(self) -> bytes:
        return (self._work.root / "dvc.lock").read_bytes()
