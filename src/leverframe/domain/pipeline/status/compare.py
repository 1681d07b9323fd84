"""What differs between a stage, its entry in the lock and the files of the working tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from leverframe.domain.pipeline.status import parameters
from leverframe.domain.pipeline.status.reasons import Finding, StaleReason
from leverframe.domain.pipeline.status.resolved import Artefact, Locked, Recorded, Stage


class Presence(Enum):
    """How a path of the working tree compares with what the lock recorded of it."""

    ABSENT = "absent"
    SAME = "same"
    DIFFERENT = "different"


@dataclass(frozen=True)
class Comparison:
    """The result of a comparison; ``size`` is in bytes, and known only if it was computed."""

    presence: Presence
    size: int | None = None


class WorkingTree(Protocol):
    """The files of the repository and the local cache of DVC."""

    def look(self, path: str, recorded: Recorded | None) -> Comparison:
        """Compare a path with its record; a file without a record is different."""

    def cached(self, recorded: Recorded) -> bool:
        """Tell whether the cache holds the content."""

    def known(self, path: str) -> bool:
        """Tell whether the cache holds what is at a path, so that some run wrote it and nobody edited it."""


@dataclass(frozen=True)
class ComparisonInputs:
    """What a comparison reads; ``producers`` maps an output path to its record in the lock."""

    tree: WorkingTree
    parameters: Mapping[str, Mapping[str, Any] | None]
    producers: Mapping[str, Recorded | None]


def compare(stage: Stage, locked: Locked, sight: ComparisonInputs) -> list[Finding]:
    """Return the differences of ``stage`` from its last run; empty if there is none."""
    findings = [Finding(StaleReason.ALWAYS_RUNS, stage.name)] if stage.always_runs else []
    if not stage.is_source and stage.command != locked.command:
        findings.append(Finding(StaleReason.COMMAND_CHANGED, "cmd", _line(locked.command), _line(stage.command)))
    if not stage.frozen:
        for file in stage.parameters:
            findings += parameters.findings(file, sight.parameters[file.path], locked.parameters.get(file.entry))
        findings += _dependencies(stage, locked, sight)
    findings += _outputs(stage, locked, sight)
    return findings


def _line(command: Any) -> str:
    return " && ".join(map(str, command)) if isinstance(command, list) else str(command)


def _dependencies(stage: Stage, locked: Locked, sight: ComparisonInputs) -> Iterator[Finding]:
    for dependency in stage.dependencies:
        recorded = locked.dependencies.get(dependency.entry)
        look = sight.tree.look(dependency.path, recorded)
        if look.presence is Presence.ABSENT:
            yield Finding(_absent(dependency, recorded, sight), dependency.path)
        elif recorded is None:
            yield Finding(StaleReason.DEPENDENCY_ADDED, dependency.path)
        elif look.presence is Presence.DIFFERENT and _of_other_commit(dependency.path, recorded, sight):
            yield Finding(StaleReason.DEPENDENCY_OTHER, dependency.path)
        elif look.presence is Presence.DIFFERENT:
            yield Finding(StaleReason.DEPENDENCY_CHANGED, dependency.path, *_sizes(recorded, look))


def _of_other_commit(path: str, recorded: Recorded, sight: ComparisonInputs) -> bool:
    """Tell whether a dependency is as the lock says but for outputs of stages that another commit left there."""
    made = sight.producers.get(path)
    if made is not None and made.md5 != recorded.md5:
        return False
    outputs = [output for output in sight.producers if output == path or _contains(path, output)]
    differing = [output for output in outputs
                 if sight.tree.look(output, sight.producers[output]).presence is not Presence.SAME]  # fmt: skip
    return bool(differing) and all(sight.producers[output] and sight.tree.known(output) for output in differing)


def _absent(dependency: Artefact, recorded: Recorded | None, sight: ComparisonInputs) -> StaleReason:
    """Return why a dependency is missing: its data were not pulled, or nobody can pull them."""
    if dependency.path in sight.producers:
        made = sight.producers[dependency.path]
        if made is None or recorded is None:
            return StaleReason.DEPENDENCY_MISSING
        return StaleReason.DEPENDENCY_ABSENT if made.md5 == recorded.md5 else StaleReason.DEPENDENCY_CHANGED
    overlaps = (_contains(path, dependency.path) or _contains(dependency.path, path) for path in sight.producers)
    return StaleReason.DEPENDENCY_ABSENT if recorded and any(overlaps) else StaleReason.DEPENDENCY_MISSING


def _contains(folder: str, path: str) -> bool:
    return path.startswith(folder + "/")


def _outputs(stage: Stage, locked: Locked, sight: ComparisonInputs) -> Iterator[Finding]:
    for output in stage.outputs:
        recorded = locked.outputs.get(output.entry)
        look = sight.tree.look(output.path, recorded)
        if recorded is None:
            yield Finding(StaleReason.OUTPUT_ADDED, output.path)
        elif look.presence is Presence.ABSENT:
            kept = ("in the cache" if sight.tree.cached(recorded) else "") if output.cached else "in git"
            yield Finding(StaleReason.OUTPUT_ABSENT, output.path, detail=kept)
        elif look.presence is Presence.DIFFERENT and output.cached and sight.tree.known(output.path):
            kept = "in the cache" if sight.tree.cached(recorded) else ""
            yield Finding(StaleReason.OUTPUT_OTHER, output.path, detail=kept)
        elif look.presence is Presence.DIFFERENT:
            yield Finding(StaleReason.OUTPUT_CHANGED, output.path, *_sizes(recorded, look))
        elif output.cached and not sight.tree.cached(recorded):
            yield Finding(StaleReason.OUTPUT_NOT_CACHED, output.path)


def _sizes(recorded: Recorded, look: Comparison) -> tuple[str | None, str | None]:
    if recorded.size is None or look.size is None or recorded.size == look.size:
        return None, None
    return f"{recorded.size:,} bytes", f"{look.size:,} bytes"
