"""The rule of a reference, and how often it raises an alarm on the reference itself, where nothing changed."""

from __future__ import annotations

from collections.abc import Sequence

from leverframe.domain.monitoring.band import Band, Distance
from leverframe.domain.monitoring.drift_rule import DriftRule
from leverframe.domain.monitoring.reference_profile import ProfiledColumn, ReferenceProfile
from leverframe.settings.monitor import MonitorSettings

_LEAST = 3  # distances from which there is a band


def rule_of(profile: ReferenceProfile, settings: MonitorSettings) -> DriftRule:
    """Return the rule that the reference allows for."""
    bands = [column_band(profile, each) for each in profile.columns if each.column.kind != "text"]
    return DriftRule.of(settings, [band for band in bands if band is not None])


def column_band(profile: ReferenceProfile, column: ProfiledColumn) -> Band | None:
    """Return the band of a column; None where the reference has too few windows of it."""
    return _band(profile, column, [each for each in profile.distances(column) if each is not None])


def self_test(profile: ReferenceProfile, settings: MonitorSettings) -> tuple[int, int]:
    """Return in how many windows of the reference the rule fires, each judged by the others, and how many there are."""
    rule = rule_of(profile, settings)
    alarmed = [False] * len(profile.windows)
    for column in profile.columns:
        distances = [(number, each) for number, each in enumerate(profile.distances(column)) if each is not None]
        known = [each for _, each in distances]
        beyond = [_beyond(rule, profile, column, known, at) for at in range(len(known))]
        for (number, _), fired in zip(distances, rule.fires(beyond), strict=True):
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


def _beyond(
    rule: DriftRule, profile: ReferenceProfile, column: ProfiledColumn, known: Sequence[Distance], at: int
) -> bool:
    band = _band(profile, column, [*known[:at], *known[at + 1 :]], ahead=False)
    return band is not None and rule.beyond(known[at].value, band.p(known[at]))


def _band(
    profile: ReferenceProfile, column: ProfiledColumn, distances: Sequence[Distance], *, ahead: bool = True
) -> Band | None:
    if len(distances) < _LEAST:
        return None
    return Band.of(distances, column.noise, column.persistence, stride=profile.stride, ahead=ahead)
