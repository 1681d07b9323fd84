"""Attempts to train the model anew: when, why, on which rows, the result, and what is next."""

from __future__ import annotations

from leverframe.domain.monitoring.dashboard.html_text import icon, left_out, section, table
from leverframe.domain.monitoring.monitor_words import instant, stamp
from leverframe.domain.monitoring.retrain_facts import RetrainFacts, TriedCandidate
from leverframe.inert.markup import link, sentence, text

_HEADS = ["tried", "because of", "outcome", "figures", "pull request", "rows"]


def retrain_panel(facts: RetrainFacts, at: str, most: int, limit: int) -> str:
    """Return the attempts, at most ``most``, newest first; nothing where none was made and none is waited for.

    ``at`` is the time of the run, ``limit`` the bytes of a sentence.
    """
    if not facts.tried and not facts.waiting:
        return ""
    rows = [_row(tried) for tried in facts.tried[:most]]
    newest = facts.tried[0] if facts.tried else None
    attempt = f"<p><b>Last attempt, {text(newest.title, 40)}:</b> {sentence(newest.why, limit)}</p>" if newest else ""
    listed = table(_HEADS, rows, "attempts to retrain") + left_out(len(facts.tried) - most, "attempts") if rows else ""
    return section("retraining", "Retraining", _asks(facts) + attempt + _next(facts, at, limit) + listed)


def _asks(facts: RetrainFacts) -> str:
    if not facts.needs_human:
        return ""
    return (
        f'<p class="note warning">{icon("warning")} <strong>A person should look at this model.</strong> Three '
        "attempts in a row did not help: check its features, its labels and what changed in the world.</p>"
    )


def _next(facts: RetrainFacts, at: str, limit: int) -> str:
    parts = [f"Nothing is trained now: {sentence(facts.waiting, limit)}"] if facts.waiting else []
    until, now = instant(facts.until), instant(at)
    if until is not None and (now is None or until > now):
        parts.append(f"Next attempt possible from {text(stamp(facts.until), 40)}")
    return f"<p>{'. '.join(part.rstrip('.') for part in parts)}.</p>" if parts else ""


def _row(tried: TriedCandidate) -> list[str]:
    return [
        f"<span>{text(tried.at[:10], 40)}</span>",
        sentence(tried.causes, 400),
        f"<span>{icon(tried.state)} {text(tried.title, 40)}</span>",
        text(tried.figures, 160) or "-",
        link(tried.pull, "open") if tried.pull else "-",
        text(tried.window, 100) or "-",
    ]
