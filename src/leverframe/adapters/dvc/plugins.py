"""The packages that DVC needs for each kind of remote, and how they are installed."""

from __future__ import annotations

from importlib.util import find_spec

from leverframe.errors import InstallationError
from leverframe.package import installing

_EXTRAS = {
    **{name: name for name in ("azure", "gdrive", "gs", "hdfs", "http", "oss", "s3", "ssh", "webdav", "webhdfs")},
    "https": "http",
    "webdavs": "webdav",
}  # of DVC, by the scheme of an address
_OURS = ("s3",)  # those that Leverframe has, too


def check_plugin(name: str, address: str) -> None:
    """Raise ``InstallationError`` where what DVC needs for a remote is not installed; nothing of it is imported."""
    extra = _EXTRAS.get(address.partition("://")[0])
    if extra and find_spec(f"dvc_{extra}") is None:
        raise not_installed(name, address)


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
