"""What a pull request of a candidate says: evidence, data, comparison, cost, what merging does, and the way back."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from leverframe.domain.model.evaluate.evaluation_summary import short
from leverframe.domain.retraining.attempt import Attempt, Comparison, Cost, Outcome
from leverframe.domain.review.gate.gate_result import Compared, SliceCompared, improvement
from leverframe.inert.markdown import code, fenced, link, plain, sentence, table
from leverframe.words import and_more

_NAME, _ROWS, _EVIDENCE = 80, 15, 20  # bytes of a name, rows of a table, findings
_HEADS = {
    Outcome.BETTER: "The candidate is better on rows that neither model saw.",
    Outcome.NOT_WORSE: "The candidate is not worse on rows that neither model saw, but no gain is shown. "
    "So this is a draft.",
}


@dataclass(frozen=True)
class PullFacts:
    """What the text says beside the attempt.

    ``branch`` is that of the pull request, ``target`` the one it goes to, ``head`` and ``base`` their commits.
    ``champion`` is the digest of the model that serves, ``dashboard`` an address. ``data`` says where the outputs are
    where no DVC remote has them. ``watch_days`` counts the days after a merge in which a worse model is reverted.
    """

    branch: str
    target: str
    head: str
    base: str
    champion: str = ""
    dashboard: str = ""
    data: str = ""
    watch_days: float = 0.0
    merges: bool = False


def title(model: str) -> str:
    """Return the title: the same for every candidate of the model, as the pull request is."""
    return f"Retrain {model[:100]}"


def text(attempt: Attempt, facts: PullFacts) -> str:
    """Return our part of the body, in Markdown; every list is cut to its beginning."""
    compared = attempt.comparison
    parts = [
        f"**{_HEADS.get(attempt.outcome, attempt.outcome.value)}** {sentence(attempt.why)}",
        _evidence(attempt, facts),
        _window(attempt),
        *([_comparison(compared), _slices(compared.slices)] if compared else []),
        *([_cost(attempt.cost)] if attempt.cost else []),
        _merging(attempt, facts),
        _reproduce(facts),
        _back(),
        _hashes(attempt, facts),
    ]
    return "\n\n".join(part for part in parts if part)


def revert_title(model: str) -> str:
    """Return the title of the pull request that reverts a merged candidate."""
    return f"Revert the retraining of {model[:100]}"


def revert_text(merged: int, why: str, compared: Comparison, merging: str, facts: PullFacts) -> str:
    """Return our part of the body of the pull request that takes a merged candidate, by its number, back.

    ``merging`` says what merging it does.
    """
    parts = [
        f"**The model of #{merged} is worse on realised labels than the one before it.** {sentence(why)}",
        _comparison(compared) if compared.metrics else "",  # where only the monitor could judge
        _slices(compared.slices),
        merging,
        f"What deploys every merge to {code(facts.target, _NAME)} deploys the model before #{merged}.",
        "### Sooner\n\n`leverframe rollback` lets the environment serve the release before at once, without a merge.",
        f"### Reproduce\n\n{fenced('bash', [_switch(facts), 'dvc pull', 'dvc repro'])}",
    ]
    return "\n\n".join(part for part in parts if part)


def _evidence(attempt: Attempt, facts: PullFacts) -> str:
    lines = [
        f"- **{cause.cause}**{f' of {code(cause.subject, _NAME)}' if cause.subject else ''}"
        f"{f' since {code(cause.since, _NAME)}' if cause.since else ''}: {sentence(cause.what)}"
        for cause in attempt.causes[:_EVIDENCE]
    ]
    lines += and_more(len(attempt.causes) - _EVIDENCE)
    dashboard = link(f"Dashboard of {plain(attempt.environment, _NAME)}", facts.dashboard)
    where = f"\n\n{dashboard}" if facts.dashboard else ""
    return "### Why now\n\n" + "\n".join(lines or ["- somebody asked for it"]) + where


def _window(attempt: Attempt) -> str:
    window, cost, compared = attempt.window, attempt.cost, attempt.comparison
    if window is None:
        return ""
    labelled = f", {compared.labelled:,} with a label on {compared.days:,} days" if compared else ""
    rows = [
        ("trained on", code(window.train_first, _NAME), code(window.train_last, _NAME),
         f"{cost.train_rows:,}" if cost and cost.train_rows is not None else ""),
        ("judged on", code(window.holdout_first, _NAME), code(window.holdout_last, _NAME),
         (f"{cost.holdout_rows:,}" if cost else "") + labelled),
    ]  # fmt: skip
    note = "Neither the model that serves nor the candidate learnt from a row that both are judged on."
    return "### Data\n\n" + table(("", "from", "to", "rows"), rows) + f"\n\n{note}"


def _comparison(compared: Comparison) -> str:
    first = [metric for metric in compared.metrics if metric.metric == compared.metric]
    rest = [metric for metric in compared.metrics if metric.metric != compared.metric]
    lines = [
        "### Comparison",
        f"{code(compared.metric, _NAME)} decides. Bounds are one-sided at {compared.confidence:.1%}; a "
        "bound is positive where the candidate is better.",
        _metrics([*first, *rest]),
    ]
    if compared.old_rows:
        lines += [f"On the old test set, {compared.old_rows:,} rows ({sentence(compared.old_how)}):",
                  _metrics(compared.old_metrics)]  # fmt: skip
    elif compared.old_how:
        lines.append(f"The old test set was not compared: {sentence(compared.old_how)}.")
    listed = [
        *(f"**{plain(violation, 300)}**" for violation in compared.violations[:10]),
        *map(sentence, compared.notes[:10]),
    ]
    lines += ["\n".join(f"- {line}" for line in listed)] if listed else []
    return "\n\n".join(lines)


def _metrics(metrics: Sequence[Compared]) -> str:
    rows = [
        (code(metric.title, _NAME), _number(metric.champion), _number(metric.candidate), improvement(metric))
        for metric in metrics[:_ROWS]
    ]
    return table(("metric", "serving", "candidate", "difference [bounds]"), rows)


def _slices(slices: Sequence[SliceCompared]) -> str:
    worse = [part for part in slices if part.gain is not None and part.gain < 0]
    if not worse:
        return ""
    rows = [
        (f"{code(part.column, _NAME)} = {code(part.value, _NAME)}", code(part.metric, _NAME), f"{part.rows:,}",
         _number(part.champion), _number(part.candidate), short(abs(part.gain or 0.0)),
         "" if part.passed else "beyond the rule")
        for part in worse[:_ROWS]
    ]  # fmt: skip
    listed = table(("slice", "metric", "rows", "serving", "candidate", "worse by", ""), rows)
    return "\n".join(["### Slices that got worse", "", listed, *and_more(len(worse) - _ROWS)])


def _cost(cost: Cost) -> str:
    size = (
        f"The bundle has {cost.candidate_bytes:,} bytes, before {cost.champion_bytes:,}."
        if cost.candidate_bytes and cost.champion_bytes is not None
        else ""
    )
    learnt = "" if cost.train_rows is None else f"{cost.train_rows:,} rows to learn from and "
    judged = f"{cost.holdout_rows:,} {'to be judged on' if learnt else 'rows to be judged on'}"
    return f"### Cost\n\nThe pipeline took {cost.seconds:,.0f} seconds for {learnt}{judged}. {size}".strip()


def _merging(attempt: Attempt, facts: PullFacts) -> str:
    lines = [
        "Merging moves the data window in the parameters and records the run: `dvc.lock` and the reports. No code "
        f"changes. What deploys every merge to {code(facts.target, _NAME)} deploys this one.",
        "The card of this pull request judges it as any other, by the rules of the base branch.",
    ]
    if facts.watch_days and attempt.outcome is Outcome.BETTER:
        lines.append(
            f"For {facts.watch_days:g} days after the deployment the monitor compares both models on realised labels. "
            "If the new one is worse, a pull request with the figures reverts this one."
        )
    if facts.data:
        lines.append(f"**{plain(facts.data, 400)}**")
    return "### What merging does\n\n" + "\n\n".join(lines)


def _reproduce(facts: PullFacts) -> str:
    pull = [] if facts.data else ["dvc pull"]
    target = shlex.quote(f"origin/{facts.target}")
    commands = [_switch(facts), *pull, "dvc repro", f"leverframe gate --base {target}"]
    return "### Reproduce\n\n" + fenced("bash", commands)


def _switch(facts: PullFacts) -> str:
    return f"git fetch origin && git switch {shlex.quote(facts.branch)}"


def _back() -> str:
    return (
        "### Roll back\n\nBefore the merge: close this. After it: the button `Revert` of this pull request, or at once "
        "`leverframe rollback`, which lets the environment serve the release before."
    )


def _hashes(attempt: Attempt, facts: PullFacts) -> str:
    rows = [("commit", facts.head), (f"base, {code(facts.target, _NAME)}", facts.base), ("evidence", attempt.evidence),
            ("model, candidate", attempt.candidate), ("model, serving", facts.champion)]  # fmt: skip
    shown = [(name, code(value, _NAME)) for name, value in rows if value]
    return f"### Hashes\n\n{table(('', 'digest'), shown)}\n\nTrained {plain(attempt.at, _NAME)}."


def _number(value: float | None) -> str:
    return "" if value is None else short(value)
