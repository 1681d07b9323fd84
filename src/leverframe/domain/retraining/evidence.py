"""What speaks for an attempt: findings that nothing explains and that matter to the model, and the digest of it all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence

from leverframe.documents import plain
from leverframe.domain.monitoring.finding import RANK, Finding, Kind, Severity
from leverframe.domain.monitoring.monitor_result import Monitored
from leverframe.domain.retraining.attempt import Attempt, Cause, Evidence, RetrainWindow
from leverframe.settings.retrain import RetrainSettings

STRENGTH = {cause: place for place, cause in enumerate(Cause)}
_ESTIMATED = "estimated "  # how the monitor names the subject of a figure without labels
_OF_KIND = {Kind.PERFORMANCE: Cause.PERFORMANCE, Kind.CONCEPT: Cause.CONCEPT, Kind.CALIBRATION: Cause.CALIBRATION}


def found_evidence(monitored: Monitored, settings: RetrainSettings) -> tuple[Evidence, ...]:
    """Return the findings that speak for an attempt, strongest first; none that another one explains, or only shown.

    Drifted columns count where they hold ``minimum_importance`` of the model together, and not one by one.
    """
    open_findings = [finding for finding in monitored.findings if _counts(finding)]
    of_model = [_evidence(_cause(finding), finding) for finding in open_findings if finding.kind in _OF_KIND]
    drifted = [finding for finding in open_findings if finding.kind is Kind.DRIFT]
    share = importance_of({finding.subject for finding in drifted}, monitored)
    relied = drifted if share >= settings.minimum_importance else []
    return in_order([*of_model, *(_evidence(Cause.DRIFT, finding) for finding in relied)])


def _counts(finding: Finding) -> bool:
    return not finding.explained_by and RANK[finding.severity] >= RANK[Severity.WARNING]


def _cause(finding: Finding) -> Cause:
    """Return the cause; performance that is only estimated says no more than that other rows arrive."""
    return Cause.DRIFT if finding.subject.startswith(_ESTIMATED) else _OF_KIND[finding.kind]


def _evidence(cause: Cause, finding: Finding) -> Evidence:
    return Evidence(cause, finding.subject, finding.window, finding.since, finding.what)


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
