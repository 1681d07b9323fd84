"""Traffic of a model, day by day, and the reference that it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from leverframe.domain.features.online import microseconds_of
from leverframe.domain.monitoring.batch import NO_TIME, Batch, Levels, LogFacts, Numbers, Values
from leverframe.domain.monitoring.binning import binning, binnings
from leverframe.domain.monitoring.engine import BuiltinEngine
from leverframe.domain.monitoring.finding import Finding
from leverframe.domain.monitoring.monitored_column import MonitoredColumn
from leverframe.domain.monitoring.new_levels import judged_by_others
from leverframe.domain.monitoring.quality import quality_findings
from leverframe.domain.monitoring.reference import window_counts
from leverframe.domain.monitoring.reference_counts import reference_profile
from leverframe.domain.monitoring.reference_profile import ReferenceProfile
from leverframe.domain.monitoring.window_summary import Summaries, SummarySetting, WindowSpan, WindowSummary
from leverframe.domain.partition import Partition
from leverframe.settings.monitor import MonitorSettings

COLUMNS = (
    MonitoredColumn("amount", "numeric", minimum=0, maximum=1000),
    MonitoredColumn("plan", "categorical"),
    MonitoredColumn("early", "boolean", allowed=("true", "false")),
    MonitoredColumn("few", "discrete"),
    MonitoredColumn("constant", "numeric"),
    MonitoredColumn("name", "text"),
)
REFERENCE, LIVE = Partition.of("2026-01-01"), Partition.of("2026-03-02")  # a Thursday, and a Monday
ROWS = 500
Change = Callable[[dict[str, Values], np.random.Generator], None]


def day(first: Partition, number: int) -> WindowSpan:
    """Return a day."""
    return WindowSpan.of(first.plus(number), "UTC")


def batch(span: WindowSpan, rows: int, seed: int, change: Change = lambda *_: None, **other: object) -> Batch:
    """Return rows spread over a day; ``change`` breaks their columns, ``other`` replaces fields."""
    draw = np.random.default_rng(seed)
    columns: dict[str, Values] = {
        "amount": numbers(draw.gamma(2, 50, rows), draw.random(rows) < 0.02),
        "plan": levels(draw.choice(["basic", "plus", "pro"], rows, p=[0.5, 0.3, 0.2])),
        "early": levels(draw.choice(["true", "false"], rows)),
        "few": numbers(draw.integers(0, 5, rows)),
        "constant": numbers(np.full(rows, 7.0)),
        "name": levels(np.array([f"n{number}" for number in draw.integers(0, 100_000, rows)])),
    }
    change(columns, draw)
    start, end = microseconds_of(span.start), microseconds_of(span.end)
    at = np.sort(draw.integers(start, end, rows))
    made = {
        "at": at,
        "row": draw.integers(1, 2**63, rows).astype(np.uint64),
        "columns": columns,
        "predictions": draw.random(rows),
        "release": Levels(np.zeros(rows, np.int32), ("r1",)),
        "milliseconds": draw.gamma(4, 1, rows),
        "snapshot": np.full(rows, NO_TIME),
    }
    return Batch(**{**made, **other})  # type: ignore[arg-type]


def numbers(values: Any, missing: Any = False) -> Numbers:
    """Return numbers, NaN where missing."""
    return Numbers(np.where(missing, np.nan, np.asarray(values, np.float64)))


def unreadable(rows: int) -> Numbers:
    """Return a column of numbers that holds none."""
    return Numbers(np.full(rows, np.nan), rows, np.ones(rows, np.bool_))


def levels(values: Any, missing: Any = False) -> Levels:
    """Return texts as codes."""
    names, codes = np.unique(np.asarray(values, str), return_inverse=True)
    return Levels(np.where(missing, -1, codes).astype(np.int32), tuple(names.tolist()))


def profile(
    days: int = 30, rows: int = ROWS, change: Change = lambda *_: None
) -> tuple[ReferenceProfile, SummarySetting]:
    """Return a reference of some days, and how traffic is summed up to be compared with it."""
    spans = [day(REFERENCE, number) for number in range(days)]
    batches = [batch(span, rows, seed, change) for seed, span in enumerate(spans)]
    sample = {column.name: _together([chunk.columns[column.name] for chunk in batches]) for column in COLUMNS}
    bins = binnings(COLUMNS, sample)
    predicted = MonitoredColumn("prediction", "numeric", nullable=False)
    score = binning(predicted, Numbers(np.concatenate([chunk.predictions for chunk in batches])))
    setting = SummarySetting(COLUMNS, datetime(2027, 1, 1, tzinfo=UTC), bins, score)
    windows = summed(spans, batches, setting)
    known = reference_profile(
        [*((column, "feature") for column in COLUMNS), (predicted, "prediction")],
        {**bins, "prediction": score},
        judged_by_others([window_counts(window) for window in windows], together(batches), spans, bins),
        BuiltinEngine(),
    )
    return known, setting


def summed(spans: Sequence[WindowSpan], batches: Sequence[Batch], setting: SummarySetting) -> tuple[WindowSummary, ...]:
    """Return the windows of batches."""
    summaries = Summaries(spans, setting)
    for batch in batches:
        summaries.add(batch)
    return summaries.windows


def looked_at(
    known: tuple[ReferenceProfile, SummarySetting], days: Mapping[int, Batch | None], last: int,
    settings: MonitorSettings | None = None, facts: LogFacts | None = None,
) -> tuple[Finding, ...]:  # fmt: skip
    """Return the findings of live days 0 to ``last``; days that ``days`` lacks are as the reference, None is empty."""
    spans = [day(LIVE, number) for number in range(last + 1)]
    given = [days.get(number, batch(span, ROWS, 1000 + number)) for number, span in enumerate(spans)]
    now = spans[-1].end + timedelta(hours=1)
    windows = summed(spans, [chunk for chunk in given if chunk is not None], known[1])
    return quality_findings(known[0], windows, facts or LogFacts(files=1), settings or MonitorSettings(), now)


def together(batches: Sequence[Batch]) -> Batch:
    """Return batches as one, as far as a reference needs them."""
    columns = {name: _together([batch.columns[name] for batch in batches]) for name in batches[0].columns}
    return replace(batches[0], at=np.concatenate([batch.at for batch in batches]), columns=columns)


def _together(values: Sequence[Values]) -> Values:
    if isinstance(values[0], Numbers):
        return Numbers(np.concatenate([piece.values for piece in values if isinstance(piece, Numbers)]))
    texts = [
        np.where(piece.codes < 0, "", np.array([*piece.names, ""])[piece.codes])
        for piece in values
        if isinstance(piece, Levels)
    ]
    whole = np.concatenate(texts)
    return levels(whole, whole == "")
