"""The few settings of DVC that decide where data are and how commands look."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from leverframe.domain.pipeline.status.template import FlagStyle

Sections = dict[str, dict[str, str]]


@dataclass(frozen=True)
class DvcConfig:
    """What of the configuration of DVC matters here; ``cache`` is the folder of the local cache."""

    cache: Path
    flag_style: FlagStyle

    @classmethod
    def read(cls, root: Path) -> DvcConfig:
        """Read the configuration of the system, the user, the repository and this checkout, the last one deciding."""
        cache, parsing = root / ".dvc" / "cache", dict[str, str]()
        for file in _files(root):
            sections = _sections(file)
            folder = sections.get("cache", {}).get("dir")
            cache = Path(file.parent, Path(folder).expanduser()) if folder else cache
            parsing |= sections.get("parsing", {})
        return cls(cache, FlagStyle(parsing.get("bool") == "boolean_optional", parsing.get("list") == "append"))


def home_of(start: Path) -> Path | None:
    """Return the nearest folder at or above ``start`` that holds `.dvc`; None where there is none."""
    here = Path(os.path.normpath(start.absolute()))
    return next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), None)


def configured_remote(root: Path) -> tuple[str, str, Path] | None:
    """Return name, address and the folder that a relative address starts from, of the default remote."""
    name, found = "", {}
    for file in _files(root):
        sections = _sections(file)
        name = sections.get("core", {}).get("remote", name)
        for title, values in sections.items():
            kind, _, called = title.partition(" ")
            if kind == "remote" and "url" in values:
                found[called.strip("\"'")] = (values["url"], file.parent)
    return (name, *found[name]) if name in found else None


def _files(root: Path) -> list[Path]:
    shared, own = _folders_of_the_system()
    system = os.environ.get("DVC_SYSTEM_CONFIG_DIR") or shared / "dvc"
    user = os.environ.get("DVC_GLOBAL_CONFIG_DIR") or own / "dvc"
    return [Path(system, "config"), Path(user, "config"), root / ".dvc" / "config", root / ".dvc" / "config.local"]


def _folders_of_the_system() -> tuple[Path, Path]:
    """Return where configurations of all users and of this user are, by the custom of the system."""
    if sys.platform == "darwin":
        return Path("/Library/Application Support"), Path.home() / "Library" / "Application Support"
    shared = os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    return Path(shared.split(":")[0]), Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def _sections(file: Path) -> Sections:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    sections: Sections = {}
    current: dict[str, str] = {}
    for line in map(str.strip, lines):
        if line.startswith("[") and line.endswith("]"):
            current = sections.setdefault(line[1:-1].strip("'\""), {})
        elif "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            current[name.strip()] = value.strip().strip("\"'")
    return sections
