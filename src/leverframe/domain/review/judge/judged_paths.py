"""What the judge makes of each path of a change: input that it runs with, claim that it compares, or an owner's.

Whatever is not known to be data, a plain setting or a declaration is for an owner: code that nobody of the base has
approved must not run where the verdict is made, and no list of dangers is complete.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from leverframe.domain.review.judge.data_pointers import Pointer, is_data, is_table, pointer
from leverframe.domain.review.judge.plain_settings import beyond_values, odd_form
from leverframe.domain.review.judge.tree_change import TreeChange
from leverframe.settings import LEVERS

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.@=+-]+(?:/[A-Za-z0-9_.@=+-]+)*")
_TEXTS = (".md", ".rst", ".adoc")
_SPECIAL = {".github", ".git", ".dvc", ".gitattributes", ".gitmodules", "codeowners", ".gitignore", ".dvcignore",
            "actions"}  # fmt: skip
_DERIVED = ("dvc.yaml", "leverframe-version.yaml", ".gitignore", ".dvcignore")


@dataclass(frozen=True)
class ProjectPaths:
    """What the base knows of the project in ``folder``, which ends with a slash where it is not the whole.

    All paths are from the project: ``settings`` are its files of parameters, ``star`` its declarations, empty where
    there are none, ``outputs`` what stages write, ``read`` what they read.
    """

    folder: str = ""
    settings: Collection[str] = ()
    star: str = ""
    outputs: Collection[str] = ()
    read: Collection[str] = ()


@dataclass(frozen=True)
class Sorted:
    """The paths of a change by what the judge does with them, from the project; ``owed`` says of each why.

    ``pointers`` are the data of the inputs that are pointers; ``derived`` is held to what the base's code derives.
    ``odd`` are those of the owed that stay so whatever stages write them: links, submodules, names, folders.
    """

    inputs: tuple[TreeChange, ...] = ()
    claims: tuple[TreeChange, ...] = ()
    derived: tuple[TreeChange, ...] = ()
    idle: tuple[TreeChange, ...] = ()
    owed: Mapping[str, str] = field(default_factory=dict)
    pointers: Mapping[str, Pointer] = field(default_factory=dict)
    odd: frozenset[str] = frozenset()


def sorted_paths(changes: Iterable[TreeChange], paths: ProjectPaths, contents: Mapping[str, bytes]) -> Sorted:
    """Return what to do with each path; ``contents`` are those of blobs, large ones left out."""
    groups: dict[str, list[TreeChange]] = {"inputs": [], "claims": [], "derived": [], "idle": []}
    owed: dict[str, str] = {}
    pointers: dict[str, Pointer] = {}
    every, odd = list(changes), set[str]()
    folders = {parent.as_posix() for change in every for parent in PurePosixPath(change.path).parents}
    for change in every:
        kind, why = _kind(change, paths, contents, pointers)
        if change.path in folders:  # a file gives its place to a folder
            kind, why = "owed", "a folder stands in its place"
            odd.add(change.path)
        elif _odd(change):
            odd.add(change.path)
        if kind == "owed":
            owed[change.path] = why
            pointers.pop(change.path, None)
        else:
            groups[kind].append(change)
    return Sorted(
        **{kind: tuple(group) for kind, group in groups.items()}, owed=owed, pointers=pointers, odd=frozenset(odd)
    )


def _kind(
    change: TreeChange, paths: ProjectPaths, contents: Mapping[str, bytes], pointers: dict[str, Pointer]
) -> tuple[str, str]:
    odd = _odd(change)
    if odd:
        return "owed", odd
    if not change.path.startswith(paths.folder):
        return _elsewhere(change, paths)
    name = change.path.removeprefix(paths.folder)
    if name == "dvc.lock" or within(name, paths.outputs):
        return "claims", ""
    if name in _DERIVED:
        return "derived", ""
    sides = contents.get(change.before), contents.get(change.after)
    if name.endswith(".dvc"):
        return _pointed(change, name, sides, pointers)
    return _written(change.path, name, sides, paths)


def _written(path: str, name: str, sides: tuple[bytes | None, bytes | None], paths: ProjectPaths) -> tuple[str, str]:
    """Return what to do with a file that people write."""
    if is_table(name):
        return "inputs", ""
    if name != paths.star and name not in paths.settings and name != str(LEVERS):
        return _text(path, name, paths)
    why = _declared(name, sides) if name == paths.star else beyond_values(name, *sides)
    return ("owed", why) if why else ("inputs", "")


def _odd(change: TreeChange) -> str:
    """Return what is odd about a path itself; empty for a plain file with a plain name."""
    if not change.regular:
        return "it is a link, a submodule, or a file that may be executed"
    return "" if _PLAIN_NAME.fullmatch(change.path) else "its name has letters that may be taken for others"


def _declared(name: str, sides: tuple[bytes | None, bytes | None]) -> str:
    """Return why declarations are not taken as they are; empty where they are, as their vocabulary runs no code."""
    before, after = sides
    return f"`{name}` was added or removed, or is too large" if before is None or after is None else odd_form(after)


def _pointed(
    change: TreeChange, name: str, sides: tuple[bytes | None, bytes | None], pointers: dict[str, Pointer]
) -> tuple[str, str]:
    before, after = sides
    if after is None:
        return ("inputs", "") if change.removed else ("owed", "it is too large for a pointer")
    parsed = pointer(name, after)
    if isinstance(parsed, str):
        return "owed", parsed
    if before is None and not is_data(parsed.path):
        return "owed", "a pointer to a folder was added"
    pointers[change.path] = parsed
    return "inputs", ""


def _text(path: str, name: str, paths: ProjectPaths) -> tuple[str, str]:
    """Return that a text for people concerns no stage, else that nobody knows."""
    parts = {part.lower() for part in PurePosixPath(path).parts}
    if parts & _SPECIAL or PurePosixPath(path).suffix not in _TEXTS:
        return "owed", "the judge runs no code of a change"
    return ("owed", "a stage reads it") if within(name, paths.read) else ("idle", "")


def _elsewhere(change: TreeChange, paths: ProjectPaths) -> tuple[str, str]:
    """Return that a path outside of the project concerns it not, unless it is read, or rules the repository."""
    parts = {part.lower() for part in PurePosixPath(change.path).parts}
    name = _from(change.path, paths.folder)
    if parts & _SPECIAL or within(name, paths.read):
        return "owed", "it is outside of the project, which depends on it"
    if _of_all(change.path):
        return "owed", "it may be of all projects: what installs or runs them"
    return "idle", ""


def _of_all(path: str) -> bool:
    """Tell whether a path may rule every project: a file at the top, such as a Makefile, or a folder of a tool."""
    top, *below = PurePosixPath(path).parts
    return top.startswith(".") or (not below and PurePosixPath(path).suffix not in _TEXTS)


def _from(path: str, folder: str) -> str:
    """Return a path as it is from a folder; both are from the top of the repository."""
    ours, theirs = PurePosixPath(folder).parts, PurePosixPath(path).parts
    common = 0
    while common < min(len(ours), len(theirs)) and ours[common] == theirs[common]:
        common += 1
    return PurePosixPath(*[".."] * (len(ours) - common), *theirs[common:]).as_posix()


def within(name: str, folders: Collection[str]) -> bool:
    """Tell whether a path is one of some files or folders, or in one."""
    return any(name == folder or name.startswith(f"{folder}/") for folder in folders)
