"""A resolved pipeline definition: stages, and the files and parameters that they read and write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from leverframe.errors import DefinitionError

Command = str | list[str] | None
Kind = Literal["output", "metrics", "plots"]


@dataclass(frozen=True)
class Artefact:
    """A file or directory that a stage reads or writes.

    ``path`` is relative to the root of the repository, ``entry`` is what the definition and
    the lock call it (relative to the working directory of the stage). ``cached``
    tells whether DVC keeps a copy of it; dependencies are never cached by the stage that reads them.
    ``kind`` is what the definition calls an output, and ``flags`` what it says of it.
    """

    path: str
    entry: str
    cached: bool = False
    kind: Kind = "output"
    flags: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def pushed(self) -> bool:
        """Tell whether `dvc push` sends the output to a remote."""
        return self.cached and self.flags.get("push") is not False


@dataclass(frozen=True)
class View:
    """A file, or folder, of metrics or of a plot, with what the definition says of how it is shown."""

    path: str
    shown: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class ParameterFile:
    """The parameters that a stage reads from one file; without ``keys``, all of them."""

    path: str
    entry: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Stage:
    """One stage as DVC would run it, every template resolved.

    ``group`` and ``key`` are set for stages that a ``foreach`` or a ``matrix`` made. A stage
    without a ``command`` is a source that `dvc add` made, or ``imported``; ``file`` is where it is declared, ``folder``
    where its command runs. ``elsewhere`` are dependencies and outputs that are no files of the repository, such as
    addresses of a cloud: nobody compares them here.
    """

    name: str
    file: str
    command: Command = None
    group: str | None = None
    key: str | None = None
    dependencies: tuple[Artefact, ...] = ()
    parameters: tuple[ParameterFile, ...] = ()
    outputs: tuple[Artefact, ...] = ()
    frozen: bool = False
    always_changed: bool = False
    folder: str = "."
    imported: bool = False
    elsewhere: tuple[str, ...] = ()

    @property
    def is_source(self) -> bool:
        """Tell whether this is data added by `dvc add`, which no command writes."""
        return self.command is None

    @property
    def name_in_file(self) -> str:
        """Return what the definition and the lock beside it call the stage: its name without a path."""
        return self.name.removeprefix(f"{self.file}:")

    @property
    def always_runs(self) -> bool:
        """Tell whether DVC always runs the stage: it is declared so, or has nothing to compare."""
        compared = self.dependencies or self.parameters or self.outputs or self.elsewhere
        return self.always_changed or not (self.is_source or compared)


@dataclass(frozen=True)
class Recorded:
    """The record of an artefact in the lock: MD5 (with `.dir` for a directory), bytes, number of files.

    One of DVC 2 is ``legacy``: the MD5 of a text with the line ends of Unix, and in another folder of the cache.
    """

    md5: str
    size: int | None = None
    files: int | None = None
    legacy: bool = False


@dataclass(frozen=True)
class Locked:
    """The record of a stage in the lock; artefacts and parameter files by entry."""

    command: Any
    dependencies: dict[str, Recorded]
    parameters: dict[str, dict[str, Any]]
    outputs: dict[str, Recorded]

    @property
    def inputs(self) -> tuple[Any, ...]:
        """All declared inputs of the stage."""
        return self.command, self.dependencies, self.parameters


def is_elsewhere(entry: object) -> bool:
    """Tell whether a dependency or output is no file of the repository: an address, or an absolute path."""
    return isinstance(entry, str) and ("://" in entry or entry.startswith("/"))


def located(entry: object, folder: str, where: str) -> str:
    """Return the path of ``entry`` from the root of the repository, ``folder`` being its working directory.

    Raises ``DefinitionError`` for what is not a path inside the file system, such as a URL.
    """
    if not isinstance(entry, str) or not entry:
        raise DefinitionError(
            f"{where} names no file: {entry!r}",
            why="a dependency, output or parameter file is a path",
            next=f"write a path relative to the folder of the stage in {where}",
        )
    if "://" in entry:
        raise unresolvable(f"the address `{entry}`", where)
    if entry.startswith("/"):
        raise unresolvable(f"the absolute path `{entry}`", where)
    return _normal(folder, entry)


def _normal(folder: str, entry: str) -> str:
    parts: list[str] = []
    for part in PurePosixPath(folder, entry).parts:
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts) or "."


def unresolvable(construct: str, where: str) -> DefinitionError:
    """Return the error for a construct of DVC that `status` does not support."""
    return DefinitionError(
        f"cannot determine the state of {where}: `leverframe status` does not support {construct}",
        why="it reads dvc.yaml itself, and stops rather than guess",
        next="run `dvc status`, which supports every construct, or avoid it in dvc.yaml",
    )
