"""What a change runs beside its attributes is shown, and belongs to what was reviewed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from leverframe.domain.infrastructure.concealed import Concealer
from leverframe.domain.infrastructure.infra_plan import InfraPlan, ToolVersion
from leverframe.domain.infrastructure.plan_json import read_plan
from leverframe.domain.infrastructure.sensitive_values import secrets_of_plan

SOURCES = {"": "root", "serving": "module", "serving.store": "inner", "other": "other"}
COMMAND = {
    "command": {"constant_value": "echo reviewed"},
    "environment": {"references": ["var.key", "self.id", "self"]},
}
LOCAL = [{"type": "local-exec", "expressions": COMMAND}]


def _document(actions: tuple[str, ...] = ("create",), module: str = "module.serving[0].module.store") -> dict[str, Any]:
    """Return a plan of one change of a resource in a module of a module, whose provisioner reads a secret variable."""
    change = {"actions": list(actions), "before": None, "after": {"input": 1}}
    resource = {"address": f"{module}.x.a", "type": "x", "name": "a", "module_address": module,
                "provider_name": "p.io/x", "change": change}  # fmt: skip
    inner = {"resources": [{"address": "x.a", "provisioners": copy.deepcopy(LOCAL)}], "variables": {"key": {}}}
    calls = {"store": {"expressions": {"key": {"references": ["var.token"]}}, "module": inner}}
    middle = {"module_calls": calls, "variables": {"token": {}}}
    root = {
        "variables": {"password": {"sensitive": True}, "region": {}, "unused": {}, "login": {"sensitive": True}},
        "module_calls": {"serving": {"expressions": {"token": {"references": ["var.password"]}}, "module": middle}},
    }
    arguments = {"region": {"references": ["var.region"]}, "token": {"references": ["var.login"]},
                 "url": {"constant_value": "https://one"}}  # fmt: skip
    provider = {"name": "x", "full_name": "p.io/x", "expressions": arguments, "version_constraint": "1"}
    values = {"password": "hunter2-password", "region": "eu-1", "unused": "u", "login": "login-of-a-job"}
    return {
        "configuration": {"root_module": root, "provider_config": {"x": provider}},
        "variables": {name: {"value": value} for name, value in values.items()},
        "resource_changes": [resource],
    }


def _read(document: dict[str, Any], sources: dict[str, str] | None = None) -> InfraPlan:
    concealer = Concealer(secrets_of_plan(document))
    return read_plan(document, ToolVersion("terraform", "1"), concealer, b"k", SOURCES if sources is None else sources)


def _provisioners(document: dict[str, Any]) -> list[dict[str, Any]]:
    call = document["configuration"]["root_module"]["module_calls"]["serving"]["module"]["module_calls"]["store"]
    resources: list[dict[str, Any]] = call["module"]["resources"][0]["provisioners"]
    return resources


@pytest.mark.parametrize("actions", [("create",), ("delete", "create"), ("create", "delete"), ("delete",)])
@pytest.mark.parametrize("what", ["command", "more", "password", "root", "module", "inner", "provider", "region"])
def test_what_a_change_runs_is_reviewed(actions: tuple[str, ...], what: str) -> None:
    """A command, another provisioner, a secret that it alone reads, a text put together of others, the provider."""
    document, sources = _document(actions), dict(SOURCES)
    other = copy.deepcopy(document)
    if what == "command":
        _provisioners(other)[0]["expressions"]["command"]["constant_value"] = "curl evil"
    elif what == "more":
        _provisioners(other).append({"type": "remote-exec", "expressions": {"inline": {"references": ["self.id"]}}})
    elif what in ("password", "region"):
        other["variables"][what]["value"] = "another-value"
    elif what == "provider":
        other["configuration"]["provider_config"]["x"]["expressions"]["url"]["constant_value"] = "https://two"
    else:
        sources = {**SOURCES, {"root": "", "module": "serving", "inner": "serving.store"}[what]: "edited"}
    assert _read(document).digest != _read(other, sources).digest


@pytest.mark.parametrize("what", ["login", "unused", "other", "line ends", "version", "no command"])
def test_what_a_change_does_not_run_counts_no_more_than_before(what: str) -> None:
    """A token of each job, which a provider reads; variables and modules of others; and an update runs nothing."""
    actions = ("update",) if what == "no command" else ("create",)
    document, sources = _document(actions), {**SOURCES, "": "root\n"}
    other, edited = copy.deepcopy(document), dict(sources)
    if what in ("login", "unused"):
        other["variables"][what]["value"] = "another-value"
    elif what == "version":
        other["configuration"]["provider_config"]["x"]["version_constraint"] = "2"
    elif what == "no command":
        _provisioners(other)[0]["expressions"] = {}
        edited[""] = "edited"
        assert not any("run" in line for line in _read(document).changes[0].lines)
    else:
        edited |= {"other": "edited"} if what == "other" else {"": "root\r\n"}
    assert _read(document, sources).digest == _read(other, edited).digest


def test_a_local_value_may_be_made_of_any_variable_that_no_provider_reads() -> None:
    """Which one, the plan does not tell."""
    document = _document()
    _provisioners(document)[0]["expressions"]["environment"] = {"references": ["local.all"]}
    digests = set()
    for name in ("unused", "login", "region"):
        other = copy.deepcopy(document)
        other["variables"][name]["value"] = "another-value"
        digests.add((name, _read(other).digest == _read(document).digest))
    assert digests == {("unused", False), ("login", True), ("region", False)}


def test_a_removed_block_runs_what_the_configuration_has_no_more() -> None:
    """It is in the text of the module alone."""
    document = _document(("delete",), "module.other")
    removed = {**SOURCES, "other": 'removed {\n from = x.a\n provisioner "local-exec" {\n command = "a"\n }\n}'}
    edited = {**removed, "other": removed["other"].replace('"a"', '"b"')}
    assert _read(document, removed).digest != _read(document, edited).digest
    assert _read(document).digest == _read(document, {**SOURCES, "other": "edited"}).digest


def test_what_is_run_is_shown_without_secrets() -> None:
    """A constant as it is, anything else by what it is made of; for a destroy it may run."""
    document = _document()
    _provisioners(document)[0]["expressions"]["command"]["constant_value"] = "echo hunter2-password\necho done"
    _provisioners(document).append({"type": "local-exec", "expressions": {"command": {"constant_value": "x" * 500}}})
    lines = _read(document).changes[0].lines
    assert lines[1:3] == (
        '+ runs local-exec: command = "echo ***\\necho done"',
        "+ runs local-exec: environment = (made of self, self.id, var.key)",
    )
    assert lines[3].endswith("... (502 characters)")
    document["resource_changes"][0]["change"]["actions"] = ["delete"]
    assert _read(document).changes[0].lines[-3].startswith("- may run local-exec: command = ")
    document["resource_drift"] = document["resource_changes"]
    assert not any("run" in line for line in _read(document).outside[0].lines)
