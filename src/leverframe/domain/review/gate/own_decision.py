"""How the gate decides in a pipeline of one's own: by the best evidence that the repository allows, which it names.

Both models on the same rows say most; predictions of both revisions, paired by key, nearly as much; figures alone say
what moved, and not whether chance did it. Where the change spoils its own evidence, it is not comparable; where the
base lacks it, weaker evidence is taken and said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from leverframe.domain.features.training_set import Label
from leverframe.domain.model.evaluate.metrics import METRICS
from leverframe.domain.model.table import Table
from leverframe.domain.review.gate.figures import UNSURE, judged_figures, named
from leverframe.domain.review.gate.gate_result import Gated
from leverframe.domain.review.gate.own_pairing import OwnPair, alone, by_key, on_same_rows
from leverframe.domain.review.gate.own_slices import shown_slices
from leverframe.domain.review.gate.paired import judged_metrics
from leverframe.domain.review.gate.role_rows import Predicted, Roles, columns_predicted
from leverframe.domain.review.gate.rules import Rules
from leverframe.domain.review.gate.sliced import judged_slices, undefined
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import LeverframeError
from leverframe.settings import LEVERS
from leverframe.settings.levers import GateSettings
from leverframe.settings.pipeline import Kind, PipelineSettings, RowsRole
from leverframe.yaml_files import leaves

SAME_ROWS, PAIRED, FIGURES = "both models on the same rows", "paired predictions", "figures alone"
_MOST_FIGURES = 100  # beside those with a rule
_FIRST = "The base branch has no model, so there is no champion: only floors apply."
_WITH_ROWS = f"For intervals, name the file with labels and predictions as `pipeline.predictions` in `{LEVERS}`."


class OwnSide(Protocol):
    """One revision of a pipeline of one's own."""

    @property
    def settings(self) -> PipelineSettings:
        """Where it has what."""

    def metrics(self) -> Mapping[str, Any]:
        """Return the content of its files of metrics, by path; raises ``LeverframeError``."""

    def table(self, path: str) -> Table:
        """Return the rows of a file, or of all files of a pattern; raises ``LeverframeError``."""

    def predicted(self, roles: Roles, table: Table) -> Predicted:
        """Return what its model predicts for rows; raises ``LeverframeError``."""


Sides = tuple[OwnSide, OwnSide | None]


@dataclass(frozen=True)
class _Evidence:
    """Rows of both sides where there are any, and what has to be said of how they came about."""

    strength: str = FIGURES
    rows: OwnPair | None = None
    notes: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()


@dataclass(frozen=True)
class _Findings:
    """What is found on the way to a decision."""

    violations: list[Violation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def run(commits: tuple[str, str], sides: Sides, rules: Rules, megabytes: float) -> Gated:
    """Judge the candidate, ``sides[0]``, against the champion, ``sides[1]``, None where the base has no model.

    ``commits`` are base and head, ``megabytes`` is the size of the candidate's model. Nothing is written.
    """
    settings, findings = rules.settings, _Findings([*rules.violations])
    evidence = _evidence(sides, settings)
    findings.violations.extend([*_too_large(settings, megabytes), *evidence.violations])
    findings.notes.extend([*_roles_changed(sides), *evidence.notes])
    gated = Gated(*commits, rules_of=rules.of, rule_changes=rules.changes, evidence=evidence.strength)
    if evidence.rows is not None:
        gated = _by_rows(gated, evidence.rows, settings, findings)
    gated = _by_figures(gated, sides, settings, findings)
    unruled = "" if settings.metrics or settings.slices else f"`gate` in `{LEVERS}` declares no rule"
    because = f"{unruled}, so nothing could fail" if unruled and not findings.violations else ""
    return replace(gated, violations=tuple(findings.violations), because=because, notes=tuple(findings.notes))


def _evidence(sides: Sides, settings: GateSettings) -> _Evidence:
    """Return the best evidence that there is: a way that the base does not allow is noted, and the next one taken."""
    notes: list[str] = []
    for way in (_same_rows, _paired):
        result = way(sides, settings)
        if isinstance(result, _Evidence):
            return replace(result, notes=(*notes, *result.notes))
        notes += [result] if result else []
    return _Evidence(notes=tuple(notes))


def _same_rows(sides: Sides, settings: GateSettings) -> _Evidence | str:
    """Let both models predict the hold-out of the change; return why the champion cannot, empty where nobody asks."""
    (ours, theirs), section = sides, "pipeline.holdout"
    role = ours.settings.holdout
    if role is None or ours.settings.model is None:
        return ""
    kind = role.kind or (ours.settings.predictions.kind if ours.settings.predictions else "binary")
    roles = _roles(section, role, (role.label, kind), settings)
    try:
        candidate = ours.predicted(roles, ours.table(role.path))
        if theirs is None:
            return _Evidence(SAME_ROWS, alone(roles, candidate), (_FIRST,))
    except LeverframeError as error:
        return _spoilt(error)
    try:
        champion = theirs.predicted(roles, candidate.table)
        before = theirs.table((theirs.settings.holdout or role).path)
    except LeverframeError as error:
        return f"The model of the base branch could not predict the rows of this change: {error.what} ({error.why})."
    try:
        return _Evidence(SAME_ROWS, on_same_rows(roles, candidate, champion, before, settings.maximum_holdout_change))
    except LeverframeError as error:
        return _spoilt(error)


def _paired(sides: Sides, settings: GateSettings) -> _Evidence | str:
    """Pair what both revisions predicted; return why the base has no predictions, empty where nobody names them."""
    (ours, theirs), section = sides, "pipeline.predictions"
    role = ours.settings.predictions
    if role is None or role.label is None:
        return ""
    roles = _roles(section, role, (role.label, role.kind), settings)
    try:
        candidate = columns_predicted(roles, ours.table(role.path), role.score)
        if theirs is None:
            return _Evidence(PAIRED, alone(roles, candidate), (_FIRST,))
    except LeverframeError as error:
        return _spoilt(error)
    before = theirs.settings.predictions or role
    try:
        base_roles = _roles(section, before, (before.label or role.label, before.kind), settings)
        champion = columns_predicted(base_roles, theirs.table(before.path), before.score)
    except LeverframeError as error:
        return f"Nobody has what the base branch predicted: {error.what} ({error.why}). {error.next}"
    try:
        return _Evidence(PAIRED, by_key(roles, candidate, champion, settings.maximum_holdout_change))
    except LeverframeError as error:
        return _spoilt(error)


def _roles(section: str, role: RowsRole, label: tuple[str, Kind], settings: GateSettings) -> Roles:
    ruled = [name for rule in settings.slices for name in rule.columns]
    return Roles(section, role, Label(*label), tuple(dict.fromkeys([*ruled, *role.slices])))


def _spoilt(error: LeverframeError) -> _Evidence:
    violation = Violation(Reason.NOT_COMPARABLE, f"{error.what}: {error.why}", error.next)
    return _Evidence(violations=(violation,))


def _by_rows(gated: Gated, rows: OwnPair, settings: GateSettings, findings: _Findings) -> Gated:
    """Return the decision with what the rows say; rules on other figures are left to those."""
    pair, kind = rows.pair, rows.pair.candidate.kind
    ruled = {name: rule for name, rule in settings.metrics.items() if name in _names(kind)}
    metrics, missed = judged_metrics(pair, settings.model_copy(update={"metrics": ruled}))
    slices, within = judged_slices(pair, settings)
    if rows.change is not None:
        findings.violations.extend(rows.change.violations())
    findings.violations.extend([*missed, *within])
    findings.notes.extend(undefined(slices))
    blocks = pair.candidate.number_of_days
    return replace(
        gated,
        rows=len(pair.candidate.labels),
        days=blocks,
        blocks=pair.blocks.name,
        timed=pair.blocks.timed,
        method=pair.blocks.method(blocks),
        how=rows.how,
        confidence=settings.confidence,
        metrics=tuple(metrics),
        slices=(*slices, *shown_slices(pair, {part.column for part in slices})),
        holdout=rows.change,
    )


def _by_figures(gated: Gated, sides: Sides, settings: GateSettings, findings: _Findings) -> Gated:
    """Return the decision with the figures that the pipelines wrote, beside what rows said."""
    ours, theirs = sides
    judged = {metric.metric for metric in gated.metrics}
    left = [name for name in settings.metrics if name not in judged]
    try:
        after = named(ours.metrics())
        before = None if theirs is None else named(theirs.metrics())
    except LeverframeError as error:
        if left or not judged:
            findings.violations.append(Violation(Reason.NOT_COMPARABLE, f"{error.what}: {error.why}", error.next))
        return gated
    compared, missed = judged_figures(after, before, settings, judged)
    findings.violations.extend(missed)
    ruled, others = [figure for figure in compared if figure.rule], [figure for figure in compared if not figure.rule]
    if len(others) > _MOST_FIGURES:
        findings.notes.append(f"{len(others) - _MOST_FIGURES:,} more figures have no rule and are not shown")
    if theirs is not None and left:
        new = [f"`{figure.metric}`" for figure in ruled if figure.champion is None]
        findings.notes.extend([f"the base branch has no {', '.join(new)}: only floors apply to it"] if new else [])
    if not gated.rows:
        findings.notes.append(f"{UNSURE[:1].upper()}{UNSURE[1:]}. {_WITH_ROWS}")
        findings.notes.extend([_FIRST] if theirs is None and _FIRST not in findings.notes else [])
    return replace(gated, metrics=(*gated.metrics, *ruled, *others[:_MOST_FIGURES]))


def _names(kind: Kind) -> set[str]:
    return {metric.name for metric in METRICS[kind]}


def _roles_changed(sides: Sides) -> list[str]:
    """Return in words where this change has other roles than its base: what is measured would be another thing."""
    ours, theirs = sides
    if theirs is None or ours.settings == theirs.settings:
        return []
    roles = [side.settings.model_dump(mode="json") for side in (theirs, ours)]
    one_sided = {name for name in roles[0] if (roles[0][name] is None) != (roles[1][name] is None)}
    changes = [f"`pipeline.{name}` is {'new' if roles[0][name] is None else 'gone'}" for name in sorted(one_sided)]
    before, after = (
        dict(leaves({name: side[name] for name in side if name not in one_sided}, "pipeline")) for side in roles
    )
    changes += [
        f"`{name}`: `{before.get(name)}` to `{after.get(name)}`"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
    return [f"This change says otherwise where things are, so read what is compared: {'; '.join(changes)}."]


def _too_large(settings: GateSettings, megabytes: float) -> list[Violation]:
    limit = settings.maximum_megabytes
    if limit is None or megabytes <= limit:
        return []
    return [
        Violation(
            Reason.BUNDLE_TOO_LARGE,
            f"the model takes {megabytes:,.1f} MB, the limit is {limit:g} MB",
            "make it smaller, or raise `gate.maximum_megabytes` in a pull request of its own",
        )
    ]
