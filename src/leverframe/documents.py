"""How a YAML document becomes a strict, frozen model, with errors that name the line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from leverframe.errors import LeverframeError, SettingsError, nearest

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONFLICT = re.compile(r"^(<{7} |={7}$|>{7} )", re.MULTILINE)


class Document(BaseModel):
    """Base of every declared document: frozen, strict, unknown keys refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


Model = TypeVar("Model", bound=Document)


def load(path: Path, *, what: str) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises ``SettingsError`` when the file is missing, holds merge-conflict markers, is not
    YAML, repeats a key, or is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"cannot read {what} {path}",
            why=str(getattr(error, "strerror", None) or error),
            next="run the command in the root of the repository, or name the file",
        ) from error
    return parse(text, name=str(path), what=what)


def parse(text: str, *, name: str, what: str) -> dict[str, Any]:
    """Return the mapping in YAML ``text``; ``name`` is what errors call it."""
    conflict = _CONFLICT.search(text)
    if conflict:
        line = text.count("\n", 0, conflict.start()) + 1
        raise SettingsError(
            f"unresolved merge in {name}, line {line}",
            why=f"the line starts with `{conflict.group().strip()}`, a conflict marker of git",
            next=f"edit {name}, keep what is right of both sides, remove the markers, then `git add {name}`",
        )
    try:
        _refuse_repeated_keys(yaml.compose(text, Loader=_Loader), name)
        content = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader, chosen above
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise SettingsError(
            f"{name} is not YAML{where}",
            why=str(getattr(error, "problem", None) or error).replace("\n", " "),
            next="mend the line named above; indentation is by spaces",
        ) from error
    if not isinstance(content, dict):
        raise SettingsError(
            f"{name} holds no sections",
            why=f"{what} is a mapping of names to values, this is {type(content).__name__}",
            next="start from the example in docs/guides/settings.md",
        )
    return content


def _refuse_repeated_keys(node: yaml.Node | None, name: str) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise SettingsError(
                    f"`{key.value}` stands twice in {name}, line {key.start_mark.line + 1}",
                    why="YAML would silently keep only the last of them",
                    next="remove one of the two",
                )
            seen.add(key.value)
            _refuse_repeated_keys(value, name)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_repeated_keys(item, name)


def validated(model: type[Model], content: dict[str, Any], *, name: str) -> Model:
    """Return ``content`` as ``model``; raises ``SettingsError`` for the first thing that does not fit."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise _settings_error(model, error, name) from error


def read(path: Path, model: type[Model], *, what: str) -> Model:
    """Read a YAML file into ``model``; errors as in ``load`` and ``validated``."""
    return validated(model, load(path, what=what), name=str(path))


def _settings_error(model: type[Document], error: ValidationError, name: str) -> LeverframeError:
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, LeverframeError):
        return cause
    where = ".".join(str(part) for part in first["loc"]) or "the document"
    if first["type"] == "extra_forbidden":
        *parents, key = (str(part) for part in first["loc"])
        return SettingsError(
            f"unknown setting `{where}` in {name}",
            why="a setting that nothing reads would silently change nothing",
            next=nearest(key, _fields(model, parents)),
        )
    more = f" ({error.error_count() - 1} more after it)" if error.error_count() > 1 else ""
    given = "" if first["type"] == "missing" else f"; given: {str(first['input'])[:80]!r}"
    return SettingsError(
        f"`{where}` in {name} does not fit{more}",
        why=f"{first['msg'].removeprefix('Value error, ')}{given}",
        next="`leverframe settings --schema` prints every setting with its type and meaning",
    )


def _fields(model: type[BaseModel], parents: list[str]) -> list[str]:
    """Return the names that are known below ``parents``; models inside maps and unions included."""
    models = [model]
    for parent in parents:
        inner = [each.model_fields[parent].annotation for each in models if parent in each.model_fields]
        models = [found for kind in inner for found in _models_in(kind)] or models
    return sorted({name for each in models for name in each.model_fields})


def _models_in(kind: Any) -> list[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [found for inner in getattr(kind, "__args__", ()) for found in _models_in(inner)]
