"""What is said of a column that drifts: how far, in which direction, and what to do."""

from __future__ import annotations

import numpy as np

from leverframe.domain.monitoring.batch import Ints
from leverframe.domain.monitoring.binning import Counts
from leverframe.domain.monitoring.distances import shares, spread
from leverframe.domain.monitoring.effect import CRAMERS_V, KS, REST
from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from leverframe.domain.monitoring.monitor_result import ColumnFacts
from leverframe.domain.monitoring.reference_profile import ProfiledColumn, WindowCounts

_MOVERS = 3


def drift_finding(
    column: ProfiledColumn,
    facts: ColumnFacts,
    window: WindowCounts,
    pool: Ints | None,
    since: str,
    severity: Severity,
) -> Finding:
    """Return the finding of a column whose newest window is beyond its band."""
    cell, counts = facts.cells[-1], window.columns[column.column.name]
    what = _moved(column, counts, column.pool if pool is None else pool)
    name = {KS: "KS distance", CRAMERS_V: CRAMERS_V}[facts.statistic]
    band = "" if facts.band is None else f", at most {facts.band:.3f} is usual"
    sure = " One window alone is no alarm." if severity is Severity.INFO else ""
    weight = f" It holds {facts.importance:.0%} of the model's importance." if facts.importance is not None else ""
    return Finding(
        kind=Kind.PREDICTION_DRIFT if column.role == "prediction" else Kind.DRIFT,
        subject=column.column.name,
        severity=severity,
        window=window.name,
        since=since,
        what=f"`{column.column.name}` drifts: {what} ({name} {cell.statistic or 0:.3f}{band}).{sure}{weight}",
        next=_next(column, severity),
    )


def _moved(column: ProfiledColumn, counts: Counts, pool: Ints) -> str:
    if not column.binning.ordered:
        return _movers(column, counts.bins, pool)
    places = column.binning.places()
    before, after = (float((shares(bins) * places).sum()) for bins in (pool, counts.bins))
    deviation = spread(pool, places)
    if not deviation:
        return f"mean {before:.4g} in the reference, {after:.4g} now"
    moved = (after - before) / deviation
    verb = "rose" if moved > 0 else "fell"
    return f"its mean {verb} from {before:.4g} to {after:.4g}, by {abs(moved):.2f} standard deviations"


def _movers(column: ProfiledColumn, bins: Ints, pool: Ints) -> str:
    names = [*column.binning.names[: column.binning.frequent], REST]
    before, after = shares(pool), shares(bins)
    order = np.argsort(-np.abs(after - before), kind="stable")[:_MOVERS]
    return ", ".join(f"`{names[at]}` {before[at]:.1%} to {after[at]:.1%}" for at in order if before[at] != after[at])


def _next(column: ProfiledColumn, severity: Severity) -> str:
    if severity is Severity.INFO:
        return "wait for the next window"
    if column.role == "prediction":
        return "look at the features that drift, and at performance once labels have arrived"
    return "look for a change of what is served; where it is real and performance falls, retrain"
