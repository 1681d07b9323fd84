"""What CI installs: a requirement for the Leverframe that runs here, to be locked with hashes."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

REQUIREMENTS, LOCK = "requirements.in", "requirements.lock"
VENDORED = "vendor"  # the usual .gitignore of a Python project hides `wheels` and `dist`
BUILD_TOOL = (
    "setuptools"  # of packages that have no wheel and name none, such as antlr4-python3-runtime, which DVC needs
)
RUNTIME = ("serving", "github", "infrastructure", "monitoring", "redis", "s3", "spark")  # extras that CI may need
_HEAD = f"""\
# What CI installs. Add what your model imports; then delete {LOCK} and run `leverframe init` again.
"""
_BUILD = f"""\
# It builds packages that have no wheel. Name what else does so: CI builds with what {LOCK} has a hash for.
{BUILD_TOOL}
"""


@dataclass(frozen=True)
class Requirement:
    """A line for a requirements file; ``wheel`` is the file that it needs below ``vendor``, where it was, if any."""

    line: str
    wheel: str | None = None

    @property
    def vendored(self) -> str | None:
        """The path of the wheel in the repository."""
        return f"{VENDORED}/{PurePosixPath(self.wheel).name}" if self.wheel else None

    def text(self) -> str:
        """Return the requirements file."""
        return f"{_HEAD}{self.line}\n{_BUILD}"


@dataclass(frozen=True)
class Unavailable:
    """Why nobody else can install the Leverframe that runs here."""

    why: str


def requirement(direct: Mapping[str, object] | None, extras: Collection[str]) -> Requirement | Unavailable:
    """Return the requirement for the installed Leverframe with some extras.

    ``direct`` is what the installer recorded of an origin that is no index (PEP 610). From an index the name is
    enough; a wheel file has to be in the repository, as nobody else has that file; an address is installed by anybody.
    """
    name = f"leverframe[{','.join(sorted(extras))}]"
    if direct is None:
        return Requirement(name)
    address = str(direct.get("url", ""))
    parts = urlsplit(address)
    path = unquote(parts.path)
    if "archive_info" not in direct or not path.endswith(".whl"):
        kind = "a folder" if "dir_info" in direct else "no wheel"
        return Unavailable(f"Leverframe was installed from {kind}, which CI cannot verify by a hash")
    if parts.scheme == "file":
        bundled = Requirement(name, wheel=path)
        return Requirement(f"{name} @ ./{bundled.vendored}", wheel=path)
    if parts.username or parts.query:
        return Unavailable("Leverframe was installed from an address with a secret in it")
    return Requirement(f"{name} @ {address}")


def with_build_tool(text: str) -> str:
    """Return a requirements file that names what builds packages without a wheel, for the lock to have its hash."""
    named = any(re.match(rf"{BUILD_TOOL}(?![\w.-])", line.strip().lower()) for line in text.splitlines())
    return text if named else f"{text.rstrip()}\n{BUILD_TOOL}\n"


def pinned(installed: Mapping[str, str]) -> list[str]:
    """Return the versions that are installed as constraints; none for builds of one's own, which no index has."""
    return [f"{name}=={version}" for name, version in sorted(installed.items()) if "+" not in version]
