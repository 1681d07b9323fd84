"""Which alerts the findings call for: grouped, inhibited, and each with a key that stays from run to run."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from leverframe.domain.monitoring.finding import RANK, Finding, Kind, Severity
from leverframe.domain.monitoring.monitor_result import Monitored

WORDS: Mapping[Kind, str] = {
    Kind.LOG: "request log",
    Kind.SCHEMA: "schema",
    Kind.VOLUME: "volume",
    Kind.FRESHNESS: "freshness",
    Kind.MISSING: "missing values",
    Kind.NEW_CATEGORY: "new categories",
    Kind.OUT_OF_RANGE: "values out of range",
    Kind.DUPLICATES: "duplicates",
    Kind.LOOKUP: "lookup misses",
    Kind.SKEW: "training-serving skew",
    Kind.TABLE: "table",
    Kind.SERVER: "server",
    Kind.DRIFT: "drift",
    Kind.PREDICTION_DRIFT: "prediction drift",
    Kind.MULTIVARIATE_DRIFT: "multivariate drift",
    Kind.PERFORMANCE: "performance",
    Kind.CALIBRATION: "calibration",
    Kind.CONCEPT: "concept gap",
}
FEW = 5  # alerts of a kind in one run; more share one issue, so that a broken source opens no flood
_TITLE = 120  # characters of a subject in a title
_LABELS_NEEDED = frozenset({Kind.PERFORMANCE, Kind.CALIBRATION, Kind.CONCEPT})
_COMPARED = frozenset({Kind.DRIFT, Kind.PREDICTION_DRIFT})


@dataclass(frozen=True)
class Alert:
    """Findings that one issue tells: of one kind, worst first; ``subject`` is empty where they are several.

    ``window`` is the newest window concerned, ``since`` the first of the longest run; those of a table are partitions.
    ``seen`` is the newest window of traffic that counts as concerned: a finding that is of none is of now.
    ``inhibited`` says that other alerts explain every finding: the alert opens no issue and sends nothing.
    ``effects`` are what it explains.
    """

    model: str
    environment: str
    name: str
    kind: Kind
    subject: str
    severity: Severity
    window: str
    since: str
    seen: str
    findings: tuple[Finding, ...]
    effects: tuple[Finding, ...] = ()
    inhibited: bool = False

    @property
    def key(self) -> str:
        """16 hexadecimal digits of model, environment and name."""
        return key_of(self.model, self.environment, self.name)

    @property
    def title(self) -> str:
        """The title of the issue: the same as long as the key is the same."""
        subject = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in self.subject)
        about = f": {subject[:_TITLE]}" if subject.strip() else ""
        return f"[{self.model}/{self.environment}] {WORDS[self.kind]}{about}"


def key_of(model: str, environment: str, name: str) -> str:
    """Return the key of an alert, which names its issue."""
    return hashlib.sha256("\n".join((model, environment, name)).encode()).hexdigest()[:16]


def alerts_of(monitored: Monitored, standing: Collection[str]) -> tuple[Alert, ...]:
    """Return the alerts of warnings and critical findings, worst first; info raises none.

    All drifting columns share one alert. Of another kind, more than ``FEW`` findings without an open issue of their
    own share one, and go on to share it while it is open; ``standing`` are the keys of open issues.
    """
    findings = {finding.key: finding for finding in monitored.findings if finding.severity is not Severity.INFO}
    infos = {finding.key for finding in monitored.findings} - set(findings)
    groups: dict[str, list[Finding]] = {}
    for kind in Kind:
        groups |= _groups(monitored, kind, [finding for finding in findings.values() if finding.kind is kind], standing)
    windows = [window.name for window in monitored.windows]
    alerts = [_alert(monitored, name, group, (windows, infos)) for name, group in groups.items()]
    return tuple(sorted(alerts, key=lambda alert: (-RANK[alert.severity], alert.inhibited)))


def _groups(
    monitored: Monitored, kind: Kind, findings: Sequence[Finding], standing: Collection[str]
) -> dict[str, list[Finding]]:
    def stands(name: str) -> bool:
        return key_of(monitored.model, monitored.environment, name) in standing

    together = f"{kind}:*"
    single = [] if kind is Kind.DRIFT else [finding for finding in findings if stands(finding.key)]
    rest = [finding for finding in findings if finding not in single]
    if kind is not Kind.DRIFT and not stands(together) and len(rest) <= FEW:
        single, rest = [*single, *rest], []
    return {finding.key: [finding] for finding in single} | ({together: rest} if rest else {})


def _alert(
    monitored: Monitored, name: str, findings: Sequence[Finding], known: tuple[Sequence[str], Collection[str]]
) -> Alert:
    windows, infos = known
    # An explanation that is information alone would tell nobody, and then its effect has to.
    causes = [finding for finding in findings if not finding.explained_by or finding.explained_by in infos]
    ordered = tuple(sorted(causes or findings, key=lambda finding: -RANK[finding.severity]))
    keys = {finding.key for finding in ordered}
    now = windows[-1] if windows else ""
    latest = [finding.window or now for finding in ordered]
    since = [finding.since or window for finding, window in zip(ordered, latest, strict=True)]
    return Alert(
        monitored.model,
        monitored.environment,
        name,
        ordered[0].kind,
        ordered[0].subject if name == ordered[0].key else "",
        ordered[0].severity,
        max(latest),
        min(since),
        max(window if window in windows else now for window in latest),
        ordered,
        tuple(finding for finding in monitored.findings if finding.explained_by in keys - {""}),
        inhibited=not causes,
    )


def judged(monitored: Monitored, kind: Kind, subjects: Collection[str]) -> tuple[str, ...]:
    """Return the windows that could have shown such a finding, oldest first; silence in others means nothing.

    A window is over and had requests; for drift the columns were compared, for performance enough labels were known.
    """
    over = tuple(window.name for window in monitored.windows if window.whole and window.requests)
    if kind in _COMPARED and monitored.columns:
        columns = [column for column in monitored.columns if column.name in subjects] or monitored.columns
        seen = {cell.window for column in columns for cell in column.cells if cell.statistic is not None}
    elif kind in _LABELS_NEEDED and monitored.performance:
        metrics = [metric for metric in monitored.performance if metric.metric in subjects] or monitored.performance
        seen = {point.window for metric in metrics for point in metric.points if point.judged}
    else:
        return over
    return tuple(name for name in over if name in seen)


def quiet(names: Iterable[str], window: str) -> int:
    """Return how many windows came after ``window``; names of windows of one period sort by time."""
    return sum(name > window for name in names)
