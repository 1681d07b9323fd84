"""The few settings of DVC that decide where data are and how commands look."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from leverframe.domain.pipeline.status.template import FlagStyle

Sections = dict[str, dict[str, str]]
_TITLE = re.compile(r"""\[\s*('[^']*'|"[^"]*"|[^\]]*?)\s*\]\s*(?:\#.*)?""")
_PLACES = ("url", "endpointurl", "account_name")  # settings of a remote that tell where its objects are
_PATHS = (  # settings of a remote that DVC reads as paths
    *("url", "credentialpath", "configpath", "keyfile", "cert_path", "key_path"),
    *("gdrive_user_credentials_file", "gdrive_service_account_json_file_path"),
)


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


def unreadable(root: Path) -> str:
    """Return which line of a configuration of this repository DVC cannot read; empty where it reads all."""
    for file in _files(root)[2:]:
        try:
            lines = file.read_bytes().decode("utf-8").splitlines()
        except FileNotFoundError:
            continue
        except UnicodeDecodeError:
            return f".dvc/{file.name} is not UTF-8"
        if any(quotes in line for line in lines for quotes in ('"""', "'''")):
            continue  # a value of several lines
        for number, line in enumerate(map(str.strip, lines), start=1):
            section = line.startswith("[") and line.partition("#")[0].rstrip().endswith("]")
            if line and not line.startswith("#") and not section and "=" not in line[1:]:
                return f".dvc/{file.name}, line {number}, is neither a section nor `name = value`"
    return ""


def home_of(start: Path) -> Path | None:
    """Return the nearest folder at or above ``start`` that holds `.dvc`; None where there is none."""
    here = Path(os.path.normpath(start.absolute()))
    return next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), None)


def configured_remote(root: Path, name: str = "") -> tuple[str, str, Path, str] | None:
    """Return name, address and the folder that a relative address starts from, of a remote, by default the default.

    The last part is another one wherever the objects may be elsewhere: of all remotes, as one may stand for another.
    """
    default, remotes, places = "", {}, dict[tuple[str, str], str]()
    for file in _files(root):
        sections = _sections(file)
        default = sections.get("core", {}).get("remote", default)
        for title, values in sections.items():
            kind, _, called = title.partition(" ")
            if kind != "remote":
                continue
            if "url" in values:
                remotes[called.strip("\"'")] = (values["url"], file.parent)
            places |= {(title, key): values[key] for key in _PLACES if key in values}
    name = (name or default).lower()  # as DVC reads names
    place = "\n".join([name, *(f"{title} {key} {value}" for (title, key), value in sorted(places.items()))])
    return (name, *remotes[name], place) if name in remotes else None


def lent(root: Path, other: Path, changes: Sections, *, remotes: bool) -> str:
    """Return a `config.local` for another checkout, ``other``: ``changes``, and what this one's says of ``remotes``.

    That is addresses and keys, and what its own `config` lacks, as its commit may be older than the remote: where that
    knows the remote, what is in ours may be of a change. What is relative starts from this checkout.
    """
    folder, known = root / ".dvc", _sections(other / ".dvc" / "config")
    shared, local = (_sections(folder / name) if remotes else {} for name in ("config", "config.local"))
    kept: Sections = {title: values for title, values in shared.items() if _lacks(known, title)}
    ours = {title: values for title, values in local.items() if title == "core" or title.startswith("remote ")}
    for title, values in ours.items():
        kept[title] = kept.get(title, {}) | values
    kept = {title: {name: _absolute(name, text, folder) for name, text in of.items()} for title, of in kept.items()}
    for title, values in changes.items():  # as they stand: what is relative starts from the other checkout
        kept[title] = kept.get(title, {}) | values
    lines = list[str]()
    for title, values in kept.items():
        lines.append(f"['{title}']" if " " in title else f"[{title}]")
        lines += [f"    {name} = {_quoted(value)}" for name, value in values.items()]
    return "\n".join(lines) + "\n"


def _lacks(known: Sections, title: str) -> bool:
    """Tell whether a configuration has no such remote, or no default one."""
    if title == "core":
        return "remote" not in known.get("core", {})
    return title.startswith("remote ") and title not in known


def _absolute(name: str, value: str, folder: Path) -> str:
    if name not in _PATHS or "://" in value or value.startswith("~"):
        return value
    return os.path.normpath(folder.resolve() / value)


def _quoted(value: str) -> str:
    return f"'{value}'" if '"' in value else f'"{value}"'


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
        if title := _TITLE.fullmatch(line):
            current = sections.setdefault(_unquoted(title[1]).lower(), {})
        elif "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            current[name.strip().lower()] = _unquoted(value)
    return sections


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if text[:1] in ("'", '"') and text[-1:] == text[:1] and len(text) > 1 else text
