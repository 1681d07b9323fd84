"""What one phase of a run hands to the next: entries of locks, small files, times. To the next one it is data.

The outputs themselves travel by the remote of DVC. An entry is taken only if it is one of a stage of that phase, of
this commit, with the command, the inputs and the outputs that the definition names; whether its digests fit the
files that are here, `status` says afterwards.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leverframe.domain.pipeline.runners.runner_phases import Phase, Phases
from leverframe.domain.pipeline.status.lock import lock_of, lock_text, locked, locked_stages, split
from leverframe.domain.pipeline.status.resolved import Locked, Recorded, Stage
from leverframe.domain.review.reproduce import StageRun
from leverframe.domain.verdict import Violation
from leverframe.errors import LeverframeError
from leverframe.yaml_files import parse

LARGEST = 50_000_000  # bytes of one, with the files that git keeps
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_ENTRY = re.compile(r"  [^\s#].*:\n(?:(?: {4}.*)?\n)+")  # a name, and lines that are indented below it
_DEEPEST, _CONTROL = 100, re.compile(r"[\x00-\x1f\x7f]")  # folders of a path
_FIELDS = {"cmd", "deps", "params", "outs"}


@dataclass(frozen=True)
class Handover:
    """What the phase number ``phase`` of ``phases`` did on its ``runner``, for the commit ``head`` beside ``base``.

    ``entries`` are the texts of the entries of locks by stage; ``files`` are outputs that do not travel by the remote,
    by path, in base64. ``stops`` say why nothing may follow; the outputs of ``unstable`` stages differ between two
    runs. ``full`` tells that every stage runs.
    """

    head: str
    base: str
    full: bool
    phase: int
    phases: int
    runner: str
    entries: dict[str, str]
    files: dict[str, str]
    runs: tuple[StageRun, ...]
    stops: tuple[Violation, ...] = ()
    unstable: tuple[str, ...] = ()


def refusal(handed: Sequence[Handover], plan: Phases, stages: Sequence[Stage], head: str, number: int) -> str:
    """Return why what earlier phases left cannot be taken by the phase ``number``; empty where it can."""
    known = {stage.name: stage for stage in stages}
    seen: set[str] = set()
    for handover in handed:
        if handover.head != head:
            return f"phase {handover.phase} ran another commit, {handover.head[:12]!r}"
        if handover.phases != plan.last or not 1 <= handover.phase < number:
            return f"phase {handover.phase} of {handover.phases} does not come before phase {number} of {plan.last}"
        if (handover.base, handover.full) != (handed[0].base, handed[0].full):
            return f"phase {handover.phase} was compared with another base than phase {handed[0].phase}"
        phase = plan.phases[handover.phase - 1]
        names = [*handover.entries, *(run.stage for run in handover.runs), *handover.unstable]
        odd = [name for name in names if not _may_run(name, phase, plan)]
        if odd or seen & set(handover.entries):
            name = next(iter(odd or seen & set(handover.entries)))
            return f"phase {handover.phase} has no stage `{name}` to run"
        seen.update(handover.entries)
        wrong = next((why for name, text in handover.entries.items() if (why := _wrong(known[name], text))), "")
        if wrong or (wrong := _strange(handover, known)):
            return f"phase {handover.phase} {wrong}"
    return ""


def _may_run(name: str, phase: Phase, plan: Phases) -> bool:
    """Tell whether a phase runs a stage: one of its own, or one that an earlier phase of its machine left."""
    own = plan.where.get(name)
    return own is not None and own.runner == phase.runner and own.number <= phase.number


def _wrong(stage: Stage, text: str) -> str:
    """Return what is wrong with the entry of a stage; empty where it is one that a run of it may have written."""
    try:
        entry = entry_of(stage, text)
    except (LeverframeError, ValueError, TypeError, AttributeError, KeyError):
        return f"left no entry of a lock for `{stage.name}`"
    named = [
        (entry.dependencies, {dependency.entry for dependency in stage.dependencies}),
        (entry.outputs, {output.entry for output in stage.outputs}),
    ]
    fits = entry.command == stage.command and all(set(recorded) == wanted for recorded, wanted in named)
    records = [*entry.dependencies.values(), *entry.outputs.values()]
    if fits and set(entry.parameters) <= {file.entry for file in stage.parameters} and all(map(_well_formed, records)):
        return ""
    return f"left an entry of `{stage.name}` that is not one of what {stage.file} defines"


def entry_of(stage: Stage, text: str) -> Locked:
    """Return the entry of a stage in a text of its own; raises ``LeverframeError`` or ``ValueError`` for another."""
    if not _ENTRY.fullmatch(text):  # beside others it would be something else
        raise ValueError(f"not the lines of an entry, of `{stage.name}`")
    raw = locked_stages(parse(lock_text([text]), name=lock_of(stage.file), what="a lock"), lock_of(stage.file))
    if list(raw) != [stage.name_in_file] or not set(raw[stage.name_in_file]) <= _FIELDS:
        raise ValueError(f"not one entry, of `{stage.name}`")
    entry = raw[stage.name_in_file]
    for kind in ("deps", "outs"):
        paths = [record["path"] for record in entry.get(kind) or []]
        if len(paths) != len(set(paths)):
            raise ValueError(f"a path stands twice in one entry, of `{stage.name}`")
    return locked(entry, stage.name)


def _well_formed(record: Recorded) -> bool:
    numbers = (record.size, record.files)
    return bool(_MD5.fullmatch(record.md5)) and all(
        number is None or (type(number) is int and number >= 0) for number in numbers
    )


def _strange(handover: Handover, stages: Mapping[str, Stage]) -> str:
    """Return which time it tells that is none, or file it brings of none of its stages; empty where neither."""
    if not all(math.isfinite(run.seconds) and run.seconds >= 0 for run in handover.runs):
        return "tells times that are none"
    places = [output.path for name in handover.entries for output in stages[name].outputs if not output.pushed]
    for path in handover.files:
        inside = any(path == place or path.startswith(f"{place}/") for place in places)
        parts = path.lower().split("/")
        odd = not set(parts).isdisjoint({"", ".", "..", ".git", ".dvc"}) or len(parts) > _DEEPEST
        if not inside or odd or "\\" in path or _CONTROL.search(path):
            return f"left the file {ascii(path)[:200]}, which none of its stages writes"
    return ""


def merged(text: str, entries: Mapping[str, str]) -> str:
    """Return a lock with some entries, by their names in it, replaced or added at its end."""
    known = split(text)
    written = {name.strip("'\""): name for name in known}
    for name, entry in entries.items():
        known[written.get(name, name)] = entry
    return lock_text(list(known.values()))


def taken(text: str, names: Sequence[str]) -> dict[str, str]:
    """Return the texts of some entries of a lock by their names in it; one that it lacks is left out."""
    entries = {name.strip("'\""): entry for name, entry in split(text).items()}
    return {name: entries[name] for name in names if name in entries}
