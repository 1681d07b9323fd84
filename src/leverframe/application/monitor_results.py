"""The folder with what the monitor wrote last: each file is replaced whole, and the history is only added to."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path

from leverframe.application.retrain_records import RetrainRecords
from leverframe.documents import parsed, plain
from leverframe.domain.monitoring.dashboard.dashboard_page import page
from leverframe.domain.monitoring.history import HistoryLine, added_to, lines_of, read_history
from leverframe.domain.monitoring.monitor_result import Monitored
from leverframe.domain.monitoring.monitor_summary import summary
from leverframe.domain.monitoring.prometheus_text import metrics
from leverframe.domain.monitoring.reference import Reference
from leverframe.errors import MonitorBusyError
from leverframe.files import write_json, write_text
from leverframe.locks import held
from leverframe.settings.retrain import RetrainSettings

PROFILE, RESULT, HISTORY = "profile.json", "monitor.json", "history.jsonl"
SUMMARY, METRICS, DASHBOARD = "summary.md", "metrics.prom", "dashboard.html"


class Results:
    """The results of one environment in ``folder``."""

    def __init__(self, folder: Path, retrain: RetrainSettings | None = None) -> None:
        """Keep results in a folder; the settings tell when the next attempt to retrain is possible."""
        self.folder = folder
        self._retrain = retrain or RetrainSettings()

    def lock(self) -> AbstractContextManager[None]:
        """Hold the folder for one run; the lock ends with the process. Raises ``MonitorBusyError``."""
        path = self.folder / "lock"
        busy = MonitorBusyError(
            "another run of the monitor is under way",
            why=f"it holds {path}",
            next="wait until it has ended; its results are those of this run",
        )
        return held(path, busy)

    def profile(self) -> str:
        """Return the text of the reference that an earlier run left; empty where there is none."""
        return self._text(PROFILE)

    def previous(self) -> Monitored | None:
        """Return what the run before found; None where there was none, or one of another version of Leverframe."""
        try:
            return parsed(Monitored, self._text(RESULT))
        except ValueError:
            return None

    def history(self) -> list[HistoryLine]:
        """Return what earlier runs found, as far as it can be read."""
        return read_history(self._text(HISTORY))

    def write(self, reference: Reference, monitored: Monitored) -> None:
        """Write everything; a run that is killed in between leaves whole files, and the next one the rest.

        The history comes first, so that a page never shows what the history lacks.
        """
        write_text(self.folder / PROFILE, json.dumps(plain(reference), separators=(",", ":")) + "\n")
        history = added_to(self._text(HISTORY), lines_of(monitored))
        write_text(self.folder / HISTORY, history)
        write_json(self.folder / RESULT, plain(monitored))
        write_text(self.folder / SUMMARY, summary(monitored))
        self.show(monitored)

    def show(self, monitored: Monitored) -> None:
        """Write the page and the metrics of a run, with what is known of retraining by now."""
        tried = RetrainRecords(self.folder).facts(self._retrain, monitored.model, monitored.environment)
        write_text(self.folder / METRICS, metrics(monitored, tried))
        write_text(self.folder / DASHBOARD, page(monitored, self.history(), tried))

    def _text(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
