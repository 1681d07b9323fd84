"""Read what a Terraform provider accepts from the CDKTF bindings of it, which are written from its own schema.

A wheel of bindings holds a jsii archive; a module of it carries its TypeScript source in its source map. That source
says of every attribute whether it is required, optional or computed, of every block whether it is a list, a set or
single, and which of them are blocks at all. Only these facts are taken, no text.
"""

from __future__ import annotations

import base64
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Schema = dict[str, Any]
SOURCE_MAP = re.compile(rb"sourceMappingURL=data:application/json;base64,(\S+)")
CLASS = re.compile(r"^export class (\w+) extends cdktf\.(\w+) \{\n(.*?)^\}\n", re.MULTILINE | re.DOTALL)
MEMBER = re.compile(r"^  // (\w+) - computed: (\w+), optional: (\w+), required: (\w+)\n(.*?)(?=^  // |\Z)", re.M | re.S)
NESTED = re.compile(r"new (\w+?)(OutputReference|List|Map)\(this, \"\w+\"(?:, (true|false))?\)")
TYPE = re.compile(r'static readonly tfResourceType = "(\w+)"')
MAPPED = re.compile(r"^      (\w+): cdktf\.listMapper(?:Hcl)?\(\w+, false\)", re.MULTILINE)
SINGLE = "super(terraformResource, terraformAttribute, false);"
VERSION = re.compile(r"providerVersion: '([\d.]+)'")
# What the getter of an attribute calls, and the type that it stands for; the first that fits counts.
GETTERS: tuple[tuple[str, Any], ...] = (
    ("cdktf.Fn.tolist(this.getNumberListAttribute(", ["set", "number"]),
    ("cdktf.Fn.tolist(this.getListAttribute(", ["set", "string"]),
    ("getNumberListAttribute(", ["list", "number"]),
    ("getListAttribute(", ["list", "string"]),
    ("getStringMapAttribute(", ["map", "string"]),
    ("getNumberMapAttribute(", ["map", "number"]),
    ("getBooleanMapAttribute(", ["map", "bool"]),
    ("getAnyMapAttribute(", ["map", "dynamic"]),
    ("getStringAttribute(", "string"),
    ("getNumberAttribute(", "number"),
    ("getBooleanAttribute(", "bool"),
    ("interpolationForAttribute(", "dynamic"),
    ("new cdktf.StringMap(", ["map", "string"]),
    ("new cdktf.NumberMap(", ["map", "number"]),
    ("new cdktf.BooleanMap(", ["map", "bool"]),
    ("new cdktf.AnyMap(", ["map", "dynamic"]),
    ("new cdktf.StringMapList(", ["list", ["map", "string"]]),
    ("new cdktf.NumberMapList(", ["list", ["map", "number"]]),
    ("new cdktf.BooleanMapList(", ["list", ["map", "bool"]]),
)
# The provider's own class has no typed getters, only fields.
FIELDS: tuple[tuple[str, Any], ...] = (
    (r"\?: string;", "string"),
    (r"\?: number;", "number"),
    (r"\?: boolean", "bool"),
    (r"\?: string\[\];", ["list", "string"]),
    (r"\?: \{ \[key: string\]: string \};", ["map", "string"]),
)


@dataclass(frozen=True)
class Binding:
    """One class of the bindings: a resource, a data source, the provider or what is nested in one."""

    name: str
    parent: str
    body: str


class Bindings:
    """The bindings of one provider."""

    def __init__(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as packed:
            archive = next(name for name in packed.namelist() if name.endswith(".jsii.tgz"))
            self._archive = packed.read(archive)
        self._modules: dict[str, str] = {}
        with tarfile.open(fileobj=io.BytesIO(self._archive)) as modules:
            for member in modules:
                if member.name.startswith("package/lib/") and member.name.endswith(".js"):
                    read = modules.extractfile(member)
                    assert read is not None
                    folder = member.name.split("/")[2]
                    self._modules[folder] = self._modules.get(folder, "") + _typescript(read.read())

    @property
    def version(self) -> str:
        """The version of the provider that the bindings were written from."""
        return next(match[1] for source in self._modules.values() if (match := VERSION.search(source)))

    def resource(self, type_name: str, data_source: bool) -> Schema:
        """The schema of one resource or data source, as ``terraform providers schema -json`` writes it."""
        for folder, source in self._modules.items():
            if folder.startswith("data-") == data_source and f'tfResourceType = "{type_name}"' in source:
                classes = {written.name: written for written in _classes(source)}
                top = next(c for c in classes.values() if (match := TYPE.search(c.body)) and match[1] == type_name)
                return {"version": 0, "block": _block(top, classes)}
        raise SystemExit(f"the bindings know no {'data source' if data_source else 'resource'} {type_name}")

    def provider(self) -> Schema:
        """The schema of the block `provider`: attributes alone, and each block of it with strings, maps and lists."""
        source = self._modules["provider"]
        top = next(written for written in _classes(source) if written.parent == "TerraformProvider")
        block: Schema = {"attributes": {}, "block_types": {}}
        for name, _, _, _, text in MEMBER.findall(top.body):
            if name == "alias":  # Terraform's own
                continue
            nested = re.search(r"private _\w+\?: (\w+)(\[\])? \| ?(?:cdktf\.IResolvable)?", text)
            simple = _field(text)
            if simple is not None:
                block["attributes"][name] = {"type": simple, "optional": True}
            elif nested:
                block["block_types"][name] = {"nesting_mode": "list", "block": _interface(nested[1], source)}
        return {"version": 0, "block": block}


def _typescript(script: bytes) -> str:
    carried = SOURCE_MAP.search(script)
    return "".join(json.loads(base64.b64decode(carried[1]))["sourcesContent"]) if carried else ""


def _classes(source: str) -> Iterator[Binding]:
    for match in CLASS.finditer(source):
        yield Binding(match[1], match[2], match[3])


def _block(binding: Binding, classes: dict[str, Binding]) -> Schema:
    attributes: Schema = {}
    blocks: Schema = {}
    as_attributes = set(MAPPED.findall(binding.body))
    for name, computed, optional, required, text in MEMBER.findall(binding.body):
        flags = {"computed": computed, "optional": optional, "required": required}
        modes = {flag: True for flag, value in flags.items() if value == "true"}
        nested = NESTED.search(text)
        if nested is None:
            attributes[name] = {"type": _getter(name, text), **modes}
        elif modes == {"computed": True} or name in as_attributes:
            attributes[name] = {"type": _object(nested, classes), **modes}
        else:
            blocks[name] = _nested_block(name, nested, binding, classes, "required" in modes)
    block: Schema = {"attributes": attributes}
    if blocks:
        block["block_types"] = blocks
    return block


def _nested_block(
    name: str, nested: re.Match[str], owner: Binding, classes: dict[str, Binding], needed: bool
) -> Schema:
    inner = classes[f"{nested[1]}OutputReference"]
    schema: Schema = {"nesting_mode": _nesting(name, nested, inner, owner), "block": _block(inner, classes)}
    if needed and schema["nesting_mode"] in ("list", "set"):
        schema["min_items"] = 1
    if nested[2] == "OutputReference" and schema["nesting_mode"] in ("list", "set"):
        schema["max_items"] = 1
    return schema


def _nesting(name: str, nested: re.Match[str], inner: Binding, owner: Binding) -> str:
    if nested[2] == "OutputReference" and SINGLE in inner.body:
        return "single"
    if nested[2] == "List":
        return "set" if nested[3] == "true" else "list"
    if nested[2] == "Map":
        return "map"
    # A block that may stand once is a list or a set all the same; only what writes HCL says which.
    written = re.search(rf'^      {name}: \{{\n.*\n        isBlock: true,\n        type: "(\w+)"', owner.body, re.M)
    return "set" if written and written[1] == "set" else "list"


def _object(nested: re.Match[str], classes: dict[str, Binding]) -> Any:
    inner = _block(classes[f"{nested[1]}OutputReference"], classes)
    members = {name: attribute["type"] for name, attribute in inner["attributes"].items()}
    for name, block in inner.get("block_types", {}).items():
        members[name] = _as_type(block)
    typed = ["object", members]
    if nested[2] == "OutputReference":
        return ["list", typed]
    return ["map" if nested[2] == "Map" else "set" if nested[3] == "true" else "list", typed]


def _as_type(block: Schema) -> Any:
    members = {name: attribute["type"] for name, attribute in block["block"]["attributes"].items()}
    members |= {name: _as_type(inner) for name, inner in block["block"].get("block_types", {}).items()}
    mode = block["nesting_mode"]
    return ["object", members] if mode == "single" else [mode, ["object", members]]


def _getter(name: str, text: str) -> Any:
    for called, typed in GETTERS:
        if called in text:
            return typed
    raise SystemExit(f"the type of `{name}` cannot be read from the bindings")


def _field(text: str) -> Any:
    first = text.split("\n", 1)[0]
    return next((typed for pattern, typed in FIELDS if re.search(pattern, first)), None)


def _interface(name: str, source: str) -> Schema:
    written = re.search(rf"^export interface {name} \{{\n(.*?)^\}}\n", source, re.MULTILINE | re.DOTALL)
    assert written is not None, name
    attributes: Schema = {}
    for link, optional, text in re.findall(r"#(\w+) \w+#\w+\}[^/]*\*/\n  readonly \w+(\??): (.*);", written[1]):
        typed = next((kind for pattern, kind in FIELDS if re.match(pattern, f"?: {text};")), "string")
        attributes[link] = {"type": typed, ("optional" if optional else "required"): True}
    return {"attributes": attributes}
