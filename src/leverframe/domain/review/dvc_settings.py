"""What a change makes of the settings of DVC: where data come from, and whether they are verified on the way."""

from __future__ import annotations

from collections.abc import Iterator
from configparser import ConfigParser, Error

CONFIG = ".dvc/config"
_NOTED = 5  # settings that are named, the rest is counted


def edited(before: str, now: str) -> tuple[str, ...]:
    """Return a note for each setting of DVC that two texts of its configuration have otherwise.

    Values are not part of it: an address of a remote may hold a password.
    """
    ours, theirs = (_settings(text) for text in (before, now))
    names = [name for name in sorted(ours.keys() | theirs.keys()) if ours.get(name) != theirs.get(name)]
    notes = list(_notes(names, ours, theirs))
    more = len(notes) - _NOTED
    return (*notes[:_NOTED], *([f"{more:,} more settings of `{CONFIG}` are edited"] if more > 0 else []))


def _notes(names: list[str], ours: dict[str, str], theirs: dict[str, str]) -> Iterator[str]:
    for name in names:
        done = "adds" if name not in ours else "removes" if name not in theirs else "edits"
        key = name.rpartition(".")[2]
        effect = ""
        if key == "verify" and theirs.get(name, "false").lower() != "true":
            effect = ": data of the remote are no longer verified by their digests"
        elif key in ("url", "remote"):
            effect = ": data come from another place"
        yield f"this change {done} `{name}` in `{CONFIG}`{effect}"


def _settings(text: str) -> dict[str, str]:
    """Return each setting by section and key; a text that is no configuration has none, as DVC refuses it."""
    parser = ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except Error:
        return {}
    sections = ((section, section.strip("'\"").replace('"', "")) for section in parser.sections())
    return {
        f"{'.'.join(name.split())}.{key}": value for section, name in sections for key, value in parser[section].items()
    }
