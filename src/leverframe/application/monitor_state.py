"""What runs of the monitor leave for the next one where no disk stays: a branch of the repository, in CI."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from leverframe.adapters import runner
from leverframe.application.alerts import FILE
from leverframe.application.monitor_results import DASHBOARD, HISTORY, METRICS, PROFILE, RESULT, SUMMARY
from leverframe.application.retrain_records import ATTEMPTS, RETRAINED
from leverframe.application.workspace import Workspace
from leverframe.domain.monitoring.history import added_to, read_history
from leverframe.domain.retraining.attempt import read_attempts, with_attempts
from leverframe.files import write_text

if TYPE_CHECKING:
    from leverframe.adapters.github.state_branch import GithubState

_KEPT = (PROFILE, RESULT, HISTORY, SUMMARY, METRICS, DASHBOARD, FILE, RETRAINED, ATTEMPTS)
# Files of lines, which are only added to: how the lines of the second text get into the first.
_LINES: Mapping[str, Callable[[str, str], str]] = {
    HISTORY: lambda text, more: added_to(text, read_history(more)),
    ATTEMPTS: lambda text, more: with_attempts(text, read_attempts(more)),
}


class KeptState:
    """The files of one environment on the branch; without a token of the forge, the folder alone keeps them."""

    def __init__(self, workspace: Workspace, environment: str, folder: Path) -> None:
        self._folder = folder
        self._branch: GithubState | None = None
        if runner.repository() and runner.token():
            from leverframe.adapters.github.state_branch import GithubState  # noqa: PLC0415 - of an extra

            place = workspace.git.prefix() + environment
            self._branch = GithubState(runner.api(), runner.repository(), runner.token(), place)

    def fetch(self) -> None:
        """Write what the folder lacks of the branch: its files, and lines of the history and of attempts."""
        kept = self._branch.read() if self._branch else {}
        for name in _KEPT:
            path = self._folder / name
            text = kept.get(name)
            if name in _LINES and text and path.is_file():
                write_text(path, _LINES[name](text, path.read_text(encoding="utf-8", errors="replace")))
            elif text is not None and not path.is_file():
                write_text(path, text)

    def push(self) -> None:
        """Write the files of the folder to the branch in one commit; no line of what it has is lost or doubled."""
        if self._branch:
            self._branch.update(self._changed)

    def _changed(self, there: Mapping[str, str]) -> dict[str, str]:
        paths = [self._folder / name for name in _KEPT]
        files = {path.name: path.read_text(encoding="utf-8", errors="replace") for path in paths if path.is_file()}
        return {name: _LINES[name](there.get(name, ""), text) if name in _LINES else text
                for name, text in files.items()}  # fmt: skip
