"""Every module and root module of a cloud: its names and types, its own tests, its documents."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.terraform.programs import MODULES, PROGRAMS, Stubs
from tests.terraform.stubs.generate import PROVIDERS, SCHEMAS, used

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="neither terraform nor tofu is on PATH")
BLOCK = re.compile(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
PROVIDER = re.compile(r'source\s+= "([^"]+)"\s+version\s+= "([^"]+)"')
each_module = pytest.mark.parametrize("module", MODULES, ids=lambda path: f"{path.parent.name}-{path.name}")
each_program = pytest.mark.parametrize("program", PROGRAMS)


@each_program
@each_module
def test_names_and_types(served: Stubs, program: str, module: Path) -> None:
    """Every argument, block and attribute is one that the provider has, with a value of its type."""
    assert served.validate(program, module) == []


@each_program
@each_module
def test_own_tests(served: Stubs, program: str, module: Path) -> None:
    """The tests beside the module pass: plans with mocked providers, and inputs that it must refuse."""
    assert list((module / "tests").glob("*.tftest.hcl")), f"{module.name} has no tests"
    passed, printed = served.test(program, module)
    assert passed, printed
    assert "Success!" in printed


@each_module
def test_documents(module: Path) -> None:
    """Every input has a type and a description, every output a description, and the README names them all."""
    readme = (module / "README.md").read_text(encoding="utf-8")
    for path in module.glob("*.tf"):
        for kind, name, body in BLOCK.findall(path.read_text(encoding="utf-8")):
            assert re.search(r"^  description\s+= ", body, re.MULTILINE), f"{kind} {name} has no description"
            assert kind == "output" or re.search(r"^  type\s+= ", body, re.MULTILINE), f"{name} has no type"
            assert f"`{name}`" in readme, f"the README of {module.name} does not name {kind} {name}"


@each_module
def test_versions_are_bounded(module: Path) -> None:
    """Terraform and every provider have a range: a new major version is a change that somebody reviews."""
    text = (module / "versions.tf").read_text(encoding="utf-8")
    assert re.search(r'required_version\s+= ">= 1\.\d+, < 2"', text)
    for source, version in PROVIDER.findall(text):
        assert re.fullmatch(r">= \d+\.\d+, < \d+", version), f"{source} {version} in {module.name}"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_schemas_hold_what_is_used(provider: str) -> None:
    """No type is missing and none is left over: ``python -m tests.terraform.stubs.generate`` writes them anew."""
    schema = json.loads((SCHEMAS / f"{provider}.json").read_text(encoding="utf-8"))
    types = used(provider)
    assert set(schema["resource_schemas"]) == types["resource"]
    assert set(schema["data_source_schemas"]) == types["data"]


@pytest.mark.skipif("tofu" not in PROGRAMS, reason="no tofu on PATH: these tests ran with terraform alone")
def test_both_programs_ran() -> None:
    """Where both programs are installed the tests above ran twice."""
    assert PROGRAMS == ["terraform", "tofu"]
