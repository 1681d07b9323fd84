"""The card as Markdown: the verdict first, independent sections, never longer than GitHub allows.

Each section is rendered alone: one that fails says so and leaves the others as they are. Text that comes
from data, names or people is escaped, so it can neither break a table nor mention anybody.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from leverframe.domain.data.contract_report import counts
from leverframe.domain.infrastructure.infra_section import infra_sections
from leverframe.domain.model.evaluate.evaluation_summary import short
from leverframe.domain.review.diff.diff_markdown import render as diff_page
from leverframe.domain.review.gate.gate_result import Compared, SliceCompared, change_of, improvement
from leverframe.domain.review.report.card import Card
from leverframe.domain.review.report.holdout_section import holdout_section
from leverframe.domain.review.report.judge_section import judge_section
from leverframe.domain.review.report.plots_section import plots_section
from leverframe.domain.review.report.pull_of_run import RunOrder
from leverframe.domain.review.report.replay_section import replay_section
from leverframe.domain.verdict import Failed, Passed, Violation
from leverframe.errors import PublishError
from leverframe.inert.letters import encoded, fitting
from leverframe.inert.markdown import code, fenced, folded, plain, sentence
from leverframe.inert.mermaid import label
from leverframe.words import and_more

LIMIT = 65_000  # bytes; GitHub refuses a comment of more than 65,536 characters, and the mark of CML follows
_ROOM = 20  # lines of a table or list; the rest is counted
_FULL = "the artifact of the run has the full list"
_FEW = 1_000  # characters that any section may take
_SHARE = 4  # a section may take this part of the whole

_NO_RUN = RunOrder()
_FOLDER = re.compile(r"[\w-][\w. /-]*")  # of a project, as a command may name it
_KEY = re.compile(r"\A[a-z0-9-]{1,60}\Z")


@dataclass(frozen=True)
class Shown:
    """How a card is drawn: how many slices, how many lines of any other list, and where pictures of curves lie.

    ``pictures`` maps the title of a curve, or the path of a picture, to an address. ``warnings`` stand before the
    verdict.
    """

    slices: int = 8
    rows: int = _ROOM
    pictures: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


Section = Callable[[Card, Shown], str]


def marker(key: str, head: str, order: RunOrder = _NO_RUN) -> str:
    """Return the hidden first line by which a comment of ours is known: its key, the commit, the run and its attempt.

    Raises ``PublishError`` for a key that is not of lower-case letters, digits and dashes.
    """
    if not _KEY.match(key):
        raise PublishError(
            f"{key[:60]!r} is no key", why="it is of a-z, 0-9 and dashes, 60 at most", next="use another --key"
        )
    content = {"head": head, "run": order.run, "attempt": order.attempt}
    return f"<!-- leverframe:report:{key} {json.dumps(content)} -->"


def render(card: Card, shown: Shown = Shown(), *, limit: int = LIMIT) -> str:
    """Return the card as Markdown of at most ``limit`` bytes; the verdict is cut last."""
    head = f"{_headline(card, shown.warnings)}\n\n{_reasons(card, shown.rows)}".strip()
    head = f"{head}\n\n{_infra(card, limit * 2 // 3)}".strip()  # what is destroyed is never left out
    parts = [_drawn(title, section, card, shown, limit) for title, section in _SECTIONS]
    parts = [part for part in parts if part]
    foot = _foot(card)
    cut = "\n\n_Some sections are left out here: the artifact of the run has them._"
    while parts and _size("\n\n".join([head, *parts, foot])) > limit - len(cut) - 1:
        parts.pop()  # the least important stand last
        foot = _foot(card) + cut
    return "\n\n".join([fitting(head, limit - _size(foot) - 3), *parts, foot]) + "\n"


def _size(text: str) -> int:
    return len(encoded(text))


def _drawn(title: str, section: Section, card: Card, shown: Shown, limit: int) -> str:
    try:
        text = section(card, shown)
    except Exception as error:
        text = f"### {title}\n\n_This section could not be rendered: {plain(type(error).__name__, 60)}._"
    if _size(text) <= limit // _SHARE:
        return text
    return f"### {title}\n\n_Too long for a comment; the artifact of the run has it._"


def _infra(card: Card, room: int) -> str:
    left = room
    try:
        while _size(text := infra_sections(card.infra, left) if card.infra else "") > room and left > _FEW:
            left = left * 3 // 4  # sections count characters, of which one may take four bytes
        return text
    except Exception as error:
        failed = plain(type(error).__name__, 60)
        return f"### Infrastructure\n\n❌ _The plans could not be rendered: {failed}. Read them in the log of the job._"


def _headline(card: Card, warnings: Sequence[str]) -> str:
    verdict, before = card.verdict, "".join(f"> ⚠️ {sentence(warning)}\n\n" for warning in warnings)
    us = "Leverframe" if card.project == "." else f"Leverframe ({code(card.project, 80)})"
    if isinstance(verdict, Passed):
        return f"{before}## ✅ {us}: ready to merge\n\n{_gist(card)}"
    if isinstance(verdict, Failed):
        reasons = ", ".join(f"`{reason.value}`" for reason in verdict.reasons)
        return f"{before}## ❌ {us}: do not merge\n\n{reasons}"
    return f"{before}## ⚪ {us}: no verdict\n\n{sentence(verdict.because)}"


def _gist(card: Card) -> str:
    gated = card.gated
    judged = [metric for metric in gated.metrics if metric.rule] if gated else []
    changes = [plain(change_of(metric), 120) for metric in judged[:3]]
    if gated and judged and all(metric.gain == 0 for metric in judged):
        return "No metric with a rule changed."
    return "; ".join(changes) + "." if changes else ""


def _reasons(card: Card, room: int) -> str:
    violations = card.violations[:room]
    following = [violation.next for violation in violations[1:]] + [""]
    lines = [_violation(violation, then) for violation, then in zip(violations, following, strict=False)]
    return "\n".join([*lines, *_more(len(card.violations) - room)])


def _violation(violation: Violation, then: str) -> str:
    """Return one violation; its remedy is left to the last of those in a row that share it."""
    remedy = "" if violation.next == then else f"  \n  → {sentence(violation.next)}"
    return f"- **`{violation.reason.value}`** {sentence(violation.what)}{remedy}"


def _listed(lines: Sequence[str], room: int) -> list[str]:
    return [*lines[:room], *_more(len(lines) - room)]


def _more(left: int) -> list[str]:
    return and_more(left, "- … and ", f"; {_FULL}")


def _metrics(card: Card, _: Shown) -> str:
    gated = card.gated
    if gated is None or not gated.metrics:
        return ""
    compared = any(metric.low is not None for metric in gated.metrics)
    lines = ["| | metric | base | this change | difference [bounds] | rule |", "|---|---|---:|---:|---|---|"]
    lines += [_metric(metric) for metric in gated.metrics]
    about = [f"**Evidence: {plain(gated.evidence, 60)}.**"] if gated.evidence else []
    if gated.rows:
        about.append(
            f"Hold-out: {gated.rows:,} rows of {gated.days:,} {plain(gated.blocks, 80)}; {plain(gated.how, 200)}."
        )
    independent = [
        metric.independent_days for metric in gated.metrics if metric.rule and metric.independent_days is not None
    ]
    if independent and gated.timed:
        blocks = sentence(gated.blocks)
        about.append(
            f"The {blocks} depend on each other: they tell as much as {min(independent):.0f} independent ones."
        )
    if compared:
        about.append(f"A positive bound is an improvement; bounds are one-sided, {100 * gated.confidence:g} % each.")
        about += [f"Bounds: {plain(gated.method, 200)}."] if gated.method else []
    if compared and any("allowed" in metric.rule for metric in gated.metrics):
        about.append(
            "An allowed drop is a non-inferiority margin: even the lower bound of the difference must stay within it."
        )
    about += [f"Errors and bias are in the unit of {code(gated.unit_of, 60)}."] if gated.unit_of else []
    about += [f"The rules come from {plain(gated.rules_of, 80)}.", *(sentence(note) for note in gated.notes)]
    return "\n".join(["### Metrics", "", *lines, "", " ".join(about)])


def _metric(metric: Compared) -> str:
    mark = ("✅" if metric.passed else "❌") if metric.rule else ""
    cells = [
        mark,
        plain(metric.title, 60),
        short(metric.champion),
        short(metric.candidate),
        improvement(metric),
        plain(metric.rule, 120),
    ]
    return f"| {' | '.join(cells)} |"


def _slices(card: Card, shown: Shown) -> str:
    gated, room = card.gated, shown.slices
    if gated is None or not gated.slices or not room:
        return ""
    moved = sorted(gated.slices, key=lambda part: (part.passed, -abs(part.gain or 0.0), part.column, part.value))
    lines = ["| | slice | rows | base | this change | difference [bounds] |", "|---|---|---:|---:|---:|---|"]
    lines += [_slice(part) for part in moved[:room]]
    failed = sum(not part.passed for part in gated.slices)
    summary = f"{len(gated.slices):,} slice{'' if len(gated.slices) == 1 else 's'} checked, {failed:,} failed"
    more = "".join(and_more(len(moved) - room, "\n\n… and ", f"; {_FULL}"))
    return folded("Slices", summary, "\n".join(lines) + more, unfolded=failed > 0)


def _slice(part: SliceCompared) -> str:
    gain = improvement(part)
    gain += f"{' ' * bool(gain)}({plain(part.note, 100)})" if part.note else ""
    name = f"{code(part.column, 40)} = {code(part.value, 40)}"
    cells = ["" if part.passed else "❌", name, f"{part.rows:,}", short(part.champion), short(part.candidate), gain]
    return f"| {' | '.join(cells)} |"


def _replay(card: Card, _: Shown) -> str:
    return replay_section(card.gated.replay) if card.gated and card.gated.replay else ""


def _serving(card: Card, _: Shown) -> str:
    return f"### Serving\n\n{sentence(card.serving[:1].upper() + card.serving[1:])}." if card.serving else ""


def _holdout(card: Card, _: Shown) -> str:
    return holdout_section(card.gated) if card.gated else ""


def _parameters(card: Card, shown: Shown) -> str:
    rules = card.gated.rule_changes if card.gated else ()
    if not card.parameters and not rules:
        return ""
    lines = ["| parameter | base | this change |", "|---|---|---|"] if card.parameters else []
    for parameter in card.parameters[: shown.rows]:
        lines.append(f"| {code(parameter.name, 80)} | {_value(parameter.before)} | {_value(parameter.after)} |")  # noqa: PERF401
    lines += and_more(len(card.parameters) - shown.rows, "\n… and ", f"; {_FULL}")
    if rules:
        head = "⚠️ **This change edits the gate. The rules of the base branch judge it**; these apply once it is merged:"
        lines += ["", head, ""]
        lines += _listed([f"- {sentence(rule)}" for rule in rules], shown.rows)
    return "\n".join(["### Parameters", "", *lines])


def _value(text: str | None) -> str:
    return "" if text is None else code(text, 80)


def _data(card: Card, shown: Shown) -> str:
    parts = []
    if card.constraints:
        checks = card.constraints
        results = counts(checks.passed, len(checks.failed), len(checks.warned), checks.skipped)
        parts.append(f"Contracts: {results}.")
        parts.append("\n".join(_listed([f"- ❌ {sentence(failure)}" for failure in checks.failed], shown.rows)))
    if card.diff is not None:
        verdict, _, rest = diff_page(card.diff).removeprefix("### Data: ").partition("\n\n")
        parts.append(f"Against the base: {verdict.strip()}.")
        parts.append(rest.partition("\n\n")[2].strip())  # what is compared stands at the foot of the card
    page = "\n\n".join(part for part in parts if part)
    return f"### Data\n\n{page}" if page else ""


def _plots(card: Card, shown: Shown) -> str:
    return plots_section(card, shown.pictures)


def _stages(card: Card, _: Shown) -> str:
    if not card.nodes:
        return ""
    ran = sum(node.ran for node in card.nodes)
    verified = sum(node.verified for node in card.nodes)
    seconds = sum(node.seconds for node in card.nodes)
    total = sum(node.members for node in card.nodes)
    summary = f"{total} stage{'s' * (total != 1)}: {ran} ran, {verified} verified, {seconds:.1f} s"
    return folded("Stages", summary, _graph(card))


def _graph(card: Card) -> str:
    number = {stage.name: f"s{place}" for place, stage in enumerate(card.nodes[:60])}
    lines = ["```mermaid", "flowchart LR"]
    for node in card.nodes[:60]:
        count = f" ({node.members})" if node.members > 1 else ""
        took = f"<br/>{node.seconds:.1f} s" if node.seconds else ""
        lines.append(f'  {number[node.name]}["{label(node.name)}{count}{took}"]')
    lines += [f"  {number[a]} --> {number[b]}" for a, b in card.edges[:200] if a in number and b in number]
    kinds = (
        ("failed", "fill:#ffd7d5,stroke:#cf222e,color:#5c0d12"),
        ("ran", "fill:#fde0c8,stroke:#c2410c,color:#5c1e05"),
        ("verified", "fill:#dbeafe,stroke:#1d4ed8,color:#0c2461"),
    )
    taken: set[str] = set()
    for kind, style in kinds:
        named = [number[stage.name] for stage in card.nodes[:60] if getattr(stage, kind) and stage.name not in taken]
        taken |= {stage.name for stage in card.nodes if getattr(stage, kind)}
        if named:
            lines += [f"  classDef {kind} {style}", f"  class {','.join(named)} {kind}"]
    return "\n".join([*lines, "```"])


def _again(card: Card, _: Shown) -> str:
    commands = ["dvc repro --pull --allow-missing", "leverframe gate"]
    if not card.pipeline:
        commands = [f"leverframe infra-plan --environment {label(planned.environment)}" for planned in card.infra]
    place = [f"cd {shlex.quote(card.project)}"] if _FOLDER.fullmatch(card.project) else []
    block = fenced("console", [f"git checkout {card.head[:12]}", *place, *commands])
    return folded("Reproduce it", "the commands of CI", block)


def _foot(card: Card) -> str:
    notes = _notes(card)
    lines = [*notes, *([""] if notes else []), f"<sub>{code(card.base[:12], 12)} to {code(card.head[:12], 12)}</sub>"]
    return "\n".join(lines)


def _notes(card: Card) -> list[str]:
    levers: Iterable[tuple[str, ...]] = (
        card.notes,
        card.checked.notes if card.checked else (),
        card.reproduced.notes if card.reproduced else (),
    )
    return _listed([f"- {sentence(note)}" for notes in levers for note in notes], 6)


def _judge(card: Card, _: Shown) -> str:
    return judge_section(card.judged) if card.judged else ""


_SECTIONS: tuple[tuple[str, Section], ...] = (
    ("Judge", _judge),
    ("Metrics", _metrics),
    ("Hold-out", _holdout),
    ("Replay", _replay),
    ("Serving", _serving),
    ("Parameters", _parameters),
    ("Slices", _slices),
    ("Data", _data),
    ("Stages", _stages),
    ("Plots", _plots),
    ("Reproduce it", _again),
)
