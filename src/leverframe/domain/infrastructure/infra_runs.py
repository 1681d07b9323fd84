"""What a change runs beside what a plan shows of it: provisioners, and the provider that it goes through.

Terraform plans attributes. The command of a provisioner and the account of a provider are in the configuration alone,
and `show -json` writes only the constants of that: what is put together of others is held to the text of the module.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from leverframe.domain.infrastructure.concealed import Concealer

_CALL = re.compile(r'module\.([\w-]+)(?:\[(?:"(?:[^"\\]|\\.)*"|\d+)\])?')
_REMOVED = re.compile(r"^\s*removed\s*\{", re.MULTILINE)
_RUNNING = frozenset({"create", "delete"})
_LONGEST = 240  # characters of one argument


@dataclass(frozen=True)
class InfraRuns:
    """The configuration of a plan (`show -json`), and the texts of its modules as the saved plan has them.

    ``sources`` are by the key of a module, as ``serving.store``, empty for the root module.
    """

    document: Mapping[str, Any]
    concealer: Concealer
    sources: Mapping[str, str] = field(default_factory=dict)

    _resources: dict[tuple[str, ...], dict[str, Any]] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def _digests(self) -> dict[str, str]:
        texts = {key: text.replace("\r\n", "\n") for key, text in self.sources.items()}
        return {key: hashlib.sha256(text.encode()).hexdigest() for key, text in texts.items()}

    def whole(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """Return all that belongs into the digest of a change; empty where nothing does."""
        providers = self._providers(str(resource.get("provider_name") or ""))
        provisioners, calls = self._provisioners(resource), _calls(resource)
        own = self.sources.get(".".join(calls), "")
        if not provisioners and self._gone(resource) and _REMOVED.search(own) and "provisioner" in own:
            provisioners = [{"removed": own}]  # such a block runs it for what is not in the configuration any more
        if not provisioners:
            return {"providers": providers} if providers else {}
        keys = [".".join(calls[:depth]) for depth in range(len(calls) + 1)]
        return {
            "providers": providers,
            "provisioners": provisioners,
            "sources": [self._digests.get(key) for key in keys],
            "variables": self._values(self._reached(provisioners, calls)),
        }

    def lines(self, resource: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the lines of a diff that say what a change runs, without secrets."""
        creates = "create" in _actions(resource)
        words = "+ runs" if creates else "- may run"  # which of them are for the end of a resource is not told
        return tuple(
            f"{words} {provisioner.get('type')}: {name} = {self._shown(name, argument)}"
            for provisioner in self._provisioners(resource)
            for name, argument in sorted((provisioner.get("expressions") or {}).items())
        )

    def _shown(self, name: str, argument: Any) -> str:
        if isinstance(argument, dict) and "constant_value" in argument:
            text = json.dumps({name: argument["constant_value"]}, ensure_ascii=False, default=str)
            shown = self.concealer.text(text)[len(json.dumps(name)) + 3 : -1]
            return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}... ({len(shown)} characters)"
        return f"(made of {', '.join(sorted(set(_references(argument)))) or 'nothing'})"

    def _provisioners(self, resource: Mapping[str, Any]) -> list[dict[str, Any]]:
        if not _actions(resource) & _RUNNING:
            return []
        return list((self._declared(resource) or {}).get("provisioners") or ())

    def _declared(self, resource: Mapping[str, Any]) -> dict[str, Any] | None:
        calls = _calls(resource)
        if calls not in self._resources:
            self._resources[calls] = {one.get("address"): one for one in self._module(calls).get("resources") or ()}
        return self._resources[calls].get(f"{resource.get('type')}.{resource.get('name')}")

    def _gone(self, resource: Mapping[str, Any]) -> bool:
        return "type" in resource and "delete" in _actions(resource) and self._declared(resource) is None

    def _module(self, calls: tuple[str, ...]) -> dict[str, Any]:
        module: dict[str, Any] = (self.document.get("configuration") or {}).get("root_module") or {}
        for name in calls:
            module = ((module.get("module_calls") or {}).get(name) or {}).get("module") or {}
        return module

    def _providers(self, full_name: str) -> dict[str, Any]:
        configured = (self.document.get("configuration") or {}).get("provider_config") or {}
        return {
            key: {"expressions": provider["expressions"], "variables": self._open(_variables(provider["expressions"]))}
            for key, provider in configured.items()
            if provider.get("expressions") and provider.get("full_name") == full_name
        }

    def _reached(self, expressions: Any, calls: tuple[str, ...]) -> set[str]:
        """Return the variables of the root module that expressions of a module are made of, as far as it is told."""
        names = _variables(expressions)
        if any(reference.startswith("local.") for reference in _references(expressions)):
            return set(self.document.get("variables") or {}) - self._of_providers()
        if not calls:
            return names
        call = (self._module(calls[:-1]).get("module_calls") or {}).get(calls[-1]) or {}
        given = call.get("expressions") or {}
        return {root for name in names if name in given for root in self._reached(given[name], calls[:-1])}

    def _of_providers(self) -> set[str]:
        """Return the variables that providers read: tokens, which may be others in each job."""
        return _variables((self.document.get("configuration") or {}).get("provider_config"))

    def _values(self, names: set[str]) -> dict[str, Any]:
        given = self.document.get("variables") or {}
        return {name: (given.get(name) or {}).get("value") for name in sorted(names)}

    def _open(self, names: set[str]) -> dict[str, Any]:
        """Return the values of variables that are not secret: a token may be another one in each job."""
        values, hidden = self._values(names), self.concealer.secrets.hidden_in
        return {name: value for name, value in values.items() if hidden(value) == value}


def _actions(resource: Mapping[str, Any]) -> set[str]:
    return set((resource.get("change") or {}).get("actions") or ())


def _calls(resource: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the module calls that lead to a resource."""
    return tuple(_CALL.findall(str(resource.get("module_address") or "")))


def _variables(expressions: Any) -> set[str]:
    references = [reference.split(".") for reference in _references(expressions)]
    return {parts[1].partition("[")[0] for parts in references if parts[0] == "var" and parts[1:]}


def _references(expressions: Any) -> Iterator[str]:
    if isinstance(expressions, dict):
        named = expressions.get("references")
        yield from (name for name in named if isinstance(name, str)) if isinstance(named, list) else ()
    parts = expressions.values() if isinstance(expressions, dict) else expressions
    for part in parts if not isinstance(expressions, str) and parts is not None else ():
        if isinstance(part, dict | list):
            yield from _references(part)
