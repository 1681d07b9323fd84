"""The summary of a run, its lines and its metrics: small, safe, and with the words of the dashboard."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leverframe.adapters.markdown_it import fragment
from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from leverframe.domain.monitoring.monitor_result import Range, ReleaseMarker, RuleFacts
from leverframe.domain.monitoring.monitor_summary import LIMIT, lines, summary
from leverframe.domain.monitoring.monitor_words import (
    areas,
    causes,
    figure,
    headline,
    percent,
    rule_in_words,
    serving,
    silence,
    stamp,
    state,
)
from leverframe.domain.monitoring.prometheus_text import gauges, metrics
from tests.fakes.monitored import CASES, HOSTILE, broken, drifted, dropped, first_run, hostile, quiet, wide
from tests.profiles import examples

GOLDEN = Path(__file__).parents[1] / "golden/monitor"
TAGS = "h2 h3 p table thead tbody tr th td ul li strong code a sub span"
SAMPLE = re.compile(r'(leverframe_monitor_[a-z0-9_]+)\{((?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)+)\} (\S+)')
TEXTS = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=40), min_size=12, max_size=18).map(tuple)


class Tags(HTMLParser):
    """The tags and addresses of a piece of HTML."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag; only links have attributes."""
        self.tags.add(tag)
        assert {key for key, _ in attrs} <= ({"href"} if tag == "a" else set())
        self.addresses += [value or "" for _, value in attrs]


@pytest.mark.parametrize("case", CASES)
def test_a_summary_is_small_and_its_markup_is_ours(case: str) -> None:
    """At most 60 kB, and nothing but our own headings, tables, lists and links once it is rendered."""
    made = summary(CASES[case]())
    assert len(made.encode()) <= LIMIT == 60_000
    markup = Tags(fragment(made))
    assert markup.tags <= set(TAGS.split())
    assert all(address.startswith("https://") for address in markup.addresses)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=examples(0.3))
@given(TEXTS)
def test_no_text_becomes_markup(texts: tuple[str, ...]) -> None:
    """Whatever is in names, sentences and addresses; a terminal gets no control character either."""
    monitored = hostile(texts)
    markup = Tags(fragment(summary(monitored)))
    assert markup.tags <= set(TAGS.split())
    assert all(address.startswith(("https://", "http://")) for address in markup.addresses)
    assert not any(re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", line) for line in lines(monitored))


def test_a_summary_with_too_many_findings_counts_those_it_leaves_out() -> None:
    """The worst are shown; the sum of both is all there are."""
    finding = Finding(Kind.DRIFT, "x", Severity.WARNING, "2013-12-30", "2013-12-01", "`x` " * 300, "y" * 900)
    many = replace(quiet(), findings=tuple(replace(finding, subject=f"x{number}") for number in range(300)))
    made = summary(many)
    assert len(made.encode()) <= LIMIT
    match = re.search(r"([\d,]+) more findings are left out here", made)
    assert match is not None
    assert made.count("**Do:**") + int(match[1]) == 300
    assert "Rule K" in made


@pytest.mark.parametrize("case", ["broken", "dropped", "first-run"])
def test_the_summary_is_the_golden_one(case: str) -> None:
    """The whole text, so that every change is looked at."""
    assert summary(CASES[case]()) == (GOLDEN / f"{case}.md").read_text(encoding="utf-8")
    assert "\n".join(lines(CASES[case]())) + "\n" == (GOLDEN / f"{case}.txt").read_text(encoding="utf-8")


def test_the_metrics_are_the_golden_ones() -> None:
    """The whole text of a broken source."""
    assert metrics(broken()) == (GOLDEN / "broken.prom").read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES)
def test_the_lines_of_a_terminal_are_few(case: str) -> None:
    """About fifteen, the verdict first, each worst finding with its next step."""
    output = lines(CASES[case]())
    assert len(output) <= 16
    assert len(output) >= 9
    assert sum("next: " in line for line in output) == min(3, len(causes(CASES[case]().findings)))


def test_the_headline_counts_what_nothing_explains() -> None:
    """Findings that another one explains are no reason of their own, however grave they are."""
    assert headline(broken()) == "2 critical findings; 2 more are explained by them."
    assert headline(drifted()) == "2 warnings, 1 info finding."
    assert headline(quiet()) == "Nothing is wrong."
    assert headline(first_run()) == "Nothing is judged yet: no window with requests is over yet."
    cause, *_, behind = broken().findings
    hidden = replace(
        broken(), findings=(replace(cause, severity=Severity.WARNING), replace(behind, severity=Severity.CRITICAL))
    )
    assert (state(hidden), headline(hidden)) == ("warning", "1 warning; 1 more is explained by it.")


def test_causes_of_causes_are_followed_and_circles_are_cut() -> None:
    """A chain leads to its first cause; findings that explain each other stand alone."""
    one, two, three, four = broken().findings
    chain = [one, replace(two, explained_by=one.key), replace(three, explained_by=two.key), four]
    assert [(cause.finding.key, len(cause.explains)) for cause in causes(chain)] == [(one.key, 3)]
    circle = [
        replace(one, explained_by=two.key),
        replace(two, explained_by=one.key),
        replace(three, explained_by="gone"),
    ]
    assert [cause.explains for cause in causes(circle)] == [(), (), ()]


def test_each_side_says_how_it_is_and_what_was_looked_at() -> None:
    """Green only for what was judged: a side without data, labels or a calibrated rule is not judged."""
    states = {area.title: (area.state, area.words) for area in areas(broken())}
    assert states == {
        "Data quality": ("critical", "1 finding: out of range"),
        "Drift": ("info", "2 findings, explained by another"),
        "Performance": ("ok", "26 of 30 windows judged"),
        "Server": ("ok", "13,450 requests"),
        "Upstream tables": ("critical", "1 finding: upstream table"),
    }
    assert {area.state for area in areas(first_run())} == {"unknown"}
    loose = replace(
        quiet(), rule=RuleFacts("uncalibrated", 0.01, 5, "none", 0, 0, "too few"), tables=(), performance=()
    )
    states = {area.title: (area.state, area.words) for area in areas(loose)}
    assert states["Drift"] == ("unknown", "shown, but not judged")
    assert states["Performance"] == states["Upstream tables"] == ("unknown", "not looked at")
    late = replace(quiet(), performance=tuple(
        replace(series, points=tuple(replace(point, judged=False) for point in series.points))
        for series in quiet().performance
    ))  # fmt: skip
    assert {area.title: area.state for area in areas(late)}["Performance"] == "unknown"
    assert next(area for area in areas(wide()) if area.title == "Drift").words == "20 findings: drift"
    silenced = replace(drifted(), findings=())
    assert (
        next(area for area in areas(silenced) if area.title == "Drift").words == "14 of 16 columns within their bands"
    )


def test_the_rule_says_how_often_it_is_wrong() -> None:
    """In plain words, with the measured rate; without a band that nothing is judged."""
    assert "it raised 0 alarms in 91 windows." in rule_in_words(quiet())
    once = replace(quiet(), rule=replace(quiet().rule, alarms=1))
    assert "it raised 1 alarm in 91 windows." in rule_in_words(once)
    assert rule_in_words(first_run()).startswith("Not calibrated: 5 reference windows are too few")


def test_times_and_figures_are_written_for_people() -> None:
    """To the minute with the zone, about three digits, and `-` for what is not known."""
    assert stamp("2013-12-31T06:00:12+00:00") == "2013-12-31 06:00 UTC"
    assert stamp("2013-12-31T06:00:12-05:00") == "2013-12-31 06:00 -05:00"
    assert stamp("yesterday") == "yesterday"
    written = [figure(value) for value in (None, math.nan, 0.0, 0.70449, 12345.6, -0.000012, 3.14159, 31.4159, 314.159)]
    assert written == ["-", "-", "0", "0.704", "12,346", "-1.20e-05", "3.14", "31.42", "314.2"]
    assert [percent(value) for value in (0, 0.123, 1, None)] == ["0%", "12.3%", "100%", "-"]
    assert (serving(quiet()), serving(first_run())) == ("flights-late30@v1.2.0", "")
    assert serving(replace(quiet(), releases=())) == "flights-late30@v1.2.0"
    assert silence(quiet()) == ""
    assert silence(replace(quiet(), live=replace(quiet().live, last="2013-12-28T05:00:00+00:00"))) == "3 days"


@pytest.mark.parametrize("case", CASES)
def test_each_metric_is_written_as_prometheus_reads_it(case: str) -> None:
    """Help, type, samples; each series once, every value a number, whatever the labels hold."""
    monitored = CASES[case]()
    written = metrics(monitored)
    assert written.endswith("\n")
    series = []
    for line in written.removesuffix("\n").split("\n"):
        if not line.startswith("# "):
            match = SAMPLE.fullmatch(line)
            assert match is not None, line
            series.append((match[1], match[2]))
            assert math.isfinite(float(match[3]))
    assert len(series) == len(set(series))
    declared = re.findall(r"^# TYPE (\S+) gauge$", written, re.MULTILINE)
    assert sorted(set(declared)) == sorted(declared)
    assert (
        {name for name, _ in series}
        == set(declared)
        <= {f"leverframe_monitor_{gauge.name}" for gauge in gauges(monitored)}
    )


def test_metrics_are_those_of_the_run() -> None:
    """The newest figures, and a zero for every kind of finding there is none of, so that alerts can end."""
    common = 'model="flights-late30",environment="production"'
    written = metrics(broken())
    for line in (
        f"leverframe_monitor_last_success_timestamp_seconds{{{common}}} 1388469612",
        f'leverframe_monitor_findings{{{common},kind="out-of-range",severity="critical"}} 1',
        f'leverframe_monitor_findings{{{common},kind="drift",severity="warning"}} 0',
        f"leverframe_monitor_findings_explained{{{common}}} 2",
        f'leverframe_monitor_table_failed{{{common},table="flights"}} 1',
        f'leverframe_monitor_drift_beyond{{{common},column="distance",role="feature"}} 1',
        f'leverframe_monitor_drift_beyond{{{common},column="prediction",role="prediction"}} 1',
        f"leverframe_monitor_false_alarm_ratio{{{common}}} 0",
    ):
        assert line in written.split("\n")
    late = dropped().performance[0].points
    judged = [point for point in late if point.judged][-1]
    assert f'performance_realised{{{common},metric="auc"}} {judged.realised.value!r}' in metrics(dropped())
    assert f'performance_beyond{{{common},metric="auc"}} 1' in metrics(dropped())


def test_a_table_that_is_listed_twice_is_one_series() -> None:
    """Static and dated partitions of one table: failed if one of them is."""
    facts = quiet().tables[0]
    written = metrics(replace(quiet(), tables=(replace(facts, verdict="failed"), facts)))
    assert re.findall(r"^leverframe_monitor_table_failed.* (\d)$", written, re.MULTILINE) == ["1"]


def test_what_is_not_known_has_no_sample() -> None:
    """No window, no label, no band, and what is no finite number: nothing is made up."""
    assert "window_rows" not in metrics(first_run())
    odd = replace(
        quiet(), windows=(*quiet().windows[:-1], replace(quiet().windows[-1], rows=Range(math.nan, None, math.inf)))
    )
    assert "leverframe_monitor_window_rows" not in metrics(odd)
    assert "leverframe_monitor_response_p95_seconds" in metrics(odd)


@settings(deadline=None, max_examples=examples(0.5))
@given(st.text(alphabet=st.characters() | st.sampled_from('"\\\n\r{},=')))
def test_labels_are_escaped(words: str) -> None:
    """A name of any letters can be read back from its label."""
    column = replace(quiet(3).columns[0], name=words)
    line = next(line for line in metrics(replace(quiet(3), columns=(column,))).split("\n") if "drift_band{" in line)
    match = re.search(r'column="((?:[^"\\\n]|\\["\\n])*)",role=', line)
    assert match is not None
    read = re.sub(r"\\(.)", lambda escaped: {"n": "\n"}.get(escaped[1], escaped[1]), match[1])
    assert read == words.encode("utf-8", "replace").decode()


def test_a_digest_is_shown_by_its_first_digits() -> None:
    """Sixty-four digits tell nobody more than twelve; a name stays whole."""
    monitored = replace(quiet(), releases=(ReleaseMarker("2026-01-01T00:00:00+00:00", "a1" * 32, "", ""),))
    assert f"serving {'a1' * 6};" in lines(monitored)[-1]
