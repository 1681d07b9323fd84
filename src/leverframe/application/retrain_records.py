"""Attempts to train a model anew, kept beside the results of the monitor: the last run, and a line an attempt."""

from __future__ import annotations

from pathlib import Path

from leverframe.documents import parsed, plain
from leverframe.domain.monitoring.retrain_facts import RetrainFacts
from leverframe.domain.retraining.attempt import Attempt, read_attempts, with_attempts
from leverframe.domain.retraining.retrain_history import history_of
from leverframe.domain.retraining.retrain_result import Retrained
from leverframe.files import write_json, write_text
from leverframe.settings.retrain import RetrainSettings

RETRAINED, ATTEMPTS = "retrain.json", "retrain.jsonl"


class RetrainRecords:
    """The records of one environment in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def result(self) -> Path:
        """The file with the last run."""
        return self.folder / RETRAINED

    def attempts(self) -> list[Attempt]:
        """Return the attempts that can be read, oldest first."""
        return read_attempts(self._text())

    def unreadable(self) -> int:
        """Return how many lines cannot be read; they stay where they are."""
        return sum(bool(line.strip()) and not read_attempts(line) for line in self._text().splitlines())

    def last(self) -> Retrained | None:
        """Return the last run; None where there was none, or one of another version of Leverframe."""
        try:
            return parsed(Retrained, self.result.read_text(encoding="utf-8", errors="replace"))
        except (OSError, ValueError):
            return None

    def facts(self, settings: RetrainSettings, model: str, environment: str) -> RetrainFacts:
        """Return what the dashboard and the metrics show."""
        return history_of(self.attempts(), self.last(), settings, (model, environment))

    def write(self, retrained: Retrained, *, whole: bool = True) -> None:
        """Keep a run; its attempt gets a line, once, unless its publication is not ``whole``: it is made again."""
        if retrained.attempt is not None and whole:
            write_text(self.folder / ATTEMPTS, with_attempts(self._text(), [retrained.attempt]))
        write_json(self.result, plain(retrained))

    def _text(self) -> str:
        path = self.folder / ATTEMPTS
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
