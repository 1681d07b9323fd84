"""A candidate of a pipeline of one's own: the champion's training rows with the new hold-out, then both moved."""

from __future__ import annotations

from pathlib import Path

from leverframe.application.candidate import Checkout
from leverframe.application.reference import label_of_role, rows_of_role
from leverframe.application.retrain_base import BaseRevision, OwnPipeline, recorded_md5
from leverframe.domain.monitoring.reference_rows import ReferenceTable
from leverframe.domain.retraining.attempt import Comparison, Cost, RetrainWindow
from leverframe.domain.retraining.candidate_comparison import compared
from leverframe.domain.retraining.outcome import GateMisses
from leverframe.domain.retraining.own_rows import paired, within
from leverframe.domain.retraining.retrain import Trained
from leverframe.errors import SourceError

_NOT_OLD = "a pipeline of one's own predicts its new hold-out alone"


class OwnTrainer:
    """The port of ``domain/retraining/retrain.py`` for a pipeline that Leverframe did not shape."""

    def __init__(self, work: Checkout, base: BaseRevision, own: OwnPipeline) -> None:
        self._work, self._base, self._own = work, base, own
        self._sides: list[ReferenceTable] = []  # candidate and champion

    def train(self, window: RetrainWindow) -> Trained:
        """Run the pipeline twice: with the rows that the champion learnt from, then with the window."""
        work, file = self._work, Path(self._own.moved.file)
        work.move(file, self._own.values(window, train=False))
        work.tell(f"running the pipeline as it is on the new hold-out, {window.holdout_first} to {window.holdout_last}")
        work.run()
        champion = self._rows(window)
        work.move(file, self._own.values(window, train=True))
        work.tell(f"running the pipeline: {window}")
        seconds = work.run()
        candidate = self._rows(window)
        self._sides = [candidate, champion]
        lock = work.root / "dvc.lock"
        digest = recorded_md5(lock.read_bytes() if lock.is_file() else b"", self._own.role.path)
        cost = Cost(None, candidate.table.height, round(seconds, 1), None, None)
        return Trained(digest, self._base.champion, cost)

    def compare(self, confidence: float) -> tuple[Comparison, GateMisses]:
        """Compare row by row under the rules of the gate of the base tip."""
        role, rules = self._own.role, self._base.rules
        candidate, champion = self._sides
        slices = [name for rule in rules.settings.slices for name in rule.columns]
        pair = paired(candidate, champion, label_of_role(role), role.timezone, slices)
        comparison, missed = compared(pair, rules, (self._base.levers.retrain, confidence), old=_NOT_OLD)
        return comparison, GateMisses(missed)

    def _rows(self, window: RetrainWindow) -> ReferenceTable:
        role = self._own.role
        if not any(self._work.root.glob(role.path)):
            raise SourceError(
                f"the pipeline wrote no {role.path}",
                why="`pipeline.predictions.path` in leverframe.yaml names the rows that models are compared on",
                next="correct the path, or let a stage of the pipeline write it",
            )
        rows = rows_of_role(self._work.root, role)
        return within(rows, self._base.start(window.holdout_first), self._base.end(window.holdout_last))
