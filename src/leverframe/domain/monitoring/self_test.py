"""The bands and the rule of a reference, and how often it fires on the reference itself, where nothing changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from leverframe.domain.monitoring.band import Band, Tail, replayed
from leverframe.domain.monitoring.batch import Floats
from leverframe.domain.monitoring.drift_rule import DriftRule
from leverframe.domain.monitoring.reference_profile import ReferenceProfile
from leverframe.settings.monitor import MonitorSettings


def bands_of(profile: ReferenceProfile) -> dict[str, Band]:
    """Return the band of each column that is compared, their tails corrected by what the reference itself did."""
    again = _replayed(profile)
    tail = Tail.of(np.concatenate([p[~np.isnan(p)] for _, p in again.values()])) if again else Tail()
    bands = {}
    for column in profile.columns:
        if column.column.kind != "text":
            distances = [distance for distance in profile.distances(column) if distance is not None]
            band = Band.of(distances, column.noise, column.persistence, stride=profile.stride)
            bands[column.column.name] = replace(band, tail=tail)
    return bands


def self_test(profile: ReferenceProfile, bands: Mapping[str, Band], settings: MonitorSettings) -> tuple[int, int]:
    """Return in how many windows of the reference the rule fires, each judged by the others, and how many there are."""
    rule = DriftRule.of(settings, bands.values())
    alarmed = np.zeros(len(profile.windows), bool)
    for name, (values, p) in _replayed(profile).items():
        tail = bands[name].tail
        known = np.flatnonzero(~np.isnan(p))
        beyond = [rule.beyond(values[at], tail.corrected(float(p[at]))) for at in known]
        alarmed[known] |= np.array(rule.fires(beyond), bool)
    return int(alarmed.sum()), len(profile.windows)


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


def _replayed(profile: ReferenceProfile) -> dict[str, tuple[Floats, Floats]]:
    """Return the distance and p of each window of each column, judged by the others; NaN where not compared."""
    replays = {}
    for column in profile.columns:
        if column.column.kind != "text":
            distances = profile.distances(column)
            values = np.array([np.nan if distance is None else distance.value for distance in distances])
            p = np.full(len(distances), np.nan)
            p[~np.isnan(values)] = replayed([distance for distance in distances if distance is not None], column.noise)
            replays[column.column.name] = values, p
    return replays
