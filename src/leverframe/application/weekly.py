"""The classifier that tells weeks of live traffic from the reference, when one is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from leverframe.adapters.alibi_detect import AlibiDetectDiscriminator, AlibiDetectEngine
from leverframe.adapters.sklearn.discriminating import TreeDiscriminator, shuffled, trees
from leverframe.application.reference import reference_weeks
from leverframe.application.workspace import Workspace
from leverframe.domain.monitoring.domain_classifier import Discriminator
from leverframe.domain.monitoring.drift_rule import FEW
from leverframe.domain.monitoring.reference import Reference
from leverframe.domain.monitoring.weekly import WeeklyClassifier, Weeks, week_areas
from leverframe.domain.partition import Partition
from leverframe.errors import LeverframeError
from leverframe.settings.monitor import MonitorSettings

Tell = Callable[[str], None]


def classifier_of_weeks(
    workspace: Workspace, known: Reference, settings: MonitorSettings, tell: Tell
) -> tuple[WeeklyClassifier | None, Reference, str]:
    """Return the classifier, the reference with how well its weeks are told apart, and why there is no classifier."""
    if settings.classifier.every == "never":
        return None, known, ""
    many = _weeks_of(known, settings)
    if many < FEW:
        why = f"the reference has {many} whole {settings.classifier.every}s; {FEW} tell what is usual"
        return None, known, f"no classifier looked at columns together: {why}"
    try:
        weeks = reference_weeks(workspace, known, tell)
    except LeverframeError as error:
        return None, known, f"no classifier looked at columns together: {error.what}"
    discriminator = _discriminator(settings)
    if known.weeks is None:
        tell(f"a classifier learns how {settings.classifier.every}s of the reference differ")
        known = replace(known, weeks=week_areas(weeks, discriminator))
    return WeeklyClassifier(weeks, known.weeks or (), discriminator), known, ""


def is_due(settings: MonitorSettings, timezone: str, before: str, now: datetime) -> bool:
    """Tell whether a week has ended since the run at ``before``, an ISO 8601 timestamp, empty where there was none."""
    if not before:
        return True
    zone, period = ZoneInfo(timezone), settings.classifier.period
    at = [instant.astimezone(zone).replace(tzinfo=None) for instant in (datetime.fromisoformat(before), now)]
    return Partition.at(at[0], period) != Partition.at(at[1], period)


def _weeks_of(known: Reference, settings: MonitorSettings) -> int:
    period = Weeks.of(known, settings).period
    starts = (datetime.fromisoformat(window.start).replace(tzinfo=None) for window in known.profile.windows)
    return len({Partition.at(start, period) for start in starts})


def _discriminator(settings: MonitorSettings) -> Discriminator:
    if settings.engine == AlibiDetectEngine.name:
        return AlibiDetectDiscriminator(trees(), shuffled)
    return TreeDiscriminator()
