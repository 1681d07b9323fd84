"""The packages that DVC needs for each kind of remote, and how they are installed."""

from __future__ import annotations

from importlib.util import find_spec

from leverframe.errors import InstallationError, RemoteUnreachableError
from leverframe.package import installing

_EXTRAS = {
    **{name: name for name in ("azure", "gdrive", "gs", "hdfs", "http", "oss", "s3", "ssh", "webdav", "webhdfs")},
    "https": "http",
    "webdavs": "webdav",
}  # of DVC, by the scheme of an address
_OURS = ("s3",)  # those that Leverframe has, too
_OTHERS = ("file", "local", "memory", "remote")  # a folder, what lives as long as a process, a remote by its name


def check_plugin(name: str, address: str) -> None:
    """Raise ``InstallationError`` where what DVC needs for a remote is not installed; nothing of it is imported.

    Raises ``RemoteUnreachableError`` as ``check_scheme`` does.
    """
    check_scheme(name, address)
    extra = _EXTRAS.get(address.partition("://")[0])
    if extra and find_spec(f"dvc_{extra}") is None:
        raise not_installed(name, address)


def check_scheme(name: str, address: str) -> None:
    """Raise ``RemoteUnreachableError`` for a remote whose address is of a scheme that DVC does not know."""
    if why := unknown_scheme(address):
        raise RemoteUnreachableError(
            f"the remote `{name}` of DVC cannot be used",
            why=why,
            next=f"`dvc remote modify {name} url ADDRESS`, then run the same command again",
        )


def unknown_scheme(address: str) -> str:
    """Return that DVC does not know the scheme of an address, and which ones it knows; empty where it does."""
    scheme, is_url, _ = address.partition("://")
    if not is_url or scheme.lower() in (*_EXTRAS, *_OTHERS):
        return ""
    here = [f"{name}://" for name, extra in _EXTRAS.items() if find_spec(f"dvc_{extra}")]
    known = f"what is installed here knows folders{''.join(f', {name}' for name in here)}"
    return f"DVC knows no scheme `{scheme[:40]}`; {known}"


def not_installed(name: str, address: str) -> InstallationError:
    """Return the error for a remote of which a package is missing, with the extra that brings it."""
    scheme = address.partition("://")[0]
    extra = _EXTRAS.get(scheme, scheme)
    package = "leverframe" if extra in _OURS else "dvc"
    return InstallationError(
        f"the remote `{name}` of DVC cannot be used",
        why=f"what {scheme}:// needs is not installed: the extra `{package}[{extra}]`",
        next=f"`{installing(package, [extra])}`, then run the same command again",
    )
