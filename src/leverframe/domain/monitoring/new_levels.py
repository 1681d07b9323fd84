"""How many rows of a window of the reference have a level that the other windows do not name.

Counted against the whole reference hardly any has: it names what the window itself brought. Live traffic, compared
with that, would seem to have more new levels than the reference ever had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from leverframe.domain.features.online import microseconds_of
from leverframe.domain.monitoring.batch import Batch, Ints, Levels
from leverframe.domain.monitoring.binning import SHARED, Binning
from leverframe.domain.monitoring.reference_profile import WindowCounts
from leverframe.domain.monitoring.window_summary import WindowSpan


def judged_by_others(
    windows: Sequence[WindowCounts | None], batch: Batch, spans: Sequence[WindowSpan], bins: Mapping[str, Binning]
) -> list[WindowCounts]:
    """Return the windows, one a span, None without rows, with new levels counted by what the others name."""
    starts = np.array([microseconds_of(span.start) for span in spans], np.int64)
    place = np.searchsorted(starts, batch.at, side="right") - 1
    new = {
        name: new_by_window(values, place, len(spans), bins[name].names)
        for name, values in batch.columns.items()
        if isinstance(values, Levels) and name in bins and not bins[name].ordered
    }
    return [
        replace(window, columns={name: replace(counts, new=int(new[name][at])) if name in new else counts
                                 for name, counts in window.columns.items()})
        for at, window in enumerate(windows)
        if window is not None
    ]  # fmt: skip


def new_by_window(values: Levels, window: Ints, windows: int, names: Sequence[str]) -> Ints:
    """Return for each window the rows whose level is not among ``names``, or that too few rows of the others share."""
    known = values.codes >= 0
    pairs, rows = np.unique(values.codes[known].astype(np.int64) * windows + window[known], return_counts=True)
    code, place = pairs // windows, pairs % windows
    total = np.bincount(code, weights=rows, minlength=len(values.names))
    listed = frozenset(names)
    named = np.array([name in listed for name in values.names], np.bool_)
    new = ~named[code] | (total[code] - rows < SHARED)
    return np.bincount(place[new], weights=rows[new], minlength=windows).astype(np.int64)
