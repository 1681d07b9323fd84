"""How long GitHub is asked again: a fault passes, a short limit is waited for, and a long one is an error at once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from github import GithubException, GithubRetry, RateLimitExceededException
from github.Requester import Requester
from urllib3 import Retry

TRIES = 3  # of a request, and of a write whose response may be lost
LONGEST = 10  # seconds that a limit is waited for: a job that hangs says nothing, and a re-run finds what is there
PATIENCE = 5.0  # seconds that a limit is waited for whose response does not say how long it lasts
_LIMITED, _FAULTY = (403, 429), range(500, 600)
_METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE"})  # all may be asked again: callers look for duplicates


class LimitedError(RateLimitExceededException):
    """A limit that refused a request; ``pause`` is how many seconds it lasts."""

    def __init__(self, status: int, pause: float, data: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        long = {"message": f"a limit is used up, for {pause:.0f} more seconds"}
        super().__init__(status, long if pause > LONGEST else dict(data), dict(headers))
        self.pause = pause


class Patience(Retry):
    """Asks again up to ``total`` times; ``wait`` sleeps. Raises ``GithubException`` for what no wait settles."""

    def __init__(self, total: int = TRIES - 1, *, wait: Callable[[float], None] = time.sleep, **named: Any) -> None:
        named |= {"backoff_factor": 0.5, "status_forcelist": [*_LIMITED, *_FAULTY], "allowed_methods": _METHODS}
        named |= {"raise_on_status": False, "respect_retry_after_header": False}  # ours are the waits
        self._waits, self._pause = wait, 0.0
        super().__init__(total, **named)

    def new(self, **named: Any) -> Patience:
        """Return another one that waits the same way."""
        return super().new(**{"wait": self._waits, **named})

    def increment(self, method: Any = None, url: Any = None, response: Any = None, *others: Any, **named: Any) -> Any:
        """Return the next try; raises ``GithubException`` for a refusal, and for a limit that is not waited for."""
        pause = 0.0
        if response is not None:
            headers = {name.lower(): value for name, value in response.headers.items()}
            if response.status in _LIMITED:
                data = _data(response, url)
                lasts = limit(response.status, headers, str(data.get("message", "")))
                if lasts is None:
                    raise Requester.createException(response.status, headers, data)
                if lasts > LONGEST or not self.total:
                    raise LimitedError(response.status, lasts, data, headers)
                pause = lasts
            else:
                pause = _seconds(headers.get("retry-after")) or 0.0
                if pause > LONGEST:
                    raise GithubException(response.status, {"message": "it asks to come back later"}, headers)
        following = super().increment(method, url, response, *others, **named)
        following._pause = pause
        return following

    def sleep(self, response: Any = None) -> None:  # noqa: ARG002 - what it says is known by now
        """Wait until the next try."""
        seconds = max(self._pause, self.get_backoff_time())
        if seconds > 0:
            self._waits(seconds)


def limit(status: int, headers: Mapping[str, str], message: str) -> float | None:
    """Return the seconds that a limit lasts, ``PATIENCE`` where nothing says it; None for a refusal for good."""
    asked = _seconds(headers.get("retry-after"))
    if asked is not None:
        return asked
    if headers.get("x-ratelimit-remaining") == "0" and headers.get("x-ratelimit-reset", "").isdecimal():
        return max(0.0, int(headers["x-ratelimit-reset"]) - time.time()) + 1
    known = Requester.isRateLimitError(message) or "secondary rate limit" in message.lower()
    return PATIENCE if status == 429 or known else None


def _data(response: Any, url: str) -> dict[str, Any]:
    try:
        data = json.loads(GithubRetry.get_content(response, url))
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _seconds(text: str | None) -> float | None:
    """Return what a header says as seconds; a date, which proxies write, is no less than a long wait."""
    if text is None:
        return None
    return float(text) if text.isdecimal() else float(LONGEST + 1)
