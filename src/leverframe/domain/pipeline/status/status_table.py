"""The state of a pipeline as a table for people, a document for programs, and a graph for pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from leverframe.domain.pipeline.status.reasons import STALE, Finding, PipelineStatus, StageStatus, StaleReason, State
from leverframe.domain.pipeline.status.resolved import Stage
from leverframe.inert.mermaid import label
from leverframe.words import and_more, first_few

DEFINITION = "dvc.yaml"
_WORDS = {
    StaleReason.STAGE_NEW: "never ran",
    StaleReason.LOCK_ENTRY_GONE: "its entry is missing from the lock",
    StaleReason.COMMAND_CHANGED: "command",
    StaleReason.PARAMETER_CHANGED: "parameter {}",
    StaleReason.PARAMETER_ADDED: "parameter {} is new",
    StaleReason.PARAMETER_REMOVED: "parameter {} was removed",
    StaleReason.PARAMETER_MISSING: "parameter {} is missing",
    StaleReason.PARAMETER_FILE_MISSING: "parameter file {} is missing",
    StaleReason.DEPENDENCY_CHANGED: "{} changed",
    StaleReason.DEPENDENCY_ADDED: "{} is a new dependency",
    StaleReason.DEPENDENCY_MISSING: "{} is missing",
    StaleReason.DEPENDENCY_ABSENT: "{} is not on this machine",
    StaleReason.DEPENDENCY_OTHER: "{} is that of another commit",
    StaleReason.OUTPUT_CHANGED: "output {} changed after the run",
    StaleReason.OUTPUT_ADDED: "{} is a new output",
    StaleReason.OUTPUT_ABSENT: "output {} is not on this machine",
    StaleReason.OUTPUT_OTHER: "output {} is that of another commit",
    StaleReason.OUTPUT_NOT_CACHED: "output {} is not in the cache",
    StaleReason.ALWAYS_RUNS: "runs always",
    StaleReason.UPSTREAM_STALE: "because of {}",
}
_MOST_LINES = 5
_MOST_NAMES = 3
_COLOURS = {
    State.FRESH: "fill:#e6f4ea,stroke:#1e7e34,color:#0b3d1a",
    State.MISSING: "fill:#e8eaed,stroke:#5f6368,color:#202124",
    State.DOWNSTREAM: "fill:#fff4d6,stroke:#b8860b,color:#4d3800",
    State.CHANGED: "fill:#fde0c8,stroke:#c2410c,color:#5c1e05",
    State.NEW: "fill:#dbeafe,stroke:#1d4ed8,color:#0c2461",
}


def phrase(finding: Finding) -> str:
    """Return one finding as a phrase."""
    phrase = _WORDS[finding.reason].format(finding.subject)
    if finding.old is not None and finding.new is not None:
        phrase += f": {finding.old} -> {finding.new}"
    elif finding.new is not None:
        phrase += f": {finding.new}"
    elif finding.old is not None:
        phrase += f" (was {finding.old})"
    return f"{phrase} ({finding.detail})" if finding.detail else phrase


def table(status: PipelineStatus) -> str:
    """Return a table of stages, states and reasons that ends with what to run next.

    Stages of one group that are in the same state for the same reasons share a line.
    """
    rows = [("stage", "state", "why")]
    for members in _alike(status.stages):
        lines = _lines(_general(members[0]) if len(members) > 1 else members[0])
        rows.append((_label(members), members[0].state.value, lines[0]))
        rows += [("", "", line) for line in lines[1:]]
    first, second = (max(len(row[i]) for row in rows) for i in (0, 1))
    body = [f"{stage:<{first}}  {state:<{second}}  {why}".rstrip() for stage, state, why in rows]
    notes = [f"note: {note}" for note in status.notes]
    return "\n".join([*body, "", _sum(status), *notes, f"next: {next_step(status)}"])


def _lines(status: StageStatus) -> list[str]:
    """Return the findings as a few lines, those about upstream stages in one."""
    upstream = [_caused(finding) for finding in status.findings if finding.reason is StaleReason.UPSTREAM_STALE]
    own = [phrase(finding) for finding in status.findings if finding.reason is not StaleReason.UPSTREAM_STALE]
    lines = own[:_MOST_LINES] + and_more(len(own) - _MOST_LINES, "and ")
    if upstream:
        lines.append(f"because of {first_few(upstream, _MOST_NAMES)}")
    return lines or [""]


def _caused(finding: Finding) -> str:
    return f"{finding.subject} ({finding.detail})" if finding.detail else finding.subject


def _alike(stages: Sequence[StageStatus]) -> list[list[StageStatus]]:
    """Return the stages in lines of the table: a group stands where its first stage stands."""
    place: dict[tuple[object, ...], int] = {}
    for i, stage in enumerate(stages):
        place.setdefault(_line_of(stage), i)
    by_line = sorted(stages, key=lambda status: place[_line_of(status)])
    return [list(members) for _, members in groupby(by_line, key=_line_of)]


def _line_of(status: StageStatus) -> tuple[object, ...]:
    stage = status.stage
    return (stage.file, stage.group or stage.name, status.state, _general(status).findings)


def _general(status: StageStatus) -> StageStatus:
    """Return the status with the key of its own partition left out of the findings, so that partitions compare."""
    key = status.stage.key
    if key is None:
        return status
    findings = (
        replace(
            finding,
            subject=finding.subject.replace(key, "*"),
            old=None if finding.old is None else finding.old.replace(key, "*"),
            new=None if finding.new is None else finding.new.replace(key, "*"),
        )
        if finding.reason is not StaleReason.PARAMETER_CHANGED
        else finding
        for finding in status.findings
    )
    return replace(status, findings=tuple(dict.fromkeys(findings)))


def _label(members: Sequence[StageStatus]) -> str:
    first, last = members[0].stage, members[-1].stage
    if len(members) == 1:
        return first.name
    return f"{first.name} .. {last.key} ({len(members)})"


def _sum(status: PipelineStatus) -> str:
    counts = [f"{status.count(state)} {state.value}" for state in reversed(State) if status.count(state)]
    return f"{len(status.stages)} stage{'s' * (len(status.stages) != 1)}: {', '.join(counts)}"


def next_step(status: PipelineStatus) -> str:
    """Return the next step, as a command if one suffices."""
    findings = [(stage, finding) for stage in status.stages for finding in stage.findings]
    reasons = {finding.reason: finding.subject for _, finding in findings}
    for reason, advice in (
        (StaleReason.PARAMETER_MISSING, "add `{}` to the parameter file, or remove it from dvc.yaml"),
        (StaleReason.PARAMETER_FILE_MISSING, "restore {}, or remove it from dvc.yaml"),
        (StaleReason.DEPENDENCY_MISSING, "restore {}, or remove it from dvc.yaml"),
    ):
        if reason in reasons:
            return advice.format(reasons[reason])
    edited = next((stage.stage.file for stage, finding in findings if stage.stage.is_source and _edited(finding)), None)
    if edited:
        return f"dvc commit {edited}"
    return _command(status, [finding for _, finding in findings])


def repro_of(stages: Iterable[Stage]) -> str:
    """Return the command that runs some stages and what depends on them: `dvc repro` alone knows one `dvc.yaml`."""
    return "dvc repro" if all(stage.file == DEFINITION for stage in stages) else "dvc repro --recursive ."


def _command(status: PipelineStatus, findings: Sequence[Finding]) -> str:
    elsewhere = any(_elsewhere(finding) for finding in findings)
    if status.stale:
        command = repro_of(stage.stage for stage in status.stages if stage.state in STALE and not stage.stage.is_source)
        return f"{command} --pull --allow-missing" if elsewhere else command
    if elsewhere:
        return "dvc pull"
    if any(finding.reason is StaleReason.OUTPUT_NOT_CACHED for finding in findings):
        return "dvc commit"
    in_git = next((finding.subject for finding in findings if finding.detail == "in git"), None)
    if in_git:
        return f"git checkout -- {in_git}"
    return "dvc checkout" if findings else "nothing to do"


def _edited(finding: Finding) -> bool:
    return finding.reason is StaleReason.OUTPUT_CHANGED


def _elsewhere(finding: Finding) -> bool:
    return finding.reason in (StaleReason.OUTPUT_ABSENT, StaleReason.OUTPUT_OTHER) and not finding.detail


def document(status: PipelineStatus) -> dict[str, Any]:
    """Return the whole status as values that fit into JSON."""
    return {
        "stale": status.stale,
        "counts": {state.value: status.count(state) for state in State},
        "next": next_step(status),
        "notes": list(status.notes),
        "stages": [
            {
                "stage": stage.stage.name,
                "state": stage.state.value,
                "findings": [
                    {
                        "reason": finding.reason.value,
                        "subject": finding.subject,
                        "old": finding.old,
                        "new": finding.new,
                        "detail": finding.detail,
                        "text": phrase(finding),
                    }
                    for finding in stage.findings
                ],
            }
            for stage in status.stages
        ],
    }


def mermaid(status: PipelineStatus) -> str:
    """Return the stages as a Mermaid flowchart in the colours of their states; a group is one node with counts."""
    groups: dict[str, list[StageStatus]] = {}
    node: dict[str, str] = {}
    for stage in status.stages:
        group = stage.stage.group or stage.stage.name
        groups.setdefault(group, []).append(stage)
        node[stage.stage.name] = group
    number = {group: f"s{i}" for i, group in enumerate(groups)}
    lines = ["flowchart LR"]
    lines += [f'  {number[group]}["{_node(group, members)}"]' for group, members in groups.items()]
    arrows = dict.fromkeys((node[a], node[b]) for a, b in status.edges if node[a] != node[b])
    lines += [f"  {number[a]} --> {number[b]}" for a, b in arrows]
    for state in State:
        named = [number[group] for group, members in groups.items() if _worst(members) is state]
        if named:
            lines += [f"  classDef {state.value} {_COLOURS[state]}", f"  class {','.join(named)} {state.value}"]
    return "\n".join(lines)


def _node(group: str, members: Sequence[StageStatus]) -> str:
    name = label(group)
    if len(members) == 1 and members[0].stage.group is None:
        return f"{name}<br/>{members[0].state.value}"
    counts = ", ".join(f"{n} {state.value}" for state in State if (n := sum(m.state is state for m in members)))
    return f"{name} ({len(members)})<br/>{counts}"


def _worst(members: Sequence[StageStatus]) -> State:
    """Return the state that colours a group: stale before missing before fresh."""
    order = list(State)
    return max((member.state for member in members), key=lambda state: (state in STALE, order.index(state)))
