"""`dvc repro` as a child process: what it does, told as events, and why it failed, in our own words."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from leverframe.errors import PipelineBusyError, PipelineError
from leverframe.files import private_folder
from leverframe.programs import RunGroup
from leverframe.redaction import redacted, without_forge
from leverframe.words import first_line

LOG = Path(".leverframe/repro.log")
_KEPT = 200  # lines of the running stage that an error may be found in

_RUNNING = re.compile(r"Running stage '(.+)':$")
_UNCHANGED = re.compile(r"(?:Stage )?'(.+)' didn't change, skipping$")
_RESTORED = re.compile(r"Stage '(.+)' is cached - skipping run")
_FAILED = re.compile(r"ERROR: failed to reproduce '(.+?)': (.*)$")
_CODE = re.compile(r"exited with (-?\d+)")
_BUSY = re.compile(r"ERROR: .*(is busy, it is being blocked by|Unable to acquire lock)")
_PID = re.compile(r"\(PID (\d+)\)")
_OUR_ERROR = re.compile(r"^error: (.*)\n\s+why:\s+(.*)\n\s+next:\s+(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class StageStarted:
    """The command of a stage begins."""

    stage: str


@dataclass(frozen=True)
class StageFinished:
    """The command of a stage succeeded after ``seconds``."""

    stage: str
    seconds: float


@dataclass(frozen=True)
class StageSkipped:
    """A stage was not run, as it did not change or, when ``restored``, as its result was in the run cache."""

    stage: str
    restored: bool = False


@dataclass(frozen=True)
class StageFailed:
    """The command of a stage failed after ``seconds``."""

    stage: str
    seconds: float


Event = StageStarted | StageFinished | StageSkipped | StageFailed


@dataclass(frozen=True)
class Repro:
    """Reproduces the pipeline in ``root``; ``imported`` are folders to import modules from before all others.

    They are separated as in ``PYTHONPATH``.
    """

    root: Path
    run_group: RunGroup
    imported: str = ""

    def __call__(
        self, *arguments: str, on_event: Callable[[Event], None] = lambda _: None, timeout: float | None = None
    ) -> None:
        """Run `dvc repro` with ``arguments`` (targets and flags), for at most ``timeout`` seconds.

        Everything it prints is kept in ``.leverframe/repro.log``. Raises ``PipelineError``
        naming the stage that failed, with the stage's own words, and ``PipelineBusyError``
        naming the process that works in the repository.
        """
        log = self.root / LOG
        private_folder(log.parent)
        with log.open("w", encoding="utf-8") as handle:
            listener = _Listener(on_event, handle)
            code = self.run_group(
                [sys.executable, "-P", "-m", "dvc", "repro", *arguments],
                listener.line,
                folder=self.root,
                environment=_environment(self.imported),
                timeout=timeout,
            )
            listener.close(failed=code != 0)
        if code != 0:
            raise _error(listener, code, self.root)

    def data(self, *arguments: str) -> bool:
        """Run a DVC command that moves data, such as `checkout` or `pull`; tell whether it succeeded wholly."""
        log = self.root / LOG
        private_folder(log.parent)
        with log.open("a", encoding="utf-8") as handle:
            return not self.run_group(
                [sys.executable, "-P", "-m", "dvc", *arguments],
                lambda line: print(line, file=handle),
                folder=self.root,
                environment=_environment(self.imported),
            )

    def define(self) -> list[str]:
        """Run `leverframe stages --write` there, with the code there, and return what it printed.

        Raises ``PipelineError`` with its own words.
        """
        lines: list[str] = []
        program = [sys.executable, "-P", "-m", "leverframe", "stages", "--write"]
        if self.run_group(program, lines.append, folder=self.root, environment=_environment(self.imported)) != 0:
            text = redacted("\n".join(lines))
            own = _OUR_ERROR.search(text)
            what, why, following = own.groups() if own else ("", text.rpartition("\n")[2], "run it where the code is")
            raise PipelineError(
                f"`leverframe stages --write` failed{f': {what}' if what else ''}", why=why, next=following
            )
        return lines


@dataclass
class _Listener:
    """Turns lines into events; keeps the lines of the stage that runs, and of DVC's own error."""

    on_event: Callable[[Event], None]
    log: IO[str]
    running: str | None = None
    since: float = 0.0
    lines: list[str] = field(default_factory=list)
    failure: list[str] = field(default_factory=list)

    def line(self, line: str) -> None:
        """Take one line of output."""
        self.log.write(line + "\n")
        self.log.flush()
        if self.failure or line.startswith("ERROR: "):
            self.failure.append(line)
            return
        if running := _RUNNING.match(line):
            self.close(failed=False)
            self.running, self.since, self.lines = running[1], time.monotonic(), []
            self.on_event(StageStarted(running[1]))
        elif skipped := _UNCHANGED.match(line) or _RESTORED.match(line):
            self.close(failed=False)
            self.on_event(StageSkipped(skipped[1], restored=skipped.re is _RESTORED))
        else:
            self.lines = [*self.lines[1 - _KEPT :], line]

    def close(self, *, failed: bool) -> None:
        """Tell how the stage that runs ended; nothing where none does."""
        if self.running is not None:
            seconds = time.monotonic() - self.since
            self.on_event((StageFailed if failed else StageFinished)(self.running, seconds))
        self.running = None


def _environment(imported: str) -> dict[str, str]:
    """Return what DVC and every stage find in their environment: all of ours but tokens of the forge."""
    ours = without_forge(os.environ)
    return {
        **{name: value for name, value in ours.items() if name not in ("DVC_STAGE", "DVC_ROOT", "FORCE_COLOR")},
        "DVC_NO_ANALYTICS": "1",
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",  # lines of DVC and of stages in the order in which they were written
        **({"PYTHONPATH": imported} if imported else {}),
    }


def _error(listener: _Listener, code: int, root: Path) -> PipelineError:
    text = "\n".join(listener.failure)
    if _BUSY.search(text):
        return _busy(text, root)
    failed = _FAILED.search(text)
    message = redacted(text.removeprefix("ERROR: ").strip()) or f"dvc ended with code {code}"
    if failed is None:
        return PipelineError("`dvc repro` failed", why=first_line(message), next=f"read {LOG}; fix what it names")
    ended = _CODE.search(failed[2])
    how: dict[str, Any] = {"stage": failed[1], "code": int(ended[1]) if ended else 0}
    own = _OUR_ERROR.search(redacted("\n".join(listener.lines)))
    if own:
        return PipelineError(f"stage `{failed[1]}` failed: {own[1]}", why=own[2], next=own[3], **how)
    last = next((line.strip() for line in reversed(listener.lines) if line.strip()), "")
    why = redacted(failed[2]) + (f"; its last words: {redacted(last)[:200]}" if last else "")
    following = f"read {LOG}; then `dvc repro {failed[1]}` runs it again"
    return PipelineError(f"stage `{failed[1]}` failed", why=why, next=following, **how)


def _busy(text: str, root: Path) -> PipelineBusyError:
    pids = _PID.findall(text) or _lock_holder(root)
    return PipelineBusyError(
        "another DVC process works in this repository",
        why=f"it holds the lock; process {', '.join(dict.fromkeys(pids))}" if pids else "it holds the lock",
        next="wait until it has ended, or end it, then run the same command again",
    )


def _lock_holder(root: Path) -> list[str]:
    here = root.resolve()
    try:
        home = next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), here)
        return (home / ".dvc" / "tmp" / "lock").read_text(encoding="utf-8").split()[:1]
    except (OSError, UnicodeDecodeError):
        return []
