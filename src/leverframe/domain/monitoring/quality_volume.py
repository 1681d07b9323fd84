"""How many rows a window should have: as many as earlier ones of live traffic, of the same weekday where there are.

The rows of the reference may be a sample of the traffic, so they are only asked while live traffic is young.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from statistics import median

from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from leverframe.domain.monitoring.monitor_result import Range
from leverframe.domain.monitoring.quality_columns import ColumnFault, of_run
from leverframe.domain.monitoring.reference_profile import ReferenceProfile
from leverframe.domain.monitoring.value_band import Value, ValueBand
from leverframe.domain.monitoring.window_summary import WindowSummary, minute
from leverframe.settings.monitor import MonitorSettings

_LEAST = 1.5  # a factor below it is never odd
_MUCH = 10
_ENOUGH = {"day": 2, "hour": 1}  # empty windows of the same weekday or hour from which another is usual
_LIVE = 6  # earlier windows, of the same weekday or any, from which they are asked
_FAR = 7.4  # median deviations: five standard deviations of normal logarithms
_WHERE = "look at the server, its clients and the job that ships the log"


def volume_findings(
    profile: ReferenceProfile, windows: Sequence[WindowSummary], settings: MonitorSettings, alpha: float
) -> tuple[Finding, ...]:
    """Return what the newest of the windows, which are all over, shows of how many rows there are."""
    if not windows:
        return ()
    newest = windows[-1].span.name
    if not any(window.rows for window in windows):
        words = f"there is no traffic at all: none of {len(windows)} windows since {windows[0].span.name} has a row."
        return (
            Finding(Kind.VOLUME, "", Severity.CRITICAL, newest, windows[0].span.name, words,
                    f"is `monitor.log` the right place, and does the server log? {_WHERE}"),
        )  # fmt: skip
    if not windows[-1].rows:
        return (_empty(windows, settings),)
    finding = of_run(Kind.VOLUME, "", windows, lambda window: _odd(profile, windows, window, settings, alpha))
    few = windows[-1].rows < settings.minimum_rows
    if finding is None and few:
        rows = windows[-1].rows
        return (
            Finding(Kind.VOLUME, "", Severity.INFO, newest, newest,
                    f"{newest} has {rows:,} rows; from {settings.minimum_rows:,} on a window is judged for drift.",
                    "choose a longer `monitor.window`, or a smaller `monitor.minimum_rows`"),
        )  # fmt: skip
    return () if finding is None else (finding,)


def expected_rows(
    profile: ReferenceProfile, windows: Sequence[WindowSummary], window: WindowSummary, settings: MonitorSettings,
    alpha: float,
) -> Range:  # fmt: skip
    """Return the rows of a window, and between which ends they are usual; ends are None where too little is known."""
    values, _ = _history(profile, windows, window, settings)
    if len(values) < 2:
        return Range(window.rows)
    band = ValueBand.of(values, "positive")
    low, high = band.ends(math.sqrt(max(1.0, math.exp(band.centre))), alpha)
    return Range(window.rows, float(math.floor(low)), float(math.ceil(high)))


def _empty(windows: Sequence[WindowSummary], settings: MonitorSettings) -> Finding:
    """Return the finding of a newest window without a row; where that weekday or hour never has any, it is shown."""
    newest = windows[-1]
    since = newest
    for window in reversed(windows[:-1]):
        if window.rows:
            break
        since = window
    begun = next((number for number, window in enumerate(windows) if window.rows), len(windows))
    same = [other for other in windows[begun:-1] if _season(other, settings) == _season(newest, settings)]
    usual = len(same) >= _ENOUGH.get(settings.window, len(windows)) and not any(other.rows for other in same)
    last = max((other.last for other in windows if other.last is not None), default=None)
    never = " No window of that weekday or hour had any." if usual else ""
    ago = "" if last is None else f"; the last row before is of {minute(last)}"
    return Finding(
        Kind.VOLUME,
        "",
        Severity.INFO if usual else Severity.CRITICAL,
        newest.span.name,
        since.span.name,
        f"{newest.span.name} is empty: no row was logged{ago}.{never}",
        "nothing, if that is usual" if usual else _WHERE,
    )


def _odd(
    profile: ReferenceProfile, windows: Sequence[WindowSummary], window: WindowSummary, settings: MonitorSettings,
    alpha: float,
) -> ColumnFault | None:  # fmt: skip
    values, live = _history(profile, windows, window, settings)
    if not window.rows or len(values) < 2:
        return None
    band = ValueBand.of(values, "positive")
    usual = math.exp(band.centre)
    factor = window.rows / usual
    known = [value.value for value in values]
    much = (factor >= _MUCH and window.rows > 2 * max(known)) or (factor <= 1 / _MUCH and window.rows < min(known) / 2)
    likely = band.tail(_value(window.rows), "both") >= alpha
    if not much and (likely or max(factor, 1 / factor) < _LEAST):
        return None
    base = "earlier windows" if live else "windows of the reference, which may be a sample of the traffic,"
    times = f"{factor:.1f} times" if factor >= 1 else f"{factor:.2f} times"
    return ColumnFault(
        Severity.WARNING if live or much else Severity.INFO,
        f"{window.span.name} has {window.rows:,} rows, {times} the {usual:,.0f} that {base} have.",
        f"was traffic sent twice, to other servers, or by a new client? {_WHERE}"
        if factor > 1
        else f"do clients fail, or does part of the log not arrive? {_WHERE}",
    )


def _history(
    profile: ReferenceProfile, windows: Sequence[WindowSummary], window: WindowSummary, settings: MonitorSettings
) -> tuple[list[Value], bool]:
    """Return the rows of windows to compare one with, and whether they are live ones."""
    earlier = [other for other in windows if other.span.end <= window.span.start and other.rows]
    same = [other for other in earlier if _season(other, settings) == _season(window, settings)]
    chosen = same if len(same) >= _LIVE else earlier
    if len(chosen) >= _LIVE:
        return _without_outliers([_value(other.rows) for other in chosen]), True
    start = window.span.start.isoformat()
    alike = [other.rows for other in profile.windows if _same_season(profile, other.start, start) and other.rows]
    return _without_outliers([_value(rows) for rows in alike]), False


def _without_outliers(values: list[Value]) -> list[Value]:
    """Return the values that are not far from the median: an odd window must not make the next one usual."""
    if len(values) < 3:
        return values
    logs = [math.log(value.value) for value in values]
    middle = median(logs)
    far = max(math.log(_LEAST), _FAR * median(abs(log - middle) for log in logs))
    return [value for value, log in zip(values, logs, strict=True) if abs(log - middle) <= far]


def _same_season(profile: ReferenceProfile, one: str, other: str) -> bool:
    if profile.match == "none":
        return True
    days = [datetime.fromisoformat(text) for text in (one, other)]
    if profile.match == "weekday":
        return days[0].weekday() == days[1].weekday()
    return days[0].month == days[1].month


def _value(rows: int) -> Value:
    return Value(float(rows), math.sqrt(rows))


def _season(window: WindowSummary, settings: MonitorSettings) -> int:
    """Return the weekday of a day, or the hour of an hour; 0 for longer windows."""
    start = window.span.start
    return {"day": start.weekday(), "hour": start.hour}.get(settings.window, 0)
