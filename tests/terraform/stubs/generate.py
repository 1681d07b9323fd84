"""Write the schemas that the tests of ``terraform/`` hold modules to: ``python -m tests.terraform.stubs.generate``.

Reads which resources and data sources stand in ``terraform/``, and their schemas from the wheels
``cdktf-cdktf-provider-{aws,github,kubernetes}`` in the folder that is given (``pip download --no-deps`` brings them).
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from tests.terraform.stubs.bindings import Bindings

ROOT = Path(__file__).parents[3]
SCHEMAS = Path(__file__).with_name("schemas")
PROVIDERS = ("aws", "github", "kubernetes")
USED = re.compile(r'^\s*(resource|data)\s+"(\w+)"', re.MULTILINE)
Used = dict[str, set[str]]


def used(provider: str) -> Used:
    """The types of one provider that stand in ``terraform/``, by `resource` and `data`."""
    types: Used = {"resource": set(), "data": set()}
    for path in (ROOT / "terraform").rglob("*.tf"):
        if ".terraform" in path.parts:
            continue
        for kind, name in USED.findall(path.read_text(encoding="utf-8")):
            if name.startswith(f"{provider}_"):
                types[kind].add(name)
    return types


def generate(bindings: Bindings, types: Used) -> dict[str, Any]:
    """The part of a provider's schema that `types` need, as ``terraform providers schema -json`` has it."""
    return {
        "version": bindings.version,
        "provider": bindings.provider(),
        "resource_schemas": {name: bindings.resource(name, False) for name in sorted(types["resource"])},
        "data_source_schemas": {name: bindings.resource(name, True) for name in sorted(types["data"])},
    }


def written(schema: dict[str, Any]) -> str:
    """One type a line, so that a change of one is a change of one line."""

    def one(value: Any) -> str:
        return json.dumps(value, separators=(",", ":"), sort_keys=True)

    parts = [f'"version": {one(schema["version"])}', f'"provider": {one(schema["provider"])}']
    for kind in ("resource_schemas", "data_source_schemas"):
        lines = ",\n".join(f"{one(name)}: {one(block)}" for name, block in schema[kind].items())
        parts.append(f'"{kind}": {{\n{lines}\n}}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main(folder: str) -> None:
    """Write the schemas of all providers from the wheels in `folder`."""
    SCHEMAS.mkdir(exist_ok=True)
    for provider in PROVIDERS:
        wheel = next(Path(folder).glob(f"cdktf_cdktf_provider_{provider}-*.whl"))
        schema = generate(Bindings(wheel), used(provider))
        (SCHEMAS / f"{provider}.json").write_text(written(schema), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m tests.terraform.stubs.generate FOLDER_OF_WHEELS")
    main(sys.argv[1])
