"""Data quality of the traffic as a whole: the log, its clocks, the server, repeated rows, lookups and their age."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from leverframe.domain.features.online import EPOCH
from leverframe.domain.monitoring.batch import LogFacts
from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from leverframe.domain.monitoring.quality_columns import ColumnFault, of_run
from leverframe.domain.monitoring.quality_shares import Share, at_least
from leverframe.domain.monitoring.window_facts import counted_in
from leverframe.domain.monitoring.window_summary import WindowSummary, minute
from leverframe.settings.monitor import MonitorSettings, QualitySettings
from leverframe.words import first_few

_DIGEST = 16  # characters of a digest that tell releases apart
_NAMED = 3  # files, models or releases that a finding names
_HOUR = 3_600_000_000  # microseconds
_Finding = Callable[[str, Severity, str, str], Finding]
_MANY = 3  # times the floor of rows with a wrong clock, of a whole month, are windows that look empty
_SURE = 0.01  # probability below which more failures than are allowed are no chance


def log_findings(
    windows: Sequence[WindowSummary], facts: LogFacts, settings: MonitorSettings, now: datetime
) -> Iterator[Finding]:
    """Yield what is wrong with the log itself; ``windows`` are all, also the one that is not over."""
    if not windows:
        return
    rows = sum(window.rows for window in windows)
    first, newest = windows[0].span.name, windows[-1].span.name

    def finding(subject: str, severity: Severity, what: str, next: str) -> Finding:
        return Finding(Kind.LOG, subject, severity, newest, first, what, next)

    if facts.unreadable:
        every = len(facts.unreadable) >= facts.files
        yield finding(
            "unreadable-files",
            Severity.CRITICAL if every and not rows else Severity.WARNING,
            f"{len(facts.unreadable):,} of {facts.files:,} files of the log cannot be read: "
            f"{_listed({_cut(name): why for name, why in facts.unreadable.items()})}.",
            "look at rights and disk, fetch a good copy, or correct `monitor.columns` and `monitor.format`",
        )
    malformed = Share(sum(facts.malformed.values()), rows + sum(facts.malformed.values()))
    if malformed.count:
        most = sorted(facts.malformed.items(), key=lambda pair: (-pair[1], pair[0]))
        yield finding(
            "malformed-lines",
            Severity.WARNING if malformed.value > settings.quality.floor else Severity.INFO,
            f"{malformed.count:,} lines of the log are no records ({malformed.value:.1%}): "
            f"{_listed({_cut(name): f'{count:,}' for name, count in most})}.",
            "look at these lines: a disk was full, a writer was killed, or somebody else wrote into the folder",
        )
    yield from _clocks(windows, facts, rows, settings, finding)
    if facts.other_models:
        yield finding(
            "other-models",
            Severity.INFO,
            f"{sum(facts.other_models.values()):,} rows are of other models: "
            f"{_listed({_cut(name): f'{count:,}' for name, count in facts.other_models.items()})}.",
            "nothing, if several models share the folder; otherwise correct `monitor.log`",
        )
    if facts.unexpected:
        names = ", ".join(f"`{_cut(name)}`" for name in facts.unexpected)
        yield Finding(
            Kind.SCHEMA, "unexpected-columns", Severity.INFO, newest, first,
            f"the log has columns that the model does not know: {names}.",
            "nothing, unless one of them is a column of the model under a new name",
        )  # fmt: skip
    yield from _silent(windows, settings, now)


def release_findings(windows: Sequence[WindowSummary], bundle: str) -> Iterator[Finding]:
    """Yield what is odd about who predicts: an old release that still serves, or another than that of the reference."""
    spans: dict[str, tuple[int, int]] = {}
    for window in windows:
        for name, rows in window.releases.items():
            first, last = spans.get(name, (rows.first, rows.last))
            spans[name] = (min(first, rows.first), max(last, rows.last))
    spans.pop("", None)
    if not spans:
        return
    begins = (windows[-1].span.name, windows[0].span.name)
    newest = max(spans, key=lambda name: spans[name][0])
    since = spans[newest][0]
    old = {name[:_DIGEST]: last for name, (_, last) in spans.items() if name != newest and last > since + _HOUR}
    if old:
        yield Finding(
            Kind.LOG, "old-release", Severity.WARNING, *begins,
            f"an old release still serves: {_listed({name: minute(last) for name, last in sorted(old.items())})} are "
            f"their last rows, though `{newest[:_DIGEST]}` has served since {minute(since)}.",
            "look at each server behind the proxy: one did not take the deployment; `leverframe deploy` again",
        )  # fmt: skip
    if bundle and bundle not in spans:
        names = {name[:_DIGEST]: f"until {minute(last)}" for name, (_, last) in sorted(spans.items())}
        yield Finding(
            Kind.LOG, "other-release", Severity.INFO, *begins,
            f"another release serves than that of the reference, `{bundle[:_DIGEST]}`: {_listed(names)}.",
            "deploy the newest release, or look at the environment from a checkout of the commit that it serves",
        )  # fmt: skip


def server_findings(windows: Sequence[WindowSummary], facts: LogFacts, settings: QualitySettings) -> Iterator[Finding]:
    """Yield what the newest of the windows shows of response times, and of requests that failed or were refused."""
    if not windows:
        return

    def slow(window: WindowSummary) -> ColumnFault | None:
        latency, limit = window.latency.quantile(0.95), settings.maximum_latency_ms
        if latency is None or limit is None or latency <= limit:
            return None
        words = f"the server is slow: 5 % of responses took more than {latency:,.4g} ms, allowed are {limit:g} ms."
        return ColumnFault(
            Severity.WARNING, words, "look at the load of the machine, then at what the last release changed"
        )

    def failed(window: WindowSummary) -> ColumnFault | None:
        count = counted_in(facts.failed, window.span)
        given = Share(count, window.requests + count + counted_in(facts.refused, window.span))
        if given.value <= settings.maximum_errors or at_least(given, settings.maximum_errors) >= _SURE:
            return None
        words = f"{given.count:,} of {given.rows:,} requests failed ({given.value:.1%}); " \
                f"allowed are {settings.maximum_errors:.1%}."  # fmt: skip
        return ColumnFault(
            Severity.WARNING, words, "read the log of the server; `leverframe rollback` brings the release before"
        )

    def refused(window: WindowSummary) -> ColumnFault | None:
        count, most = counted_in(facts.refused, window.span), min(1.0, 10 * settings.maximum_errors)
        given = Share(count, window.requests + count + counted_in(facts.failed, window.span))
        if given.value <= most or at_least(given, most) >= _SURE:
            return None
        words = (
            f"{given.count:,} of {given.rows:,} requests were refused ({given.value:.1%}): they do not fit the schema."
        )
        return ColumnFault(
            Severity.WARNING, words, "find the client that sends them; the response names column and row"
        )

    for subject, hit in (("latency", slow), ("failed", failed), ("refused", refused)):
        finding = of_run(Kind.SERVER, subject, windows, hit)
        if finding is not None:
            yield finding


def row_findings(windows: Sequence[WindowSummary], settings: QualitySettings) -> Iterator[Finding]:
    """Yield what the newest of the windows shows of repeated rows, lookups that found nothing, and old features."""
    if not windows:
        return

    def twice(window: WindowSummary) -> ColumnFault | None:
        given = Share(window.duplicates, window.rows)
        if given.value <= settings.floor:
            return None
        words = f"{given} were logged before under the same id."
        return ColumnFault(
            Severity.WARNING, words, "does a client send again what was answered, or is a log collected twice?"
        )

    def old(window: WindowSummary) -> ColumnFault | None:
        age, limit = window.age.quantile(0.5), settings.maximum_feature_age_hours
        if age is None or limit is None or age <= limit:
            return None
        words = f"features are old: looked up in data that ended {age:,.3g} hours before the prediction, at most " \
                f"{limit:g} are allowed."  # fmt: skip
        remedy = "does `leverframe materialize` run? Without an online store, deploy a bundle with a newer snapshot"
        return ColumnFault(Severity.WARNING, words, remedy)

    def lacking(table: str) -> Finding | None:
        def hit(window: WindowSummary) -> ColumnFault | None:
            given = Share(window.missed[table], window.looked_up)
            most = settings.maximum_misses
            if given.value <= most or at_least(given, most) >= _SURE:
                return None
            words = f"`{table}` of the snapshot lacks the key of {given} that were looked up."
            return ColumnFault(Severity.WARNING, words, f"has `{table}` new keys? Look at its source, and bring the "
                       "online store up to date with `leverframe materialize`")  # fmt: skip

        return of_run(Kind.LOOKUP, table, windows, hit)

    tables = sorted({table for window in windows for table in window.missed})
    findings = [of_run(Kind.DUPLICATES, "", windows, twice), of_run(Kind.FRESHNESS, "features", windows, old)]
    yield from (finding for finding in [*findings, *map(lacking, tables)] if finding is not None)


def _clocks(
    windows: Sequence[WindowSummary], facts: LogFacts, rows: int, settings: MonitorSettings, finding: _Finding
) -> Iterator[Finding]:
    future = sum(window.future for window in windows) + facts.later
    skewed, untimed = Share(future + facts.earlier, rows + facts.later + facts.earlier), facts.untimed
    if skewed.count:
        ahead = f"{future:,} are of the future" if future else ""
        behind = f"{facts.earlier:,} are older than the file that they stand in" if facts.earlier else ""
        yield finding(
            "clock",
            _of_clocks(skewed, settings),
            f"clocks differ: of {skewed.rows:,} rows {' and '.join(filter(None, (ahead, behind)))}.",
            "set the clocks of servers and of the monitor by NTP; rows outside of all windows are not judged",
        )
    if untimed:
        given = Share(untimed, rows + untimed)
        yield finding(
            "untimed",
            Severity.WARNING if given.value > settings.quality.floor else Severity.INFO,
            f"{given} have no timestamp that can be read.",
            "write timestamps as 2026-01-31T13:00:00+00:00, or correct `monitor.columns.time`",
        )


def _of_clocks(skewed: Share, settings: MonitorSettings) -> Severity:
    if skewed.value <= settings.quality.floor:
        return Severity.INFO
    return Severity.CRITICAL if skewed.value > _MANY * settings.quality.floor else Severity.WARNING


def _silent(windows: Sequence[WindowSummary], settings: MonitorSettings, now: datetime) -> Iterator[Finding]:
    """Yield a finding where rows were logged once and have stopped, before the end of the newest whole window."""
    last = max((window.last for window in windows if window.last is not None), default=None)
    if last is None:
        return
    quiet = now - (EPOCH + timedelta(microseconds=last))
    if quiet > 2 * timedelta(hours=settings.every_hours):
        yield Finding(
            Kind.FRESHNESS,
            "log",
            Severity.WARNING,
            windows[-1].span.name,
            windows[-1].span.name,
            f"the log is silent: its newest row is of {minute(last)}, {quiet / timedelta(hours=1):,.0f} hours ago.",
            "does the server run, and does its log reach the place where `monitor.log` looks?",
        )


def _listed(items: Mapping[str, str]) -> str:
    return first_few([f"`{name}` ({words})" for name, words in items.items()], _NAMED)


def _cut(text: str) -> str:
    return (text if len(text) <= 80 else f"...{text[-77:]}").replace("`", "'")
