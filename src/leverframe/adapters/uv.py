"""Lock files by `uv pip compile`, a child process that works in a folder of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from leverframe.errors import InstallationError
from leverframe.redaction import redacted

_CLAUSE = re.compile(r"(<=|>=|==|!=|<|>)\s*([0-9.]+)")
_TIMEOUT = 600.0  # seconds; a first resolution downloads metadata
_COMPILE = (
    "pip", "compile", "requirements.in", "--quiet", "--generate-hashes", "--universal", "--no-emit-index-url",
    "--no-emit-find-links", "--no-annotate", "--no-header", "--constraint", "constraints.txt",
)  # fmt: skip


def locked(requirements: str, constraints: Sequence[str], wheels: Mapping[str, Path], supported: str) -> str:
    """Return the lock file of a requirements file, with hashes, for every system and this version of Python or newer.

    ``constraints`` are versions to keep to; ``wheels`` are files that the requirements name by a relative path;
    ``supported`` are the versions of Python that are asked for, as ``>=3.11,<3.13``. Raises ``InstallationError``
    where uv is not here or finds no versions.
    """
    program = _program()
    if program is None:
        raise InstallationError(
            "uv is not here", why="it resolves the versions and their hashes", next="`pip install uv`"
        )
    with TemporaryDirectory(prefix="leverframe-") as place:
        folder = Path(place)
        (folder / "requirements.in").write_text(requirements, encoding="utf-8")
        (folder / "constraints.txt").write_text("".join(f"{line}\n" for line in constraints), encoding="utf-8")
        markers = [f"python_version {relation} '{version}'" for relation, version in _CLAUSE.findall(supported)]
        if markers:
            text = f'[tool.uv]\nenvironments = ["{" and ".join(markers)}"]\n'
            (folder / "pyproject.toml").write_text(text, encoding="utf-8")
        for path, source in wheels.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / path)
        python = "{}.{}".format(*sys.version_info)
        return _output([program, *_COMPILE, "--python-version", python, "--python", sys.executable], folder)


def _program() -> str | None:
    """Return the uv of this environment, which needs not be active, else the one on PATH."""
    return shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")


def _output(command: Sequence[str], folder: Path) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", check=False, timeout=_TIMEOUT,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise InstallationError(
            "uv did not end", why=f"it resolved versions for {_TIMEOUT:.0f} seconds",
            next="look whether the package index answers",
        ) from error  # fmt: skip
    if done.returncode != 0:
        words = " ".join(redacted(done.stderr).split()) or "it gave no reason"
        raise InstallationError(
            "uv finds no versions", why=words[:400], next="`uv pip compile requirements.in` says it in full"
        )
    return done.stdout
