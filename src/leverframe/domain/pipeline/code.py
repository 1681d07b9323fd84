"""Which files a stage runs: its entry and all that it imports, directly or through others, inside the repository.

Found in the text of the modules, without importing any: an import within a function counts, one for type
checkers alone does not, and the packages around a module are imported with it. Modules that lie outside
the repository are somebody else's and count by their version. What no text names, a case has to declare.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Protocol

from leverframe.errors import PipelineError, SettingsError
from leverframe.yaml_files import parse

Path = PurePosixPath  # relative to the root of the repository
_IMPORTERS = frozenset({"import_module", "__import__", "run_module", "resolve_name"})  # take the name as a text


class CodeFiles(Protocol):
    """The files of the repository."""

    def text(self, path: str) -> str | None:
        """Return the content of a file; None where there is none."""

    def listing(self, folder: str) -> Sequence[str]:
        """Return the paths of all files below a folder, caches of Python left out."""

    def home(self, package: str) -> str | None:
        """Return the folder that Python finds a package or module in; None where that is no part of the repository."""


@dataclass(frozen=True)
class Code:
    """The modules of a repository; ``folders`` are those that imports are looked up in first, in order.

    ``whole`` are packages that are listed by folder where a stage imports every module of one.
    """

    files: CodeFiles
    folders: tuple[str, ...] = (".",)
    whole: tuple[str, ...] = ()
    _imports: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    _homes: dict[str, str | None] = field(default_factory=dict, repr=False)

    def __call__(self, *entries: str, declared: Sequence[str] = ()) -> tuple[str, ...]:
        """Return the files that the modules ``entries`` run, sorted; folders where one is imported as a whole.

        ``declared`` are files and folders that run besides. Raises ``SettingsError`` where one is not there.
        """
        met: set[str] = {file for path in declared for file in self._kept(path)}
        modules: set[str] = set()
        waiting = [*entries, *(module for path in declared for module in self._declared(path))]
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
        by_folder: dict[str, set[str]] = {}
        for package in self.whole:
            for path in self.files.listing(package):
                for parent in Path(path).parents:
                    if parent.is_relative_to(package):
                        by_folder.setdefault(str(parent), set()).add(path)
        return {folder: frozenset(paths) for folder, paths in by_folder.items()}

    def _with_data(self, modules: set[str]) -> set[str]:
        """Add the files beside a module of ``whole`` that are no modules: templates, schemas."""
        folders = {str(Path(path).parent) for path in modules}
        beside = {path for paths in self._packages.values() for path in paths if not path.endswith((".py", ".typed"))}
        return modules | {path for path in beside if str(Path(path).parent) in folders}

    def _kept(self, path: str) -> Sequence[str]:
        """Return a declared path; of a folder outside of the project its files, as DVC would count caches there."""
        return (path.startswith("../") and self.files.listing(path)) or [path]

    def _declared(self, path: str) -> Iterator[str]:
        """Yield what the modules at a declared path import."""
        inside = [path] if self.files.text(path) is not None else self.files.listing(path)
        if not inside:
            raise SettingsError(
                f"there is no {path}",
                why="`data.dependencies` in params.yaml names it",
                next="create it, or correct the path, which starts from the folder of params.yaml",
            )
        for file in inside:
            if file.endswith(".py"):
                yield from self._imported(".".join(Path(file).with_suffix("").parts), file)

    def _file(self, module: str) -> str | None:
        """Return the file of a module; a package hides a module of its name, as for Python."""
        home = self._home(module.partition(".")[0])
        for folder in self.folders if home is None else (*self.folders, home):
            place = Path(folder, *module.split("."))
            for path in (place / "__init__.py", place.with_name(f"{place.name}.py")):
                if self.files.text(str(path)) is not None:
                    return str(path)
        return None

    def _home(self, package: str) -> str | None:
        if package not in self._homes:
            self._homes[package] = self.files.home(package)
        return self._homes[package]

    def _imported(self, module: str, path: str) -> tuple[str, ...]:
        if path not in self._imports:
            whole = path.endswith("__init__.py")
            package = module if whole else module.rpartition(".")[0]
            nodes = _executed(self.files.text(path) or "")
            self._imports[path] = (*_imports(nodes, package), *(_exports(nodes, package) if whole else ()))
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
    paths: set[str] = set()
    for path in stages[code_stage(command)]["deps"]:
        inside = [path] if files.text(path) is not None else files.listing(path)
        if not inside:
            raise PipelineError(f"{path} is missing", why="dvc.yaml lists it", next="run `leverframe stages --write`")
        paths.update(inside)
    return sorted(paths)


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


def _imports(nodes: Sequence[ast.AST], package: str) -> Iterator[str]:
    """Yield the modules that a module of ``package`` may import; names that turn out to be no module do no harm."""
    importers = _IMPORTERS | {alias.asname for alias in _aliases(nodes) if alias.name in _IMPORTERS}
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute("." * node.level + (node.module or ""), package)
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)
        elif isinstance(node, ast.Call) and _name(node.func) in importers:
            around = [
                *_texts([*node.args[1:2], *(keyword.value for keyword in node.keywords if keyword.arg == "package")]),
                package,
            ]
            yield from (_absolute(name, around[0]).partition(":")[0] for name in _texts(node.args[:1]))


def _exports(nodes: Sequence[ast.AST], package: str) -> Iterator[str]:
    """Yield what `import *` imports of a package: the modules among the names that it lists."""
    for node in nodes:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and "__all__" in map(_name, targets):
            yield from (f"{package}.{name}" for name in _texts([node.value] if node.value else []))


def _name(node: ast.AST | None) -> str | None:
    """Return the last part of a name."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None


def _aliases(nodes: Iterable[ast.AST]) -> Iterator[ast.alias]:
    return (alias for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names)


def _texts(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the texts that are written out in nodes and in lists of them."""
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.List | ast.Tuple):
            yield from _texts(node.elts)


def _absolute(name: str, package: str) -> str:
    """Return a name that begins with dots as it is from outside of the package."""
    level = len(name) - len(name.lstrip("."))
    around = package.split(".")[: len(package.split(".")) - level + 1] if level else []
    return ".".join([*around, *([name[level:]] if name[level:] else [])])


def _executed(text: str) -> list[ast.AST]:
    """Return all nodes of a module but those below ``if TYPE_CHECKING``; none where it cannot be parsed."""
    try:
        waiting: list[ast.AST] = [ast.parse(text)]
    except (SyntaxError, ValueError):  # whoever runs it is told
        return []
    nodes = []
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)
    return nodes


def _covered(files: set[str], packages: dict[str, frozenset[str]]) -> Iterator[str]:
    """Yield folders whose files are all among ``files``, outermost first, and what is left of the files."""
    left = set(files)
    for folder in sorted(packages, key=lambda name: (name.count("/"), name)):
        if len(packages[folder]) > 1 and packages[folder] <= left:
            left -= packages[folder]
            yield folder
    yield from left
