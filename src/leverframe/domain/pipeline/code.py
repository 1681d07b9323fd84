"""Which files a stage runs: its entry and all that it imports, directly or through others, inside the repository.

Found in the text of the modules, without importing any: an import within a function counts, one for type
checkers alone does not, and the packages around a module are imported with it. Modules that lie outside
the search folders are somebody else's and count by their version.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Protocol

from leverframe.errors import PipelineError
from leverframe.yaml_files import parse

Path = PurePosixPath  # relative to the root of the repository


class CodeFiles(Protocol):
    """The files of the repository."""

    def text(self, path: str) -> str | None:
        """Return the content of a file; None where there is none."""

    def listing(self, folder: str) -> Sequence[str]:
        """Return the paths of all files below a folder, caches of Python left out."""


@dataclass(frozen=True)
class Code:
    """The modules of a repository; ``folders`` are those that imports are looked up in, in order.

    ``whole`` are packages that are listed by folder where a stage imports every module of one.
    """

    files: CodeFiles
    folders: tuple[str, ...] = (".",)
    whole: tuple[str, ...] = ()
    _imports: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    def __call__(self, *entries: str) -> tuple[str, ...]:
        """Return the files that the modules ``entries`` run, sorted; folders where one is imported as a whole."""
        met: set[str] = set()
        modules: set[str] = set()
        waiting = list(entries)
        while waiting:
            for name in _with_parents(waiting.pop()):
                if name not in modules:
                    modules.add(name)
                    path = self._file(name)
                    if path is not None:
                        met.add(path)
                        waiting += self._imported(name, path)
        return tuple(sorted(_covered(self._with_data(met), self._packages)))

    @cached_property
    def _packages(self) -> dict[str, frozenset[str]]:
        """The files of each folder of ``whole``, by folder, those of folders within it included."""
        found: dict[str, set[str]] = {}
        for package in self.whole:
            for path in self.files.listing(package):
                for parent in Path(path).parents:
                    if parent.is_relative_to(package):
                        found.setdefault(str(parent), set()).add(path)
        return {folder: frozenset(paths) for folder, paths in found.items()}

    def _with_data(self, modules: set[str]) -> set[str]:
        """Add the files beside a module of ``whole`` that are no modules: templates, schemas."""
        folders = {str(Path(path).parent) for path in modules}
        beside = {path for paths in self._packages.values() for path in paths if not path.endswith((".py", ".typed"))}
        return modules | {path for path in beside if str(Path(path).parent) in folders}

    def _file(self, module: str) -> str | None:
        for folder in self.folders:
            place = Path(folder, *module.split("."))
            for path in (place.with_suffix(".py"), place / "__init__.py"):
                if self.files.text(str(path)) is not None:
                    return str(path)
        return None

    def _imported(self, module: str, path: str) -> tuple[str, ...]:
        if path not in self._imports:
            package = module if path.endswith("__init__.py") else module.rpartition(".")[0]
            self._imports[path] = tuple(_imports(self.files.text(path) or "", package))
        return self._imports[path]


def code_stage(command: str) -> str:
    """Return the name of the stage that writes the digests of the code behind a command."""
    return f"code-{command}"


def listed(definition: str, command: str, files: CodeFiles) -> list[str]:
    """Return the files that such a stage of a ``dvc.yaml`` depends on, those within folders included, sorted.

    Raises ``PipelineError`` where there is no such stage, or where a file is missing.
    """
    stages = parse(definition, name="dvc.yaml", what="a pipeline definition").get("stages") or {}
    if code_stage(command) not in stages:
        raise PipelineError(
            f"dvc.yaml has no stage `{code_stage(command)}`",
            why="only code that the stages of each partition run has one, where Leverframe is part of the repository",
            next="run `leverframe stages --write`",
        )
    found: set[str] = set()
    for path in stages[code_stage(command)]["deps"]:
        inside = [path] if files.text(path) is not None else files.listing(path)
        if not inside:
            raise PipelineError(f"{path} is missing", why="dvc.yaml lists it", next="run `leverframe stages --write`")
        found.update(inside)
    return sorted(found)


def differing(before: str, now: str) -> list[str]:
    """Return the files whose digests differ between two versions of what such a stage writes."""
    try:
        ours, theirs = (json.loads(text) for text in (before, now))
        return sorted(path for path in {*ours, *theirs} if ours.get(path) != theirs.get(path))
    except (ValueError, TypeError, AttributeError):
        return []


def _with_parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[: length + 1]) for length in range(len(parts))]


def _imports(text: str, package: str) -> Iterator[str]:
    """Yield the modules that a module of ``package`` may import; names that turn out to be no module do no harm."""
    try:
        tree = ast.parse(text)
    except SyntaxError:  # whoever runs it is told
        return
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            around = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*around, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those below ``if TYPE_CHECKING``."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def _covered(files: set[str], packages: dict[str, frozenset[str]]) -> Iterator[str]:
    """Yield folders whose files are all among ``files``, outermost first, and what is left of the files."""
    left = set(files)
    for folder in sorted(packages, key=lambda name: (name.count("/"), name)):
        if len(packages[folder]) > 1 and packages[folder] <= left:
            left -= packages[folder]
            yield folder
    yield from left
