"""The head of the page: in one glance how the model is, when that was found, and what serves."""

from __future__ import annotations

from leverframe.domain.monitoring.dashboard.html_text import icon
from leverframe.domain.monitoring.monitor_result import Monitored, Span
from leverframe.domain.monitoring.monitor_words import (
    WORDS,
    areas,
    causes,
    headline,
    serving,
    silence,
    stale_after,
    stamp,
    state,
)
from leverframe.inert.markup import name, sentence, text

_ANCHORS = {"Data quality": "quality", "Drift": "drift", "Performance": "performance", "Server": "traffic",
            "Upstream tables": "tables"}  # fmt: skip


def status_panel(monitored: Monitored) -> str:
    """Return the head: verdict with the first cause, facts of the run, and a tile for each side of the model."""
    overall = state(monitored)
    first = causes(monitored.findings)[:1]
    lead = "".join(f"<p>{sentence(cause.finding.what)}</p>" for cause in first)
    return (
        f'<header class="{overall}"><p class="kicker">Leverframe monitor</p>'
        f"<h1>{name(monitored.model, 100)} in {name(monitored.environment, 60)}</h1>"
        f'<div class="verdict">{icon(overall)}<div><p><strong>{WORDS[overall]}.</strong> '
        f"{text(headline(monitored), 300)}</p>{lead}</div></div>{_stale(monitored)}{_facts(monitored)}</header>"
        f"{_tiles(monitored)}"
    )


def _stale(monitored: Monitored) -> str:
    silent = silence(monitored)
    if not silent:
        return ""
    return (
        f'<p class="note warning">{icon("warning")} <strong>No new requests.</strong> The newest request is {silent} '
        "older than this run: check that the server logs and that its files arrive.</p>"
    )


def _facts(monitored: Monitored) -> str:
    late, release = stale_after(monitored), serving(monitored)
    facts = [
        ("last run", text(stamp(monitored.at), 60)),
        ("next run", text(stamp(monitored.next_run), 60) if monitored.next_run else "not scheduled"),
        ("serving", name(release, 60) if release else "not known"),
        ("live", _span(monitored.live)),
        ("reference", _span(monitored.reference)),
    ]
    listed = "".join(f"<div><dt>{term}</dt><dd>{content}</dd></div>" for term, content in facts)
    note = (
        f"Is it later than {late}? Then a run is overdue and this page is out of date: look at the runs of the monitor."
    )
    return f"<dl>{listed}</dl>" + (f"<p><small>{note}</small></p>" if late else "")


def _span(span: Span) -> str:
    if not span.rows:
        return "no rows"
    days = f"<small>{text(span.first[:10], 20)} to {text(span.last[:10], 20)}</small>"
    return f"{span.rows:,} rows in {span.windows:,} window{'' if span.windows == 1 else 's'}{days}"


def _tiles(monitored: Monitored) -> str:
    # Without a window there is one section for what needs one.
    there = _ANCHORS if monitored.windows else {**dict.fromkeys(_ANCHORS, "quality"), "Upstream tables": "tables"}
    tiles = "".join(
        f'<a class="{area.state}" href="#{there[area.title]}">{icon(area.state)}<b>{area.title}</b>'
        f"<span>{WORDS[area.state]} · {text(area.words, 120)}</span></a>"
        for area in areas(monitored)
    )
    return f'<nav aria-label="state of each side">{tiles}</nav>'
