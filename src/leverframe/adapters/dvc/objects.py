"""A remote as DVC has it configured, asked for single objects in parallel through DVC's own file systems."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from hashlib import md5
from pathlib import Path
from typing import Any, TypeVar

from leverframe.adapters.dvc.failures import failure, holds_nothing, is_missing
from leverframe.adapters.dvc.plugins import not_installed
from leverframe.adapters.dvc.remotes import content_of
from leverframe.adapters.dvc.verified import Verified
from leverframe.domain.review.pushed import RemoteResponse, StoredObject
from leverframe.errors import LeverframeError, RemoteUnreachableError

_WORKERS = 32  # requests at once, fewer where `jobs` of the remote says so
_LISTING = 64 << 20  # bytes of a listing: about 700,000 files
_SECONDS, _EACH, _MOST = 60.0, 0.02, 1800.0  # of all requests together, and for each of them, and at most
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AZURE_STORAGE_ACCOUNT")

_QUESTIONS = ("ask_password", "ask_passphrase")

_TOLD = 1000  # objects between two lines of progress

Answer = TypeVar("Answer")
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Opened:
    """A file system of DVC, the path of a remote in it, and its address."""

    fs: Any
    base: str
    address: str


class RemoteObjects:
    """The ``Store`` of ``domain/review/pushed.py`` over a remote that is no folder; it is opened when it is asked.

    Each object costs one request, one that is missing two, as clients look for a folder of that name. The first is
    asked for alone, so that a remote that nobody may read gets one request and not 32. A client repeats what failed for
    the moment a few times, later each time; ``seconds`` bound all of it.
    """

    def __init__(
        self, name: str, verified: Verified, opened: Callable[[], Opened], tell: Tell, seconds: float = 0.0
    ) -> None:
        self.name, self._verified, self._tell, self._seconds = name, verified, tell, seconds
        self._open = cache(opened)
        self._failure: LeverframeError | None = None
        self._empty = False

    @classmethod
    def of(cls, home: Path, remote: tuple[str, str], verified: Path | None, tell: Tell) -> RemoteObjects:
        """Return a remote of the repository whose `.dvc` is in ``home``, by its name and what tells where it is.

        ``verified`` is the file of ``Verified``.
        """
        name, place = remote
        known = Verified(verified, "\n".join([place, *(os.environ.get(key, "") for key in _ENDPOINTS)]))
        return cls(name, known, partial(opened, home, name), tell)

    def known(self) -> Collection[str]:
        """Return the places of what it held not long ago."""
        return self._verified.places()

    def remember(self, places: Collection[str]) -> None:
        """Keep places for ``known``."""
        self._verified.add(places)

    def sizes(self, wanted: Sequence[StoredObject]) -> RemoteResponse[int | None]:
        """Return the bytes of each object; None where it does not tell."""
        return self._asked(self._size, wanted)

    def listings(self, wanted: Sequence[StoredObject]) -> RemoteResponse[bytes]:
        """Return the content of the listings of directories, empty for one that has another digest."""
        return self._asked(self._listing, wanted)

    def _size(self, wanted: StoredObject) -> int | None:
        details = self._open().fs.fs.info(self._path(wanted))
        if details.get("type") == "directory":
            raise FileNotFoundError(wanted.place)
        size = details.get("size")
        return size if isinstance(size, int) else None

    def _listing(self, wanted: StoredObject) -> bytes:
        content = content_of(self._open().fs, self._path(wanted), _LISTING)
        if content is None:
            why = f"the listing {wanted.place} has more than {_LISTING >> 20} MB"
            what = f"the remote `{self.name}` cannot be asked for a directory of that size"
            raise RemoteUnreachableError(what, why=why, next="split the output, or pull it before the check")
        return content if md5(content, usedforsecurity=False).hexdigest() == wanted.md5.removesuffix(".dir") else b""

    def _path(self, wanted: StoredObject) -> str:
        return str(self._open().fs.join(self._open().base, *wanted.place.split("/")))

    def _asked(self, ask: Callable[[StoredObject], Answer], wanted: Sequence[StoredObject]) -> RemoteResponse[Answer]:
        """Sort answers, up to the first that is a failure."""
        present, absent = dict[StoredObject, Answer](), list[StoredObject]()
        seconds = self._seconds or min(_MOST, _SECONDS + _EACH * len(wanted))
        try:
            for number, (stored, answer) in enumerate(self._answers(ask, wanted, time.monotonic() + seconds), 1):
                if not isinstance(answer, Exception):
                    present[stored] = answer
                elif is_missing(answer):
                    absent.append(stored)
                else:
                    self._failure, self._empty = self._failed(answer), holds_nothing(answer)
                    break
                if number % _TOLD == 0:
                    self._tell(f"asked the remote `{self.name}` for {number:,} of {len(wanted):,} objects")
        except TimeoutError:
            self._failure = self._late(seconds)
        except LeverframeError as error:  # it cannot be opened
            self._failure = error
        return (
            RemoteResponse({}, wanted, self._failure) if self._empty else RemoteResponse(present, absent, self._failure)
        )

    def _answers(
        self, ask: Callable[[StoredObject], Answer], wanted: Sequence[StoredObject], until: float
    ) -> Iterator[tuple[StoredObject, Answer | Exception]]:
        if self._failure is None:
            workers = min(_WORKERS, int(self._open().fs.config.get("jobs") or _WORKERS))
            yield from in_parallel(ask, wanted[:1], 1, until)
            yield from in_parallel(ask, wanted[1:], workers, until)

    def _late(self, seconds: float) -> LeverframeError:
        return RemoteUnreachableError(
            f"the remote `{self.name}` answers too slowly",
            why=f"all answers together may take {seconds:,.0f} seconds",
            next="run `leverframe check` again: it asks for the rest",
        )

    def _failed(self, error: Exception) -> LeverframeError:
        if isinstance(error, LeverframeError):
            return error
        return failure(self.name, self._open().address, error, self._open().fs.config)


def opened(home: Path, name: str) -> Opened:
    """Return a remote as DVC has it configured, from `.dvc` in ``home`` and all above it.

    Raises ``InstallationError`` where what DVC needs for it is not installed, and ``RemoteUnreachableError`` where its
    configuration is none, or it is a remote that is not asked by digest.
    """
    address, config = "", dict[str, Any]()
    try:
        from dvc.config import Config  # noqa: PLC0415 - a quarter of a second, for remotes that are asked
        from dvc.fs import get_cloud_fs, get_fs_config  # noqa: PLC0415

        whole = Config(str(home / ".dvc"))
        address = str(get_fs_config(whole, name=name)["url"])  # what `remote://` stands for, too
        kind, config, base = get_cloud_fs(whole, name=name)
        config |= {key: False for key in _QUESTIONS if key in config}  # nobody may be there to answer
        fs = kind(**config)
    except Exception as error:  # of the configuration, or of the client of a cloud
        if isinstance(error, ImportError) or type(error).__name__ == "RemoteMissingDepsError":
            raise not_installed(name, address) from error
        raise failure(name, address, error, config) from error
    _refuse_unasked(name, fs)
    return Opened(fs, base, address)


def _refuse_unasked(name: str, fs: Any) -> None:
    """Raise ``RemoteUnreachableError`` for a remote without objects by their digest, or that asks a person."""
    if fs.config.get("version_aware") or fs.config.get("worktree"):
        why = "it is cloud-versioned (`version_aware`, `worktree`): it keeps files by name and version, not by digest"
    elif fs.protocol == "gdrive":
        why = "Google Drive finds a file by listing folders, and may ask a person to log in"
    else:
        return
    what = f"the remote `{name}` cannot be asked for what the lock names"
    raise RemoteUnreachableError(what, why=why, next="`dvc status --cloud` compares what is here with it")


def in_parallel(
    work: Callable[[StoredObject], Answer], items: Sequence[StoredObject], workers: int, until: float
) -> Iterator[tuple[StoredObject, Answer | Exception]]:
    """Yield each item with what ``work`` returned or raised, as it comes; raises ``TimeoutError`` at ``until``.

    Nothing ends a call into the client of a cloud from outside, so threads that wait in one are left behind; where the
    caller takes no more, they begin no other.
    """
    waiting, answers, ended = iter(items), queue.SimpleQueue[Any](), threading.Event()
    lock = threading.Lock()

    def run() -> None:
        while not ended.is_set():
            with lock:
                item = next(waiting, None)
            if item is None:
                return
            try:
                answers.put((item, work(item)))
            except Exception as error:  # every cloud has its own
                answers.put((item, error))

    for _ in range(min(workers, len(items))):
        threading.Thread(target=run, daemon=True).start()
    try:
        for _ in items:
            yield answers.get(timeout=max(0.0, until - time.monotonic()))
    except queue.Empty:
        raise TimeoutError from None
    finally:
        ended.set()
