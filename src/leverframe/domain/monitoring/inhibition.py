"""Which findings are explained by others: a broken source silences the drift behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from leverframe.domain.monitoring.finding import DRIFT, QUALITY, RANK, Finding, Kind, Severity

_OF_COLUMN = frozenset({Kind.SCHEMA, Kind.MISSING, Kind.NEW_CATEGORY, Kind.OUT_OF_RANGE, Kind.SKEW})
_OF_SOURCE = frozenset({Kind.TABLE, Kind.LOOKUP})
_OF_MODEL = frozenset({
    Kind.PREDICTION_DRIFT, Kind.MULTIVARIATE_DRIFT, Kind.PERFORMANCE, Kind.CALIBRATION, Kind.CONCEPT,
})  # fmt: skip
_STRENGTH = (Kind.LOG, Kind.VOLUME, Kind.TABLE, Kind.LOOKUP, Kind.SCHEMA, Kind.SKEW, Kind.MISSING, Kind.OUT_OF_RANGE,
             Kind.NEW_CATEGORY)  # fmt: skip


_CLOCK = f"{Kind.LOG}:clock"  # rows of a wrong time are missing where they belong


def inhibited(findings: Sequence[Finding], built: Mapping[str, Sequence[str]] | None = None) -> tuple[Finding, ...]:
    """Return the findings with what explains them; ``built`` are the features behind each table or step of a lookup.

    Where the whole log is broken or nothing arrives, that explains everything else; rows that came again explain drift
    and performance. A table explains what is found of
    the features built from it, a finding of a column's values what else is found of the column, and any of them what
    is found of predictions and performance. What is only shown explains nothing.
    """
    causes = [
        finding for finding in findings if finding.kind in QUALITY and RANK[finding.severity] >= RANK[Severity.WARNING]
    ]
    order = {kind: place for place, kind in enumerate(_STRENGTH)}
    causes.sort(key=lambda finding: (order.get(finding.kind, len(order)), -RANK[finding.severity], finding.subject))
    return tuple(replace(finding, explained_by=_cause(finding, causes, built or {})) for finding in findings)


def _cause(finding: Finding, causes: Sequence[Finding], built: Mapping[str, Sequence[str]]) -> str:
    for cause in causes:
        if cause.key == finding.key:
            return ""  # what is stronger came before
        if _explains(cause, finding, built):
            return cause.key
    return ""


def _explains(cause: Finding, finding: Finding, built: Mapping[str, Sequence[str]]) -> bool:
    if cause.key == _CLOCK and finding.kind in (Kind.VOLUME, Kind.FRESHNESS):
        return True
    if cause.kind in (Kind.LOG, Kind.VOLUME) and cause.key != _CLOCK:
        whole = cause.severity is Severity.CRITICAL
        return whole and (finding.kind not in (Kind.LOG, Kind.TABLE))
    if cause.kind in _OF_SOURCE:
        behind = finding.kind in _OF_COLUMN | DRIFT and finding.subject in built.get(cause.subject, ())
        return behind or finding.kind in _OF_MODEL or _same_source(cause, finding, built)
    if cause.kind in _OF_COLUMN and cause.subject:
        same = finding.subject == cause.subject and finding.kind in _OF_COLUMN | {Kind.DRIFT}
        return same or finding.kind in _OF_MODEL
    return False


def _same_source(cause: Finding, finding: Finding, built: Mapping[str, Sequence[str]]) -> bool:
    """Tell whether lookups find nothing because the table is broken that they look into."""
    looked_up = set(built.get(finding.subject, ()))
    within = bool(looked_up) and looked_up <= set(built.get(cause.subject, ()))
    return cause.kind is Kind.TABLE and finding.kind is Kind.LOOKUP and within
