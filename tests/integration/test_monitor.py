"""The monitor over real logs: quiet where nothing changed, and every way in which traffic breaks reported by name."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from leverframe.application.monitor import MonitorOptions, monitor, self_tested
from leverframe.domain.monitoring.finding import DRIFT, Finding, Kind, Severity
from leverframe.domain.monitoring.monitor_result import Monitored
from leverframe.domain.verdict import Failed, Passed, Reason, Skipped
from leverframe.errors import MonitorBusyError, RequestError, SourceError
from tests.integration.watched import (
    LIVE_DAYS,
    NOW,
    START,
    Traffic,
    place,
    repository,
    rows,
    traffic,
    write_labels,
    write_log,
    write_settings,
)
from tests.profiles import by_day, deep

Change = Callable[[Traffic], None]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose reference is made already."""
    root = repository(tmp_path_factory.mktemp("watched"), labels={"path": "labels.csv"})
    write_log(root, traffic())
    write_labels(root, traffic().labels)
    run(root)
    shutil.rmtree(root / "log")
    return root


@pytest.fixture
def root(prepared: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(prepared, tmp_path / "repository"))


def run(root: Path, **asked: Any) -> Monitored:
    """Return what the monitor finds."""
    given: dict[str, Any] = {"as_of": NOW.isoformat(), "alerts": False}
    return monitor(place(root), MonitorOptions(**given | asked), lambda _: None, lambda _: None)[0]


def watched(root: Path, change: Change = lambda _: None) -> Monitored:
    """Return what the monitor finds in changed traffic."""
    requests = traffic()
    change(requests)
    write_log(root, requests)
    write_labels(root, requests.labels)
    return run(root)


def loud(monitored: Monitored) -> list[Finding]:
    """Return the findings that open an alert."""
    return [
        finding for finding in monitored.findings if finding.severity is not Severity.INFO and not finding.explained_by
    ]


def named(monitored: Monitored, kind: Kind, subject: str) -> Finding:
    """Return the finding of a kind about a subject, which must be there."""
    findings = [finding for finding in monitored.findings if finding.kind is kind and subject in finding.subject]
    assert findings, [finding.key for finding in monitored.findings]
    return findings[0]


def test_quiet_traffic_is_quiet(root: Path) -> None:
    """Nothing changed: no alert, every window judged, realised and estimated performance known."""
    monitored = watched(root)
    assert loud(monitored) == []
    assert monitored.verdict == Passed()
    assert (monitored.rule.rule, monitored.live.windows, monitored.live.rows) == ("K", LIVE_DAYS, 3000)
    first, last = (datetime.fromisoformat(text) for text in (monitored.live.first, monitored.live.last))
    assert last - first == timedelta(days=LIVE_DAYS - 1)
    auc = next(series for series in monitored.performance if series.metric == "auc")
    assert len(auc.points) == LIVE_DAYS
    assert all(point.judged and point.coverage == 1 for point in auc.points)
    for point in auc.points:
        assert point.realised.value is not None
        assert point.estimated == pytest.approx(point.realised.value, abs=0.15)
    assert {column.name for column in monitored.columns} == {"amount", "visits", "plan", "country", "prediction"}


def _add(record: dict[str, Any]) -> None:
    record["columns"]["amount"][0] += 10


def _empty(record: dict[str, Any]) -> None:
    record["columns"]["amount"][0] = None


def _constant(record: dict[str, Any]) -> None:
    record["columns"]["amount"][0] = 50.0


def _unseen(record: dict[str, Any]) -> None:
    record["columns"]["plan"][0] = "trial"


def _text(record: dict[str, Any]) -> None:
    record["columns"]["amount"][0] = f"about {record['columns']['amount'][0]:.0f}"


def _gone(record: dict[str, Any]) -> None:
    del record["columns"]["visits"]


def _late_clock(record: dict[str, Any]) -> None:
    record["at"] = "2031-01-01T00:00:00+00:00"


def _other_release(record: dict[str, Any]) -> None:
    record["bundle"], record["version"] = "d" * 64, "2"


def _other_model(record: dict[str, Any]) -> None:
    record["model"] = "revenue"


def _times_ten(requests: Traffic) -> None:
    """Ten times the clients, whose requests are their own."""
    for seed in range(1, 10):
        more = traffic(seed)
        for day in (8, 9):
            for record in more.days[day]:
                label, record["id"] = more.labels[record["id"]], f"{seed}-{record['id']}"
                requests.labels[record["id"]] = label
                requests.days[day].append(record)


def _five_rows(requests: Traffic) -> None:
    requests.days[9] = requests.days[9][:5]


def _no_rows(requests: Traffic) -> None:
    requests.days[9] = []


def _twice(requests: Traffic) -> None:
    for day in (7, 8, 9):
        requests.days[day] += requests.days[day]


BROKEN: dict[str, tuple[Change, Kind, str]] = {
    "shifted": (lambda requests: requests.each(_add), Kind.DRIFT, "amount"),
    "all missing": (lambda requests: requests.each(_empty), Kind.MISSING, "amount"),
    "constant": (lambda requests: requests.each(_constant), Kind.DRIFT, "amount"),
    "unseen level": (lambda requests: requests.each(_unseen), Kind.NEW_CATEGORY, "plan"),
    "type changed": (lambda requests: requests.each(_text), Kind.SCHEMA, "amount"),
    "column vanished": (lambda requests: requests.each(_gone), Kind.SCHEMA, "visits"),
    "clock skew": (lambda requests: requests.each(_late_clock, (9,)), Kind.LOG, ""),
    "ten times the volume": (_times_ten, Kind.VOLUME, ""),
    "empty window": (_no_rows, Kind.VOLUME, ""),
    "rows twice": (_twice, Kind.DUPLICATES, ""),
}


@pytest.mark.parametrize("name", by_day(BROKEN, "shifted", "unseen level", "column vanished", "empty window"))
def test_what_breaks_is_reported_by_name(root: Path, name: str) -> None:
    """Each kind of break opens an alert that names what broke, and no alert about anything else that it explains."""
    change, kind, subject = BROKEN[name]
    monitored = watched(root, change)
    finding = named(monitored, kind, subject)
    assert finding.severity is not Severity.INFO
    assert not finding.explained_by
    assert not subject or f"`{subject}`" in finding.what
    if kind not in DRIFT:
        assert [alert.key for alert in loud(monitored) if alert.kind in DRIFT] == []


def test_few_rows_are_shown_and_not_judged(root: Path) -> None:
    """Five rows raise no drift, and say why they were not judged."""
    monitored = watched(root, _five_rows)
    named(monitored, Kind.VOLUME, "")
    assert all(column.cells[-1].statistic is None for column in monitored.columns)
    assert [finding for finding in monitored.findings if finding.kind in DRIFT] == []


@pytest.mark.parametrize("change", [_other_release, _other_model])
def test_a_log_of_another_release_or_model_is_said(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Rows of another model are never taken for those of ours; two releases are told apart by when they began."""
    monitored = watched(root, lambda requests: requests.each(change))
    if change is _other_model:
        assert "revenue" in " ".join(finding.what for finding in monitored.findings)
        assert monitored.live.rows == 2100
    else:
        assert [marker.release[0] for marker in monitored.releases] == ["a", "d"]
        assert monitored.live.rows == 3000


def test_damaged_files_are_named_and_the_rest_is_judged(root: Path) -> None:
    """A corrupt file, half a line, a folder with the name of a file: all named, and nothing of the rest is lost."""
    write_log(root, traffic())
    write_labels(root, traffic().labels)
    day = root / f"log/dt={START + timedelta(days=49):%Y-%m-%d}"
    (day / "000001-1-0001.jsonl").write_bytes(b'\xff\xfe\x00garbage\n{"at": \n')
    (day / "000002-1-0001.jsonl").mkdir()
    (day / "000003-1-0001.parquet").write_bytes(b"PAR1 no parquet")
    (day / "000004-1-0001.jsonl.part").write_text("never read", encoding="utf-8")
    monitored = run(root)
    words = " ".join(finding.what for finding in monitored.findings if finding.kind is Kind.LOG)
    assert all(name in words for name in ("000002-1-0001.jsonl", "000003-1-0001.parquet"))
    assert "malformed" in words or "000001-1-0001.jsonl" in words
    assert monitored.live.rows == 3000


def test_a_model_that_got_worse_fails_the_run(root: Path) -> None:
    """Labels that no longer follow the predictions: a realised drop is critical, and concept drift says what it is."""

    def unrelated(requests: Traffic) -> None:
        for day in (6, 7, 8, 9):
            for number, record in enumerate(requests.days[day]):
                requests.labels[record["id"]] = number % 3 == 0

    monitored = watched(root, unrelated)
    assert named(monitored, Kind.PERFORMANCE, "auc").severity is Severity.CRITICAL
    named(monitored, Kind.CONCEPT, "auc")
    assert isinstance(monitored.verdict, Failed)
    assert Reason.PERFORMANCE_DROPPED in monitored.verdict.reasons
    assert [finding for finding in loud(monitored) if finding.kind in DRIFT] == []


def test_labels_that_are_late_leave_performance_unjudged_and_estimated(root: Path) -> None:
    """A tenth of the labels of the newest days judges nothing; the estimate is there, and overdue labels are said."""

    def late(requests: Traffic) -> None:
        kept = {record["id"] for day in requests.days[:7] for record in day}
        kept |= {record["id"] for day in requests.days[7:] for record in day[::10]}
        requests.labels = {name: label for name, label in requests.labels.items() if name in kept}

    monitored = watched(root, late)
    auc = next(series for series in monitored.performance if series.metric == "auc")
    assert [point.judged for point in auc.points] == [True] * 7 + [False] * 3
    assert all(point.estimated is not None for point in auc.points)
    assert "overdue" in named(monitored, Kind.FRESHNESS, "labels").what
    assert not [finding for finding in monitored.findings if finding.kind is Kind.PERFORMANCE]


def test_contradicting_and_repeated_labels_are_counted(root: Path) -> None:
    """A label that comes twice counts once; two that contradict are said."""
    requests = traffic()
    write_log(root, requests)
    names = list(requests.labels)[:500]
    rows = [f"{name},{label}" for name, label in requests.labels.items()]
    rows += [f"{name},{requests.labels[name]}" for name in names[:300]]
    rows += [f"{name},{1 - requests.labels[name]}" for name in names[300:]]
    (root / "labels.csv").write_text("id,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    monitored = run(root)
    assert any("contradict" in finding.what for finding in monitored.findings)
    auc = next(series for series in monitored.performance if series.metric == "auc")
    assert all(point.coverage == 1 for point in auc.points)


def test_without_any_traffic_the_run_is_skipped_and_says_so(root: Path) -> None:
    """An empty log is critical: a monitor that sees nothing must not look quiet. No log at all is an error."""
    write_labels(root, {})
    (root / "log").mkdir()
    monitored = run(root)
    assert named(monitored, Kind.VOLUME, "").severity is Severity.CRITICAL
    assert isinstance(monitored.verdict, Failed | Skipped)
    with pytest.raises(SourceError, match="no log"):
        run(root, log="elsewhere")


def test_a_second_run_adds_nothing_to_the_history_and_a_killed_one_loses_nothing(root: Path) -> None:
    """The same day twice leaves the same lines; half a line that a killed run left stays and harms nothing."""
    watched(root)
    history = next((root / ".leverframe").rglob("history.jsonl"))
    before = history.read_text(encoding="utf-8")
    run(root)
    assert history.read_text(encoding="utf-8") == before
    history.write_text(before[: len(before) // 2], encoding="utf-8")
    run(root)
    lines = [json.loads(line) for line in history.read_text(encoding="utf-8").splitlines() if _whole(line)]
    keys = [(line["window"], line["part"]) for line in lines]
    assert len(keys) == len(set(keys))
    assert {json.dumps(line) for line in lines} == {json.dumps(json.loads(line)) for line in before.splitlines()}


def _whole(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def test_two_runs_at_once_do_not_write_into_each_other(root: Path) -> None:
    """The second leaves with an error that says what to do; the lock ends with the process that held it."""
    write_log(root, traffic())
    write_labels(root, traffic().labels)
    folder = next((root / ".leverframe/monitor").iterdir())
    script = (
        "import fcntl, sys, time\n"
        f"handle = open({str(folder / 'lock')!r}, 'a')\n"
        "fcntl.flock(handle, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(MonitorBusyError, match="under way"):
            run(root)
        holder.kill()
    assert run(root).live.rows == 3000


def test_both_engines_find_the_same(root: Path) -> None:
    """alibi-detect and the builtin engine compute the same statistics, and so find the same."""
    builtin = watched(root, lambda requests: requests.each(_add))
    detected = run(root, engine="alibi-detect")
    assert [finding.key for finding in detected.findings] == [finding.key for finding in builtin.findings]
    ours = {column.name: column.cells[-1].statistic for column in builtin.columns}
    theirs = {column.name: column.cells[-1].statistic for column in detected.columns}
    assert theirs == pytest.approx(ours, abs=1e-4)


def test_the_rule_is_tried_on_the_reference(root: Path) -> None:
    """The self-test needs no log, and says how often the rule alarms where nothing changed."""
    rule = self_tested(place(root), MonitorOptions(as_of=NOW.isoformat()), lambda _: None)
    assert (rule.rule, rule.replayed) == ("K", 40)
    assert rule.alarms <= 2
    assert "40 windows" in " ".join(rule.lines())


def test_what_is_stored_of_the_reference_has_no_row_and_is_small(root: Path) -> None:
    """The profile holds counts and no value that fewer than ten rows share."""
    profile = next((root / ".leverframe").rglob("profile.json"))
    assert profile.stat().st_size < 60_000
    assert '"basic"' in profile.read_text(encoding="utf-8")


def test_a_dry_run_writes_nothing(root: Path) -> None:
    """What would be found is returned, and no file changes."""
    write_log(root, traffic())
    write_labels(root, traffic().labels)
    folder = next((root / ".leverframe/monitor").iterdir())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    run(root, dry_run=True, as_of=(NOW - timedelta(days=2)).isoformat())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_an_archive_with_any_wrong_byte_is_named_and_ends_nothing(root: Path) -> None:
    """Whatever byte is wrong, the file is named or read, and every other day is judged."""
    write_log(root, traffic())
    write_labels(root, traffic().labels)
    plain = root / f"log/dt={START + timedelta(days=49):%Y-%m-%d}/000000-1-0001.jsonl"
    packed = gzip.compress(plain.read_bytes())
    plain.unlink()
    for number in range(12, len(packed), len(packed) // (12 if deep() else 4)):
        damaged = bytearray(packed)
        damaged[number] ^= 0x55
        plain.with_suffix(".jsonl.gz").write_bytes(bytes(damaged))
        monitored = run(root, dry_run=True)
        assert monitored.live.rows >= 2700
        if monitored.live.rows < 3000:
            assert "000000-1-0001.jsonl.gz" in named(monitored, Kind.LOG, "").what


def test_ids_that_look_like_numbers_in_part_stay_apart(root: Path) -> None:
    """`v2` and `v2.0` are two requests, each with its own label."""
    requests = traffic()
    for day in requests.days:
        for record, other in zip(day[::2], day[1::2], strict=True):
            label = requests.labels.pop(other["id"])
            other["id"] = f"{record['id']}.0"
            requests.labels[other["id"]] = label
    write_log(root, requests)
    write_labels(root, requests.labels)
    assert loud(run(root)) == []


def test_labels_of_after_the_run_do_not_count(root: Path) -> None:
    """A look at the past sees what was known then, and says how many labels were not."""
    requests = traffic()
    write_log(root, requests)
    days = {record["id"]: datetime.fromisoformat(record["at"]) for day in requests.days for record in day}
    rows = [f"{name},{label},{(days[name] + timedelta(days=4)).isoformat()}" for name, label in requests.labels.items()]
    (root / "labels.csv").write_text("id,label,known\n" + "\n".join(rows) + "\n", encoding="utf-8")
    write_settings(
        root,
        labels={"path": "labels.csv", "known_at": "known"},
        performance={"label_delay_days": 5, "minimum_coverage": 0.8},
    )
    monitored = run(root)
    auc = next(series for series in monitored.performance if series.metric == "auc")
    assert [point.judged for point in auc.points] == [True] * 6 + [False] * 4
    assert "became known after this run" in named(monitored, Kind.LOG, "later-labels").what
    assert loud(monitored) == []


def test_a_clock_that_is_wrong_explains_the_day_that_looks_empty(root: Path) -> None:
    """The clock is the cause; that its day has no rows is what it causes."""
    monitored = watched(root, lambda requests: requests.each(_late_clock, (9,)))
    assert named(monitored, Kind.VOLUME, "").explained_by == named(monitored, Kind.LOG, "clock").key
    assert isinstance(monitored.verdict, Failed)


@pytest.mark.parametrize(
    "name", by_day(["profile.json", "monitor.json", "history.jsonl", "alerts.json"], "profile.json", "history.jsonl")
)
@pytest.mark.parametrize("edit", by_day(["garbage", "emptied", "other"], "garbage"))
def test_results_that_somebody_edited_end_nothing(root: Path, name: str, edit: str) -> None:
    """What an earlier run left is read with care: a file that makes no sense is made anew, or put aside."""
    write_log(root, traffic())
    write_labels(root, traffic().labels)
    folder = next((root / ".leverframe/monitor").iterdir())
    path = folder / name
    text = path.read_text(encoding="utf-8") if path.is_file() else "{}"
    edits = {
        "garbage": "{{{",
        "emptied": re.sub(r'"windows":\s*\[.*?\]', '"windows":[]', text, count=1, flags=re.DOTALL),
        "other": text.replace('"UTC"', '"Mars/Olympus"').replace('"at": "', '"at": "yesterday'),
    }
    path.write_text(edits[edit], encoding="utf-8")
    assert run(root, alerts=True).live.rows == 3000
    assert run(root, alerts=True).live.rows == 3000


@pytest.mark.parametrize("year", ["0001-01-01T00:00Z", "9999-12-31T23:59Z"])
def test_a_time_without_a_calendar_around_it_is_refused(root: Path, year: str) -> None:
    """The error says which years there are."""
    with pytest.raises(RequestError, match="as-of"):
        run(root, as_of=year)


def test_what_is_not_there_is_said_by_its_setting(root: Path) -> None:
    """Labels, the file of predictions and its columns are told apart, each with the key that names it."""
    write_log(root, traffic())
    with pytest.raises(SourceError, match="there are no labels"):
        run(root, labels="nowhere/*.csv")
    (root / "eval/test.parquet").rename(root / "eval/other.parquet")
    with pytest.raises(SourceError, match=r"there is no eval/test\.parquet"):
        run(root)


def test_nanoseconds_with_a_zone_are_read(root: Path) -> None:
    """As pandas writes them into Parquet, in logs as in labels."""
    requests = traffic()
    rows = [{"id": r["id"], "at": r["at"], "score": r["predictions"][0][1]} | {n: v[0] for n, v in r["columns"].items()}
            for day in requests.days for r in day]  # fmt: skip
    frame = pl.DataFrame(rows).with_columns(pl.col("at").str.to_datetime(time_unit="ns", time_zone="UTC"))
    (root / "log").mkdir()
    frame.write_parquet(root / "log/all.parquet")
    known = frame.select("id", known=pl.col("at"))
    labels = pl.DataFrame({"id": list(requests.labels), "label": list(requests.labels.values())}).join(known, on="id")
    labels.write_parquet(root / "labels.parquet")
    write_settings(root, columns={"prediction": "score"}, labels={"path": "labels.parquet", "known_at": "known"})
    monitored = run(root)
    assert monitored.live.rows == 3000
    assert loud(monitored) == []


def test_an_unknown_feature_in_the_settings_is_refused(root: Path) -> None:
    """A setting that nothing reads would silently change nothing."""
    write_settings(root, features={"amuont": {"kind": "ignore"}})
    with pytest.raises(Exception, match="amuont"):
        run(root)


def test_the_classifier_looks_at_weeks_and_what_it_said_holds_until_the_next(tmp_path: Path) -> None:
    """Rows that are all of one plan are told apart; between two weeks nobody looks, and the finding stays."""
    root = repository(tmp_path, classifier={"every": "week", "rows": 500}, lookback=14)
    eight_weeks = [rows(np.random.default_rng(100 + day), day) for day in range(-16, 40)]
    pl.concat(eight_weeks).drop("id").write_parquet(root / "eval/test.parquet")
    requests = traffic(days=18)
    requests.each(_constant, range(18))
    write_log(root, requests)
    lines: list[str] = []
    given = MonitorOptions(as_of=(START + timedelta(days=56, hours=6)).isoformat(), alerts=False)
    first = monitor(place(root), given, lines.append, lambda _: None)[0]
    seen = [finding for finding in first.findings if finding.kind is Kind.MULTIVARIATE_DRIFT]
    assert seen
    assert "amount" in seen[0].what
    assert [line for line in lines if "classifier" in line]
    again = run(root, as_of=(START + timedelta(days=57, hours=6)).isoformat())
    assert [finding for finding in again.findings if finding.kind is Kind.MULTIVARIATE_DRIFT] == seen
