"""The picture of the layers in architecture.md, drawn from the import contracts in pyproject.toml.

`python -m docs.picture --write` writes it, `--check` (in `make check`) fails where it is not what the contracts say.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/architecture.md"
BEGIN, END = "<!-- layers: begin, written by `python -m docs.picture --write` -->\n", "<!-- layers: end -->"


def picture(contracts: list[dict[str, Any]]) -> str:
    """Return the contracts about layers as a Mermaid flowchart: a box a module, an arrow to the layer below.

    A contract whose container is a module of another one is drawn inside that module.
    """
    layered = {contract["containers"][0]: contract["layers"] for contract in contracts if contract["type"] == "layers"}
    outermost = min(layered, key=len)
    return "\n".join(["```mermaid", "flowchart TB", *_drawn(outermost, layered, "  "), "```", ""])


def _drawn(container: str, layered: dict[str, list[str]], indent: str) -> Iterator[str]:
    rows = [
        [f"{container}.{name.strip()}" for name in layer.replace("|", ":").split(":")] for layer in layered[container]
    ]
    for row in rows:
        for module in row:
            name = module.rpartition(".")[2]
            if module in layered:
                yield f'{indent}subgraph {_key(module)}["{name}"]'
                yield f"{indent}  direction TB"
                yield from _drawn(module, layered, indent + "  ")
                yield f"{indent}end"
            else:
                yield f'{indent}{_key(module)}["{name}"]'
    for above, below in pairwise(rows):
        yield f"{indent}{' & '.join(map(_key, above))} --> {' & '.join(map(_key, below))}"


def _key(module: str) -> str:
    return module.replace(".", "_")


def page() -> str:
    """Return the page with the picture that the contracts ask for."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return before + BEGIN + picture(settings["tool"]["importlinter"]["contracts"]) + END + rest.partition(END)[2]


def main() -> None:
    """Write the picture, or tell whether it is up to date."""
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page(), encoding="utf-8")
    elif sys.argv[1:] != ["--check"]:
        sys.exit("usage: python -m docs.picture --write | --check")
    elif PAGE.read_text(encoding="utf-8") != page():
        sys.exit("the picture in docs/architecture.md is not what the contracts say: `python -m docs.picture --write`")


if __name__ == "__main__":
    main()
