"""What is wrong and what to do, worst first; what another finding explains is folded under it."""

from __future__ import annotations

from collections.abc import Sequence

from leverframe.domain.monitoring.dashboard.html_text import icon, left_out, section, table
from leverframe.domain.monitoring.finding import Finding
from leverframe.domain.monitoring.monitor_result import OpenAlert
from leverframe.domain.monitoring.monitor_words import KINDS, WORDS, Cause, State, causes, stamp
from leverframe.inert.markup import link, sentence, text
from leverframe.words import and_more

_OPEN = 5  # findings that are seen at once


def findings_panel(findings: Sequence[Finding], most: int, limit: int) -> str:
    """Return the list of findings, at most ``most``, each sentence of at most about ``limit`` bytes."""
    listed = causes(findings)
    if not listed:
        return ""
    shown = [_cause(cause, most, limit) for cause in listed[:most]]
    content = _listed(shown[:_OPEN])
    if len(shown) > _OPEN:
        rest = _listed(shown[_OPEN:]) + left_out(len(listed) - most, "findings")
        content += f"<details><summary>{len(listed) - _OPEN:,} more findings</summary>{rest}</details>"
    return section("findings", "Findings", content)


def _listed(shown: Sequence[str]) -> str:
    return f'<ol class="findings">{"".join(shown)}</ol>'


def _cause(cause: Cause, most: int, limit: int) -> str:
    finding = cause.finding
    folded = ""
    if cause.explains:
        inner = "".join(f"<li>{_head(effect)} {sentence(effect.what, limit)}</li>" for effect in cause.explains[:most])
        rest = "".join(and_more(len(cause.explains) - most, "<li>and ", "</li>"))
        title = f"explains {len(cause.explains):,} more finding{'s' if len(cause.explains) > 1 else ''}"
        folded = f"<details><summary>{title}</summary><ul>{inner}{rest}</ul></details>"
    return (
        f'<li class="{finding.severity.value}">{_head(finding)}<p>{sentence(finding.what, limit)}</p>'
        f'<p class="next"><b>Do:</b> {sentence(finding.next, limit)}</p>{folded}</li>'
    )


def _head(finding: Finding) -> str:
    state: State = finding.severity.value
    since = text(finding.since, 30)
    when = f"since {since}" if finding.since != finding.window else f"in {since}"
    return f'<span class="kind">{icon(state)}<b>{WORDS[state]}</b> · {KINDS[finding.kind]} · {when}</span>'


def alerts_panel(alerts: Sequence[OpenAlert], most: int) -> str:
    """Return the alerts and pull requests that are open on the forge."""
    if not alerts:
        return ""
    rows = [
        [
            link(alert.url, text(alert.title, 160) or "(no title)"),
            "pull request" if "/pull/" in alert.url else "issue",
            f"{icon(alert.severity.value)} {WORDS[alert.severity.value]}",
            text(stamp(alert.since), 40),
            f"until {text(alert.snoozed_until, 20)}" if alert.snoozed_until else "-",
        ]
        for alert in alerts[:most]
    ]
    heads = ["title", "what", "severity", "open since", "snoozed"]
    shown = table(heads, rows, "open alerts") + left_out(len(alerts) - most, "alerts")
    return section("alerts", "Open alerts and pull requests", shown)
