"""The rule of a reference, and how often it raises an alarm on the reference itself, where nothing changed."""

from __future__ import annotations

from leverframe.domain.monitoring.band import Band, Distance
from leverframe.domain.monitoring.drift_rule import DriftRule
from leverframe.domain.monitoring.reference_profile import ProfiledColumn, ReferenceProfile
from leverframe.settings.monitor import MonitorSettings

_LEAST = 3  # distances from which there is a band


def rule_of(profile: ReferenceProfile, settings: MonitorSettings) -> DriftRule:
    """Return the rule that the reference allows for."""
    tested = [each for each in profile.columns if each.column.kind != "text"]
    windows = min((sum(value is not None for value in each.statistics) for each in tested), default=0)
    return DriftRule.of(settings, windows=windows, columns=len(tested))


def column_band(profile: ReferenceProfile, column: ProfiledColumn) -> Band | None:
    """Return the band of a column; None where the reference has too few windows of it."""
    return _band([each for each in profile.distances(column) if each is not None], column.noise)


def self_test(profile: ReferenceProfile, settings: MonitorSettings) -> tuple[int, int]:
    """Return in how many windows of the reference the rule fires, each judged by the others, and how many there are."""
    rule = rule_of(profile, settings)
    alarmed = [False] * len(profile.windows)
    for column in profile.columns:
        distances = profile.distances(column)
        known = [number for number, each in enumerate(distances) if each is not None]
        beyond = [_beyond(rule, column, [distances[number] for number in known], at) for at in range(len(known))]
        for number, fired in zip(known, rule.fires(beyond), strict=True):
            alarmed[number] |= fired
    return sum(alarmed), len(profile.windows)


def rule_words(rule: DriftRule, profile: ReferenceProfile) -> str:
    """Return the rule in words."""
    windows = f"{len(profile.windows)} windows of the reference"
    if rule.rule == "uncalibrated":
        return f"uncalibrated: {windows} are too few to tell what is usual; at least 7 are needed"
    often = "in two of the last three windows" if rule.rule == "K" else "in one window"
    return (
        f"a column drifts when its distance is less likely than {rule.alpha:.2g} and at least {rule.smallest:g} "
        f"{often}, by what {windows} differ"
    )


def _beyond(rule: DriftRule, column: ProfiledColumn, distances: list[Distance | None], at: int) -> bool:
    known = [each for each in distances if each is not None]
    band = _band(known[:at] + known[at + 1 :], column.noise)
    return band is not None and rule.beyond(known[at].value, band.p(known[at]))


def _band(distances: list[Distance], noise: float) -> Band | None:
    return Band.of(distances, noise) if len(distances) >= _LEAST else None
