"""The section of a card about logged requests: what would change for those who ask."""

from __future__ import annotations

from leverframe.domain.markdown import code, sentence
from leverframe.domain.model.evaluate.evaluation_summary import short
from leverframe.domain.release.replay import Flip
from leverframe.domain.review.gate.replayed import Shadow


def shadow_section(shadow: Shadow) -> str:
    """Return verdict, figures and the furthest flips; one sentence where nothing was replayed."""
    found, told = shadow.replayed, shadow.line()
    verdict = f"{sentence(told[:1].upper() + told[1:])}."
    if found is None or shadow.because:
        return f"### Shadow replay\n\n⚪ {verdict}{_passed_over(shadow)}"
    mark = "❌" if shadow.share > shadow.maximum else "✅"
    other = "n/a" if shadow.kind == "regression" else f"{found.disagree:,}"
    lines = [
        f"{mark} {verdict}",
        "",
        "| requests | rows | another label | refused here alone | ms, base | ms, here |",
        "|---:|---:|---:|---:|---:|---:|",
        f"| {found.requests:,} | {found.rows:,} | {other} | {found.lost:,} "
        f"| {found.before_ms:.2f} | {found.after_ms:.2f} |",
        "",
        *_flips(found.largest),
        _about(shadow),
    ]
    return "\n".join(["### Shadow replay", "", *lines])


def _flips(largest: tuple[Flip, ...]) -> list[str]:
    if not largest:
        return []
    lines = ["| furthest apart | row | base | here | change |", "|---|---:|---:|---:|---:|"]
    for each in largest:
        cells = [f"{each.row:,}", short(each.before), short(each.after), f"{each.after - each.before:+,.4f}"]
        lines.append(f"| {code(each.request, 60)} | {' | '.join(cells)} |")
    return [*lines, ""]


def _about(shadow: Shadow) -> str:
    found = shadow.replayed
    when = f"{shadow.first}" if shadow.days == 1 else f"{shadow.days:,} days from {shadow.first} to {shadow.last}"
    told = sentence(f"The newest requests of `{shadow.log}`, {when}") + "."
    if found is not None and found.skipped:
        told += f" Skipped, as the champion could not answer them again: {found.skipped:,}."
    if shadow.left_out:
        told += " " + sentence(f"Not asked: {shadow.left_out}") + "."
    told += _passed_over(shadow)
    return f"{told} Times are the median of a request inside the gate's own process, without a server."


def _passed_over(shadow: Shadow) -> str:
    return f" Lines of the log that are no requests: {shadow.malformed:,}." if shadow.malformed else ""
