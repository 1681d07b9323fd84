"""The scripts beside modules, imported from where they are."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from tests.terraform.programs import ROOT


def script(path: str) -> ModuleType:
    """Import a script below ``terraform/modules``."""
    file = ROOT / "terraform" / "modules" / path
    spec = importlib.util.spec_from_file_location(f"terraform_{file.parent.name}_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module
