"""All findings of data quality, which come before anything is said of drift: broken data explain it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from leverframe.domain.monitoring.batch import LogFacts
from leverframe.domain.monitoring.drift_rule import PER_MONTH
from leverframe.domain.monitoring.finding import ORDER, RANK, Finding
from leverframe.domain.monitoring.quality_columns import column_findings, tests
from leverframe.domain.monitoring.quality_traffic import log_findings, release_findings, row_findings, server_findings
from leverframe.domain.monitoring.quality_volume import volume_findings
from leverframe.domain.monitoring.reference_profile import ReferenceProfile
from leverframe.domain.monitoring.window_summary import WindowSummary
from leverframe.settings.monitor import MonitorSettings


def quality_findings(
    profile: ReferenceProfile, windows: Sequence[WindowSummary], facts: LogFacts, settings: MonitorSettings,
    now: datetime, bundle: str = "",
) -> tuple[Finding, ...]:  # fmt: skip
    """Return what is wrong with the data of live traffic, in the order of kinds, worst first.

    ``windows`` are all, oldest first. The newest one that is over is judged, and since when it has been so; the log
    itself is judged as a whole. ``bundle`` is the digest of the one that the reference belongs to, empty if unknown.
    """
    over = [window for window in windows if window.span.end <= now]
    month = settings.false_alarms_per_month / PER_MONTH[settings.window]
    findings = [
        *log_findings(windows, facts, settings, now),
        *release_findings(windows, bundle),
        *volume_findings(profile, over, settings, month),
        *column_findings(profile, over, month / tests(profile), settings.quality.floor),
        *row_findings(over, settings.quality),
        *server_findings(over, facts, settings.quality),
    ]
    return tuple(sorted(findings, key=lambda finding: (ORDER[finding.kind], -RANK[finding.severity], finding.subject)))
