"""The identity of a job of GitHub Actions, by which AWS lets it in: no key is kept anywhere, no third party is asked.

The runner gives a token that lives for minutes. It lies in a file that only this user reads, is renewed while the block
runs, and is gone afterwards.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, urlsplit

from leverframe.errors import ForgeUnreachableError, InfraError, LeverframeError
from leverframe.files import disk_error

AUDIENCE = "sts.amazonaws.com"
_ADDRESS, _BEARER = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,512}", re.ASCII)
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}")
_TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
# What AWS would take before the role: who asks for a role does not want to be somebody else.
_OTHERS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_PROFILE",
           "AWS_DEFAULT_PROFILE")  # fmt: skip
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_LIFETIME = 300.0  # seconds of a token that does not say how long it lives
_LARGEST = 100_000  # bytes of an answer
_PERMISSION = "give the job `permissions: {id-token: write}`"
_ELSEWHERE = "on a machine of your own leave `--role` out: what you are logged in as counts"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nothing: the bearer is for one address."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow nothing."""


@dataclass(frozen=True)
class Asking:
    """How the runner is asked: seconds for an answer, how often, seconds between two tries and two tokens at least."""

    timeout: float = 10.0
    tries: int = 4
    pause: float = 1.0
    least: float = 20.0


@contextmanager
def aws_identity(
    role: str,
    region: str,
    environment: Mapping[str, str],
    *,
    tell: Callable[[str], None],
    mask: Callable[[str], None],
    asking: Asking = Asking(),
) -> Iterator[dict[str, str]]:
    """Yield ``environment`` with what lets a program act as ``role`` in ``region``, and without other keys of AWS.

    ``tell`` gets a line where the token cannot be renewed; ``mask`` hides each token from the log of the runner. Raises
    ``InfraError`` where the job may not have an identity, ``ForgeUnreachableError`` where the runner does not answer.
    """
    _check("--role", role, _ROLE, "arn:aws:iam::123456789012:role/leverframe-plan")
    _check("--region", region, _REGION, "eu-central-1")
    source = _Source(environment, asking)
    with TemporaryDirectory(prefix="leverframe-identity-") as folder:
        file = Path(folder, "token")
        renewing = _Renewing(source, file, (tell, mask))
        renewing.renew()
        thread = threading.Thread(target=renewing.go_on, name="identity", daemon=True)
        thread.start()
        try:
            run = re.sub(r"[^\w+=,.@-]", "-", environment.get("GITHUB_RUN_ID", "") or "here", flags=re.ASCII)
            yield {name: value for name, value in environment.items() if name not in _OTHERS} | {
                "AWS_ROLE_ARN": role,
                "AWS_WEB_IDENTITY_TOKEN_FILE": str(file),
                "AWS_ROLE_SESSION_NAME": f"leverframe-{run}"[:64],
                "AWS_REGION": region,
                "AWS_DEFAULT_REGION": region,
            }
        finally:
            renewing.ended.set()
            thread.join()


class _Renewing:
    """Keeps the token in the file a valid one."""

    def __init__(self, source: _Source, file: Path, words: tuple[Callable[[str], None], Callable[[str], None]]) -> None:
        self._source, self._file = source, file
        self._tell, self._mask = words
        self._wait = 0.0
        self.ended = threading.Event()

    def renew(self) -> None:
        token = self._source.token(self.ended)
        self._mask(token)
        fresh = self._file.with_suffix(".new")
        try:
            fresh.touch(mode=0o600)
            fresh.write_text(token, encoding="ascii")
            fresh.replace(self._file)  # whoever reads it finds a whole one
        except OSError as error:
            raise disk_error(self._file, error) from error
        self._wait = max(self._source.asking.least, _lives(token) / 2)

    def go_on(self) -> None:
        failed = False
        while not self.ended.wait(self._wait):
            try:
                self.renew()
                failed = False
            except LeverframeError as error:
                if not failed and not self.ended.is_set():
                    self._tell(f"the identity of the job is not renewed: {error.what}: {error.why}; trying again")
                failed, self._wait = True, self._source.asking.least


class _Source:
    """The runner, which gives tokens; no message holds the address or the bearer."""

    def __init__(self, environment: Mapping[str, str], asking: Asking) -> None:
        self.asking = asking
        self._address, self._bearer = environment.get(_ADDRESS, ""), environment.get(_BEARER, "")
        missing = [name for name in (_ADDRESS, _BEARER) if not environment.get(name)]
        if missing:
            raise InfraError(
                "this job has no identity to act as a role of AWS",
                why=f"the environment variable {missing[0]} is not set",
                next=f"{_PERMISSION}; {_ELSEWHERE}",
            )
        parts = urlsplit(self._address)
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise InfraError(
                "the address that gives the identity of the job is not encrypted",
                why=f"{_ADDRESS} does not begin with https",
                next="look at the runner: its token would be readable on the way",
            )

    def token(self, ended: threading.Event) -> str:
        """Return a fresh token; asks again where that may help, unless it ``ended`` meanwhile."""
        for attempt in range(self.asking.tries):
            try:
                return self._asked()
            except ForgeUnreachableError:
                if attempt + 1 == self.asking.tries or ended.wait(self.asking.pause * 2**attempt):
                    raise
        raise AssertionError("there is a first try")  # pragma: no cover

    def _asked(self) -> str:
        joint = "&" if urlsplit(self._address).query else "?"
        request = urllib.request.Request(  # noqa: S310 - https, or this machine
            f"{self._address}{joint}audience={quote(AUDIENCE)}", headers={"Authorization": f"bearer {self._bearer}"}
        )
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=self.asking.timeout) as answer:
                content = answer.read(_LARGEST)
        except urllib.error.HTTPError as error:
            with error:
                raise _refused(error.code) from None  # its words hold the address
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise _unreachable(type(reason).__name__) from None
        return _token_in(content)


def _token_in(content: bytes) -> str:
    try:
        token = json.loads(content)["value"]
    except (ValueError, KeyError, TypeError):
        token = None
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise _unreachable("its answer has no token")
    return token


def _refused(status: int) -> LeverframeError:
    if status >= 500 or status == 429:
        return _unreachable(f"it answered {status}")
    return InfraError(
        "GitHub does not give this job an identity",
        why=f"it answered {status}",
        next=f"{_PERMISSION}; pull requests of forks get none",
    )


def _unreachable(why: str) -> ForgeUnreachableError:
    return ForgeUnreachableError(
        "the runner gives no identity now", why=why, next="run the job again; nothing was changed"
    )


def _lives(token: str) -> float:
    """Return for how many seconds a token is valid, by what it says."""
    payload = token.split(".")[1]
    try:
        end = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
        return max(0.0, float(end) - time.time())
    except (ValueError, KeyError, TypeError):
        return _LIFETIME


def _check(option: str, value: str, form: re.Pattern[str], example: str) -> None:
    if not form.fullmatch(value):
        raise InfraError(
            f"`{option}` is not what AWS calls one: {value[:100]!r}" if value else f"`{option}` is missing",
            why="`--role` and `--region` come together",
            next=f"name one such as {example}",
        )
