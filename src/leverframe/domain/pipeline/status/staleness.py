"""Why each stage of the pipeline is stale, from git, the definition, the parameters and the lock alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Protocol

from leverframe.domain import layout
from leverframe.domain.pipeline.code import differing
from leverframe.domain.pipeline.status import graph, parameters
from leverframe.domain.pipeline.status.compare import ComparisonInputs, WorkingTree, compare
from leverframe.domain.pipeline.status.definition import Definition
from leverframe.domain.pipeline.status.elsewhere import recorded_elsewhere
from leverframe.domain.pipeline.status.lock import lock_of, locked, locked_stages, source
from leverframe.domain.pipeline.status.python_values import python_values
from leverframe.domain.pipeline.status.reasons import STALE, Finding, PipelineStatus, StageStatus, StaleReason
from leverframe.domain.pipeline.status.resolved import Kind, Locked, Recorded, Stage, View
from leverframe.domain.pipeline.status.template import FlagStyle
from leverframe.errors import DefinitionError, RepositoryError, SettingsError, nearest
from leverframe.words import first_few
from leverframe.yaml_files import parse

_NAMED = 3  # changed files of a directory that are named, the rest is counted


class Repository(Protocol):
    """The git repository; every path is relative to the root of the pipeline."""

    def files(self, *patterns: str) -> list[str]:
        """Return the files of the working tree that match and are not ignored, tracked or not."""

    def show(self, revision: str, path: str) -> bytes | None:
        """Return the content of a file at a revision, None if it did not exist."""

    def as_stored(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """Return what git stores of the files at or below some paths, of those whose bytes here are others."""

    def lost_links(self, paths: Iterable[str]) -> Sequence[str]:
        """Return the symbolic links of git at or below some paths that are plain files here."""

    def changed_since_commit_of(self, path: str, within: Sequence[str]) -> list[str]:
        """Return the files in ``within`` that changed after the last commit that touched ``path``."""


class Tree(WorkingTree, Protocol):
    """The working tree, with what `status` needs beyond a comparison."""

    def text(self, path: str) -> str | None:
        """Return the content of a text file, None when there is none."""

    def ignored(self, path: str) -> bool:
        """Tell whether `.dvcignore` hides a file."""

    def flag_style(self) -> FlagStyle:
        """Return how the DVC configuration renders mappings in commands."""

    def take(self, stored: Mapping[str, bytes]) -> None:
        """Compare some files as git stores them from now on."""

    def shared(self, path: str) -> bool:
        """Tell whether the DVC of the project looks after a path, be it outside of the project."""

    def keep(self) -> None:
        """Store the computed hashes for the next run."""


@dataclass
class _Reading:
    """What has been read: stages, their entries in the lock, parameter files."""

    repository: Repository
    tree: Tree
    stages: list[Stage] = field(default_factory=list)
    entries: dict[str, Locked | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    values: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    digests: dict[str, list[str]] = field(default_factory=dict)
    metrics: list[View] = field(default_factory=list)
    plots: list[View] = field(default_factory=list)

    def parameter_file(self, path: str) -> dict[str, Any] | None:
        """Return the content of a parameter file, read once."""
        if path not in self.values:
            text = self.tree.text(path)
            self.values[path] = None if text is None else parameters.parsed(text, path)
        return self.values[path]

    def definition(self, file: str) -> None:
        """Read a `dvc.yaml` and the lock beside it."""
        content = parse(self.tree.text(file) or "", name=file, what="a pipeline definition")
        definition = Definition(file, content, self.parameter_file, self.tree.flag_style())
        stages = definition.stages()
        self.metrics += definition.views("metrics")
        self.plots += definition.views("plots")
        lock = lock_of(file)
        text = self.tree.text(lock)
        entries = locked_stages(parse(text, name=lock, what="a lock"), lock) if text else {}
        for stage in stages:
            entry = entries.get(stage.name_in_file)
            self.stages.append(stage)
            self.entries[stage.name] = None if entry is None else locked(entry, f"`{stage.name}` in {lock}")
        left = sorted(set(entries) - {stage.name_in_file for stage in stages})
        if left:
            self.notes.append(f"{lock} has entries of stages that {file} no longer has: {', '.join(left)}")

    def source(self, file: str) -> None:
        """Read a `.dvc` file."""
        content = parse(self.tree.text(file) or "", name=file, what="a `.dvc` file")
        stage, entry = source(content, file)
        self.stages.append(stage)
        self.entries[stage.name] = entry
        if stage.imported:
            self.notes.append(f"{file} is an import: its origin was not checked for a newer version")

    def behind(self, path: str) -> list[str]:
        """Return the files of code whose digests in ``path`` are others than in the last commit; read once."""
        if path not in self.digests:
            committed = self.repository.show("HEAD", path) or b""
            self.digests[path] = differing(committed.decode(errors="replace"), self.tree.text(path) or "")
        return self.digests[path]

    def producers(self) -> dict[str, Recorded | None]:
        """Return every output with its record in the lock, and those beside the project that its stages read."""
        read = {dependency.path for stage in self.stages for dependency in stage.dependencies}
        outside = [path for path in sorted(read) if path.startswith("../") and self.tree.shared(path)]
        elsewhere = (recorded_elsewhere(path, self.tree.text) for path in outside)
        return {path: record for records in elsewhere for path, record in records.items()} | {
            output.path: entry.outputs.get(output.entry) if entry else None
            for stage in self.stages
            for entry in [self.entries[stage.name]]
            for output in stage.outputs
        }


def _read(repository: Repository, tree: Tree) -> _Reading:
    """Read every definition, lock and `.dvc` file that `.dvcignore` does not hide."""
    reading = _Reading(repository, tree)
    files = [file for file in repository.files("dvc.yaml", "*/dvc.yaml", "*.dvc") if not tree.ignored(file)]
    if not any(file.endswith("dvc.yaml") for file in files):
        raise RepositoryError(
            "there is no dvc.yaml here",
            why="`leverframe status` needs the definition of the pipeline",
            next="change to the repository of the pipeline, or run `git init`, `dvc init`, `leverframe stages --write`",
        )
    for file in files:
        (reading.source if file.endswith(".dvc") else reading.definition)(file)
    reading.notes += dict.fromkeys(_expressions(reading))
    reading.notes += [
        f"{stage.name} names {place}, which is no file of the repository: nobody compared it"
        for stage in reading.stages
        for place in stage.elsewhere
    ]
    return reading


def _expressions(reading: _Reading) -> Iterator[str]:
    """Yield which parameters of Python files no reader can know, where a stage asks for them."""
    for stage in reading.stages:
        for file in stage.parameters:
            text = reading.tree.text(file.path) if file.path.endswith(".py") else None
            for value in python_values(text, file.path)[1] if text else ():
                if not file.keys or any(_within(value.name, key) or _within(key, value.name) for key in file.keys):
                    yield (
                        f"{file.path}, line {value.line}: `{value.name}` is an expression; "
                        "neither DVC nor Leverframe runs the file to know it"
                    )


def _within(name: str, key: str) -> bool:
    return f"{name}.".startswith(f"{key}.")


def stages(repository: Repository, tree: Tree) -> list[Stage]:
    """Return the stages of all definitions of the pipeline, without a look at any data; raises as ``run`` does."""
    return _read(repository, tree).stages


def run(repository: Repository, tree: Tree) -> PipelineStatus:
    """Return the state of every stage with the reasons for it.

    Raises ``RepositoryError`` without a pipeline, ``SettingsError`` for a file that cannot be
    read and ``DefinitionError`` for a definition that DVC would refuse or that is not followed.
    """
    reading = _read(repository, tree)
    pairs = graph.edges(reading.stages)
    producers = reading.producers()
    order = graph.ordered(reading.stages, pairs)
    statuses = [_status(stage, reading, producers) for stage in order]
    stored = repository.as_stored(_differing(statuses))
    if stored:
        tree.take(stored)
        statuses = [_status(stage, reading, producers) for stage in order]
        reading.notes.append(_converted(sorted(stored)))
    if lost := repository.lost_links(_differing(statuses)):
        reading.notes.append(
            f"{_few(lost)}: a symbolic link in git, a plain file here; check out again with `core.symlinks` on"
        )
    tree.keep()
    explained = _explained(statuses, reading)
    recorded = {path: record for path, record in producers.items() if record is not None}
    views = (_views(reading.stages, "metrics", reading.metrics), _views(reading.stages, "plots", reading.plots))
    return PipelineStatus(_propagated(explained, pairs), tuple(pairs), tuple(reading.notes), recorded, stored, *views)


def _views(stages: Sequence[Stage], kind: Kind, top: Sequence[View]) -> tuple[View, ...]:
    """Return what stages and definitions call so; a file that both name is shown as the definition says."""
    named = {view.path for view in top}
    of_stages = [View(output.path, output.flags) for stage in stages for output in stage.outputs if output.kind == kind]
    return (*(view for view in of_stages if view.path not in named), *top)


def _differing(statuses: Sequence[StageStatus]) -> list[str]:
    """Return the paths whose bytes here are not those of the lock."""
    changes = (StaleReason.DEPENDENCY_CHANGED, StaleReason.OUTPUT_CHANGED)
    return [finding.subject for status in statuses for finding in status.findings if finding.reason in changes]


def _converted(paths: Sequence[str]) -> str:
    return (
        f"{_few(paths)} {'has' if len(paths) == 1 else 'have'} other bytes here than git stores, by line ends or a "
        "filter; they are compared as stored. DVC hashes what is here: `* -text` in .gitattributes keeps the bytes"
    )


def _status(stage: Stage, reading: _Reading, producers: Mapping[str, Recorded | None]) -> StageStatus:
    entry = reading.entries[stage.name]
    if entry is None:
        return StageStatus.of(stage, [Finding(_absence(stage, reading.repository), stage.name)])
    files = {file.path: reading.parameter_file(file.path) for file in stage.parameters}
    return StageStatus.of(stage, compare(stage, entry, ComparisonInputs(reading.tree, files, producers)))


def _absence(stage: Stage, repository: Repository) -> StaleReason:
    """Return whether a stage never ran, or lost its entry in the lock since the last commit."""
    lock = lock_of(stage.file)
    before = repository.show("HEAD", lock)
    if before is None:
        return StaleReason.STAGE_NEW
    try:
        entries = locked_stages(parse(before.decode(), name=lock, what="a lock"), lock)
    except (SettingsError, RepositoryError, UnicodeDecodeError):  # a damaged lock in the history proves nothing
        return StaleReason.STAGE_NEW
    return StaleReason.LOCK_ENTRY_GONE if stage.name_in_file in entries else StaleReason.STAGE_NEW


def _explained(statuses: list[StageStatus], reading: _Reading) -> list[StageStatus]:
    """Name the changed files inside directories and behind digests: the lock has one hash for all of them."""
    folders: dict[str, list[str]] = {}
    for status in statuses:
        entry = reading.entries[status.stage.name]
        changed_paths = {
            finding.subject for finding in status.findings if finding.reason is StaleReason.DEPENDENCY_CHANGED
        }
        for dependency in status.stage.dependencies:
            if dependency.path in changed_paths and entry and entry.dependencies[dependency.entry].md5.endswith(".dir"):
                folders.setdefault(lock_of(status.stage.file), []).append(dependency.path)
    changed = {
        lock: reading.repository.changed_since_commit_of(lock, list(dict.fromkeys(paths)))
        for lock, paths in folders.items()
    }
    return [_with_files(status, changed.get(lock_of(status.stage.file), []), reading) for status in statuses]


def _with_files(status: StageStatus, changed: Sequence[str], reading: _Reading) -> StageStatus:
    def named(finding: Finding) -> Finding:
        if finding.reason is not StaleReason.DEPENDENCY_CHANGED:
            return finding
        if finding.subject.startswith(f"{layout.CODE}/"):
            return replace(finding, detail=_few(reading.behind(finding.subject)))
        inside = [path for path in changed if path.startswith(finding.subject + "/")]
        return replace(finding, detail=_few([path.removeprefix(finding.subject + "/") for path in inside]))

    return replace(status, findings=tuple(named(finding) for finding in status.findings))


def _few(names: Sequence[str]) -> str:
    return first_few(names, _NAMED)


def _propagated(statuses: list[StageStatus], pairs: Sequence[tuple[str, str]]) -> tuple[StageStatus, ...]:
    writers: dict[str, list[str]] = {}
    for writer, reader in pairs:
        writers.setdefault(reader, []).append(writer)
    stale: dict[str, str] = {}
    results = []
    for status in statuses:
        name = status.stage.name
        known = status.below({writer: stale[writer] for writer in writers.get(name, []) if writer in stale})
        results.append(known)
        if known.state in STALE and not known.stage.is_source:  # no stage writes data added by `dvc add`
            stale[name] = _few([finding.subject for finding in known.findings]) if _of_code(known.stage) else ""
    return tuple(results)


def _of_code(stage: Stage) -> bool:
    """Tell whether a stage only writes the digests of code, so that the files are what others are stale for."""
    return bool(stage.outputs) and all(output.path.startswith(f"{layout.CODE}/") for output in stage.outputs)


def selected(status: PipelineStatus, pattern: str) -> PipelineStatus:
    """Return the stages whose name, or group name, matches ``pattern``; `*` matches any text.

    Raises ``DefinitionError`` when none does.
    """
    stages = tuple(
        stage
        for stage in status.stages
        if fnmatchcase(stage.stage.name, pattern) or fnmatchcase(stage.stage.group or stage.stage.name, pattern)
    )
    if not stages:
        raise DefinitionError(
            f"no stage matches `{pattern}`",
            why="a pattern is the name of a stage or stage group, with `*` for any text",
            next=nearest(pattern, [stage.stage.group or stage.stage.name for stage in status.stages]),
        )
    names = {stage.stage.name for stage in stages}
    return replace(status, stages=stages, edges=tuple(pair for pair in status.edges if names.issuperset(pair)))
