"""Patches of kustomize as data, each for one object of the package, which does not have its own name yet."""

from __future__ import annotations

import json
from typing import Any

Manifest = dict[str, Any]

BASE = "model"  # the name of every object in the package


def patch(kind: str, content: Manifest) -> Manifest:
    """Return a patch that is merged into the one object of a kind."""
    whole = {**content, "kind": kind, "metadata": {"name": BASE, **content.get("metadata", {})}}
    return {"target": {"kind": kind, "name": BASE}, "patch": json.dumps(whole)}


def steps(kind: str, operations: list[Manifest], name: str = BASE) -> Manifest:
    """Return a patch of single operations (RFC 6902)."""
    return {"target": {"kind": kind, "name": name}, "patch": json.dumps(operations)}


def named(known: str, name: str) -> Manifest:
    """Return the patch that gives objects their own name; it comes after the others."""
    return {
        "target": {"name": known},
        "options": {"allowNameChange": True},
        "patch": json.dumps([{"op": "replace", "path": "/metadata/name", "value": name}]),
    }
