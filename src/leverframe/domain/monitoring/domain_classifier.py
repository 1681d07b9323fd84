"""A classifier that tries to tell the rows of a week from those of the reference: it sees columns that move together.

How well it does by chance, and by how weeks differ anyway, is what it does with each week of the reference against the
others; a later week is judged by those, with the rule that columns are judged by. Rows are drawn by a fixed seed as
they come, so that no more than the draw is kept, and none is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import stdtr

from leverframe.domain.monitoring.band import Band, Noise
from leverframe.domain.monitoring.batch import Floats, Numbers, Values
from leverframe.domain.monitoring.binning import Binning
from leverframe.domain.monitoring.drift_rule import FEW, DriftRule
from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from leverframe.domain.monitoring.monitor_result import Rule
from leverframe.settings.monitor import MonitorSettings

LEAST = 200  # rows of a side
_TOP = 3


class Discriminator(Protocol):
    """Learns to tell two samples apart."""

    def auc(self, reference: Floats, live: Floats) -> float:
        """Return the area under ROC on rows that were not learned from; both of shape (rows, features), NaN allowed."""

    def weights(self, reference: Floats, live: Floats) -> Floats:
        """Return by how much that area falls when a feature is shuffled, shape (features,)."""


class Draw:
    """At most ``most`` rows of each period, every row with the same chance, whatever batches they come in."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._random = np.random.default_rng(0)
        self._rows: dict[str, tuple[Floats, Floats]] = {}

    def add(self, period: str, rows: Floats) -> None:
        """Take rows of shape (rows, features)."""
        order = self._random.random(len(rows))
        if period in self._rows:
            before = self._rows[period]
            order, rows = np.concatenate([before[0], order]), np.concatenate([before[1], rows])
        kept = np.argsort(order, kind="stable")[: self._most]
        self._rows[period] = order[kept], rows[kept]

    @property
    def rows(self) -> dict[str, Floats]:
        """The rows of each period in the order of their names, shape (rows, features)."""
        return {period: self._rows[period][1] for period in sorted(self._rows)}


@dataclass(frozen=True)
class Separation:
    """How well a period was told apart: area under ROC, its p among those of the reference, and what gave it away."""

    period: str
    auc: float
    p: float | None
    beyond: bool
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Separated:
    """What the classifier found; ``reference`` are the areas of its weeks, ``skipped`` says why there is nothing."""

    rule: Rule
    alpha: float
    reference: tuple[float, ...]
    live: tuple[Separation, ...]
    findings: tuple[Finding, ...]
    skipped: str = ""


def encoded(binnings: Mapping[str, Binning], columns: Mapping[str, Values], rows: int) -> Floats:
    """Return columns as a matrix of shape (rows, features): numbers as they are, texts as the number of their level.

    NaN where a value, or the column, is missing or of another type.
    """
    matrix = np.full((rows, len(binnings)), np.nan)
    for at, (name, binning) in enumerate(binnings.items()):
        values = columns.get(name)
        if isinstance(values, Numbers) and binning.ordered:
            matrix[:, at] = np.where(np.isfinite(values.values), values.values, np.nan)
        elif values is not None and not isinstance(values, Numbers) and not binning.ordered:
            place = {level: number for number, level in enumerate(binning.names)}
            codes = np.array([*(place.get(level, len(place)) for level in values.names), np.nan])
            matrix[:, at] = codes[values.codes]  # -1 is the last, which is missing
    return matrix


def null_areas(weeks: Mapping[str, Floats], discriminator: Discriminator, rows: int) -> tuple[float, ...]:
    """Return how well each week of the reference is told from the others."""
    listed = {name: week for name, week in weeks.items() if len(week) >= LEAST}
    areas = []
    for name, week in listed.items():
        others = [other for key, other in listed.items() if key != name]
        if others:
            areas.append(round(discriminator.auc(_some(others, rows), week[:rows]), 4))
    return tuple(areas)


def separated(
    reference: tuple[Mapping[str, Floats], Sequence[float]],
    live: Mapping[str, Floats],
    features: Sequence[str],
    discriminator: Discriminator,
    settings: MonitorSettings,
) -> Separated:
    """Return how well each week of live traffic, in the order of time, is told from the reference.

    ``reference`` has its rows by week, and ``null_areas`` of them, which is computed once.
    """
    weeks, areas = list(reference[0].values()), reference[1]
    rule, rows = _rule(len(areas), settings), settings.classifier.rows
    reason = _reason(weeks, live, settings)
    if reason:
        return Separated(rule.rule, rule.alpha, tuple(areas), (), (), reason)
    pool = _some(weeks, rows)
    separations = list[Separation]()
    for period, given in live.items():
        if len(given) < LEAST:
            continue
        area = discriminator.auc(pool, given[:rows])
        p = _p(area, areas)
        beyond = rule.beyond(2 * area - 1, p)
        drops = discriminator.weights(pool, given[:rows]) if beyond else np.zeros(0)
        top = [int(at) for at in np.argsort(-drops, kind="stable")[:_TOP] if drops[at] > 0]
        separations.append(Separation(period, round(area, 4), p, beyond, tuple(features[at] for at in top)))
    fires = rule.fires([separation.beyond for separation in separations])
    return Separated(
        rule.rule, rule.alpha, tuple(areas), tuple(separations), tuple(_findings(rule, areas, separations, fires))
    )


def _some(weeks: Sequence[Floats], rows: int) -> Floats:
    """Return at most ``rows`` rows, of each week as large a share."""
    every = np.concatenate(weeks)
    return every if len(every) <= rows else every[np.random.default_rng(0).choice(len(every), rows, replace=False)]


def _rule(weeks: int, settings: MonitorSettings) -> DriftRule:
    of_weeks = settings.model_copy(update={"window": settings.classifier.period})
    return DriftRule.of(of_weeks, [Band(Noise(0.0, 1.0), windows=weeks, freedom=float(max(1, weeks - 1)))])


def _p(area: float, areas: Sequence[float]) -> float:
    """Return the probability of a new week that is told apart as well: a t interval for one more value."""
    many = len(areas)
    if many < 2:
        return 1.0
    spread = float(np.std(areas, ddof=1)) * np.sqrt(1 + 1 / many)
    away = area - float(np.mean(areas))
    return float(stdtr(many - 1, -away / spread)) if spread else float(away <= 0)


def _reason(weeks: Sequence[Floats], live: Mapping[str, Floats], settings: MonitorSettings) -> str:
    if settings.classifier.every == "never":
        return "`monitor.classifier.every` is never"
    if sum(map(len, weeks)) < LEAST:
        return f"the rows of the reference are not at hand: fewer than {LEAST} could be read"
    if not any(len(week) >= LEAST for week in live.values()):
        return f"no {settings.classifier.every} of live traffic has {LEAST} rows"
    return ""


def _findings(
    rule: DriftRule, areas: Sequence[float], separations: Sequence[Separation], fires: Sequence[bool]
) -> list[Finding]:
    if not separations or not separations[-1].beyond:
        return []
    newest, start = separations[-1], len(separations) - 1
    while start and separations[start - 1].beyond:
        start -= 1
    sure = fires[-1] and rule.rule != "uncalibrated"
    usual = f"in the {len(areas)} of the reference it was {np.mean(areas):.3f} on average" if areas else ""
    few = "" if len(areas) >= FEW else f" {len(areas)} are too few to say what is usual."
    names = ", ".join(f"`{name}`" for name in newest.features)
    away = f" What gives it away: {names}." if names else ""
    return [
        Finding(
            kind=Kind.MULTIVARIATE_DRIFT,
            subject="",
            severity=Severity.WARNING if sure else Severity.INFO,
            window=newest.period,
            since=separations[start].period,
            what=f"a classifier tells the rows of {newest.period} from the reference with an AUC of {newest.auc:.3f}; "
            f"{usual}.{few}{away}",
            next="compare how these columns go together in the reference and now" if sure else "wait for the next one",
        )
    ]
