"""What the monitor found: one finding a cause, with its severity, its figures, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from leverframe.domain.verdict import Reason


class Kind(StrEnum):
    """What a finding is about, in the order in which the monitor looks; an earlier kind may explain a later one."""

    LOG = "log"  # files, lines, clocks, other models
    SCHEMA = "schema"
    VOLUME = "volume"
    FRESHNESS = "freshness"  # of features, labels, tables
    MISSING = "missing"
    NEW_CATEGORY = "new-category"
    OUT_OF_RANGE = "out-of-range"
    DUPLICATES = "duplicates"
    LOOKUP = "lookup"
    SKEW = "skew"
    TABLE = "table"  # a contract of an upstream table
    SERVER = "server"  # latency, refused and failed requests
    DRIFT = "drift"
    PREDICTION_DRIFT = "prediction-drift"
    MULTIVARIATE_DRIFT = "multivariate-drift"
    PERFORMANCE = "performance"
    CALIBRATION = "calibration"
    CONCEPT = "concept"


QUALITY = frozenset({
    Kind.LOG, Kind.SCHEMA, Kind.VOLUME, Kind.FRESHNESS, Kind.MISSING, Kind.NEW_CATEGORY, Kind.OUT_OF_RANGE,
    Kind.DUPLICATES, Kind.LOOKUP, Kind.SKEW, Kind.TABLE,
})  # fmt: skip
DRIFT = frozenset({Kind.DRIFT, Kind.PREDICTION_DRIFT, Kind.MULTIVARIATE_DRIFT})


class Severity(StrEnum):
    """How much a finding matters: ``info`` is shown, ``warning`` opens an alert, ``critical`` fails the monitor."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


RANK = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}


ORDER = {kind: place for place, kind in enumerate(Kind)}


@dataclass(frozen=True)
class Finding:
    """One finding about ``subject``, a column, table or metric, empty for the traffic as a whole.

    ``window`` is the newest window concerned and ``since`` the first of an unbroken run. ``what`` is a sentence with
    figures, ``next`` the step to take; text between backticks is a name or a command. ``explained_by`` is the key
    of a finding of an earlier kind that causes this one, which then opens no alert of its own.
    """

    kind: Kind
    subject: str
    severity: Severity
    window: str
    since: str
    what: str
    next: str
    explained_by: str = ""

    @property
    def key(self) -> str:
        """What identifies it from run to run: its kind and subject."""
        return f"{self.kind}:{self.subject}"


def reason_of(finding: Finding) -> Reason:
    """Return the reason under which a critical finding, or a warning that fails a run, is reported."""
    if finding.kind in QUALITY:
        return Reason.DATA_QUALITY
    if finding.kind in DRIFT:
        return Reason.DRIFT_FOUND
    return {
        Kind.SERVER: Reason.SERVER_DEGRADED,
        Kind.CONCEPT: Reason.CONCEPT_DRIFTED,
    }.get(finding.kind, Reason.PERFORMANCE_DROPPED)
