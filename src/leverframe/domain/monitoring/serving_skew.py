"""Whether what was served is what training would see: features of logged requests, made again from the data of today.

A snapshot is older than the requests that it answers, rows arrive late and are corrected: all of it makes a served
feature another than that of the training set, whatever the code. So the rule is a share of rows, not equality.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from leverframe.domain.features.parity import compared
from leverframe.domain.features.training_set import Feature
from leverframe.domain.model.bundle.conversion import limits
from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from leverframe.domain.monitoring.monitor_result import Skew
from leverframe.domain.monitoring.quality_shares import Share, at_least
from leverframe.settings.monitor import QualitySettings

_SURE = 0.01  # probability below which more differences than are allowed are no chance
PREDICTION = "prediction"


@dataclass(frozen=True)
class LookedUp:
    """A logged request by keys: what was sent, what was looked up for it in data up to ``snapshot``, what was said."""

    id: str
    at: datetime
    bundle: str
    columns: Mapping[str, list[Any]]
    features: Mapping[str, list[Any]]
    snapshot: datetime
    predictions: Sequence[Any]

    @property
    def rows(self) -> int:
        """The number of its rows that were logged."""
        return len(self.predictions)


@dataclass(frozen=True)
class Recomputed:
    """Logged requests and the features made again for their rows, one array a feature."""

    requests: tuple[LookedUp, ...]
    features: Mapping[str, Any]


def skews(features: Sequence[Feature], parts: Iterable[Recomputed]) -> tuple[Skew, ...]:
    """Return how each feature that was logged differs from what it is when it is made again, worst first."""
    skews: dict[str, list[Skew]] = defaultdict(list)
    for part in parts:
        for feature in features:
            if all(feature.name in request.features for request in part.requests):
                served = [value for request in part.requests for value in request.features[feature.name]]
                kept = served if feature.kind == "categorical" else list(map(_number, served))
                kind = object if feature.kind == "categorical" else np.float64
                difference = compared(feature.name, part.features[feature.name], np.array(kept, kind))
                skews[feature.name].append(Skew(feature.name, difference.rows, difference.count, difference.largest))
    return tuple(sorted(map(_together, skews.values()), key=lambda skew: (-skew.different, skew.feature)))


def predictions_skew(logged: Any, made: Any, tolerance: float, scale: float | None = None) -> Skew:
    """Return in how many rows a logged prediction is not that of the model for the logged features."""
    served, now = np.asarray(logged, np.float64), np.asarray(made, np.float64)
    apart = np.abs(served - now).reshape(len(served), -1).max(axis=1) if len(served) else np.zeros(0)
    differ = ~(apart <= limits(now, tolerance, scale))
    far = float(np.nanmax(apart, initial=0.0)) if differ.any() else None
    return Skew(PREDICTION, len(served), int(differ.sum()), far)


def skew_findings(
    skews: Sequence[Skew], requests: Sequence[LookedUp], settings: QualitySettings, windows: tuple[str, str]
) -> tuple[Finding, ...]:
    """Return a finding for each feature that differs too often; ``windows`` are the first and last looked at."""
    ages = sorted(request.at - request.snapshot for request in requests)
    age = ages[len(ages) // 2] if ages else timedelta(0)
    since, newest = windows
    return tuple(
        Finding(Kind.SKEW, skew.feature, Severity.WARNING, newest, since, *_words(skew, age))
        for skew in skews
        if _too_many(skew, settings)
    )


def _too_many(skew: Skew, settings: QualitySettings) -> bool:
    given = Share(skew.different, skew.rows)
    most = 0.0 if skew.feature == PREDICTION else settings.maximum_skew
    return given.value > most and at_least(given, most) < _SURE


def _words(skew: Skew, age: timedelta) -> tuple[str, str]:
    given = f"{skew.different:,} of {skew.rows:,} rows ({skew.different / skew.rows:.1%})"
    far = f", by up to {skew.largest:.4g}" if skew.largest is not None else ""
    if skew.feature == PREDICTION:
        what = f"logged predictions are not those of the model for the logged features in {given}{far}."
        return what, "was the bundle changed in place? `leverframe deploy` verifies and loads it anew"
    hours = age / timedelta(hours=1)
    return (
        f"`{skew.feature}` was served otherwise than training would see it in {given}{far}; features were looked up in "
        f"data that ended {hours:,.1f} hours before.",
        "build and deploy snapshots more often, if the age explains it; otherwise look for rows that arrive late or "
        "are corrected in the table behind it",
    )


def _number(value: Any) -> float:
    try:
        return np.nan if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return np.inf  # no feature has it, so it differs


def _together(parts: Sequence[Skew]) -> Skew:
    far = [part.largest for part in parts if part.largest is not None]
    rows, different = sum(part.rows for part in parts), sum(part.different for part in parts)
    return Skew(parts[0].feature, rows, different, max(far, default=None))
