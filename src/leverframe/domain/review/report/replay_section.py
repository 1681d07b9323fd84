"""The section of a card about logged requests: what would change for clients."""

from __future__ import annotations

from leverframe.domain.model.evaluate.evaluation_summary import short
from leverframe.domain.release.replay import Flip
from leverframe.domain.review.gate.gate_result import signed
from leverframe.domain.review.gate.replay_comparison import ReplayComparison
from leverframe.inert.markdown import code, sentence


def replay_section(comparison: ReplayComparison) -> str:
    """Return verdict, figures and the furthest flips; one sentence where nothing was replayed."""
    figures, line = comparison.replayed, comparison.line()
    verdict = f"{sentence(line[:1].upper() + line[1:])}."
    if figures is None or comparison.because:
        return f"### Replay of logged requests\n\n⚪ {verdict}{_passed_over(comparison)}"
    mark = "❌" if comparison.share > comparison.maximum else "✅"
    other = () if comparison.kind == "regression" else (f"{figures.disagree:,}",)
    cells = [f"{figures.requests:,}", f"{figures.rows:,}", *other, f"{figures.lost:,}",
             f"{figures.before_ms:.2f}", f"{figures.after_ms:.2f}"]  # fmt: skip
    head = ["requests", "rows", *(["another label"] if other else []), "newly refused", "ms, base", "ms, this change"]
    lines = [
        f"{mark} {verdict}",
        "",
        f"| {' | '.join(head)} |",
        f"|{'---:|' * len(head)}",
        f"| {' | '.join(cells)} |",
        "",
        *_flips(figures.largest),
        _about(comparison),
    ]
    return "\n".join(["### Replay of logged requests", "", *lines])


def _flips(largest: tuple[Flip, ...]) -> list[str]:
    if not largest:
        return []
    lines = ["| largest differences | row | base | this change | difference |", "|---|---:|---:|---:|---:|"]
    for flip in largest:
        cells = [f"{flip.row:,}", short(flip.before), short(flip.after), signed(flip.after - flip.before)]
        lines.append(f"| {code(flip.request, 60)} | {' | '.join(cells)} |")
    return [*lines, ""]


def _about(comparison: ReplayComparison) -> str:
    skipped = comparison.replayed.skipped if comparison.replayed else 0
    weighed = " A row counts once, and one request as at most 5 % of the rows."
    when = (
        f"{comparison.first}"
        if comparison.days == 1
        else f"{comparison.days:,} days from {comparison.first} to {comparison.last}"
    )
    text = sentence(f"The newest requests of `{comparison.log}`, {when}") + "." + weighed
    if skipped:
        text += f" Skipped, as the champion could not predict them again: {skipped:,}."
    if comparison.left_out:
        text += " " + sentence(f"Not replayed: {comparison.left_out}") + "."
    text += _passed_over(comparison)
    return f"{text} Times are the median of a request inside the gate's own process, without a server."


def _passed_over(comparison: ReplayComparison) -> str:
    return f" Lines of the log that are no requests: {comparison.malformed:,}." if comparison.malformed else ""
