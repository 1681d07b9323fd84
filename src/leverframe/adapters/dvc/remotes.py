"""Remotes of DVC by their address, without a repository: read by content, or listed, through DVC's own file systems."""

from __future__ import annotations

import queue
import threading
import time
from pathlib import Path
from typing import Any

from leverframe.adapters.dvc.failures import first, is_missing, without_secrets
from leverframe.adapters.dvc.plugins import unknown_scheme
from leverframe.errors import BundleError, RemoteUnreachableError
from leverframe.redaction import redacted
from leverframe.words import first_line

_PIECE = 1 << 20  # bytes that are read of a remote at once


class RemoteContents:
    """A remote of DVC by its address, asked by content; no repository and no configuration of DVC is needed.

    All that is read of it takes ``seconds`` at most, however slowly it sends. What the cloud needs to know of who asks
    comes from its own environment variables. Raises ``BundleError`` for an address that the installed DVC cannot read.
    """

    def __init__(self, url: str, seconds: float = 1800.0) -> None:
        self._url, self._seconds = without_secrets(url), seconds
        self._until = time.monotonic() + seconds
        self._fs, self._base = _file_system(url)

    def read(self, md5: str, most: int = 8 << 30) -> bytes | None:
        """Return what has that MD5, of a folder its listing, None where the remote lacks it.

        Raises ``RemoteUnreachableError``, and ``BundleError`` for more than ``most`` bytes.
        """
        path = self._fs.join(self._base, "files", "md5", md5[:2], md5[2:])
        results: queue.SimpleQueue[bytes | Exception] = queue.SimpleQueue()
        # Nothing else ends a call into the client of a cloud, which waits for as long as bytes drip in.
        threading.Thread(target=self._read_into, args=(results, path, most), daemon=True).start()
        try:
            result = results.get(timeout=max(0.0, self._until - time.monotonic()))
        except queue.Empty:
            late = TimeoutError(f"it took more than {self._seconds:g} seconds; what is here already is not read again")
            raise _unreachable(self._url, late) from None
        if isinstance(result, bytes):
            return result
        if isinstance(result, BundleError):
            raise result
        if is_missing(result):
            return None
        raise _unreachable(self._url, result) from result

    def _read_into(self, results: queue.SimpleQueue[bytes | Exception], path: str, most: int) -> None:
        try:
            if self._fs.protocol == "local" and Path(path).exists() and not Path(path).is_file():
                raise _unfit(self._url, f"{path} is no file")
            content = content_of(self._fs, path, most)
            if content is None:
                raise _unfit(self._url, f"{path} has more than {most:,} bytes")
        except Exception as error:  # every cloud has its own
            results.put(error)
        else:
            results.put(content)


class RemoteFiles:
    """The files below an address such as s3://bucket/folder, listed and fetched through DVC's own file systems.

    What the cloud needs to know of who asks comes from its own environment variables. Raises ``BundleError`` for an
    address that the installed DVC cannot read from, ``RemoteUnreachableError`` where nobody answers.
    """

    def __init__(self, url: str) -> None:
        self._url = without_secrets(url)
        self._fs, self._base = _file_system(url)

    def sizes(self) -> dict[str, int]:
        """Return the files by their paths below the address, and their bytes; of a file itself, by its name."""
        base = self._fs.fs._strip_protocol(self._base)
        try:
            files = self._fs.fs.find(base, detail=True)
        except FileNotFoundError:
            files = {}
        except Exception as error:  # every cloud has its own
            raise _unreachable(self._url, error) from error
        return {
            path[len(base) :].strip("/") or path.rpartition("/")[2]: int(about.get("size") or 0)
            for path, about in files.items()
        }

    def fetch(self, name: str, target: Path) -> bool:
        """Write one of the files to ``target``; tell whether it was still there."""
        base = self._fs.fs._strip_protocol(self._base)
        path = base if base.rpartition("/")[2] == name else f"{base.rstrip('/')}/{name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._fs.fs.get_file(path, str(target))
        except Exception as error:  # every cloud has its own
            if is_missing(error):
                return False
            raise _unreachable(self._url, error) from error
        return True


def content_of(fs: Any, path: str, most: int) -> bytes | None:
    """Return a file of one of DVC's file systems; None for one of more than ``most`` bytes."""
    content = bytearray()
    with fs.open(path, "rb") as handle:
        while part := handle.read(_PIECE):
            content += part
            if len(content) > most:
                return None
    return bytes(content)


def _unfit(url: str, why: str) -> BundleError:
    return BundleError(
        f"the remote {url} has something else in the place of a bundle",
        why=why,
        next="ask who runs it; `--md5` and `--bundle` come from the same commit",
    )


def _file_system(url: str) -> tuple[Any, str]:
    """Return DVC's file system for an address, and its path there."""
    if why := unknown_scheme(url):  # DVC would look for a folder of that name
        raise BundleError(
            f"the remote {without_secrets(url)} cannot be read",
            why=why,
            next="name an address that starts with one of them",
        )
    from dvc.fs import get_cloud_fs  # noqa: PLC0415 - a second, for the few commands that need it

    try:
        kind, config, base = get_cloud_fs({}, url=url)
        return kind(**config), base
    except Exception as error:  # a package that is missing, a scheme that is none: each has a class of its own
        why = (first_line(error) or type(error).__name__).removeprefix("config file error: ")
        raise BundleError(
            f"the remote {without_secrets(url)} cannot be read",
            why=redacted(why.replace(url, without_secrets(url)))[:300],
            next="install what DVC needs for it (`pip install 'leverframe[s3]'` for S3), or name another address",
        ) from error


def _unreachable(url: str, error: Exception) -> RemoteUnreachableError:
    origin = first(error)
    return RemoteUnreachableError(
        f"the remote {url} does not answer",
        why=f"{type(origin).__name__}: {redacted(str(origin))}"[:300],
        next="check address, network and who may read it, then run the same command again",
    )
