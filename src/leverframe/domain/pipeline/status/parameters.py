"""Whether the parameters of a stage have the values that the lock recorded, compared as parsed values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from leverframe.domain.pipeline.status.python_values import python_values
from leverframe.domain.pipeline.status.reasons import Finding, StaleReason
from leverframe.domain.pipeline.status.resolved import ParameterFile
from leverframe.errors import SettingsError
from leverframe.yaml_files import parse

_NOTHING = object()
_LONGEST = 60  # characters of a value in a table


def parsed(text: str, path: str) -> dict[str, Any]:
    """Return the content of a parameter file: YAML, JSON, TOML or Python by its name, of the last one its literals.

    Raises ``SettingsError`` when it cannot be read.
    """
    if path.endswith(".py"):
        return python_values(text, path)[0]
    if not path.endswith((".json", ".toml")):
        return parse(text, name=path, what="a parameter file") if text.strip() else {}
    try:
        content = json.loads(text) if path.endswith(".json") else _toml(text)
    except ValueError as error:
        raise SettingsError(f"cannot read {path}", why=str(error), next="fix the line named above") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path} holds no sections", why="it is not a mapping", next="give every value a name")
    return content


def _toml(text: str) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - few repositories need it

    return tomllib.loads(text)


def findings(
    parameters: ParameterFile, current: Mapping[str, Any] | None, recorded: Mapping[str, Any] | None
) -> list[Finding]:
    """Return the differences between the file and the lock; None means no such file or entry."""
    if current is None:
        return [Finding(StaleReason.PARAMETER_FILE_MISSING, parameters.path)]
    known = recorded or {}
    keys = parameters.keys or tuple(dict.fromkeys([*map(str, current), *known]))
    differences = []
    for key in keys:
        gone = StaleReason.PARAMETER_MISSING if parameters.keys else StaleReason.PARAMETER_REMOVED
        finding = _finding(_subject(parameters.path, key), _select(current, key), known.get(key, _NOTHING), gone)
        differences += [finding] if finding else []
    return differences


def _finding(subject: str, now: Any, before: Any, gone: StaleReason) -> Finding | None:
    if now is _NOTHING:
        return Finding(gone, subject, old=None if before is _NOTHING else shown(before))
    if before is _NOTHING:
        return Finding(StaleReason.PARAMETER_ADDED, subject, new=shown(now))
    if now == before:
        return None
    inner = _first_difference(before, now)
    if inner is None:
        return Finding(StaleReason.PARAMETER_CHANGED, subject, shown(before), shown(now))
    path, old, new = inner
    return Finding(StaleReason.PARAMETER_CHANGED, f"{subject}.{path}", shown(old), shown(new))


def _first_difference(before: Any, now: Any) -> tuple[str, Any, Any] | None:
    """Return the one place where two sections differ, if there is only one."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return None
    differing = [key for key in {**before, **now} if before.get(key, _NOTHING) != now.get(key, _NOTHING)]
    if len(differing) != 1:
        return None
    (key,) = differing
    old, new = before.get(key, _NOTHING), now.get(key, _NOTHING)
    inner = _first_difference(old, new)
    return (f"{key}.{inner[0]}", inner[1], inner[2]) if inner else (str(key), old, new)


def _select(content: Any, key: str) -> Any:
    value = content
    for part in key.lstrip(".").split("."):
        if isinstance(value, Mapping):
            value = next((inner for name, inner in value.items() if str(name) == part), _NOTHING)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return _NOTHING
    return value


def _subject(path: str, key: str) -> str:
    return key if path == "params.yaml" else f"{path}:{key}"


def shown(value: Any) -> str:
    """Return a value as one line, cut if it is long."""
    if value is _NOTHING:
        return "(nothing)"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
