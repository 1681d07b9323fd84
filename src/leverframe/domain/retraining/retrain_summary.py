"""A run of `leverframe retrain` as a few lines for a terminal, and as Markdown for a job summary."""

from __future__ import annotations

from collections.abc import Sequence

from leverframe.domain.model.evaluate.evaluation_summary import short
from leverframe.domain.retraining.attempt import Attempt, Comparison, Evidence
from leverframe.domain.retraining.retrain_history import TITLES
from leverframe.domain.retraining.retrain_result import Retrained
from leverframe.domain.review.gate.gate_result import Compared, improvement
from leverframe.inert.markdown import code, link, plain, sentence
from leverframe.words import and_more

_SHOWN = 3  # causes on a terminal


def lines(retrained: Retrained) -> list[str]:
    """Return the result: why, on which rows, the figures, and the pull request."""
    output = [f"{retrained.model} in {retrained.environment}: {_state(retrained)}"]
    if retrained.attempt is not None:
        output += _attempt_lines(retrained.attempt)
    elif retrained.causes:
        output += _because(retrained.causes)
    elif retrained.waiting is not None:
        output.append(f"  {retrained.waiting.why}")
    output += [f"  step: {step}" for step in retrained.steps]
    for proposal in retrained.proposals:
        if proposal.url:
            output.append(f"  {'revert' if proposal.revert else 'pull request'} ({proposal.state}): {proposal.url}")
    return [*output, *(f"note: {note}" for note in retrained.notes)]


def summary(retrained: Retrained) -> str:
    """Return Markdown: why, on which rows, the comparison, and the pull request."""
    head = f"## Retraining: {code(retrained.model, 100)} in {code(retrained.environment, 60)}"
    blocks = [head, f"**{_state(retrained)}.** {sentence(_why(retrained)[:1000])}"]
    attempt = retrained.attempt
    causes = attempt.causes if attempt is not None else retrained.causes
    listed = [f"- {cause.cause.value}: {sentence(cause.what[:300])}" for cause in causes[:8]]
    listed += and_more(len(causes) - 8)
    blocks += ["\n".join(listed)] if listed else []
    if attempt is not None:
        blocks += [f"Window: {plain(str(attempt.window), 200)}."] if attempt.window else []
        blocks += [_table(attempt.comparison)] if attempt.comparison else []
    links = [
        f"- {link('revert' if one.revert else f'pull request #{one.number}', one.url)} ({plain(one.state, 40)})"
        for one in retrained.proposals
        if one.url
    ]
    blocks += ["\n".join(links)] if links else []
    blocks += ["\n".join(f"- {sentence(note[:300])}" for note in retrained.notes)] if retrained.notes else []
    return "\n\n".join(blocks) + "\n"


def asking(attempt: Attempt) -> tuple[str, str]:
    """Return title and text of the issue that asks for a person after attempts in a row that did not help."""
    text = (
        f"Three attempts in a row to retrain {code(attempt.model, 100)} in {code(attempt.environment, 60)} did not "
        f"help. The last one, of {plain(attempt.at[:10], 20)}: {sentence(attempt.why[:1000])}\n\nLook at what changed "
        "in the world, at features that could explain it, and at the labels. "
        "`leverframe retrain --force` tries again now."
    )
    return f"[{attempt.model}/{attempt.environment}] retraining does not help", text


def _state(retrained: Retrained) -> str:
    if retrained.attempt is not None:
        return f"a candidate was tried: {TITLES[retrained.attempt.outcome]}"
    if retrained.waiting is not None:
        return f"nothing was trained: {retrained.waiting.standstill.value.replace('-', ' ')}"
    return "a candidate is due"


def _why(retrained: Retrained) -> str:
    if retrained.attempt is not None:
        return retrained.attempt.why
    return retrained.waiting.why if retrained.waiting else ""


def _attempt_lines(attempt: Attempt) -> list[str]:
    report = _because(attempt.causes)
    report += [f"  {attempt.window}"] if attempt.window else []
    report.append(f"  {attempt.why}")
    if attempt.comparison is not None:
        report += [_line(metric, attempt.comparison) for metric in attempt.comparison.metrics]
    return report


def _because(causes: Sequence[Evidence]) -> list[str]:
    reasons = [f"  because of {cause.cause.value}: {cause.what}" for cause in causes[:_SHOWN]]
    return [*reasons, *and_more(len(causes) - _SHOWN, "  and of ")]


def _line(metric: Compared, comparison: Comparison) -> str:
    mark = "*" if metric.metric == comparison.metric else " "
    return (
        f"  {mark} {metric.title:<31} {_number(metric.champion)} -> {_number(metric.candidate)}  {improvement(metric)}"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else short(value)


def _table(comparison: Comparison) -> str:
    rows = ["| metric | champion | candidate | difference |", "| --- | --- | --- | --- |"]
    for metric in comparison.metrics:
        title = f"**{plain(metric.title, 60)}**" if metric.metric == comparison.metric else plain(metric.title, 60)
        rows.append(f"| {title} | {_number(metric.champion)} | {_number(metric.candidate)} | {improvement(metric)} |")
    return "\n".join(rows)
