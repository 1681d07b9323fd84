"""Derive ``dvc.yaml`` from the declarations, write it with what belongs beside it, or check that it is up to date."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import decode_source
from pathlib import Path

from leverframe import __version__
from leverframe.adapters.duckdb.late_rows import late_share
from leverframe.application.engines import ENGINES, TRAINERS
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.data.ingest import inputs
from leverframe.domain.features.late_columns import Arrivals, late_columns
from leverframe.domain.features.star import read_star
from leverframe.domain.partition import GROUPS
from leverframe.domain.pipeline import installation
from leverframe.domain.pipeline.code import Code
from leverframe.domain.pipeline.ignore_files import IGNORED, completed
from leverframe.domain.pipeline.installation import StageCode
from leverframe.domain.pipeline.items import grouping_of
from leverframe.domain.pipeline.leftovers import described, left_over
from leverframe.domain.pipeline.stages import own_stages, pipeline, render
from leverframe.errors import PipelineError
from leverframe.files import write_text
from leverframe.package import home_of, source_folder

DVC_YAML = "dvc.yaml"
_NEWEST = 3  # files of a table that are looked at


def definition(workspace: Workspace) -> dict[str, str]:
    """Return the files that define the pipeline, by name: ``dvc.yaml``, one's own stages kept.

    Where Leverframe is installed from elsewhere, or params.yaml leaves settings out, also the file that names them.
    """
    standing = _text(workspace.root / DVC_YAML)
    _refuse_without_submodules(workspace, standing)
    tail = own_stages(standing)
    code = _code(workspace)
    made = pipeline(workspace.params, workspace.sources, workspace.plan, code)
    named = installation.described(__version__, workspace.params, made.defaults, installed=code.installed)
    return {DVC_YAML: render(made, tail)} | ({installation.FILE: named} if named else {})


def write_definition(workspace: Workspace) -> list[str]:
    """Write the files that define the pipeline, and complete those that say what to ignore; return what changed."""
    files: Mapping[str, str] = {
        **definition(workspace),
        **{name: completed(_text(workspace.root / name), lines) for name, lines in IGNORED.items()},
    }
    changed = [name for name, text in files.items() if _text(workspace.root / name) != text]
    for name in changed:
        write_text(workspace.root / name, files[name])
    return changed


def renew(workspace: Workspace) -> tuple[list[str], list[str]]:
    """Write the files that define the pipeline, remove what a former one left; return what changed and what to tell."""
    known = notes(workspace)  # before: they compare with the grouping that stands
    changed = write_definition(workspace)
    return changed, [*known, *remove_leftovers(workspace)]


def remove_leftovers(workspace: Workspace) -> list[str]:
    """Remove reports of partitions that no stage makes any more; return what to tell of them, and of such data."""
    root, sources = workspace.root, workspace.sources
    kept = [path for static in (False, True) for path in inputs(sources, static=static, placed=False)]
    groups = [str(group) for group in workspace.partitions.groups()]
    reports, data = left_over(Files(root).listing, groups, kept, own_stages(_text(root / DVC_YAML)))
    for path in reports:
        (root / path).unlink(missing_ok=True)
    return described(reports, data)


def regrouped(workspace: Workspace) -> str | None:
    """Return what to tell where the default grouping is another than that of ``dvc.yaml``, else None."""
    standing, group = grouping_of(_text(workspace.root / DVC_YAML)), workspace.partitions.group
    if standing in (None, group) or workspace.params.data.group:
        return None
    return (
        f"one file and one stage now hold a {group}, not a {standing}: the finest with at most {GROUPS} groups.\n"
        f"So all data are made again; `group: {standing}` under `data` in params.yaml keeps what there is."
    )


def notes(workspace: Workspace) -> list[str]:
    """Return what a person should know of what would be written."""
    grouping = regrouped(workspace)
    return [*([grouping] if grouping else []), *undeclared(workspace)]


def undeclared(workspace: Workspace) -> list[str]:
    """Return notes on columns of the spine that may reveal the label; data that are here say how late rows are."""
    star = read_star(workspace.star)
    source = workspace.sources.get(star.spine.table)
    if source is None or source.static:
        return []
    files = sorted((workspace.root / layout.RAW / star.spine.table).glob("*.parquet"))[-_NEWEST:]
    note = late_columns(star, Arrivals(source.event_time, source.known_at, late_share(files) if files else None))
    return [note] if note else []


def check_definition(workspace: Workspace) -> None:
    """Raise ``PipelineError`` when ``dvc.yaml`` is not what the declarations ask for."""
    for name, text in definition(workspace).items():
        if _text(workspace.root / name) != text:
            raise PipelineError(
                f"{name} is not what the declarations ask for",
                why="a window, a source, a partition, a stage, the code it imports or Leverframe's version changed",
                next=f"run `leverframe stages --write` and commit {name}",
            )


def _refuse_without_submodules(workspace: Workspace, standing: str) -> None:
    """Raise ``PipelineError`` where stages read a submodule that is not checked out: its code would be left out."""
    for path in workspace.git.absent_submodules():
        if re.search(rf"^\s*- {re.escape(path)}(/|$)", standing, re.MULTILINE):
            raise PipelineError(
                f"the submodule `{path}` is not checked out",
                why=f"stages in {DVC_YAML} depend on code in it",
                next=f"`git submodule update --init {shlex.quote(path)}`; in CI `submodules: recursive`",
            )


def _code(workspace: Workspace) -> StageCode:
    source = source_folder(workspace.root)
    folders = (".",) if source is None else (".", source.as_posix())
    package = () if source is None else ((source / "leverframe").as_posix(),)
    files = Files(workspace.root, workspace.git.top())
    return StageCode(Code(files, folders, package), ENGINES, installed=source is None, trainers=TRAINERS)


class Files:
    """The files of a project in ``root``, and of the repository around it up to ``top``, each read once."""

    def __init__(self, root: Path, top: Path | None = None) -> None:
        self._root, self._top = root, top or root
        self._texts: dict[str, str | None] = {}

    def text(self, path: str) -> str | None:
        """Return the content of a file; None where there is none."""
        if path not in self._texts:
            file = self._root / path
            self._texts[path] = _decoded(file.read_bytes()) if file.is_file() else None
        return self._texts[path]

    def home(self, package: str) -> str | None:
        """Return the folder that Python finds a package or module in; None where that is no part of the repository.

        Of one outside of the project the path begins with two dots.
        """
        home = home_of(package, self._root, self._top)
        return None if home is None else home.as_posix()

    def listing(self, folder: str) -> Sequence[str]:
        """Return the paths of all files below a folder, caches of Python left out."""
        return sorted(_below(self._root, folder))


def _decoded(data: bytes) -> str:
    """Return a text as Python decodes a module: by what its first lines say."""
    try:
        return decode_source(data)
    except (SyntaxError, UnicodeDecodeError):
        return data.decode(errors="replace")


def _below(root: Path, folder: str) -> Iterator[str]:
    for path in (root / folder).rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield Path(folder, path.relative_to(root / folder)).as_posix()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
