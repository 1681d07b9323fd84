"""What the features come from: upstream tables with their contracts, and features that were recomputed."""

from __future__ import annotations

from collections.abc import Sequence

from leverframe.domain.monitoring.dashboard.html_text import icon, left_out, table
from leverframe.domain.monitoring.monitor_result import Skew, TableFacts
from leverframe.domain.monitoring.monitor_words import State, figure, percent
from leverframe.inert.markup import name, sentence, text
from leverframe.words import first_few

_NAMED = 4  # checks or features that a row names
_STATES: dict[str, State] = {"passed": "ok", "failed": "critical", "skipped": "unknown"}


def tables_table(tables: Sequence[TableFacts], most: int) -> str:
    """Return upstream tables with the verdict of their contracts and what is built from them."""
    if not tables:
        return "<p>No contract report of an upstream table was found.</p>"
    rows = []
    for facts in tables[:most]:
        state = "warning" if facts.warned and facts.verdict == "passed" else _STATES[facts.verdict]
        broken = first_few([sentence(check, 200) for check in (*facts.failed, *facts.warned)], _NAMED)
        built = first_few([name(feature, 40) for feature in facts.features], _NAMED)
        rows.append([
            name(facts.table, 60),
            f"<span>{text(facts.partition, 24)}</span>", f"{icon(state)} {facts.verdict}", broken or "-",
            f"{facts.rows:,}", built or "none",
        ])  # fmt: skip
    heads = ["table", "partition", "contract", "violated", "#rows", "features built from it"]
    return table(heads, rows, "upstream tables") + left_out(len(tables) - most, "tables")


def skew_table(skew: Sequence[Skew], most: int) -> str:
    """Return the features that were recomputed for logged requests; those that differ first."""
    if not skew:
        return ""
    ordered = sorted(skew, key=lambda feature: -(feature.different / feature.rows if feature.rows else 0))
    rows = [
        [
            name(feature.feature, 60), f"{feature.rows:,}", f"{feature.different:,}",
            percent(feature.different / feature.rows if feature.rows else None), figure(feature.largest),
        ]
        for feature in ordered[:most]
    ]  # fmt: skip
    heads = ["feature", "#recomputed", "#differ", "#share", "#largest difference"]
    return table(heads, rows, "training-serving skew") + left_out(len(skew) - most, "features")
