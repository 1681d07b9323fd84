"""Results of the monitor as runs would have them, to look at: quiet, drifted, broken, too early, hostile, large."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

from leverframe.domain.model.evaluate.metrics import Better
from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from leverframe.domain.monitoring.history import HistoryLine, lines_of
from leverframe.domain.monitoring.monitor_result import (
    Cell,
    ColumnFacts,
    Histogram,
    Monitored,
    OpenAlert,
    Performance,
    PerformancePoint,
    Provenance,
    Range,
    ReleaseMarker,
    RuleFacts,
    Skew,
    Span,
    TableFacts,
    WindowFacts,
)
from leverframe.domain.monitoring.monitored_column import ColumnKind

LAST = datetime(2013, 12, 30, tzinfo=UTC)  # the newest window that is over
NUMERIC = ("distance", "wind_speed", "visibility", "temperature", "precipitation", "pressure", "humidity", "seats",
           "previous_delay", "inbound_delay_mean_7d")  # fmt: skip
CATEGORICAL = {"carrier": ("UA", "B6", "EV", "DL", "AA", "MQ", "US", "9E"), "origin": ("EWR", "JFK", "LGA"),
               "destination": ("ORD", "ATL", "LAX", "BOS", "MCO", "CLT", "SFO", "FLL")}  # fmt: skip
NAMES = (*NUMERIC, *CATEGORICAL, "departure_hour", "is_holiday")
HOSTILE = (
    "</title></svg><script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "'; DROP TABLE flights; --",
    "a]]>b<!--c-->d&amp;e&#60;", "\u202eevil\u202c \u2066iso\u2069 \u200b\ufeffzero",
    "\U0001f469\u200d\U0001f680 emoji \U0001f1e9\U0001f1ea",
    "שלום עולם العربية", "z\u0351\u0352\u0357\u034b\u0363a\u0300\u0301\u0302l\u0327g\u0338o",
    "`code` | pipe\nline\r\n# head",
    "\x00\x07\x1b[31mred\x1b[0m",
    "W" * 400, "{{ template }} ${dollar} %s %(x)s {0}", "javascript:alert(1)", "@media{}*{display:none}", "",
    "https://e.x/\"onmouseover=\"alert(1)", "https://e.x/)[a](javascript:alert(1)",
)  # fmt: skip


def day(number: int) -> datetime:
    """Return the start of the window that is ``number`` windows before the newest whole one."""
    return LAST - timedelta(days=number)


def quiet(windows: int = 30, names: Sequence[str] = NAMES, seed: int = 7) -> Monitored:
    """Return a run that found nothing: every column within its band, the performance where it should be."""
    draw = Random(seed)  # noqa: S311 - no secret
    days = [day(windows - 1 - number) for number in range(windows)]
    facts = tuple(_window(draw, start) for start in days)
    columns = (_prediction(draw, days), *(_column(draw, name, days) for name in names))
    covered = [min(1.0, max(0.0, 0.93 - 0.16 * max(0, 4 - (windows - 1 - number)))) for number in range(windows)]
    return Monitored(
        model="flights-late30", environment="production", at="2013-12-31T06:00:12+00:00",
        next_run="2014-01-01T06:00:00+00:00",
        reference=Span(83_412, 91, "2013-06-30T00:00:00+00:00", "2013-09-29T00:00:00+00:00"),
        live=Span(sum(int(fact.rows.value or 0) for fact in facts), windows, days[0].isoformat(),
                  "2013-12-30T23:59:41+00:00"),
        rule=RuleFacts("K", 0.00012, 91, "none", 0, 91,
                       "a column alarms when two of its last three windows lie beyond its band, which is set so that "
                       "months without any change raise an alarm in 5 of 100"),
        windows=facts,
        columns=tuple(sorted(columns, key=_worst_first)),
        performance=_performance(draw, facts, covered),
        findings=(),
        tables=(
            TableFacts("flights", "2013-12", "passed", (), (), 28_135, ("distance", "carrier", "origin")),
            TableFacts("weather", "2013-12", "passed", (), ("stale rows, 12 rows (0.1%)",), 2_208, NAMES[1:7]),
            TableFacts("planes", "static", "passed", (), (), 3_322, ("seats",)),
        ),
        skew=(Skew("inbound_delay_mean_7d", 500, 3, 0.25), Skew("seats", 500, 0, 0.0)),
        releases=(
            ReleaseMarker((days[0] + timedelta(hours=9)).isoformat(), "flights-late30@v1.1.0", "4f1c2a9", "1.1.0"),
            ReleaseMarker((days[-1] - timedelta(days=9, hours=-10)).isoformat(), "flights-late30@v1.2.0", "9be07d1",
                          "1.2.0"),
        ),
        alerts=(),
        provenance=Provenance("9be07d1c5a", "sha256:5d0c1f", "sha256:77ab02", "0.9.0", "alibi-detect 0.13.0",
                              "s3://logs/flights/dt=*", "labels/*.parquet"),
        notes=("the domain classifier runs weekly, on Monday; it did not run today",),
    )  # fmt: skip


def drifted() -> Monitored:
    """Two columns moved nine windows ago, and the model relies on them."""
    base = _moved(quiet(60), {"wind_speed": 2.4, "carrier": 1.6}, 9)
    findings = (
        Finding(Kind.DRIFT, "wind_speed", Severity.WARNING, "2013-12-30", "2013-12-22",
                "`wind_speed` drifted: KS 0.113, the reference makes at most 0.047 likely; 9 windows in a row, and the "
                "model relies on it (importance 0.21)",
                "compare the source of `wind_speed` with the reference; if the world changed, retrain on newer rows"),
        Finding(Kind.DRIFT, "carrier", Severity.WARNING, "2013-12-30", "2013-12-23",
                "`carrier` drifted: Cramér's V 0.081, the reference makes at most 0.05 likely; `B6` rose from 16.0% to "
                "24.1%", "check whether `B6` really flies more; then retrain"),
        Finding(Kind.FRESHNESS, "labels", Severity.INFO, "2013-12-30", "2013-12-27",
                "labels of 4 windows are not complete yet", "wait: they are expected within 5 days"),
    )  # fmt: skip
    alerts = (
        OpenAlert("drift:wind_speed", "Drift of wind_speed, carrier in production", Severity.WARNING,
                  "2013-12-24T06:00:10+00:00", "https://github.com/example/flights/issues/41"),
        OpenAlert("retrain", "Retrain flights-late30 on 2013-12", Severity.INFO, "2013-12-26T06:01:00+00:00",
                  "https://github.com/example/flights/pull/43"),
        OpenAlert("latency", "Latency above 200 ms", Severity.WARNING, "2013-12-02T06:00:10+00:00",
                  "https://github.com/example/flights/issues/37", "2014-01-15"),
    )  # fmt: skip
    return replace(base, findings=findings, alerts=alerts)


def broken() -> Monitored:
    """A source reports kilometres as metres: one finding, and the drift that it explains."""
    base = _moved(quiet(), {"distance": 6.0, "prediction": 2.2}, 2)
    cause = Finding(
        Kind.OUT_OF_RANGE, "distance", Severity.CRITICAL, "2013-12-30", "2013-12-29",
        "`distance` lies outside of what its schema allows in 97.3% of 911 rows: from 128,000 to 7,970,000, where at "
        "most 10,000 is possible; the values are about 1,609 times those of the reference",
        "fix the unit of `distance` in the source table `flights`; until then do not retrain with these rows",
    )  # fmt: skip
    behind = [
        Finding(kind, subject, Severity.WARNING, "2013-12-30", "2013-12-29", what, "see its cause", cause.key)
        for kind, subject, what in [
            (Kind.DRIFT, "distance", "`distance` drifted: KS 0.97, the reference makes at most 0.05 likely"),
            (Kind.PREDICTION_DRIFT, "prediction", "predictions drifted: the mean rose from 0.231 to 0.402"),
        ]
    ]
    table = Finding(
        Kind.TABLE, "flights", Severity.CRITICAL, "2013-12", "2013-12",
        "table `flights` violates its contract in 2013-12: in_range of `distance`, 1,772 rows (6.3%); 3 features of "
        "the model are built from it",
        "read reports/contracts/2013-12.json and fix the source; until then neither retrain nor deploy with this "
        "partition",
    )  # fmt: skip
    tables = (
        replace(base.tables[0], verdict="failed", failed=("in_range of `distance`, 1,772 rows (6.3%)",)),
        *base.tables[1:],
    )
    windows = tuple(
        replace(window, quality=Severity.CRITICAL) if number >= len(base.windows) - 2 else window
        for number, window in enumerate(base.windows)
    )
    alerts = (
        OpenAlert(cause.key, "distance is out of range in production", Severity.CRITICAL, "2013-12-30T06:00:10+00:00",
                  "https://github.com/example/flights/issues/44"),
    )  # fmt: skip
    return replace(base, findings=(cause, table, *behind), tables=tables, windows=windows, alerts=alerts)


def dropped() -> Monitored:
    """The model is worse where labels are known, and few are."""
    base = quiet(45, seed=11)
    performance = tuple(_dropped(series) for series in base.performance)
    findings = (
        Finding(Kind.PERFORMANCE, "auc", Severity.CRITICAL, "2013-12-26", "2013-12-24",
                "AUC fell to 0.661 (95% interval 0.629 to 0.693) where 0.704 to 0.768 is expected; judged on 412 rows "
                "with a label", "compare the newest release with the one before: `leverframe gate --replay`; roll back "
                "with `leverframe rollback` if it began with a deployment"),
        Finding(Kind.CONCEPT, "auc", Severity.WARNING, "2013-12-26", "2013-12-24",
                "the realised AUC is 0.07 below its estimate: the same rows have other labels than they used to",
                "retrain on newer rows"),
        Finding(Kind.FRESHNESS, "labels", Severity.WARNING, "2013-12-30", "2013-12-20",
                "labels are late: 41.0% of the rows of 2013-12-20 have one, 80.0% are needed to judge a window",
                "ask the owner of labels/*.parquet why they stopped"),
    )  # fmt: skip
    return replace(base, performance=performance, findings=findings)


def first_run() -> Monitored:
    """Nothing has been logged yet, and the reference is too short for a rule."""
    return Monitored(
        model="flights-late30", environment="staging", at="2013-12-31T06:00:12+00:00",
        next_run="2014-01-01T06:00:00+00:00",
        reference=Span(4_210, 5, "2013-09-25T00:00:00+00:00", "2013-09-30T00:00:00+00:00"), live=Span(0, 0, "", ""),
        rule=RuleFacts("uncalibrated", 0.01, 5, "none", 0, 0,
                       "5 reference windows are too few for a band: statistics are shown and judge nothing"),
        windows=(), columns=(), performance=(), findings=(), tables=(), skew=(), releases=(), alerts=(),
        provenance=Provenance("9be07d1c5a", "", "sha256:77ab02", "0.9.0", "builtin", "log/dt=*", ""),
        notes=("no labels: set `monitor.labels` in leverframe.yaml", "no log file is closed yet"),
    )  # fmt: skip


def hostile(texts: tuple[str, ...] = HOSTILE) -> Monitored:
    """Every text that comes from data or names tries to be something else; there are at least 12 of them."""
    base = quiet(12, texts)
    base = _moved(base, {texts[0]: 3.0, texts[10]: 2.0}, 4)
    drifted = (
        Finding(Kind.DRIFT, name, Severity.WARNING, "2013-12-30", "2013-12-27",
                f"`{name}` drifted: {name}", f"fix `{name}`, {name}")
        for name in texts
    )  # fmt: skip
    window, since, what, following = texts[1:5]
    cause = f"drift:{texts[0]}"
    explained = Finding(Kind.NEW_CATEGORY, texts[0], Severity.CRITICAL, window, since, what, following, cause)
    findings = (*drifted, explained)
    windows = tuple(
        replace(window, missed={texts[0]: 0.9, texts[5]: 0.8}, releases=(texts[1],)) for window in base.windows
    )
    count = len(texts)
    histogram = Histogram(texts, (1 / count,) * count, tuple(number / 105 for number in range(count)))
    columns = tuple(
        replace(column, histogram=histogram) if number % 2 else column for number, column in enumerate(base.columns)
    )
    return replace(
        base, model=texts[0], environment=texts[1], findings=findings, windows=windows, columns=columns,
        tables=tuple(TableFacts(name, name, "failed", (name,), (name,), 3, (name, name)) for name in texts),
        skew=tuple(Skew(name, 5, 2, None) for name in texts),
        releases=tuple(ReleaseMarker(base.releases[1].at, name, name, name) for name in texts),
        alerts=tuple(OpenAlert(name, name, Severity.WARNING, name, name, name) for name in texts),
        provenance=Provenance(*texts[:7]), notes=texts,
        performance=tuple(replace(series, title=texts[0]) for series in base.performance),
    )  # fmt: skip


def wide(columns: int = 100, windows: int = 90) -> Monitored:
    """As many columns as some models have, a fifth of them drifted."""
    names = [f"{NAMES[number % len(NAMES)]}_{number:03d}" for number in range(columns)]
    base = _moved(quiet(windows, names), {name: 1.2 + 0.1 * number for number, name in enumerate(names[::5])}, 30)
    findings = tuple(
        Finding(Kind.DRIFT, name, Severity.WARNING, "2013-12-30", "2013-12-01",
                f"`{name}` drifted: KS 0.113, the reference makes at most 0.047 likely", "retrain on newer rows")
        for name in names[::5]
    )  # fmt: skip
    return replace(base, findings=findings)


CASES = {
    "quiet": quiet, "drifted": drifted, "broken": broken, "dropped": dropped, "first-run": first_run,
    "hostile": hostile, "wide": wide,
}  # fmt: skip


def history(monitored: Monitored, earlier: int = 120) -> list[HistoryLine]:
    """Return the lines that earlier runs left: ``earlier`` more windows than the newest run looks at."""
    past = replace(quiet(len(monitored.windows) + earlier), findings=(
        Finding(Kind.MISSING, "wind_speed", Severity.WARNING, "2013-10-11", "2013-10-08", "", ""),
    ))  # fmt: skip
    return lines_of(past)


def _window(draw: Random, start: datetime) -> WindowFacts:
    rows = int(draw.gauss(915, 28) - (70 if start.weekday() >= 5 else 0))
    return WindowFacts(
        name=str(start.date()), start=start.isoformat(), end=(start + timedelta(days=1)).isoformat(), whole=True,
        rows=Range(rows, 760.0, 1_040.0), requests=rows // 2, refused=draw.randrange(4), failed=0,
        latency_ms=(draw.gauss(11, 0.7), draw.gauss(27, 2.5)), prediction=Range(draw.gauss(0.231, 0.006), 0.212, 0.25),
        coverage=None, snapshot_hours=draw.uniform(9, 15), missed={"planes": 0.985, "weather": 0.998},
        releases=("flights-late30@v1.2.0",) if start >= day(9) else ("flights-late30@v1.1.0",), quality=None,
    )  # fmt: skip


def _column(draw: Random, name: str, days: Sequence[datetime]) -> ColumnFacts:
    band = draw.uniform(0.04, 0.06)
    cells = tuple(
        Cell(str(start.date()), round(statistic := abs(draw.gauss(0.45, 0.17)) * band, 5),
             round(max(0.0, 1 - statistic / band), 4), False, 0.004, 0.0, None)
        for start in days
    )  # fmt: skip
    kind: ColumnKind = "categorical" if name in CATEGORICAL else "boolean" if name.startswith("is_") else "numeric"
    return ColumnFacts(
        name, "feature", kind, round(draw.uniform(0, 0.25), 3), "KS" if kind == "numeric" else "Cramér's V", band,
        draw.uniform(0, 0.04) if kind == "numeric" else None, draw.uniform(0, 0.02), draw.uniform(0, 0.04), 0.004,
        _histogram(name, kind, 0.0), cells,
    )  # fmt: skip


def _prediction(draw: Random, days: Sequence[datetime]) -> ColumnFacts:
    return replace(_column(draw, "prediction", days), role="prediction", importance=None)


def _histogram(name: str, kind: ColumnKind, moved: float) -> Histogram:
    if kind == "numeric":
        edges = tuple(f"{number * 2.5:g}" for number in range(17))
        return Histogram(edges, _bell(7.0), _bell(7.0 + moved))
    levels = CATEGORICAL.get(name, ("false", "true"))
    shares = [1.5**-number for number in range(len(levels))]
    now = [share * (1 + 0.35 * moved if number == 1 else 1) for number, share in enumerate(shares)]
    return Histogram(levels, tuple(share / sum(shares) for share in shares), tuple(share / sum(now) for share in now))


def _bell(middle: float) -> tuple[float, ...]:
    heights = [2.718281828 ** (-((number - middle) ** 2) / 14) for number in range(16)]
    return tuple(round(height / sum(heights), 5) for height in heights)


def _moved(monitored: Monitored, moved: dict[str, float], newest: int) -> Monitored:
    """Return the same with the statistics of some columns at ``moved`` times their band in the newest windows."""
    draw = Random(5)  # noqa: S311
    columns = [
        _shifted(draw, column, moved[column.name], newest) if column.name in moved else column
        for column in monitored.columns
    ]
    return replace(monitored, columns=tuple(sorted(columns, key=_worst_first)))


def _shifted(draw: Random, column: ColumnFacts, times: float, newest: int) -> ColumnFacts:
    band = column.band or 0.05
    cells = tuple(
        replace(cell, statistic=round(band * draw.gauss(times, 0.12 * times), 5), p=1e-6, beyond=True,
                severity=Severity.WARNING if left < newest - 1 else None)
        if (left := len(column.cells) - 1 - number) < newest else cell
        for number, cell in enumerate(column.cells)
    )  # fmt: skip
    return replace(
        column, cells=cells, wasserstein=0.21 * times if column.wasserstein is not None else None, psi=0.09 * times,
        js=0.1 * times, histogram=_histogram(column.name, column.kind, times),
    )  # fmt: skip


def _worst_first(column: ColumnFacts) -> float:
    return -sum(cell.beyond for cell in column.cells) - (column.importance or 0)


def _performance(draw: Random, windows: Sequence[WindowFacts], covered: Sequence[float]) -> tuple[Performance, ...]:
    def series(metric: str, title: str, better: Better, centre: float, wide: float) -> Performance:
        points = []
        for window, share in zip(windows, covered, strict=True):
            value = draw.gauss(centre, wide / 4)
            known = share >= 0.3
            points.append(PerformancePoint(
                window.name, Range(value, value - wide * 0.8, value + wide * 0.8) if known else Range(None),
                draw.gauss(centre, wide / 8), share, share >= 0.8, False,
            ))  # fmt: skip
        return Performance(metric, title, better, Range(centre, centre - wide, centre + wide), tuple(points))

    return (
        series("auc", "AUC", "higher", 0.736, 0.032),
        series("average_precision", "average precision", "higher", 0.48, 0.05),
        series("brier", "Brier score", "lower", 0.148, 0.014),
        series("log_loss", "log loss", "lower", 0.463, 0.036),
        series("calibration_gap", "labels minus predictions", "neither", 0.0, 0.03),
    )


def _dropped(series: Performance) -> Performance:
    count = len(series.points)
    wide = (series.reference.high or 0) - (series.reference.value or 0)
    sign = {"higher": -1, "lower": 1, "neither": 0}[series.better]
    points = []
    for number, point in enumerate(series.points):
        left = count - 1 - number
        value = point.realised.value
        if value is None:
            points.append(point)
            continue
        value += sign * 2.0 * wide if left < 8 else 0
        share = 0.41 if 4 < left < 11 else point.coverage
        points.append(replace(
            point, realised=Range(value, value - wide, value + wide), beyond=left < 8 and sign != 0, coverage=share,
            judged=left in (4, 5, 6, 7) or left >= 11,
        ))  # fmt: skip
    return replace(series, points=tuple(points))
