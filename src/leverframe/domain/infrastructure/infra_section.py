"""The section of a card about the plan of an environment: what is destroyed first, then everything else.

Values of resources are of others: they stand in code spans or in a fence longer than any run of backticks in them.
"""

from __future__ import annotations

from collections.abc import Sequence

from leverframe.domain.infrastructure.infra_addresses import WHOLE, listed
from leverframe.domain.infrastructure.infra_plan import ChangeKind, InfraPlan, ResourceChange
from leverframe.domain.infrastructure.infra_plan_result import CREATE_FIRST, InfraPlanned
from leverframe.domain.infrastructure.infra_ports import StateLock
from leverframe.domain.verdict import Failed
from leverframe.inert.letters import one_line
from leverframe.inert.markdown import code, fenced, folded

_DONE = {
    ChangeKind.DELETE: "destroy",
    ChangeKind.REPLACE: "replace",
    ChangeKind.FORGET: "forget",
    ChangeKind.CREATE: "create",
    ChangeKind.UPDATE: "change",
    ChangeKind.IMPORT: "import",
    ChangeKind.MOVE: "move",
    ChangeKind.READ: "read",
}
_WIDE = 1_000  # characters of a line of the diff: more than one has whose value is not on lines of its own
_LEAST = 1_500  # characters for lists of addresses and a diff
_FEW = 10  # addresses with a line each where nothing is destroyed
_CLOSING = 50  # characters of the line that says how many more there are
_NOTES, _LONG_NOTE = 5, 400  # notes, and characters of one
_SIGNS = {"+": "+", "-": "-", "~": "!"}  # the last is what a diff is coloured by


def infra_sections(plans: Sequence[InfraPlanned], room: int) -> str:
    """Return the sections of all environments, in the order given, of about ``room`` characters together."""
    return "\n\n".join(infra_section(planned, room // len(plans)) for planned in plans)


def infra_section(planned: InfraPlanned, room: int) -> str:
    """Return one environment as Markdown: a quiet line where nothing changes, else what changes, the worst first."""
    name, plan = code(planned.environment, 60), planned.plan
    if plan is None:
        return _paragraphs(f"### Infrastructure {name}", _refused(planned), "No plan was made.", _foot(planned))
    if _quiet(planned, plan):
        return f"Infrastructure {name}: no change. {_foot(planned)}"
    top = [
        f"### Infrastructure {name}",
        _destroyed(plan, room * 3 // 5),
        f"{changes_to(plan)}.",
        _refused(planned),
        _checks(plan, room // 10),
        _outside(plan, room // 10),
    ]
    foot = _foot(planned)
    left = room - len(_paragraphs(*top, foot))
    rest = (_addresses(plan, left // 3), _diff(plan, left // 2)) if left > _LEAST else ()
    return _paragraphs(*top, *rest, foot)


def _quiet(planned: InfraPlanned, plan: InfraPlan) -> bool:
    failed = any(check.failed for check in plan.checks)
    return plan.empty and not (planned.violations or plan.outside or failed or planned.lock)


def _paragraphs(*texts: str) -> str:
    return "\n\n".join(text for text in texts if text)


def _destroyed(plan: InfraPlan, room: int) -> str:
    """Return the warning with the list of what is destroyed or replaced, which is compressed but never cut."""
    changes = {kind: [c for c in plan.changes if c.kind is kind] for kind in (ChangeKind.DELETE, ChangeKind.REPLACE)}
    known = {kind: some for kind, some in changes.items() if some}
    if not known:
        return ""
    words = " and ".join(f"{_DONE[kind]}s {len(some):,}" for kind, some in known.items())
    total = sum(map(len, known.values()))
    parts = [f"⚠️ **This plan {words} resource{'' if total == 1 else 's'}.**"]
    for kind, some in known.items():
        why = {change.address: _why(change) for change in some}
        parts.append(f"To {_DONE[kind]}:\n\n{listed(list(why), room * len(some) // total, why.__getitem__)}")
    return _paragraphs(*parts)


def _why(change: ResourceChange) -> str:
    forced = f"{', '.join(code(name, 60) for name in change.forced_by[:5])} forces it" if change.forced_by else ""
    words = "; ".join(
        filter(
            None,
            (forced, code(change.because, 200) if change.because else "", CREATE_FIRST if change.create_first else ""),
        )
    )
    return f": {words}" if words else ""


def changes_to(plan: InfraPlan) -> str:
    """Return how many resources change in each way, as `2 to destroy, 1 to create`."""
    counts = [f"{count:,} to {_DONE[kind]}" for kind, count in plan.counts.items()]
    counts += [f"{len(plan.outputs):,} output{'' if len(plan.outputs) == 1 else 's'}"] if plan.outputs else []
    return ", ".join(counts) or "Nothing changes"


def _refused(planned: InfraPlanned) -> str:
    verdict = planned.verdict
    if not isinstance(verdict, Failed):
        return ""
    return f"❌ {', '.join(code(reason.value, 40) for reason in verdict.reasons)}: see the list above."


def _checks(plan: InfraPlan, room: int) -> str:
    failed = [check for check in plan.checks if check.failed]
    lines: list[str] = []
    for check in failed:
        line = f"- ❌ check {code(check.address, 200)}: {code('; '.join(check.messages) or check.status, 400)}"
        if sum(len(earlier) + 1 for earlier in lines) + len(line) > room:
            break
        lines.append(line)
    more = len(failed) - len(lines)
    return "\n".join([*lines, *([f"- ❌ {more:,} more checks that failed. {WHOLE}."] if more else [])])


def _outside(plan: InfraPlan, room: int) -> str:
    if not plan.outside:
        return ""
    gone = {change.address: " is gone" if change.kind is ChangeKind.DELETE else "" for change in plan.outside}
    count = f"{len(gone):,} resource{'' if len(gone) == 1 else 's'}"
    return (
        f"Changed outside of Terraform since the last apply, {count}:\n\n{listed(list(gone), room, gone.__getitem__)}"
    )


def _addresses(plan: InfraPlan, room: int) -> str:
    """Return the folded list of what is neither destroyed nor replaced, a list a kind."""
    rest = [kind for kind in plan.counts if kind not in (ChangeKind.DELETE, ChangeKind.REPLACE)]
    if not rest:
        return ""
    parts = []
    for kind in rest:
        before = {c.address: f", was {code(c.before, 400)}" if c.before else "" for c in plan.changes if c.kind is kind}
        parts.append(f"To {_DONE[kind]}:\n\n{listed(list(before), room // len(rest), before.__getitem__, few=_FEW)}")
    summary = ", ".join(f"{plan.counts[kind]:,} to {_DONE[kind]}" for kind in rest)
    return folded("Addresses", summary, _paragraphs(*parts))


def _diff(plan: InfraPlan, room: int) -> str:
    """Return the folded diff, a block a resource, as many as there is room for; those that destroy come first.

    The block that is too long for what room is left ends in how many lines of it are missing.
    """
    blocks: list[str] = []
    part: list[str] = []
    changes = [change for change in (*plan.changes, *plan.outputs) if change.kind is not ChangeKind.READ]
    for change in changes:
        lines = [_head(change), *(_line(line, max(_WIDE, room // 20)) for line in change.lines)]
        left = room - sum(len(earlier) + 1 for earlier in blocks)
        if sum(len(line) + 1 for line in lines) > left:
            part = _begun(lines, left)
            break
        blocks.append("\n".join(lines))
    if not changes:
        return ""
    if len(blocks) == len(changes):
        summary, more = f"{len(changes):,} change{'' if len(changes) == 1 else 's'}", ""
    else:
        summary, more = f"{len(blocks):,} of {len(changes):,} changes", f"{WHOLE.partition(',')[0]}, has the others."
    blocks += part
    return folded("Diff", summary, _paragraphs(fenced("diff", blocks) if blocks else "", more))


def _begun(lines: Sequence[str], room: int) -> list[str]:
    """Return the first lines of a block that are within the room, and how many more it has."""
    kept: list[str] = []
    for line in lines:
        room -= len(line) + 1
        if room < _CLOSING:
            break
        kept.append(line)
    return [*kept, f"  … and {len(lines) - len(kept):,} more lines of it"] if kept[1:] else []


def _head(change: ResourceChange) -> str:
    words = [_DONE[change.kind]]
    words += [f"from {change.before}"] if change.before else []
    words += [f"forced by {', '.join(change.forced_by)}"] if change.forced_by else []
    words += [change.because] if change.because else []
    words += [CREATE_FIRST] if change.create_first else []
    return f"@@ {begun(change.address + ': ' + ', '.join(words))} @@"


def _line(line: str, wide: int) -> str:
    """Return a line of the diff with its sign in the first column, and nothing of another line in it."""
    return f"{_SIGNS.get(line[:1], ' ')}{begun(line[1:] if line[:1] in _SIGNS else line, wide)}"


def begun(text: str, wide: int = _WIDE) -> str:
    """Return the beginning of a text as one line, and how much follows it."""
    shown = one_line(text[:wide]).rstrip()
    return f"{shown}… +{len(text) - wide:,} characters" if len(text) > wide else shown


def _foot(planned: InfraPlanned) -> str:
    """Return which plan this is: commits, digest, tool, lock and the last apply."""
    plan = planned.plan
    words = [f"{code(planned.base[:12], 12)} to {code(planned.head[:12], 12)}"]
    if plan is not None:
        words += [f"plan {code(plan.digest if plan.pending else plan.digest[:12], 64)}", code(str(plan.tool), 60)]
    words += [f"workspace {code(planned.workspace, 60)}"] if planned.workspace != "default" else []
    words += [f"last applied {code(planned.applied[:12], 12)}"] if planned.applied else []
    words += [_lock(planned.lock)] if planned.lock else []
    return " ".join([f"<sub>{' · '.join(words)}</sub>", *_notes(planned.notes)])


def _notes(notes: Sequence[str]) -> list[str]:
    """Return notes as Markdown, so many that they never crowd out what they stand beside."""
    more = [f"{len(notes) - _NOTES:,} more notes: the log of the job has them."] if len(notes) > _NOTES else []
    return [*(code(note, _LONG_NOTE) for note in notes[:_NOTES]), *more]


def _lock(lock: StateLock) -> str:
    since = f" since {code(lock.created, 40)}" if lock.created else ""
    by = f" by {code(lock.who, 80)}" if lock.who else ""
    return (
        f"🔒 locked{by}{f' for {code(lock.operation, 40)}' if lock.operation else ''}{since} (id {code(lock.id, 60)})"
    )
