"""What speaks for an attempt: findings that nothing explains and that matter to the model, and the digest of it all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence

from leverframe.documents import plain
from leverframe.domain.monitoring.finding import RANK, Finding, Kind, Severity
from leverframe.domain.monitoring.history import HistoryLine
from leverframe.domain.monitoring.monitor_result import Monitored
from leverframe.domain.retraining.attempt import Attempt, Cause, Evidence, RetrainWindow
from leverframe.settings.periods import period_of
from leverframe.settings.retrain import RetrainSettings

STRENGTH = {cause: place for place, cause in enumerate(Cause)}
FOUND = frozenset({Cause.PERFORMANCE, Cause.CONCEPT, Cause.CALIBRATION, Cause.DRIFT})  # by the monitor
_A_WEEK = {"hour": 168, "day": 7}  # windows; without a finding in more of them in a row the next is another
_ESTIMATED = "estimated "  # how the monitor names the subject of a figure without labels
_OF_KIND = {Kind.PERFORMANCE: Cause.PERFORMANCE, Kind.CONCEPT: Cause.CONCEPT, Kind.CALIBRATION: Cause.CALIBRATION}


def found_evidence(
    monitored: Monitored, settings: RetrainSettings, history: Sequence[HistoryLine] = ()
) -> tuple[Evidence, ...]:
    """Return the findings that speak for an attempt, strongest first; none that another one explains, or only shown.

    Drifted columns count where they hold ``minimum_importance`` of the model together, and not one by one. ``history``
    tells since when: a run of the monitor looks back over a few windows only.
    """
    open_findings = [finding for finding in monitored.findings if _counts(finding)]
    of_model = [finding for finding in open_findings if finding.kind in _OF_KIND]
    drifted = [finding for finding in open_findings if finding.kind is Kind.DRIFT]
    share = importance_of({finding.subject for finding in drifted}, monitored)
    relied = drifted if share >= settings.minimum_importance else []
    known = [line for line in history if line.reference == monitored.provenance.reference]
    return in_order([_evidence(finding, onset(finding, known)) for finding in (*of_model, *relied)])


def onset(finding: Finding, history: Sequence[HistoryLine]) -> str:
    """Return the first window of the finding: of its own run, or of one in the history that lacks no week of it."""
    lines = {line.window: finding.key in line.findings for line in sorted(history, key=_finding_last(finding.key))}
    first, gap, most = finding.since, 0, _A_WEEK.get(period_of(finding.since) or "", 1)
    for window in sorted((window for window in lines if window < finding.since), reverse=True):
        gap = 0 if lines[window] else gap + 1
        if gap > most:
            break
        first = window if lines[window] else first
    return first


def _finding_last(key: str) -> Callable[[HistoryLine], bool]:
    """Return how to sort lines so that of the two of a window one with the finding comes last."""
    return lambda line: key in line.findings


def _counts(finding: Finding) -> bool:
    return not finding.explained_by and RANK[finding.severity] >= RANK[Severity.WARNING]


def _evidence(finding: Finding, since: str) -> Evidence:
    """Return the evidence; performance that is only estimated says no more than that other rows arrive."""
    drift = finding.kind is Kind.DRIFT or finding.subject.startswith(_ESTIMATED)
    cause = Cause.DRIFT if drift else _OF_KIND[finding.kind]
    return Evidence(cause, finding.subject, finding.window, since, finding.what)


def importance_of(columns: Collection[str], monitored: Monitored) -> float:
    """Return the share of the model's importance that columns hold together, 0 to 1; equal shares where none is known.

    A column of unknown importance beside known ones holds none.
    """
    features = {column.name: column.importance or 0.0 for column in monitored.columns if column.role == "feature"}
    total = sum(features.values())
    if not total:
        features, total = dict.fromkeys(features, 1.0), float(len(features))
    return sum(features.get(name, 0.0) for name in columns) / total if total else 0.0


def in_order(evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """Return evidence strongest first, one of each cause and subject."""
    first = {(one.cause, one.subject): one for one in reversed(evidence)}
    return tuple(sorted(first.values(), key=lambda one: (STRENGTH[one.cause], one.subject)))


def evidence_digest(window: RetrainWindow | None, evidence: Sequence[Evidence], blobs: Mapping[str, str]) -> str:
    """Return the sha256 of the grounds of an attempt: its window, causes with subjects, and files of the base.

    ``blobs`` are the ids in git of the files that decide what is trained, by path. Figures and order do not count:
    they move with each run of the monitor, and the candidate would be the same.
    """
    grounds = {
        "window": plain(window) if window else None,
        "causes": sorted({(one.cause.value, one.subject) for one in evidence}),
        "files": dict(sorted(blobs.items())),
    }
    return hashlib.sha256(json.dumps(grounds, sort_keys=True).encode()).hexdigest()


def same_grounds(digest: str, attempts: Sequence[Attempt]) -> Attempt | None:
    """Return the newest attempt on the same grounds, which is not to be repeated; None where there was none."""
    return next((attempt for attempt in reversed(attempts) if attempt.evidence == digest), None)
