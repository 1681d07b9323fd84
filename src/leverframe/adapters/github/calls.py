"""One way to ask GitHub: with retries, and errors that name the permission that lacks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import requests
from github import (
    Auth,
    Github,
    GithubException,
    RateLimitExceededException,
    UnknownObjectException,
)
from github.GitRef import GitRef
from github.Repository import Repository

from leverframe.adapters.github.patience import LONGEST, TRIES, LimitedError, Patience
from leverframe.domain.project import WHOLE, Project
from leverframe.domain.review.report.github_refusals import closed, following, lacks_permission
from leverframe.errors import ForgeUnreachableError, PublishError

_TIMEOUT = 30  # seconds a request
_GONE, _UNKNOWN_TOKEN, _UNKNOWN = 410, 401, 404
_DISABLED = "switch issues on in the settings of the repository, or set `alerts: {issues: false}` in leverframe.yaml"
_MAY_NOT_OPEN = "not permitted to create or approve pull requests"
_NO_PULLS = (
    "switch on `Allow GitHub Actions to create and approve pull requests` in the settings of the repository, under "
    "Actions, General; or give the action the token of an App"
)

Result = TypeVar("Result")


class Calls:
    """The repository ``owner/name`` at the address ``api``; the token is in no message of ours.

    What we leave there is named after ``project``, so that other projects of the repository keep what is theirs.
    """

    def __init__(
        self, api: str, repository: str, token: str, *, project: Project = WHOLE,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        logging.getLogger("github").setLevel(logging.ERROR)  # it tells every retry with its address
        self._api, self._name, self._token, self._project, self._wait = api, repository, token, project, wait
        self._github = self._client(TRIES - 1)

    def _client(self, retries: int) -> Github:
        return Github(
            base_url=self._api,
            auth=Auth.Token(self._token),
            retry=Patience(retries, wait=self._wait),
            timeout=_TIMEOUT,
            per_page=100,
            seconds_between_requests=0,
            seconds_between_writes=0,
            lazy=True,
        )

    def asked(self, ask: Callable[[Repository], Result], what: str, permission: str) -> Result:
        """Return what ``ask`` returns; raises ``PublishError`` that says what was refused, and what would allow it."""
        return self._by(self._github, ask, what, permission)

    def once(
        self,
        make: Callable[[Repository], Result],
        there: Callable[[], Result | None],
        what: str,
        permission: str,
    ) -> Result:
        """Return what ``make`` makes, which must not be made twice, or what is ``there`` of it.

        A gateway that gives up may do so after GitHub did what was asked. So ``make``, which ends with its one write,
        is asked again only where ``there`` finds nothing, and where a limit refused it: ``TRIES`` times at most.
        """
        client = self._client(0)
        for number in range(1, TRIES + 1):
            try:
                return self._by(client, make, what, permission)
            except ForgeUnreachableError as error:
                limited = error.__cause__ if isinstance(error.__cause__, LimitedError) else None
                if limited is None and (made := there()) is not None:
                    return made
                if number == TRIES or (limited and limited.pause > LONGEST):
                    raise
                self._wait(limited.pause if limited else 0.5 * number)
        raise AssertionError("the last try returns or raises")

    def _by(self, client: Github, ask: Callable[[Repository], Result], what: str, permission: str) -> Result:
        try:
            return ask(client.get_repo(self._name))
        except GithubException as error:
            raise refused(error, what, permission, self._name) from error
        except requests.RequestException as error:
            raise unreachable(error) from error


def reference(repository: Repository, name: str) -> GitRef | None:
    """Return a reference such as ``heads/main``; None where there is none."""
    ref = repository.get_git_ref(name)
    try:
        return ref if ref.object.sha else None  # this is what asks: objects are lazy here
    except UnknownObjectException:
        return None


def refused(error: GithubException, what: str, permission: str, repository: str = "") -> PublishError:
    """Return the error that says what GitHub refused and, where a permission lacks, the line that grants it."""
    words = _words(error)
    limited = isinstance(error, RateLimitExceededException)
    kind = ForgeUnreachableError if error.status >= 500 or error.status == 429 or limited else PublishError
    lacks = permission and error.status in (403, 404) and not limited and not closed(words) and lacks_permission(words)
    step = f"give the job `permissions: {{{permission}}}`" if lacks else ""
    if limited:
        step = f"wait until the limit is reset{_reset(error)}, then run the job again; nothing was lost"
    elif error.status == _UNKNOWN_TOKEN:
        step = "the token is not valid, or has expired: give the job another one"
    elif lacks and error.status == _UNKNOWN and repository:
        step += f"; or {repository} (GITHUB_REPOSITORY) is not there, or hidden from this token"
    elif error.status == _GONE or _MAY_NOT_OPEN in words:
        step = _DISABLED if error.status == _GONE else _NO_PULLS
    return kind(
        f"GitHub refused to {what}",
        why=f"it answered {error.status}" + (f": {words[:200]}" if words else ""),
        next=step or following(words) or "once what GitHub says is settled, run the job again",
        closed=not limited and bool(closed(words)),
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
