"""Why a remote did not answer, in our own words: every cloud has errors of its own, few classes of failure are behind.

Nothing that is said holds a credential: addresses lose theirs, and words of a client go through ``redacted``.
"""

from __future__ import annotations

import itertools
import os
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from leverframe.errors import RemoteUnreachableError
from leverframe.redaction import redacted
from leverframe.words import first_line

_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound")
_NO_CREDENTIALS = (
    *("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"),  # of S3
    *("DefaultCredentialsError", "RefreshError", "CredentialUnavailableError", "AuthError"),  # of the other clouds
)
_CONFIGURATION = ("ConfigError", "DvcException", "Invalid")
_REFUSED = ("PermissionError", "PermissionDenied", "ClientAuthenticationError", "HostKeyNotVerifiable")
_REGION = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException")
_AGAIN = "then run the same command again"


_NO_ANSWER = ("ClientError", "HTTPError", "HTTPClientError", "TransportError")  # bases of the errors of HTTP clients


def failure(name: str, address: str, error: Exception, config: Mapping[str, Any]) -> RemoteUnreachableError:
    """Return what kept a remote from answering; ``config`` is its configuration, of which no secret is printed."""
    chain = list(_chain(error))
    what = f"the remote `{name}`{f' at {without_secrets(address)}' if address else ''} cannot be asked"
    for applies, why, following in _CLASSES:
        if applies(chain):
            code = status(chain)
            number = f" ({code})" if code else ""
            return RemoteUnreachableError(what, why=why + number, next=following.format(name=name, again=_AGAIN))
    origin = chain[-1]
    words = first_line(origin).removeprefix("config file error: ")
    where = "its configuration" if _any(chain, _CONFIGURATION) else type(origin).__name__
    why = redacted(f"{where}: {words.replace(address, without_secrets(address))}", _secrets(config))[:300]
    return RemoteUnreachableError(what, why=why, next=f"check its configuration and the network, {_AGAIN}")


def _secrets(config: Mapping[str, Any]) -> dict[str, str]:
    """Return what has to be hidden: what the environment holds, and the configuration of a remote."""
    named = {name: str(value) for name, value in config.items() if value is not None}
    return {**os.environ, **named, "CONNECTION_SECRET": named.get("connection_string", "")}


def without_secrets(url: str) -> str:
    """Return an address without what stands in it for a password or a token."""
    return re.sub(r"[?#].*$", "", re.sub(r"(?<=://)[^/@]*@", "", url))


def is_missing(error: BaseException) -> bool:
    """Tell whether a file is not there; some clients have the same error for a server that does not answer at all."""
    if not isinstance(error, FileNotFoundError):
        return False
    chain = list(_chain(error))
    if holds_nothing(error) or _no_listing(chain):
        return False
    code = status(chain)
    if code is not None:
        return code in (404, 410)
    return not any(
        isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError) for cause in chain
    ) and not _any(chain, _NO_ANSWER)


def holds_nothing(error: BaseException) -> bool:
    """Tell whether the bucket or container of a remote does not exist, so that it holds nothing at all."""
    return _no_bucket(list(_chain(error)))


def first(error: BaseException) -> BaseException:
    """Return the error that was there before all others."""
    return list(_chain(error))[-1]


def status(chain: Sequence[BaseException]) -> int | None:
    """Return the status of HTTP that an error tells, whatever the client calls it; None where it tells none."""
    for error in chain:
        response = getattr(error, "response", None)
        answer = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
        codes = (getattr(source, name, None) for source in (error, response) for name in _STATUS)
        for code in itertools.chain((answer.get("HTTPStatusCode"),), codes):
            if isinstance(code, int) and 300 <= code < 600:
                return code
    return None


_STATUS = ("status", "status_code", "code")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those behind it, the first that there was at last."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _any(chain: Sequence[BaseException], names: Sequence[str]) -> bool:
    """Tell whether an error, or the code that a cloud gave it, has one of some names."""
    for error in chain:
        response = getattr(error, "response", None)
        code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
        if {code, getattr(error, "error_code", None), *(kind.__name__ for kind in type(error).__mro__)} & {*names}:
            return True
    return False


def _is(*kinds: type[BaseException]) -> Callable[[Sequence[BaseException]], bool]:
    return lambda chain: any(isinstance(error, kinds) for error in chain)


def _called(*names: str) -> Callable[[Sequence[BaseException]], bool]:
    return lambda chain: _any(chain, names)


def _answered(*codes: int) -> Callable[[Sequence[BaseException]], bool]:
    return lambda chain: status(chain) in codes


def _no_bucket(chain: Sequence[BaseException]) -> bool:
    return _any(chain, _NO_BUCKET) or any("bucket does not exist" in str(error) for error in chain)


def _no_listing(chain: Sequence[BaseException]) -> bool:
    """Tell whether a bucket cannot be listed as it is not found, and that is not S3's way to say so."""
    return any(getattr(error, "operation_name", "") == "ListObjectsV2" for error in chain) and status(chain) == 404


_CLASSES: tuple[tuple[Callable[[Sequence[BaseException]], bool], str, str], ...] = (
    (
        lambda chain: _no_listing(chain) and not _no_bucket(chain),
        "something answers there that is not S3",
        "fix `endpointurl` of the remote, {again}",
    ),
    (_no_bucket, "its bucket does not exist", "create it, or fix `url` of the remote, {again}"),
    (
        _called(*_NO_CREDENTIALS),
        "there are no credentials for it here",
        "set those that DVC takes, in the environment or in `.dvc/config.local`, {again}",
    ),
    (
        _answered(429, 503),
        "it asks for fewer requests, also after each retry",
        "wait, {again}; `dvc remote modify {name} jobs 4` asks for less at once",
    ),
    (
        _called(*_REGION),
        "its bucket is in another region",
        "`dvc remote modify {name} region REGION`, {again}",
    ),
    (
        lambda chain: status(chain) in (401, 403, 407) or _any(chain, _REFUSED),
        "it refuses these credentials; without permission to list the bucket, S3 says so of missing objects as well",
        "use credentials that may read and list it, {again}",
    ),
    (
        lambda chain: _is(ssl.SSLError)(chain) or _any(chain, ("SSLError", "SSLCertVerificationError")),
        "TLS failed: another certificate, or a server that speaks plain HTTP",
        "fix the address, or name its authority: `dvc remote modify {name} ssl_verify FILE`, {again}",
    ),
    (_is(socket.gaierror), "the name of its host is unknown (DNS)", "fix the address or the network, {again}"),
    (
        lambda chain: _is(TimeoutError)(chain) or any("Timeout" in type(error).__name__ for error in chain),
        "it did not answer in time",
        "check network and server, {again}",
    ),
    (
        lambda chain: _is(ConnectionError)(chain) or _any(chain, ("EndpointConnectionError", "ClientConnectionError")),
        "nobody answers there",
        "check address, network and server, {again}",
    ),
    (lambda chain: 500 <= (status(chain) or 0) < 600, "its server has a fault", "wait, {again}"),
)
