"""The result of a run of the monitor: ``monitor.json``, from which dashboard, summary, metrics and alerts are made.

Every figure that any of them shows is in here; readers of the file are told by ``version`` when a field changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from leverframe.documents import Timestamp
from leverframe.domain.model.evaluate.metrics import Better
from leverframe.domain.monitoring.finding import RANK, Finding, Severity, reason_of
from leverframe.domain.monitoring.monitored_column import ColumnKind
from leverframe.domain.verdict import Failed, Passed, Skipped, Verdict

VERSION = 1

Rule = Literal["K", "L", "uncalibrated"]


@dataclass(frozen=True)
class Span:
    """Rows and windows of a period, whose ends are ISO 8601 timestamps; both empty where there are none."""

    rows: int
    windows: int
    first: str
    last: str


@dataclass(frozen=True)
class RuleFacts:
    """How drift is decided: the rule, the level of a test, and its own false-alarm rate on the reference.

    ``alarms`` of ``replayed`` windows of the reference alarmed, where each was judged by the others.
    """

    rule: Rule
    alpha: float
    windows: int
    match: str
    alarms: int
    replayed: int
    words: str

    def lines(self) -> list[str]:
        """Return the rule for a terminal."""
        share = f"{self.alarms} of {self.replayed} windows of the reference raise an alarm, where nothing changed"
        return [f"rule {self.rule}: {self.words}", share]


@dataclass(frozen=True)
class Range:
    """A value with the interval in which it is expected; None where it is not known."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class WindowFacts:
    """One window of live traffic; ``start`` and ``end`` are ISO 8601, ``whole`` tells whether it is over.

    ``rows`` has the interval that the reference suggests. ``latency_ms`` are median and 95th percentile.
    ``coverage`` is the share of rows whose label is known, ``snapshot_hours`` the median age of looked-up features.
    ``missed`` is the share of rows that no table lacked a key for, by table. ``quality`` is the worst severity
    of a data-quality finding in it; None where there is none.
    """

    name: str
    start: str
    end: str
    whole: bool
    rows: Range
    requests: int
    refused: int
    failed: int
    latency_ms: tuple[float, float] | None
    prediction: Range  # its mean
    coverage: float | None
    snapshot_hours: float | None
    missed: dict[str, float]
    releases: tuple[str, ...]
    quality: Severity | None


@dataclass(frozen=True)
class Cell:
    """A column in a window: its statistic, p value, and whether it lies beyond the band; None where not computed.

    ``missing`` and ``new`` are shares of the rows; ``severity`` that of the column's findings in the window.
    """

    window: str
    statistic: float | None
    p: float | None
    beyond: bool
    missing: float
    new: float
    severity: Severity | None


@dataclass(frozen=True)
class Histogram:
    """Shares of reference and current rows in the same bins; ``labels`` name bins, or are their edges, one more."""

    labels: tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]


@dataclass(frozen=True)
class ColumnFacts:
    """A column over the windows; effect sizes are those of the newest window with rows, None where undefined.

    ``band`` is the largest statistic that the reference makes likely. ``wasserstein`` is in standard deviations of
    the reference. ``role`` tells the prediction from features.
    """

    name: str
    role: Literal["feature", "prediction"]
    kind: ColumnKind
    importance: float | None
    statistic: str  # "KS" or "Cramér's V"
    band: float | None
    wasserstein: float | None
    psi: float | None
    js: float | None
    reference_missing: float
    histogram: Histogram | None
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class PerformancePoint:
    """A metric in a window: realised with interval, estimated without labels, and the share of rows with a label.

    ``judged`` tells whether enough labels are known; ``beyond`` whether the realised value left the band.
    """

    window: str
    realised: Range
    estimated: float | None
    coverage: float
    judged: bool
    beyond: bool


@dataclass(frozen=True)
class Performance:
    """A metric over the windows; ``reference`` has the band in which windows are expected."""

    metric: str
    title: str
    better: Better
    reference: Range
    points: tuple[PerformancePoint, ...]


@dataclass(frozen=True)
class TableFacts:
    """An upstream table in its newest partition: what its contract says, and what is built from it."""

    table: str
    partition: str
    verdict: Literal["passed", "failed", "skipped"]
    failed: tuple[str, ...]
    warned: tuple[str, ...]
    rows: int
    features: tuple[str, ...]


@dataclass(frozen=True)
class Skew:
    """A feature that was recomputed for ``rows`` logged requests: in how many it differs, and by how much at most."""

    feature: str
    rows: int
    different: int
    largest: float | None


@dataclass(frozen=True)
class ReleaseMarker:
    """When a release began to serve, an ISO 8601 timestamp."""

    at: Timestamp
    release: str
    commit: str
    version: str


@dataclass(frozen=True)
class OpenAlert:
    """An alert as it stands on the forge; ``snoozed_until`` is a day, empty where it is not snoozed."""

    key: str
    title: str
    severity: Severity
    since: str
    url: str
    snoozed_until: str = ""


@dataclass(frozen=True)
class Provenance:
    """What a result is made of: commit and lock of the repository, digest of the reference, version of Leverframe."""

    commit: str
    lock: str
    reference: str
    leverframe: str
    engine: str
    log: str
    labels: str


@dataclass(frozen=True)
class Monitored:
    """Everything that a run found; windows oldest first, columns and findings worst first."""

    model: str
    environment: str
    at: Timestamp
    next_run: str
    reference: Span
    live: Span
    rule: RuleFacts
    windows: tuple[WindowFacts, ...]
    columns: tuple[ColumnFacts, ...]
    performance: tuple[Performance, ...]
    findings: tuple[Finding, ...]
    tables: tuple[TableFacts, ...]
    skew: tuple[Skew, ...]
    releases: tuple[ReleaseMarker, ...]
    alerts: tuple[OpenAlert, ...]
    provenance: Provenance
    notes: tuple[str, ...] = ()  # what was not looked at, and why
    version: int = VERSION

    @property
    def verdict(self) -> Verdict:
        """Failed for the reasons of critical findings that nothing explains; skipped where no window was judged."""
        grave = [finding for finding in self.findings if finding.severity is Severity.CRITICAL]
        reasons = tuple(dict.fromkeys(reason_of(finding) for finding in grave if not finding.explained_by))
        if reasons:
            return Failed(reasons)
        if not any(window.whole and window.requests for window in self.windows):
            return Skipped("no window with requests is over yet")
        return Passed()

    def worst(self) -> Severity | None:
        """Return the worst severity of all findings; None where there is none."""
        return max((finding.severity for finding in self.findings), key=RANK.__getitem__, default=None)
