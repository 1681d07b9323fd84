"""How `dvc.yaml` becomes a list of stages: variables, `foreach`, `matrix`, and the forms of each field."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Literal

from leverframe.domain.pipeline.status.resolved import (
    Artefact,
    Kind,
    ParameterFile,
    Stage,
    View,
    is_elsewhere,
    located,
    unresolvable,
)
from leverframe.domain.pipeline.status.template import FlagStyle, Scope, merged, nameable, text_of
from leverframe.errors import DefinitionError, nearest

DEFAULT_PARAMETERS = "params.yaml"
_FIELDS = (
    *("cmd", "wdir", "deps", "params", "vars", "frozen", "meta", "desc", "always_changed"),
    *("outs", "metrics", "plots", "matrix"),
)
_READ = ("cmd", "wdir", "deps", "params", "frozen", "always_changed", "outs", "metrics", "plots")
_OUTPUTS = ("outs", "metrics", "plots")
_KINDS: dict[str, Kind] = {"outs": "output", "metrics": "metrics", "plots": "plots"}

Values = Callable[[str], dict[str, Any] | None]
"""Return the content of a parameter file by its path, or None when there is no such file."""


@dataclass(frozen=True)
class _Declared:
    """One stage before its templates are resolved."""

    name: str
    body: Mapping[str, Any]
    scope: Scope
    group: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class Definition:
    """The content of one `dvc.yaml`; ``values`` reads the parameter files that its templates name."""

    file: str
    content: Mapping[str, Any]
    values: Values
    flags: FlagStyle

    @property
    def folder(self) -> str:
        """Return the folder that the paths in the file start from."""
        return str(PurePosixPath(self.file).parent)

    def stages(self) -> list[Stage]:
        """Return the stages in the order of the file.

        Raises ``DefinitionError`` for what DVC would refuse, and for a construct that is not
        followed here.
        """
        declared = self.content.get("stages") or {}
        if not isinstance(declared, dict):
            raise _wrong(f"`stages` in {self.file}", "a mapping of names to stages", declared)
        scope = self._top
        return [self._stage(form) for name, body in declared.items() for form in self._declared(str(name), body, scope)]

    def views(self, field: Literal["metrics", "plots"]) -> list[View]:
        """Return what the file calls metrics or plots at its top level, beside what stages do.

        Raises ``DefinitionError`` for what DVC would refuse.
        """
        where = f"`{field}` in {self.file}"
        items = _listed(self._top.resolve(self.content.get(field), key=field), where)
        views: list[View] = []
        for item in items:
            for entry, given in (item if isinstance(item, dict) else {item: {}}).items():
                if not isinstance(given or {}, dict):
                    raise _wrong(f"`{entry}` in {where}", "a mapping", given)
                views.append(View(located(entry, self.folder, where), dict(given or {})))
        return views

    @cached_property
    def _top(self) -> Scope:
        return self._scope(Scope({}, self.file, self.flags), self.content.get("vars"), self.folder, default=True)

    def _scope(self, scope: Scope, variables: Any, folder: str, *, default: bool = False) -> Scope:
        if variables is not None and not isinstance(variables, list):
            raise _wrong(f"`vars` in {scope.where}", "a list of files and mappings", variables)
        items: list[Any] = list(variables or [])
        standard = located(DEFAULT_PARAMETERS, folder, self.file)
        values, loaded = dict(scope.values), set(scope.loaded)
        if default and (defaults := self.values(standard)) is not None:
            values = merged(values, nameable(defaults), standard)
            loaded.add(standard)
        for item in items:
            values = merged(values, self._variables(item, folder, loaded, scope.where), f"`vars` in {scope.where}")
        return replace(scope, values=values, loaded=frozenset(loaded))

    def _variables(self, item: Any, folder: str, loaded: set[str], where: str) -> dict[str, Any]:
        if isinstance(item, dict):
            return dict(nameable(item))
        entry, _, keys = str(item).partition(":")
        path = located(entry, folder, f"`vars` in {where}")
        if path in loaded:
            if keys:
                raise unresolvable(f"loading `{item}` after the whole of {path}", where)
            return {}
        content = self.values(path)
        if content is None:
            raise DefinitionError(f"{where} loads {path}", why="there is no such file", next=f"create {path}")
        if not keys:
            loaded.add(path)
            return dict(nameable(content))
        return {key: nameable(_member(content, key, path)) for key in keys.split(",") if key}

    def _declared(self, name: str, body: Any, scope: Scope) -> Iterator[_Declared]:
        where = f"stage `{name}` of {self.file}"
        if not isinstance(body, dict):
            raise _wrong(where, "a mapping", body)
        place = scope.inside(where)
        if "foreach" in body:
            yield from self._foreach(name, body, place)
        elif "matrix" in body:
            yield from self._matrix(name, body, place)
        else:
            yield _Declared(name, body, place)

    def _foreach(self, name: str, body: Mapping[str, Any], scope: Scope) -> Iterator[_Declared]:
        if set(body) != {"foreach", "do"} or not isinstance(body["do"], dict):
            raise _wrong(scope.where, "`foreach` and `do`, nothing else", sorted(map(str, body)))
        items = scope.resolve(body["foreach"])
        if isinstance(items, dict):
            keyed = {text_of(key): {"key": text_of(key), "item": item} for key, item in items.items()}
        elif isinstance(items, list):
            composite = any(isinstance(item, (dict, list)) for item in items)
            names = [str(i) for i in range(len(items))] if composite else [_name(item, scope) for item in items]
            keyed = {key: {"item": item} for key, item in zip(names, items, strict=True)}
        else:
            raise _wrong(f"`foreach` in {scope.where}", "a list or a mapping", items)
        for key, extra in keyed.items():
            yield self._generated(name, key, body["do"], scope, extra)

    def _matrix(self, name: str, body: Mapping[str, Any], scope: Scope) -> Iterator[_Declared]:
        axes = scope.resolve(body["matrix"])
        if not isinstance(axes, dict) or not all(isinstance(ax, list) for ax in axes.values()):
            raise _wrong(f"`matrix` in {scope.where}", "a mapping of names to lists", axes)
        template = {field: value for field, value in body.items() if field != "matrix"}
        labelled = [
            [(axis, f"{axis}{i}" if isinstance(item, (dict, list)) else _name(item, scope), item)
             for i, item in enumerate(items)]
            for axis, items in axes.items()
        ]  # fmt: skip
        for choice in itertools.product(*labelled):
            key = "-".join(label for _, label, _ in choice)
            item = {axis: value for axis, _, value in choice}
            yield self._generated(name, key, template, scope, {"key": key, "item": item})

    def _generated(
        self, group: str, key: str, body: Mapping[str, Any], scope: Scope, extra: Mapping[str, Any]
    ) -> _Declared:
        name = f"{group}@{key}"
        return _Declared(name, body, scope.inside(f"stage `{name}` of {self.file}", **extra), group, key)

    def _stage(self, declared: _Declared) -> Stage:
        body, scope = declared.body, declared.scope
        for field in body:
            if field not in _FIELDS:
                raise DefinitionError(
                    f"`{field}` in {scope.where} is not a field of a stage",
                    why="DVC would refuse the file",
                    next=nearest(str(field), _FIELDS),
                )
        folder = located(text_of(scope.resolve(body.get("wdir") or ".", key="wdir")), self.folder, scope.where)
        if body.get("vars"):
            scope = self._scope(scope, body["vars"], folder)
        fields = {field: scope.resolve(body[field], key=field) for field in _READ if field in body}
        elsewhere = [
            entry for field in ("deps", *_OUTPUTS) for entry in _entries(fields.get(field)) if is_elsewhere(entry)
        ]
        return Stage(
            name=declared.name if self.folder == "." else f"{self.file}:{declared.name}",
            file=self.file,
            command=_command(fields.get("cmd"), scope.where),
            group=declared.group,
            key=declared.key,
            dependencies=tuple(_dependencies(fields.get("deps"), folder, scope.where)),
            parameters=tuple(_parameters(fields.get("params"), folder, scope.where)),
            outputs=tuple(_outputs(fields, folder, scope.where)),
            frozen=bool(fields.get("frozen")),
            always_changed=bool(fields.get("always_changed")),
            folder=folder,
            elsewhere=tuple(elsewhere),
        )


def _name(item: object, scope: Scope) -> str:
    if isinstance(item, bool):  # DVC spells it in two ways, depending on where the list stands
        raise unresolvable("a list with true or false to make stages from", scope.where)
    return str(item)


def _member(content: Mapping[str, Any], key: str, path: str) -> Any:
    if key not in content:
        raise DefinitionError(f"`vars` loads `{key}` of {path}", why="it is not there", next=nearest(key, content))
    return content[key]


def _command(command: Any, where: str) -> str | list[str]:
    if isinstance(command, str) and command:
        return command
    if isinstance(command, list) and command and all(isinstance(line, str) for line in command):
        return command
    raise _wrong(f"`cmd` in {where}", "a text or a list of texts", command)


def _listed(content: Any, where: str) -> list[Any]:
    if content is None:
        return []
    if not isinstance(content, list):
        raise _wrong(where, "a list", content)
    return content


def _entries(content: Any) -> list[Any]:
    """Return the paths of a list of dependencies or outputs, with flags or without."""
    items = content if isinstance(content, list) else []
    return [entry for item in items for entry in (item if isinstance(item, dict) else [item])]


def _dependencies(content: Any, folder: str, where: str) -> Iterator[Artefact]:
    for entry in _listed(content, f"`deps` in {where}"):
        if not is_elsewhere(entry):
            yield Artefact(located(entry, folder, where), entry)


def _parameters(content: Any, folder: str, where: str) -> Iterator[ParameterFile]:
    keys: dict[str, list[str]] = {}
    whole: set[str] = set()
    for item in _listed(content, f"`params` in {where}"):
        for entry, named in (item if isinstance(item, dict) else {DEFAULT_PARAMETERS: [item]}).items():
            keys.setdefault(entry, []).extend(str(key) for key in _listed(named, f"`params` in {where}"))
            if not named:
                whole.add(entry)
    for entry, named in keys.items():
        if any(set("*?[") & set(key) for key in named):
            raise unresolvable("a wildcard in the name of a parameter", where)
        unique = tuple(dict.fromkeys(named))
        yield ParameterFile(located(entry, folder, where), entry, () if entry in whole else unique)


def _outputs(fields: Mapping[str, Any], folder: str, where: str) -> Iterator[Artefact]:
    for field in _OUTPUTS:
        flags: dict[str, dict[str, Any]] = {}
        for item in _listed(fields.get(field), f"`{field}` in {where}"):
            for entry, given in (item if isinstance(item, dict) else {item: {}}).items():
                if not isinstance(given, dict):
                    raise _wrong(f"`{entry}` in `{field}` of {where}", "a mapping of flags", given)
                flags.setdefault(entry, {}).update(given)
        for entry, given in flags.items():
            if is_elsewhere(entry):
                continue
            kind = _KINDS[field]
            yield Artefact(located(entry, folder, where), entry, given.get("cache", True) is not False, kind, given)


def _wrong(what: str, expected: str, given: object) -> DefinitionError:
    return DefinitionError(
        f"{what} is not {expected}",
        why=f"given: {str(given)[:80]!r}",
        next="fix the file; `dvc stage list` shows how DVC reads it",
    )
