"""Webhooks over HTTPS: sent with retries, never redirected, and with no word of the address in what is reported."""

from __future__ import annotations

import http.client
import queue
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

_RETRIES = 3
_TIMEOUT = 10.0  # seconds to connect, and between two bytes
_TIMES = 2  # as many of them an attempt may take as a whole
_LONGEST = 30.0  # seconds between two attempts, whatever the receiver asks for
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_AGAIN = frozenset({429, 500, 502, 503, 504})

Signed = Callable[[int], Mapping[str, str]]  # the headers of an attempt at a time, in seconds since the epoch


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nothing: another address did not get the trust of the one that was configured."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow nothing."""


@dataclass(frozen=True)
class Webhook:
    """Sends bodies; ``sleep`` and ``clock`` are those of the process. An address is a secret and in no message."""

    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.time
    timeout: float = _TIMEOUT

    def post(self, address: str, content: bytes, signed: Signed) -> str:
        """Send a body and return why it was not delivered, empty where it was."""
        wrong = _wrong(address)
        if wrong:
            return wrong
        failed = ""
        for attempt in range(_RETRIES + 1):
            failed, wait = self._in_time(address, content, signed)
            if wait is None:
                return failed
            if attempt < _RETRIES:
                self.sleep(min(max(wait, 2.0**attempt), _LONGEST))
        return f"{failed}, {_RETRIES + 1} times"

    def _in_time(self, address: str, content: bytes, signed: Signed) -> tuple[str, float | None]:
        """Return the outcome of an attempt that ends in time: a receiver that drips its answer holds up nothing."""
        outcome: queue.SimpleQueue[tuple[str, float | None]] = queue.SimpleQueue()
        threading.Thread(
            target=lambda: outcome.put(self._attempt(address, content, signed)), name="webhook", daemon=True
        ).start()
        try:
            return outcome.get(timeout=_TIMES * self.timeout)
        except queue.Empty:
            return "it did not answer in time", None  # again it would take as long

    def _attempt(self, address: str, content: bytes, signed: Signed) -> tuple[str, float | None]:
        """Return what failed, and after how many seconds another attempt may succeed; None where none will."""
        now = self.clock()
        opener = urllib.request.build_opener(_NoRedirect)
        try:
            request = urllib.request.Request(address, content, dict(signed(int(now))), method="POST")  # noqa: S310
            with opener.open(request, timeout=self.timeout):
                return "", None
        except urllib.error.HTTPError as error:
            with error:
                return self._refused(error, now)
        except (OSError, http.client.HTTPException, ValueError) as error:
            # Words of such an error may hold the address.
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            kind = type(reason).__name__ if isinstance(reason, Exception) else "URLError"
            return f"it did not answer ({kind})", None if isinstance(
                error, ValueError | http.client.InvalidURL
            ) else 0.0

    def _refused(self, error: urllib.error.HTTPError, now: float) -> tuple[str, float | None]:
        if 300 <= error.code < 400:
            return f"it answered {error.code}: redirects are not followed, configure the address it leads to", None
        if error.code not in _AGAIN:
            return f"it answered {error.code}", None
        return f"it answered {error.code}", _seconds(error.headers.get("Retry-After", ""), now)


def _wrong(address: str) -> str:
    """Return what is wrong with an address; empty where nothing is."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "its address is no URL"
    if parts.scheme == "https" and host:
        return ""
    if parts.scheme == "http" and host in _LOOPBACK:
        return ""
    return "its address does not begin with https://"


def _seconds(header: str, now: float) -> float:
    """Return the seconds that a ``Retry-After`` asks for, given as a number or as a date; 0 for anything else."""
    try:
        if header.strip().isdecimal():
            return float(header)
        at = parsedate_to_datetime(header)
        return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0
