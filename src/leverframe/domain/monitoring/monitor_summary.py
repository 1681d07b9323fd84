"""A run of the monitor as Markdown for a job summary or a comment, and as a few lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leverframe.domain.monitoring.finding import Finding
from leverframe.domain.monitoring.monitor_result import Monitored, OpenAlert, Performance
from leverframe.domain.monitoring.monitor_words import (
    KINDS,
    WORDS,
    Cause,
    areas,
    causes,
    figure,
    headline,
    percent,
    rule_in_words,
    serving,
    silence,
    stale_after,
    stamp,
    state,
)
from leverframe.domain.verdict import Failed, word
from leverframe.inert.letters import visible
from leverframe.inert.markdown import code, link, plain, sentence
from leverframe.words import and_more, first_few

LIMIT = 60_000  # bytes; a comment on GitHub holds 65,536 characters
_FOLDED = 10  # findings that a cause names
_ROWS = 12  # of each table
_TOLD = 3  # findings in a terminal


def summary(monitored: Monitored) -> str:
    """Return Markdown of at most 60 kB: verdict, findings with what to do, alerts, and the newest figures."""
    head = [
        f"## {WORDS[state(monitored)]}: {code(monitored.model, 100)} in {code(monitored.environment, 60)}",
        f"{plain(headline(monitored), 300)}{_reasons(monitored)}",
        *([f"**The newest request is {silence(monitored)} older than this run.**"] if silence(monitored) else []),
        _areas(monitored),
    ]
    tail = [*_performance(monitored.performance), *_columns(monitored), *_tables(monitored), _about(monitored)]
    room = LIMIT - sum(len(block.encode()) + 2 for block in (*head, *tail)) - 200
    middle = [*_fitting(_findings(monitored.findings), room), *_alerts(monitored.alerts)]
    blocks = [*head, *middle, *tail]
    while len("\n\n".join(blocks).encode()) > LIMIT - 1:
        blocks.pop(-2)
    return "\n\n".join(blocks) + "\n"


def lines(monitored: Monitored) -> list[str]:
    """Return about 15 lines: the verdict, the worst findings with the next step, each side, and how drift is judged."""
    summary = [f"{_clean(monitored.model, 80)} in {_clean(monitored.environment, 40)}: {WORDS[state(monitored)]}"]
    summary.append(headline(monitored))
    listed = causes(monitored.findings)
    for cause in listed[:_TOLD]:
        finding = cause.finding
        behind = f" (explains {len(cause.explains):,} more)" if cause.explains else ""
        summary.append(f"  {finding.severity.value:<9} {KINDS[finding.kind]}: {_clean(finding.what, 300)}{behind}")
        summary.append(f"  {'':<9} next: {_clean(finding.next, 300)}")
    summary += and_more(len(listed) - _TOLD, "  and ", " findings")
    summary += [f"  {area.title:<15} {WORDS[area.state]:<12} {area.words}" for area in areas(monitored)]
    summary.append(_clean(rule_in_words(monitored), 500))
    following = _clean(stamp(monitored.next_run), 40) or "not scheduled"
    summary.append(f"serving {_clean(serving(monitored), 80) or 'not known'}; next run {following}")
    return summary


def _clean(text: str, limit: int) -> str:
    """Return the beginning of a text on one line, without what a terminal would obey."""
    shown = "".join(map(visible, text[:limit]))
    return shown if len(text) <= limit else f"{shown}…"


def _reasons(monitored: Monitored) -> str:
    verdict = monitored.verdict
    named = ", ".join(f"`{reason.value}`" for reason in verdict.reasons) if isinstance(verdict, Failed) else ""
    return f" Verdict: {word(verdict)}{f', {named}' if named else ''}."


def _areas(monitored: Monitored) -> str:
    rows = [[area.title, WORDS[area.state], plain(area.words, 200)] for area in areas(monitored)]
    return _table(["", "state", ""], rows)


def _findings(findings: Sequence[Finding]) -> Iterator[str]:
    for number, cause in enumerate(causes(findings)):
        yield ("### Findings\n\n" if number == 0 else "") + _cause(cause)


def _cause(cause: Cause) -> str:
    finding = cause.finding
    since = plain(finding.since, 40)
    when = f"since {since}" if finding.since != finding.window else f"in {since}"
    bullets = [f"- **{WORDS[finding.severity.value]}**, {KINDS[finding.kind]}, {when}: {sentence(finding.what[:1000])}"]
    bullets.append(f"  - **Do:** {sentence(finding.next[:1000])}")
    behind = cause.explains
    if behind:
        names = first_few([f"{KINDS[effect.kind]} of {code(effect.subject, 60)}" for effect in behind], _FOLDED)
        bullets.append(f"  - It explains {names}.")
    return "\n".join(bullets)


def _fitting(blocks: Iterator[str], room: int) -> list[str]:
    """Return as many blocks as there is room for, in bytes, and a line that counts the others."""
    shown: list[str] = []
    hidden = 0
    for block in blocks:
        room -= len(block.encode()) + 2
        if room < 0 or hidden:
            hidden += 1
        else:
            shown.append(block)
    return [*shown, *([f"{hidden:,} more findings are left out here."] if hidden else [])]


def _alerts(alerts: Sequence[OpenAlert]) -> list[str]:
    rows = [
        [
            link(plain(alert.title, 120) or "(no title)", alert.url),
            WORDS[alert.severity.value],
            plain(stamp(alert.since), 40),
            f"until {plain(alert.snoozed_until, 20)}" if alert.snoozed_until else "",
        ]
        for alert in alerts[:_ROWS]
    ]
    return _titled("Open alerts and pull requests", ["", "severity", "open since", "snoozed"], rows, len(alerts))


def _performance(performance: Sequence[Performance]) -> list[str]:
    rows = []
    for series in performance[:_ROWS]:
        judged = [point for point in series.points if point.judged and point.realised.value is not None]
        newest = judged[-1] if judged else None
        estimated = next((point.estimated for point in reversed(series.points) if point.estimated is not None), None)
        low, high = series.reference.low, series.reference.high
        rows.append([
            plain(series.title, 60),
            f"{figure(newest.realised.value)} in {plain(newest.window, 24)}" if newest else "not judged",
            f"{figure(low)} to {figure(high)}" if low is not None and high is not None else "-",
            figure(estimated),
            percent(series.points[-1].coverage if series.points else None),
        ])  # fmt: skip
    heads = ["", "realised", "expected", "newest estimate", "newest window with labels"]
    return _titled("Performance", heads, rows, len(performance))


def _columns(monitored: Monitored) -> list[str]:
    odd = [column for column in monitored.columns if any(cell.beyond for cell in column.cells[-3:])]
    rows = []
    for column in odd[:_ROWS]:
        newest = next((cell.statistic for cell in reversed(column.cells) if cell.statistic is not None), None)
        beyond = sum(cell.beyond for cell in column.cells)
        rows.append([
            code(column.name, 80), f"{plain(column.statistic, 20)} {figure(newest)}", figure(column.band),
            f"{beyond} of {len(column.cells)}", figure(column.wasserstein), figure(column.psi),
        ])  # fmt: skip
    heads = ["column", "newest", "band", "windows beyond", "Wasserstein (sd)", "PSI"]
    return _titled("Columns beyond their band", heads, rows, len(odd))


def _tables(monitored: Monitored) -> list[str]:
    broken = [table for table in monitored.tables if table.verdict == "failed"]
    rows = [
        [
            code(table.table, 80), plain(table.partition, 24),
            "; ".join(sentence(check[:200]) for check in table.failed[:2]),
            ", ".join(code(feature, 40) for feature in table.features[:3]) or "none",
        ]
        for table in broken[:_ROWS]
    ]  # fmt: skip
    return _titled("Upstream tables that fail", ["table", "partition", "violated", "features"], rows, len(broken))


def _about(monitored: Monitored) -> str:
    made, late, release = monitored.provenance, stale_after(monitored), serving(monitored)
    release = code(release, 80) if release else "not known"
    listed = "; ".join(sentence(note[:300]) for note in monitored.notes[:_FOLDED])
    notes = f" Not looked at: {listed}." if listed else ""
    return (
        f"<sub>{sentence(rule_in_words(monitored)[:900])}{notes} Serving {release}. "
        f"Run at {plain(stamp(monitored.at), 40)}, next at {plain(stamp(monitored.next_run), 40) or 'no time'}"
        f"{f'; out of date after {plain(late, 40)}' if late else ''}. Commit {code(made.commit, 60)}, "
        f"reference {code(made.reference, 80)}, {plain(made.engine, 60)}, Leverframe {plain(made.leverframe, 20)}."
        "</sub>"
    )


def _titled(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], count: int) -> list[str]:
    if not rows:
        return []
    more = f"\n\n{count - len(rows):,} more are left out here." if count > len(rows) else ""
    return [f"### {title}\n\n{_table(heads, rows)}{more}"]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    listed = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in listed)
