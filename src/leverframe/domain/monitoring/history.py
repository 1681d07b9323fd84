"""What earlier runs found, a line a window: ``history.jsonl`` outlives the log that it was made from.

A line is only ever added. A window gets one when it is over, and one more when enough of its labels are known; a
run that was killed, or that runs twice, adds neither again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from leverframe.documents import parsed, plain
from leverframe.domain.monitoring.monitor_result import Monitored, PerformancePoint, WindowFacts

Part = Literal["traffic", "performance"]


@dataclass(frozen=True)
class HistoryLine:
    """What was found of a window: ``findings`` by key with their severity, ``metrics`` by name.

    ``part`` tells whether it is of the traffic, with estimated metrics, or of the labels, with realised ones.
    """

    model: str
    environment: str
    window: str
    start: str
    part: Part
    reference: str
    rows: int
    requests: int
    prediction: float | None
    coverage: float | None
    findings: dict[str, str]
    metrics: dict[str, float]
    releases: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What there is one line of."""
        return self.model, self.environment, self.window, self.part


def read_history(text: str) -> list[HistoryLine]:
    """Return the lines that can be read, each key once; what cannot be read is left where it is."""
    lines: dict[tuple[str, str, str, str], HistoryLine] = {}
    for line in text.splitlines():
        try:
            parsed_line = parsed(HistoryLine, line)
        except ValueError:
            continue
        lines.setdefault(parsed_line.key, parsed_line)
    return sorted(lines.values(), key=lambda line: (line.start, line.part))


def added_to(text: str, lines: Sequence[HistoryLine]) -> str:
    """Return the text with the lines whose key it lacks at its end; lines that are there stay as they are."""
    known = {line.key for line in read_history(text)}
    fresh = [line for line in lines if line.key not in known]
    whole = text if not text or text.endswith("\n") else text + "\n"  # a writer was killed within a line
    return whole + "".join(json.dumps(plain(line), separators=(",", ":")) + "\n" for line in fresh)


def lines_of(monitored: Monitored) -> list[HistoryLine]:
    """Return the lines that a run may add: of every window that is over, and of every one whose labels are known."""
    return [line for window in monitored.windows if window.whole for line in _of_window(monitored, window)]


def _of_window(monitored: Monitored, window: WindowFacts) -> Iterator[HistoryLine]:
    points = {
        series.metric: point
        for series in monitored.performance
        for point in series.points
        if point.window == window.name
    }
    yield _line(monitored, window, "traffic", {name: point.estimated for name, point in points.items()})
    if points and all(point.judged for point in points.values()):
        yield _line(monitored, window, "performance", {name: _realised(point) for name, point in points.items()})


def _realised(point: PerformancePoint) -> float | None:
    return point.realised.value


def _line(monitored: Monitored, window: WindowFacts, part: Part, metrics: dict[str, float | None]) -> HistoryLine:
    findings = {
        finding.key: finding.severity.value
        for finding in monitored.findings
        if finding.since <= window.name <= finding.window  # names of windows of one period sort by time
    }
    return HistoryLine(
        monitored.model, monitored.environment, window.name, window.start, part,
        monitored.provenance.reference, int(window.rows.value or 0), window.requests, window.prediction.value,
        window.coverage, findings, {name: value for name, value in metrics.items() if value is not None},
        window.releases,
    )  # fmt: skip
