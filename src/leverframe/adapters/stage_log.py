"""Where the record and the log of a stage are written; never an output of DVC, as times differ in every run."""

from __future__ import annotations

import contextlib
import logging
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from leverframe.documents import parsed, plain
from leverframe.domain.pipeline.stage_log import Outcome, StageRecord
from leverframe.errors import DiskError, LeverframeError
from leverframe.files import private_folder, write_json

_log = logging.getLogger(__name__)

_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes in the unit of ru_maxrss
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _LogFile(logging.FileHandler):
    """A log that is cut short where the disk is full: that costs the log, not the stage."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Say nothing: the stage meets the same disk and says it once."""

    def close(self) -> None:
        """Close the file, what could not be written left aside."""
        with contextlib.suppress(OSError):
            super().close()


class Recording:
    """The run of a stage while it goes on: what it tells about itself."""

    def __init__(self) -> None:
        self.counted: int | None = None
        self.notes: list[str] = []

    def rows(self, count: int) -> None:
        """Say how many rows the stage wrote; the last word counts."""
        self.counted = count

    def note(self, text: str) -> None:
        """Keep a sentence with the record, and tell it in the log."""
        self.notes.append(text)
        _log.info(text)


@contextlib.contextmanager
def recording(stage: str, partition: str = "", *, folder: Path) -> Iterator[Recording]:
    """Record what happens inside in ``folder``/<stage>[@partition].json and .log, whether it succeeds or fails.

    A folder that cannot be written to costs the record, not the stage.
    """
    name = f"{stage}@{partition}" if partition else stage
    log, record = folder / f"{name}.log", Recording()
    started, clock, cpu = time.time(), time.perf_counter(), _cpu_seconds()
    error = ""
    handler = _handler(log)
    try:
        yield record
    except BaseException as failure:
        error = failure.what if isinstance(failure, LeverframeError) else f"{type(failure).__name__}: {failure}"
        _tell(handler, failure)
        raise
    finally:
        _closed(handler)
        _write(
            folder / f"{name}.json",
            StageRecord(
                stage=stage,
                partition=partition,
                started=started,
                seconds=time.perf_counter() - clock,
                cpu_seconds=_cpu_seconds() - cpu,
                peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT / 1e6,
                log=str(log),
                outcome=Outcome.FAILED if error else Outcome.DONE,
                rows=record.counted,
                notes=tuple(record.notes),
                error=error,
            ),
        )


def records(folder: Path) -> list[StageRecord]:
    """Return the records in ``folder`` in the order of their start; what is no record is passed over."""
    entries = []
    for path in sorted(folder.glob("*.json")):
        try:
            entries.append(parsed(StageRecord, path.read_bytes()))
        except (OSError, ValueError) as error:
            _log.debug("%s is passed over: %s", path, error)
    return sorted(entries, key=lambda record: record.started)


def _cpu_seconds() -> float:
    return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def _handler(log: Path) -> logging.Handler | None:
    try:
        private_folder(log.parent)
        handler = _LogFile(log, mode="w", encoding="utf-8")
    except OSError as error:
        _log.debug("%s is not written: %s", log, error)
        return None
    handler.setFormatter(logging.Formatter(_FORMAT))
    logging.getLogger("leverframe").addHandler(handler)
    return handler


def _tell(handler: logging.Handler | None, failure: BaseException) -> None:
    """Put a failure into the log of the stage only: the command line tells it to people."""
    if handler is not None:
        where = (type(failure), failure, failure.__traceback__)
        handler.emit(_log.makeRecord(_log.name, logging.ERROR, __file__, 0, "the stage failed", (), where))


def _closed(handler: logging.Handler | None) -> None:
    if handler is not None:
        logging.getLogger("leverframe").removeHandler(handler)
        handler.close()


def _write(path: Path, record: StageRecord) -> None:
    try:
        write_json(path, plain(record))
    except (DiskError, OSError) as error:
        _log.warning("the record of the stage is not kept: %s", error)
