"""The packages of this environment as a lock file for CI, with hashes."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from leverframe.adapters.uv import locked
from leverframe.domain.pipeline.init import CopyFile, Step, Todo, WriteFile
from leverframe.domain.pipeline.requirements import (
    LOCK,
    REQUIREMENTS,
    RUNTIME,
    Unavailable,
    pinned,
    requirement,
    with_build_tool,
)
from leverframe.errors import InstallationError
from leverframe.package import installed_extras, installed_versions, origin, supported_python

_HEAD = f"# Written by `leverframe init` from {REQUIREMENTS}: the versions that were installed where it ran.\n"
_AGAIN = "then `leverframe init` again"


def requirement_steps(root: Path, extras: Collection[str]) -> list[Step]:
    """Return what gives CI a lock file with Leverframe in it; nothing where there is one.

    ``extras`` are those that CI needs at least; those that are installed here come with them. A requirements file that
    is there is locked as it is, and the lock has what builds packages without a wheel, too.
    """
    if (root / LOCK).exists():
        return []
    wanted = requirement(origin(), installed_extras(RUNTIME) | set(extras))
    if isinstance(wanted, Unavailable):
        return [Todo(LOCK, f"CI installs from it. {wanted.why}", f"install Leverframe from its wheel, {_AGAIN}")]
    steps, wheels, file = list[Step](), dict[str, Path](), root / REQUIREMENTS
    text = file.read_text(encoding="utf-8") if file.is_file() else wanted.text()
    if "leverframe" not in text.lower():
        why = f"CI installs from it. {REQUIREMENTS} does not name Leverframe"
        return [Todo(LOCK, why, f"add the line `{wanted.line}`, {_AGAIN}")]
    if wanted.wheel and wanted.vendored and wanted.vendored in text:
        there, source = root / wanted.vendored, Path(wanted.wheel)
        wheels[wanted.vendored] = there if there.is_file() else source
        if not wheels[wanted.vendored].is_file():
            why = f"CI installs from it. Leverframe came from {source}, which is gone"
            return [Todo(LOCK, why, f"install Leverframe from its wheel, {_AGAIN}")]
        steps += [] if there.is_file() else [CopyFile(wanted.vendored, str(source), "no index has it for CI")]
    if not file.is_file():
        steps.append(WriteFile(REQUIREMENTS, text, "what CI installs"))
    try:
        lock = locked(with_build_tool(text), pinned(installed_versions()), wheels, supported_python())
    except InstallationError as error:
        absent = "; where no index has Leverframe, install it from its wheel file"
        following = error.next + (absent if wanted.wheel is None and "leverframe" in error.why else "")
        return [*steps, Todo(LOCK, f"CI installs from it. {error.what}: {error.why}", f"{following}, {_AGAIN}")]
    return [*steps, WriteFile(LOCK, _HEAD + lock, "CI installs the same packages, by their hashes")]
