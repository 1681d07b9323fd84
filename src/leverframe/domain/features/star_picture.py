"""How a star schema is drawn and its plan told in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from leverframe.domain.features.plan import AsOfLookup, Lookup, Plan, Step, Windows
from leverframe.inert.mermaid import label


@dataclass(frozen=True)
class Origin:
    """Where one feature of one row came from.

    ``rows`` counts what was read; ``newest`` is the timestamp the newest of them became known, and
    ``opens`` where the window begins; both None for a lookup without time.
    """

    feature: str
    value: str
    table: str
    key: str
    rows: int
    opens: str | None
    newest: str | None


def mermaid(plan: Plan) -> str:
    """Return the star as a Mermaid flowchart: dimensions to the left of the spine, measures to its right."""
    lines = ["flowchart LR", f'  spine["<b>{label(plan.spine)}</b><br/>{_own(plan)}"]']
    for number, step in enumerate(plan.steps):
        if isinstance(step, Lookup):
            lines.append(f'  s{number}[("{_words(step)}")] ---|{_edge(step)}| spine')
        else:
            lines.append(f'  spine ---|{_edge(step)}| s{number}(["{_words(step)}"])')
    for number, target in enumerate(plan.labels):
        threshold = f" ≥ {target.at_least:g}" if target.at_least is not None else ""
        words = f"<b>{label(target.name)}</b><br/>{label(target.column)}{threshold}"
        lines.append(f'  spine ==> l{number}{{{{"{words}"}}}}')
    return "\n".join(lines) + "\n"


def plan_lines(plan: Plan) -> list[str]:
    """Return the plan in words, a line a step and a line a feature."""
    lines = [f"plan {plan.spec}: {len(plan.features())} features for each row of `{plan.spine}`"]
    if plan.lead_time:
        lines.append(f"  each row is seen {short(plan.lead_time)} before its event_time")
    lines.append(f"  spine: {', '.join([*plan.spine_features, *plan.calendar])}")
    for step in plan.steps:
        lines.append(f"  {_sentence(step)}")
        lines += [f"    {name}" for name in step.outputs()]
    for target in plan.labels:
        threshold = f" is at least {target.at_least:g}" if target.at_least is not None else ""
        lines.append(f"  label {target.name}: {target.column}{threshold}, known at {target.known_at} ({target.kind})")
    reaches = [f"{table} {short(reach)}" for table, reach in plan.reach().items() if reach]
    lines.append(f"  looks back at most: {', '.join(reaches) or 'not at all'}")
    return lines


def origin_lines(origins: Sequence[Origin]) -> list[str]:
    """Return where each feature of one row came from, as aligned columns."""
    rows = [("feature", "value", "from", "rows", "window opens", "newest known")]
    rows += [
        (o.feature, o.value, o.table + (f" ({o.key})" if o.key else ""), str(o.rows), o.opens or "", o.newest or "")
        for o in origins
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def short(length: timedelta) -> str:
    """Return a length of time in the unit that writes it without a fraction: 28d, 3h, 90s."""
    seconds = int(length.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _own(plan: Plan) -> str:
    return "<br/>".join(map(label, [*plan.spine_features, *plan.calendar]))


def _words(step: Step) -> str:
    title = step.name if step.name == step.table else f"{step.name} of {step.table}"
    return f"<b>{label(title)}</b><br/>{'<br/>'.join(_shown(step))}"


def _shown(step: Step) -> list[str]:
    if not isinstance(step, Windows):
        return list(map(label, step.columns))
    windows: dict[str, list[str]] = {}
    for aggregate in step.aggregates:
        above = f" above {aggregate.threshold:g}" if aggregate.threshold is not None else ""
        function = "share" if aggregate.function == "share_above" else aggregate.function
        windows.setdefault(f"{function} of {label(aggregate.column)}{above}", []).append(
            label(aggregate.name.rpartition("_")[2])
        )
    return [f"{what}: {', '.join(lengths)}" for what, lengths in windows.items()]


def _edge(step: Step) -> str:
    key = ", ".join(map(label, step.key.spine)) or "all rows"
    if isinstance(step, Windows):
        return f"{key}<br/>by {label(step.known_at)}"
    if isinstance(step, AsOfLookup):
        return f"{key}<br/>newest known"
    return key


def _sentence(step: Step) -> str:
    key = f"by ({', '.join(step.key.spine)})" if step.key.spine else "over all rows"
    if isinstance(step, Windows):
        own = f", not the row's own by ({', '.join(step.own)})" if step.own else ""
        return f"windows of `{step.table}` {key}, events with {step.known_at} and arrival before as_of{own}:"
    if isinstance(step, AsOfLookup):
        lag = f" {short(step.lag)} after it became known" if step.lag else ""
        return f"newest row of `{step.table}` {key}, usable{lag} and up to {short(step.tolerance)} old:"
    return f"the row of `{step.table}` {key}:"
