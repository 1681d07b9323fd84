"""How an import path becomes an object, with errors that name the nearest right word."""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from leverframe.errors import DefinitionError, nearest
from leverframe.words import first_line

_ENDS = ("_exit", "abort", "execv", "execve", "kill", "killpg")  # of `os`; its other forms of exec come to these


class _EndedError(SystemExit):
    """A module that is imported wanted to end the process, which would have been taken for its success."""


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
        with _staying():
            return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # whatever a person's module raises is theirs to fix
        missing = (isinstance(error, ModuleNotFoundError) and error.name) or ""
        missing = missing if f"{name}.".startswith(f"{missing}.") else ""
        cause = first_line(error)
        raise DefinitionError(
            f"there is no module `{name}`" if missing else f"the module `{name}` cannot be imported",
            why=f"{said_by} names it" if missing else _why(error, cause, root),
            next=_way_to(missing) if missing else f"fix it until `python -c 'import {name}'` works",
        ) from error


@contextmanager
def _staying() -> Iterator[None]:
    """Let nothing that this thread imports end the process: its exit code would be that of a success, or of a kill.

    Other threads may, such as the one that ends a stage with DVC, and so may processes that a module starts. What
    compiled code does, nobody can refuse.
    """
    with ExitStack() as stack:
        named = ((os, _ENDS), (sys.modules[os.name], _ENDS), (signal, ("raise_signal",)))
        for module, names in named:
            for name in names:
                if function := getattr(module, name, None):
                    refusing, done = _refusing(name, function)
                    setattr(module, name, refusing)
                    stack.callback(setattr, module, name, function)
                    stack.callback(done)
        yield


def _refusing(name: str, function: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[[], None]]:
    """Return a function that refuses to end this process, and what makes it the given function again."""
    process, thread, over = os.getpid(), threading.get_ident(), list[bool]()

    def refusing(*arguments: Any, **named: Any) -> Any:
        mine = not over and (os.getpid(), threading.get_ident()) == (process, thread)
        others = name in ("kill", "killpg") and abs(arguments[0]) not in (0, process, os.getpgrp())
        harmless = name in ("kill", "killpg") and arguments[1:] == (0,)
        if not mine or others or harmless:
            return function(*arguments, **named)
        raise _EndedError(name)

    return refusing, lambda: over.append(True)


def _why(error: BaseException, cause: str, root: Path) -> str:
    """Return what a module did; of one that would end the process also where, as it raises nothing that says it."""
    if not isinstance(error, SystemExit):
        return f"{type(error).__name__}: {cause}"
    folder = root.resolve()
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(folder)
    ]
    place = f"{Path(frames[-1].filename).relative_to(folder)}, line {frames[-1].lineno}, " if frames else "it "
    how = f"`{cause}`" if isinstance(error, _EndedError) else f"`sys.exit({cause})`"
    return f"{place}ends the process by {how}, and with it the command that imports it"


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
    names |= {path.parent.name for entry in folder or () for path in Path(entry).glob("*/*.py")}  # of no __init__.py
    return [f"{package}.{neighbour}" for neighbour in sorted(names)]
