"""How documents are read and written: YAML as strict, frozen models, JSON as dataclasses and back.

Errors name the place. JSON is read as strictly as YAML: a field of another type, an unknown one or a
missing one is an error. Written is what the fields say, in their order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError

from leverframe.errors import LeverframeError, SettingsError, nearest
from leverframe.yaml_files import load, parse

__all__ = ["Document", "Timestamp", "load", "loaded", "parse", "parsed", "plain", "read", "validated"]


# What pydantic calls a value that is no mapping, and the forms of texts in words.
_MAPPINGS = ("model_type", "model_attributes_type", "dict_type", "dataclass_type", "mapping_type")
_PATTERNS = {
    r"^[a-z][a-z0-9_]*$": "a name has small letters from a to z, digits and `_`, and begins with a letter",
    r"^[A-Za-z_][A-Za-z0-9_]*$": "a column has letters from a to z, digits and `_`, and begins with no digit; "
    "the transform of its source renames another",
    r"^[A-Z_][A-Z0-9_]*$": "the name of an environment variable is asked for, in capital letters",
    r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$": "the name of a package is asked for, such as `pipelines.shop`",
    r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$": "the name of a type with its module is asked for, such as `shop.model.Steps`",
    r"^[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*$": "the name of a key is asked for, such as `split.train_last`",
    r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$": "a name has at most 63 letters from a to z, digits and `-`, and none "
    "of the latter at its ends",
}

SCHEMA = "`leverframe settings --schema` prints every setting with its type and meaning"


class Document(BaseModel):
    """Base of every declared document: frozen, strict, unknown keys refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    guide: ClassVar[str] = SCHEMA  # where every key of the document is explained


_YEARS = range(1900, 9000)  # with which times can be added and told in any zone


def _timestamp(text: str) -> str:
    if datetime.fromisoformat(text).year not in _YEARS:
        raise ValueError("a year from 1900 to 8999 is asked for")
    return text


Timestamp = Annotated[str, AfterValidator(_timestamp)]  # ISO 8601
Model = TypeVar("Model", bound=Document)


def validated(model: type[Model], content: dict[str, Any], *, name: str, guide: str | None = None) -> Model:
    """Return ``content`` as ``model``; raises ``SettingsError`` for the first thing that does not fit."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise _settings_error(model, error, name, guide or model.guide) from error


def read(path: Path, model: type[Model], *, what: str) -> Model:
    """Read a YAML file into ``model``; errors as in ``load`` and ``validated``."""
    return validated(model, load(path, what=what), name=str(path))


Kind = TypeVar("Kind")


def plain(value: object, *, without_none: bool = False) -> Any:
    """Return a dataclass as values that fit into JSON, fields in their order; None on request left out."""
    kind: Any = type(value)
    return _adapter(kind).dump_python(value, mode="json", exclude_none=without_none, warnings="error")


def parsed(kind: type[Kind], data: bytes | str) -> Kind:
    """Return the dataclass that ``plain`` gave, of its JSON; raises ``ValueError`` for anything else."""
    try:
        value: Kind = _adapter(cast("Any", kind)).validate_json(data, strict=True, extra="forbid")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise ValueError(f"`{where[:80]}`: {first['msg'][:200]}") from error
    return value


def loaded(kind: type[Kind], data: bytes, *, name: str) -> Kind:
    """Return the dataclass as ``parsed`` does; raises ``SettingsError`` for anything else."""
    try:
        return parsed(kind, data)
    except ValueError as error:
        raise SettingsError(
            f"{name} is not what Leverframe writes",
            why=str(error),
            next="run the command that writes it again, with the same version of Leverframe",
        ) from error


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _settings_error(model: type[Document], error: ValidationError, name: str, guide: str) -> LeverframeError:
    # A misspelt key is both unknown and missing: the first says more.
    first = min(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
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
    more = f" ({error.error_count() - 1:,} more after it)" if error.error_count() > 1 else ""
    given = "" if first["type"] == "missing" else f"; given: {str(first['input'])[:80]!r}"
    known = _fields(model, [str(part) for part in first["loc"]]) if first["type"] in _MAPPINGS else []
    return SettingsError(
        f"`{where}` in {name} does not fit{more}",
        why=f"{_reason(first, known)}{given}",
        next=guide,
    )


def _reason(first: Mapping[str, Any], known: Sequence[str]) -> str:
    """Return what is wrong in the words of YAML: pydantic speaks of Python's types and of regular expressions."""
    if first["type"] in _MAPPINGS:
        keys = ", ".join(known) if first["type"] != "dict_type" else "your own names"
        return f"a mapping is needed with keys of {keys}"
    if first["type"] in ("list_type", "tuple_type"):
        return "a list is needed, such as `[one, two]`"
    pattern = first.get("ctx", {}).get("pattern")
    if pattern in _PATTERNS:
        return _PATTERNS[pattern]
    return str(first["msg"]).removeprefix("Value error, ")


def _fields(model: type[BaseModel], parents: list[str]) -> list[str]:
    """Return the names that are known below ``parents``; models inside maps and unions included."""
    models = [model]
    for parent in parents:
        inner = [owner.model_fields[parent].annotation for owner in models if parent in owner.model_fields]
        models = [nested for kind in inner for nested in _models_in(kind)] or models
    return sorted({name for owner in models for name in owner.model_fields})


def _models_in(kind: Any) -> list[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [model for inner in getattr(kind, "__args__", ()) for model in _models_in(inner)]
