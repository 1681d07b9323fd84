"""The description of the data at one revision: profiles, sketches, contracts, definition, settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from leverframe.documents import validated
from leverframe.domain import layout
from leverframe.domain.features.plan import Plan, compile_star
from leverframe.domain.features.star import Star
from leverframe.errors import LeverframeError, RepositoryError
from leverframe.settings import PARAMS
from leverframe.yaml_files import parse

WORKING_TREE = "the working tree"

Tables = Mapping[str, Mapping[str, Any]]  # by partition, then by table


@dataclass(frozen=True)
class Revision:
    """The input of a comparison; what a revision lacks is empty, or None with the reason in ``notes``."""

    name: str
    profiles: Tables = field(default_factory=dict)
    sketches: Tables = field(default_factory=dict)
    contracts: Tables = field(default_factory=dict)
    plan: Plan | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def wanted() -> tuple[str, ...]:
    """Return the files and folders that a comparison needs, except star.yaml, which ``star_path`` names."""
    folders = (layout.CONTRACTS, layout.PROFILES, layout.FEATURE_PROFILES, layout.SKETCHES)
    return (str(PARAMS), *(folder.as_posix() for folder in folders))


def star_path(files: Mapping[str, bytes]) -> str | None:
    """Return the path of star.yaml; None if the settings do not name the case."""
    settings = _settings("", files)
    case = settings.get("data", {}).get("case") if isinstance(settings.get("data"), dict) else None
    return f"{case.replace('.', '/')}/star.yaml" if isinstance(case, str) else None


def read(name: str, files: Mapping[str, bytes]) -> Revision:
    """Return the content of a revision; raises ``RepositoryError`` for a damaged file."""
    plan, notes = _plan(name, files)
    profiles = _tables(name, files, layout.PROFILES.as_posix())
    for partition, tables in _tables(name, files, layout.FEATURE_PROFILES.as_posix()).items():
        profiles[partition] = {**profiles.get(partition, {}), **tables}
    sketches = _tables(name, files, layout.SKETCHES.as_posix())
    for partition, tables in _tables(name, files, layout.FEATURE_SKETCHES.as_posix()).items():
        sketches[partition] = {**sketches.get(partition, {}), **tables}
    contracts = _tables(name, files, layout.CONTRACTS.as_posix())
    return Revision(name, profiles, sketches, contracts, plan, _settings(name, files), tuple(notes))


def _tables(name: str, files: Mapping[str, bytes], folder: str) -> dict[str, dict[str, Any]]:
    by_partition = {}
    for path, content in files.items():
        place = PurePosixPath(path)
        if str(place.parent) == folder and place.suffix == ".json":
            try:
                by_partition[place.stem] = dict(json.loads(content)["tables"])
            except (ValueError, KeyError, TypeError) as error:
                raise _damaged(name, path) from error
    return by_partition


def _damaged(name: str, path: str) -> RepositoryError:
    return RepositoryError(
        f"{path} of {name} cannot be read",
        why="it is not JSON as Leverframe writes it: truncated, merged by hand, or of another program",
        next="run `dvc repro`, which writes it again, and commit it; or name another revision with --base",
    )


def _plan(name: str, files: Mapping[str, bytes]) -> tuple[Plan | None, Sequence[str]]:
    path = star_path(files)
    if path is None or path not in files:
        return None, [f"{name} has no star.yaml, so definitions are not compared"]
    try:
        content = parse(files[path].decode(errors="replace"), name=path, what="definition")
        return compile_star(validated(Star, content, name=path, guide="")), []
    except LeverframeError as error:
        return None, [f"star.yaml of {name} cannot be used, so definitions are not compared: {error.what}"]


def _settings(name: str, files: Mapping[str, bytes]) -> Mapping[str, Any]:
    content = files.get(str(PARAMS), b"")
    if not content.strip():
        return {}
    return parse(content.decode(errors="replace"), name=f"{PARAMS} of {name}", what="the settings")
