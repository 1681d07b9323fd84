"""One way to ask GitHub: with retries, and errors that name the permission that lacks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import requests
from github import (
    Auth,
    Github,
    GithubException,
    GithubRetry,
    RateLimitExceededException,
    UnknownObjectException,
)
from github.GitRef import GitRef
from github.Repository import Repository

from leverframe.domain.project import WHOLE, Project
from leverframe.domain.review.report.github_refusals import closed, following, lacks_permission
from leverframe.errors import ForgeUnreachableError, PublishError

_RETRIES = 5
_TIMEOUT = 30  # seconds a request
_METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE"})  # all may be asked again: callers look for duplicates
_GONE, _UNKNOWN_TOKEN, _UNKNOWN = 410, 401, 404
_DISABLED = "switch issues on in the settings of the repository, or set `alerts: {issues: false}` in leverframe.yaml"
_MAY_NOT_OPEN = "not permitted to create or approve pull requests"
_NO_PULLS = (
    "switch on `Allow GitHub Actions to create and approve pull requests` in the settings of the repository, under "
    "Actions, General; or give the action the token of an App"
)

_LONGEST = 90  # seconds that a limit is waited for

Result = TypeVar("Result")


class _Retry(GithubRetry):
    """Asks again, but never waits longer for a limit than a job should hang."""

    def increment(self, method: Any = None, url: Any = None, response: Any = None, *others: Any, **named: Any) -> Any:
        """Return the next try; raises ``RateLimitExceededException`` where GitHub wants a longer wait."""
        wait = self.get_retry_after(response) if response else None
        if wait is not None and wait > _LONGEST:
            told = {"message": f"a limit is used up, for {wait:.0f} more seconds"}
            raise RateLimitExceededException(response.status, told, dict(response.headers))
        return super().increment(method, url, response, *others, **named)


class Calls:
    """The repository ``owner/name`` at the address ``api``; the token is in no message of ours.

    What we leave there is named after ``project``, so that other projects of the repository keep what is theirs.
    """

    def __init__(
        self, api: str, repository: str, token: str, *, project: Project = WHOLE, retries: int = _RETRIES,
        patience: int = 60,
    ) -> None:  # fmt: skip
        logging.getLogger("github").setLevel(logging.ERROR)  # it tells every retry with its address
        retry = _Retry(
            total=retries, backoff_factor=0.5, secondary_rate_wait=patience,
            max_rate_limit_wait=max(patience, _LONGEST), allowed_methods=_METHODS,
        )  # fmt: skip
        self._github = Github(
            base_url=api,
            auth=Auth.Token(token),
            retry=retry,
            timeout=_TIMEOUT,
            per_page=100,
            seconds_between_requests=0,
            seconds_between_writes=0,
            lazy=True,
        )
        self._api, self._name, self._token, self._project = api, repository, token, project

    def asked(self, ask: Callable[[Repository], Result], what: str, permission: str) -> Result:
        """Return what ``ask`` returns; raises ``PublishError`` that says what was refused, and what would allow it."""
        try:
            return ask(self._github.get_repo(self._name))
        except GithubException as error:
            raise refused(error, what, permission, self._name) from error
        except requests.RequestException as error:
            raise unreachable(error) from error


def reference(repository: Repository, name: str) -> GitRef | None:
    """Return a reference such as ``heads/main``; None where there is none."""
    found = repository.get_git_ref(name)
    try:
        return found if found.object.sha else None  # this is what asks: objects are lazy here
    except UnknownObjectException:
        return None


def refused(error: GithubException, what: str, permission: str, repository: str = "") -> PublishError:
    """Return the error that says what GitHub refused and, where a permission lacks, the line that grants it."""
    said = _words(error)
    limited = isinstance(error, RateLimitExceededException)
    kind = ForgeUnreachableError if error.status >= 500 or error.status == 429 or limited else PublishError
    lacks = permission and error.status in (403, 404) and not limited and not closed(said) and lacks_permission(said)
    step = f"give the job `permissions: {{{permission}}}`" if lacks else ""
    if limited:
        step = f"wait until the limit is reset{_reset(error)}, then run the job again; nothing was lost"
    elif error.status == _UNKNOWN_TOKEN:
        step = "the token is not valid, or has expired: give the job another one"
    elif lacks and error.status == _UNKNOWN and repository:
        step += f"; or {repository} (GITHUB_REPOSITORY) is not there, or hidden from this token"
    elif error.status == _GONE or _MAY_NOT_OPEN in said:
        step = _DISABLED if error.status == _GONE else _NO_PULLS
    return kind(
        f"GitHub refused to {what}",
        why=f"it answered {error.status}" + (f": {said[:200]}" if said else ""),
        next=step or following(said) or "once what GitHub says is settled, run the job again",
        closed=not limited and bool(closed(said)),
    )


def _words(error: GithubException) -> str:
    """Return the message of an error with what it says of single fields, which is often the reason."""
    if not isinstance(error.data, dict):
        return ""
    listed = error.data.get("errors")
    fields = [fault.get("message") if isinstance(fault, dict) else fault for fault in listed or ()]
    return "; ".join(str(text) for text in (error.data.get("message"), *fields) if text)


def _reset(error: GithubException) -> str:
    """Return when a limit is reset, empty where GitHub does not say."""
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    seconds = str(headers.get("x-ratelimit-reset", ""))
    return f", {datetime.fromtimestamp(int(seconds), UTC):%H:%M} UTC" if seconds.isdecimal() else ""


def unreachable(error: requests.RequestException) -> ForgeUnreachableError:
    """Return the error for a GitHub that does not answer."""
    return ForgeUnreachableError(
        "GitHub does not answer", why=type(error).__name__, next="run the job again; nothing was lost"
    )
