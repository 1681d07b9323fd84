"""Data quality of each column: it vanished, its type changed, values are missing, new, or impossible."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from leverframe.domain.monitoring.quality_shares import Share, ShareRule
from leverframe.domain.monitoring.reference_profile import ProfiledColumn, ReferenceProfile
from leverframe.domain.monitoring.window_summary import ColumnSummary, WindowSummary

_MOST = 0.5  # share of values of another type from which the type has changed
_OF_SCHEMA = "look for what changed in the client or the pipeline that sends it, and restore the column as it was"


@dataclass(frozen=True)
class ColumnFault:
    """What is wrong in one window."""

    severity: Severity
    what: str
    next: str


@dataclass(frozen=True)
class _Check:
    kind: Kind
    subject: str
    hit: Callable[[WindowSummary], ColumnFault | None]


def column_findings(
    profile: ReferenceProfile, windows: Sequence[WindowSummary], alpha: float, floor: float
) -> Iterator[Finding]:
    """Yield what the newest of the windows shows of the columns; all are over, oldest first."""
    if not windows:
        return
    for column in profile.columns:
        for check in _checks(profile, column, alpha, floor):
            finding = of_run(check.kind, check.subject, windows, check.hit)
            if finding is not None:
                yield finding


def of_run(
    kind: Kind, subject: str, windows: Sequence[WindowSummary], hit: Callable[[WindowSummary], ColumnFault | None]
) -> Finding | None:
    """Return the finding of the newest window, since the first of an unbroken run; windows without rows break none."""
    newest = hit(windows[-1])
    if newest is None:
        return None
    since = windows[-1]
    for window in reversed(windows[:-1]):
        if window.rows:
            if hit(window) is None:
                break
            since = window
    return Finding(kind, subject, newest.severity, windows[-1].span.name, since.span.name, newest.what, newest.next)


def tests(profile: ReferenceProfile) -> int:
    """Return how many shares are judged in a window."""
    return 4 * max(1, len(profile.columns))


def _checks(profile: ReferenceProfile, column: ProfiledColumn, alpha: float, floor: float) -> list[_Check]:
    name = column.column.name
    rows = [window.rows for window in profile.windows]
    none = [Share(0, sum(rows))]
    missing = ShareRule.of([Share(*pair) for pair in zip(column.missing, rows, strict=True)], alpha, floor)
    new = ShareRule.of([Share(*pair) for pair in zip(column.new, rows, strict=True)], alpha, floor)
    never = ShareRule.of(none, alpha, floor)
    if missing.pool.rows and missing.pool.count == missing.pool.rows:  # the reference does not have it either
        return []
    prediction = column.role == "prediction"

    def summary(window: WindowSummary) -> ColumnSummary:
        return window.prediction if prediction else window.columns.get(name, ColumnSummary(absent=window.rows))

    checks = [
        _Check(Kind.SCHEMA, name, lambda window: _schema(column, window, summary(window), never)),
        _Check(Kind.MISSING, name, lambda window: _missing(column, summary(window), missing)),
        _Check(Kind.NEW_CATEGORY, name, lambda window: _new(column, summary(window), new)),
        _Check(Kind.OUT_OF_RANGE, name, lambda window: _impossible(column, summary(window), never)),
    ]
    return checks[1:2] if prediction else checks


def _schema(
    column: ProfiledColumn, window: WindowSummary, summary: ColumnSummary, rule: ShareRule
) -> ColumnFault | None:
    name, absent = column.column.name, Share(summary.absent, window.rows)
    if not window.rows:
        return None
    if absent.count == absent.rows:
        return ColumnFault(
            Severity.CRITICAL, f"`{name}` vanished: none of {absent.rows:,} rows has the column.", _OF_SCHEMA
        )
    wrong, wanted, got = Share(summary.unreadable, summary.rows), "numbers", "something else"
    if not column.binning.ordered and not _names_numbers(column):
        wrong, wanted, got = Share(summary.numeric, summary.known), "texts", "numbers"
    if wrong.value >= _MOST and rule.exceeded(wrong):
        return ColumnFault(
            Severity.CRITICAL,
            f"the type of `{name}` changed: {wrong} are {got} where the reference has {wanted}.",
            _OF_SCHEMA,
        )
    if rule.exceeded(absent):
        return ColumnFault(Severity.WARNING, f"`{name}` is not in every request: {absent} lack the column.", _OF_SCHEMA)
    if column.binning.ordered and rule.exceeded(wrong):
        return ColumnFault(Severity.WARNING, f"`{name}` cannot be read everywhere: {wrong} are no numbers.", _OF_SCHEMA)
    return None


def _missing(column: ProfiledColumn, summary: ColumnSummary, rule: ShareRule) -> ColumnFault | None:
    given = Share(summary.missing - summary.unreadable, summary.rows)
    if not rule.exceeded(given):
        return None
    whole = given.count == given.rows
    return ColumnFault(
        Severity.CRITICAL if whole else Severity.WARNING,
        f"`{column.column.name}` is missing in {_against(given, rule)}.",
        "does the log have the column that `monitor.columns.prediction` names?"
        if whole and column.role == "prediction"
        else "look at where the value comes from: a join that finds nothing, a field that is no longer filled",
    )


def _new(column: ProfiledColumn, summary: ColumnSummary, rule: ShareRule) -> ColumnFault | None:
    given = Share(summary.new, summary.rows)
    if column.column.kind == "numeric" or not rule.exceeded(given):
        return None
    levels = ", ".join(f"`{_cut(level)}` ({rows:,})" for level, rows in summary.named())
    return ColumnFault(
        Severity.WARNING,
        f"`{column.column.name}` has values that the reference does not have in {_against(given, rule)}"
        f"{f': {levels}' if levels else ''}.",
        "find out whether they are real; the model has not learned from them, so retrain once there are labels",
    )


def _impossible(column: ProfiledColumn, summary: ColumnSummary, rule: ShareRule) -> ColumnFault | None:
    limits, given = column.column, Share(max(summary.outside, summary.forbidden), summary.rows)
    if not rule.exceeded(given):
        return None
    if summary.outside >= summary.forbidden:
        low, high = ("" if limit is None else f"{limit:g}" for limit in (limits.minimum, limits.maximum))
        seen = f"they reach from {summary.minimum:.6g} to {summary.maximum:.6g}, allowed is {low} to {high}"
    else:
        seen = f"allowed are {', '.join(f'`{_cut(level)}`' for level in (limits.allowed or ())[:5])}"
    return ColumnFault(
        Severity.WARNING,
        f"`{limits.name}` has impossible values in {given}: {seen}.",
        "look for another unit, a default such as -1, or a shifted column in what sends it",
    )


def _names_numbers(column: ProfiledColumn) -> bool:
    """Tell whether the levels of the reference are numbers themselves, such as codes; or none is known."""
    names = column.binning.names
    return not names or sum(name.replace(".", "", 1).lstrip("-").isdigit() for name in names) > len(names) / 10


def _against(given: Share, rule: ShareRule) -> str:
    return f"{given}, {rule.pool.value:.1%} in the reference"


def _cut(text: str) -> str:
    return (text if len(text) <= 40 else f"{text[:37]}...").replace("`", "'")
