"""What `dvc.lock` and a `.dvc` file say about the last run of a stage."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

from leverframe.domain.pipeline.status.resolved import (
    Artefact,
    Locked,
    Recorded,
    Stage,
    is_elsewhere,
    located,
    unresolvable,
)
from leverframe.errors import RepositoryError
from leverframe.yaml_files import parse

_STAGE = re.compile(r"^  (\S.*?):[ \t]*$", re.MULTILINE)
_NONE = "stages: {}\n"  # as DVC writes a lock without entries, and must read it
_FOREIGN = ("etag", "checksum", "version_id", "cloud", "files", "dataset", "db", "repo")


def lock_of(file: str) -> str:
    """Return the lock beside a definition."""
    return file.removesuffix(".yaml") + ".lock"


def locked_stages(content: Mapping[str, Any], file: str) -> Mapping[str, Any]:
    """Return the raw entries of a lock by stage; raises ``RepositoryError`` for another schema than 2.0."""
    stages = content.get("stages") or {}
    if content.get("schema") != "2.0" or not isinstance(stages, dict):
        raise RepositoryError(
            f"{file} is not a lock of schema 2.0",
            why="its `stages` are no mapping"
            if content.get("schema") == "2.0"
            else f"its schema is {content.get('schema')!r}",
            next="restore the file from the base branch, then run `dvc repro`, which refuses another one, too",
        )
    return stages


def split(text: str) -> dict[str, str]:
    """Return the text of each entry of a lock by stage; a lock that is not there has none.

    Raises ``RepositoryError`` for a text that is no lock of schema 2.0.
    """
    if not text.strip():
        return {}
    head, _, body = text.replace(_NONE, "stages:\n").partition("stages:\n")
    if head.replace('"', "'").strip() != "schema: '2.0'" or re.search(r"^(<{7}|>{7}|={7})", text, re.MULTILINE):
        raise RepositoryError(
            "this is not a lock of schema 2.0",
            why="it does not begin as DVC writes it, or has conflict markers",
            next="take one side with `git checkout --ours dvc.lock`, then `dvc repro`",
        )
    starts = [(match[1], match.start()) for match in _STAGE.finditer(body)]
    ends = [*(start for _, start in starts), len(body)][1:]
    return {name: body[start:end].rstrip("\n") + "\n" for (name, start), end in zip(starts, ends, strict=True)}


def lock_text(entries: Collection[str]) -> str:
    """Return a lock of entries as ``split`` gives them."""
    return "schema: '2.0'\n" + ("stages:\n" if entries else _NONE) + "".join(entries)


def entries(text: str, file: str) -> dict[str, Locked]:
    """Return each entry of a lock by stage; a lock that is not there has none."""
    return dict(_entries(text, file)) if text.strip() else {}


@lru_cache(maxsize=4)  # a command asks for outputs one by one, and half a hundred stages take 70 ms to parse
def _entries(text: str, file: str) -> dict[str, Locked]:
    stages = locked_stages(parse(text, name=file, what="a lock"), file)
    return {name: locked(entry, f"`{name}` in {file}") for name, entry in stages.items()}


def locked_here(stages: Iterable[Stage], text: Callable[[str], str | None]) -> dict[str, Locked]:
    """Return the entries of all locks of a pipeline by the name of the stage, their paths from its root.

    ``text`` returns the content of a lock, None where there is none. A lock names paths from the folder where the
    command runs, which only the definition tells: an entry whose stage is gone is left out.
    """
    by_stage: dict[str, Locked] = {}
    known: dict[str, dict[str, Locked]] = {}
    for stage in stages:
        file = lock_of(stage.file)
        if stage.is_source:
            continue
        if file not in known:
            known[file] = entries(text(file) or "", file)
        entry = known[file].get(stage.name_in_file)
        if entry is not None:
            by_stage[stage.name] = entry if stage.folder == "." else _from_root(entry, stage)
    return by_stage


def _from_root(entry: Locked, stage: Stage) -> Locked:
    def moved(named: Mapping[str, Any]) -> dict[str, Any]:
        return {located(name, stage.folder, stage.name): value for name, value in named.items()}

    return Locked(entry.command, moved(entry.dependencies), moved(entry.parameters), moved(entry.outputs))


def locked(entry: Mapping[str, Any], where: str) -> Locked:
    """Return one raw entry of a lock; ``where`` is what errors call it."""
    return Locked(
        command=entry.get("cmd"),
        dependencies=_recorded(entry.get("deps"), where),
        parameters={file: dict(values or {}) for file, values in (entry.get("params") or {}).items()},
        outputs=_recorded(entry.get("outs"), where),
    )


def source(content: Mapping[str, Any], file: str) -> tuple[Stage, Locked]:
    """Return data tracked by `dvc add` or `dvc import` as the stage of its `.dvc` file.

    An import is read as frozen, be it or not: whether its origin has moved on cannot be told without a network.
    Raises ``DefinitionError`` for the single-stage form with a command, which DVC 1 wrote.
    """
    if content.get("cmd"):
        raise unresolvable("a command in a `.dvc` file", file)
    folder = located(content.get("wdir") or ".", file.rpartition("/")[0] or ".", file)
    listed = [output for output in content.get("outs") or [] if isinstance(output, dict)]
    entries = [entry for entry in listed if not is_elsewhere(entry.get("path"))]
    elsewhere = tuple(str(entry["path"]) for entry in listed if entry not in entries)
    # The data of another repository stay in its remote.
    of_another = any(isinstance(dependency, dict) and "repo" in dependency for dependency in content.get("deps") or [])
    flagged = [{**entry, "push": False} if of_another else entry for entry in entries]
    outputs = tuple(
        Artefact(located(entry.get("path"), folder, file), str(entry["path"]), entry.get("cache", True), flags=entry)
        for entry in flagged
    )
    imported = bool(content.get("deps"))
    stage = Stage(file, file, outputs=outputs, frozen=True, folder=folder, imported=imported, elsewhere=elsewhere)
    return stage, Locked(None, {}, {}, _recorded(entries, file))


def _recorded(entries: Any, where: str) -> dict[str, Recorded]:
    records = {}
    for entry in entries or []:
        if is_elsewhere(entry.get("path")):
            continue
        foreign = next((key for key in _FOREIGN if key in entry), None)
        if foreign and entry.get("md5") is None:
            raise unresolvable(f"`{foreign}` of `{entry.get('path')}`", where)
        if entry.get("md5") is None:
            continue
        if entry.get("hash", "md5") != "md5":
            raise unresolvable(f"the hash `{entry['hash']}` of `{entry.get('path')}`", where)
        legacy = "hash" not in entry  # as DVC 2 wrote it
        records[str(entry["path"])] = Recorded(str(entry["md5"]), entry.get("size"), entry.get("nfiles"), legacy)
    return records
