"""How an import path becomes an object, with errors that name the nearest right word."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path
from typing import Any

from leverframe.errors import DefinitionError, nearest


def load(path: str, root: Path, *, said_by: str) -> Any:
    """Return what ``package.module:name`` stands for; the module may lie below ``root``.

    Raises ``DefinitionError`` when the module or the name is missing or the module cannot be
    run; ``said_by`` tells where the path was written.
    """
    module_name, _, name = path.partition(":")
    module = module_of(path, root, said_by=said_by)
    if not hasattr(module, name):
        public = [var for var in vars(module) if not var.startswith("_")]
        raise DefinitionError(
            f"`{module_name}` has no `{name}`", why=f"{said_by} names {path}", next=nearest(name, public)
        )
    return getattr(module, name)


def module_of(path: str, root: Path, *, said_by: str) -> Any:
    """Return the module of an import path; errors as in ``load``."""
    name = path.partition(":")[0]
    importable(root)
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # whatever a person's module raises is theirs to fix
        missing = (isinstance(error, ModuleNotFoundError) and error.name) or ""
        missing = missing if f"{name}.".startswith(f"{missing}.") else ""
        cause = (str(error).splitlines() or [""])[0]
        raise DefinitionError(
            f"there is no module `{name}`" if missing else f"the module `{name}` cannot be imported",
            why=f"{said_by} names it" if missing else f"{type(error).__name__}: {cause}",
            next=_way_to(missing) if missing else f"fix it until `python -c 'import {name}'` works",
        ) from error


def importable(root: Path) -> None:
    """Let modules below ``root`` be imported: an installed command does not look into the working directory."""
    folder = str(root.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _way_to(missing: str) -> str:
    """Return what to do about a module that is missing, the first part of a path that is."""
    beside = _neighbours(missing)
    if "." in missing and beside:
        return nearest(missing, beside)
    package = missing.partition(".")[0]
    return (
        f"install the package that has `{package}` into this environment and name it in its requirements, "
        "or correct the path"
    )


def _neighbours(name: str) -> list[str]:
    """Return the modules beside the one that was named, if its package exists."""
    package, _, _ = name.rpartition(".")
    try:
        folder = importlib.import_module(package).__path__ if package else None
    except (ImportError, AttributeError):
        return []
    names = {module.name for module in pkgutil.iter_modules(folder)} if folder else set()
    names |= {path.parent.name for each in folder or () for path in Path(each).glob("*/*.py")}  # of no __init__.py
    return [f"{package}.{each}" for each in sorted(names)]
