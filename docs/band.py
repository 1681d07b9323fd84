"""The picture of how drift is decided, drawn from the very classes that decide.

`python -m docs.band --write` writes it, `--check` (in `make check`) fails where it is not what they give.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from leverframe.adapters.pygal import draw
from leverframe.domain.model.charts import Axis, Line, LineChart
from leverframe.domain.monitoring.band import Band, Distance, Noise
from leverframe.domain.monitoring.batch import Numbers
from leverframe.domain.monitoring.binning import binning
from leverframe.domain.monitoring.distances import ks
from leverframe.domain.monitoring.monitored_column import MonitoredColumn

FILE = Path(__file__).parent / "pictures/band.svg"
DAYS, LIVE, ROWS = 40, 14, 2000
CHANGE = 7  # the live day from which the column has moved
ALPHA = 0.05 / 15  # as in a model of fifteen columns


def chart() -> LineChart:
    """Return distances of 40 days of a reference and 14 days of traffic, which moves after a week."""
    random = np.random.default_rng(5)
    days = [random.normal(random.normal(0, 0.05), 1, ROWS) for _ in range(DAYS)]
    live = [random.normal(random.normal(0.25 * (day >= CHANGE), 0.05), 1, ROWS) for day in range(LIVE)]
    bins = binning(MonitoredColumn("amount", "numeric"), Numbers(np.concatenate(days)))
    counts = [bins.counts(Numbers(day)).bins for day in days]
    pool = np.sum(counts, axis=0)
    others = [Distance(float(ks(pool - count, count)), ROWS, int((pool - count).sum())) for count in counts]
    band = Band.of(others, Noise.of(pool, ordered=True))
    later = [float(ks(pool, bins.counts(Numbers(day)).bins)) for day in live]
    limit = band.limit(ALPHA, ROWS, int(pool.sum()))
    return LineChart(
        "One column: each day's distance from the reference",
        Axis("day", 1, DAYS + LIVE),
        Axis("KS distance", 0),
        (
            Line("days of the reference", _points(1, [distance.value for distance in others]), dots=True),
            Line("days of live traffic", _points(DAYS + 1, later), dots=True),
            Line("what is usual", [(1, limit), (DAYS + LIVE, limit)], dashed=True),
        ),
    )


def _points(first: int, values: list[float]) -> list[tuple[float, float]]:
    return [(float(first + at), float(value)) for at, value in enumerate(values)]


def main(arguments: list[str]) -> int:
    """Write or check the picture."""
    text = draw(chart())
    if "--write" in arguments:
        FILE.write_text(text, encoding="utf-8")
        return 0
    if FILE.read_text(encoding="utf-8") != text:
        print(f"{FILE} is not what the monitor gives: run `python -m docs.band --write`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
