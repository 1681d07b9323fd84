"""The dashboard: small, safe, the same every time, and it says what a run found before anything else."""

from __future__ import annotations

import base64
import hashlib
import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leverframe.domain.monitoring.dashboard.dashboard_page import LIMIT, page
from leverframe.domain.monitoring.dashboard.dashboard_style import STYLE, SYMBOLS
from leverframe.domain.monitoring.dashboard.inline_svg import area, path, scale, ticks
from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from leverframe.domain.monitoring.monitor_result import Histogram, Range
from leverframe.inert.markup import link, name, sentence, text
from tests.fakes.monitored import CASES, HOSTILE, broken, drifted, first_run, history, hostile, quiet, wide
from tests.profiles import examples

GOLDEN = Path(__file__).parents[1] / "golden/monitor"
TAGS = (
    "html head meta title link style body svg symbol circle path use g text header main section nav p h1 h2 h3 div dl "
    "dt dd a b i code small span strong ol ul li details summary figure figcaption table thead tbody tr th td"
)
VOID = {"meta", "link"}
ATTRIBUTES = (
    "lang charset http-equiv content name rel href class id d width height viewbox role aria-label aria-hidden cx cy r "
    "x y tabindex scope preserveaspectratio transform title"
)
FLOATS = st.none() | st.floats() | st.sampled_from([0.0, -0.0, 1e308, -1e308, 5e-324, 1.0])


class Page(HTMLParser):
    """What a browser makes of a page: its tags in order, attributes, and the text in each tag."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(content)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag, and that it is open."""
        self.tags.append(tag)
        self.attributes += [(tag, key, value) for key, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag that ends at once."""
        self.tags.append(tag)
        self.attributes += [(tag, key, value) for key, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        """Each tag ends in the order in which tags began."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep the text."""
        self.texts.append((self.open[-1] if self.open else "", data))

    def values(self, key: str) -> list[str]:
        """Return the values of an attribute."""
        return [value or "" for _, known, value in self.attributes if known == key]


def harmless(content: str) -> Page:
    """Return a page that consists of the tags and attributes we write, whatever was in the data."""
    markup = Page(content)
    assert set(markup.tags) <= set(TAGS.split())
    assert {key for _, key, _ in markup.attributes} <= set(ATTRIBUTES.split())
    assert all(value.startswith(("#", "https://", "http://", "data:image/svg+xml,")) for value in markup.values("href"))
    assert len(markup.values("id")) == len(set(markup.values("id")))
    assert {value[1:] for value in markup.values("href") if value.startswith("#")} <= set(markup.values("id"))
    for picture in re.findall(r"<svg.*?</svg>", content, re.DOTALL):
        ET.fromstring(picture)  # noqa: S314 - our own file
        assert not re.search(r'"[^"]*\b(nan|inf)\b', " ".join(re.findall(r' (?:d|x|y|width|viewBox)="[^"]*"', picture)))
    return markup


@pytest.mark.parametrize("case", CASES)
def test_a_page_is_small_and_needs_nothing(case: str) -> None:
    """No script, nothing from elsewhere, at most 150 kB; what it may do is only what its own style needs."""
    monitored = CASES[case]()
    content = page(monitored, history(monitored))
    markup = harmless(content)
    assert len(content.encode()) <= LIMIT == 150_000
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    assert ("meta", "content", policy) in markup.attributes
    assert [words for tag, words in markup.texts if tag == "style"] == [STYLE]
    assert "url(" not in STYLE
    assert "@import" not in STYLE


def test_fifteen_columns_and_ninety_windows_fit_with_the_figures_of_each_window() -> None:
    """The size that the page is made for: nothing is left out of it."""
    content = page(quiet(90))
    assert len(content.encode()) <= LIMIT
    assert "left out" not in content
    assert content.count("<title>2 Oct: ") == 11


def test_a_large_page_says_what_it_leaves_out() -> None:
    """What is shown and what is said to be missing is all there is."""
    content = page(wide())
    shown = content.count("<code>", content.index('id="drift"'), content.index("Columns beyond their band"))
    match = re.search(r"(\d+) columns that are less beyond their band are left out", content)
    assert match is not None
    assert shown + int(match[1]) == 101
    assert shown >= 60


@pytest.mark.parametrize(
    ("columns", "windows", "longer"), [(3, 5, 1), (15, 30, 1), (15, 90, 1), (60, 121, 2), (100, 90, 9), (300, 400, 40)]
)
def test_what_is_shown_and_what_is_said_to_be_missing_is_all_there_is(columns: int, windows: int, longer: int) -> None:
    """For columns, windows, metrics, their figures, and the longer view: nothing is left out in silence."""
    base = wide(columns, windows)
    large = [replace(finding, subject=f"{finding.subject}{number}", next="x" * 800)
             for number in range(longer) for finding in base.findings]  # fmt: skip
    monitored = replace(base, findings=tuple(large), performance=base.performance * min(longer, 3))
    content = page(monitored, history(monitored, 9))
    about = content[content.index('id="about"') :]

    def missing(words: str) -> int:
        match = re.search(
            rf"<li>([\d,]+) {words} are left out to keep this page small; monitor.json has them</li>", about
        )
        return int(match[1].replace(",", "")) if match else 0

    performance = content[content.index('id="performance"') : content.index('id="quality"')]
    drift = content[content.index('id="drift"') : content.index("Columns beyond their band")]
    metrics, hits = performance.count("<figure>"), performance.count('class="hit"')
    rows = drift[: drift.index("</ol>")].count("<li")
    left = windows - missing("older windows")
    calm = re.search(r'class="ok" d="M0 48h([\d.]+)"', content)  # the second row of the strip is one cell
    assert calm is not None
    assert float(calm[1]) == left * min(28, max(9, round(900 / left))) - 1
    assert rows + missing("columns that are less beyond their band") == columns + 1
    assert metrics + missing("metrics") == len(monitored.performance)
    assert ("figures of single windows are left out of some charts" in about) is (0 < hits < metrics)
    assert ("figures of single windows are left out of the charts" in about) is (hits == 0)
    view = re.search(r"<p>([\d,]+) windows, each as it was judged then", content)
    older = re.search(r"([\d,]+) older windows of the longer view are left out to keep this page small", about)
    assert ("the longer view is left out to keep this page small; history.jsonl has all" in about) is (view is None)
    if view is not None:
        assert int(view[1]) + (int(older[1]) if older else 0) == windows + 9


@pytest.mark.parametrize(
    ("columns", "windows", "words"), [(100, 400, "x"), (300, 90, "<&\U0001f469" * 50), (3, 400, "'")]
)
def test_no_input_makes_a_page_too_large(columns: int, windows: int, words: str) -> None:
    """However many columns, windows, findings, metrics, tables and letters there are."""
    base = wide(columns, windows)
    worst = [
        replace(column, name=words + column.name, cells=tuple(
            replace(cell, beyond=number % 2 == 0, severity=Severity.WARNING) for number, cell in enumerate(column.cells)
        ))
        for column in base.columns
    ]  # fmt: skip
    finding = Finding(Kind.DRIFT, words, Severity.WARNING, "2013-12-30", "2013-01-01", words * 30, words * 30)
    whole = replace(
        base, columns=tuple(worst), performance=base.performance * 20, alerts=hostile().alerts * 20,
        findings=tuple(replace(finding, subject=f"{words}{number}") for number in range(300)),
        tables=hostile().tables * 20, skew=hostile().skew * 20, notes=(words * 30,) * 100, releases=base.releases * 30,
    )  # fmt: skip
    content = page(whole, history(whole, 400))
    assert len(content.encode()) <= LIMIT
    assert "300" in content[: content.index("<main>")]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=examples(0.3))
@given(st.lists(st.sampled_from(HOSTILE) | st.text(max_size=40), min_size=12, max_size=20).map(tuple))
def test_no_text_becomes_markup(texts: tuple[str, ...]) -> None:
    """Names of columns, levels, tables, releases and the like stay text, whatever is in them."""
    monitored = hostile(texts)
    markup = harmless(page(monitored))
    assert [tag for tag in markup.tags if tag in ("style", "header", "main")] == ["style", "header", "main"]
    content = "".join(words for tag, words in markup.texts if tag != "style")
    assert not re.search("[\x00-\x09\x0b-\x1f\u202a-\u202e\u2066-\u2069\u200b-\u200f\ud800-\udfff]", content)


@settings(deadline=None, max_examples=examples(1))
@given(st.text(), st.integers(1, 60))
def test_text_is_cut_by_bytes_and_says_how_much_is_missing(words: str, limit: int) -> None:
    """What is left is a beginning of the text, and what follows is counted."""
    shown = text(words, limit)
    match = re.search(r"… \+([\d,]+) characters\Z", shown)
    kept = shown[: match.start()] if match else shown
    hidden = int(match[1].replace(",", "")) if match else 0
    assert len(kept.encode()) <= limit
    assert hidden + len(Page(f"<p>{kept}</p>").texts[0][1] if kept else "") == len(words)


def test_a_link_leads_to_the_web_or_nowhere() -> None:
    """An address of another scheme is shown as text; one that tries to leave its attribute stays in it."""
    assert link("javascript:alert(1)", "title") == "title"
    assert link("//example.com", "title") == "title"
    assert Page(link('https://e.x/"onload="x', "t")).values("href") == ['https://e.x/"onload="x']


def test_names_in_sentences_are_code() -> None:
    """Backticks mark names; a blank name says that it is one."""
    assert sentence("`a<b` drifted & `c`") == "<code>a&lt;b</code> drifted &amp; <code>c</code>"
    assert name("") == "<i>(empty)</i>"
    assert name("  ") == "<i>(2 blanks)</i>"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=examples(0.3))
@given(st.lists(FLOATS, min_size=7, max_size=7))
def test_no_figure_breaks_a_chart(values: list[float | None]) -> None:
    """What is missing, not a number or beyond all bounds leaves a gap or the edge, never a broken picture."""
    base = drifted()
    a, b, c, d, e, f, g = values
    window = replace(base.windows[-1], rows=Range(a, b, c), prediction=Range(d, e, f), coverage=g, snapshot_hours=a,
                     latency_ms=(b or 0.0, c or 0.0), missed={"x": d or 0.0})  # fmt: skip
    column = base.columns[0]
    cell = replace(column.cells[-1], statistic=a, p=b, missing=c or 0.0, new=d or 0.0)
    histogram = Histogram(("a", "1e308", "3"), (e or 0.0, f or 0.0), (g or 0.0, a or 0.0))
    series = base.performance[0]
    point = replace(series.points[-1], realised=Range(a, b, c), estimated=d, coverage=e or 0.0, judged=True)
    odd = replace(
        base, windows=(*base.windows[:-1], window),
        columns=(replace(column, band=f, psi=g, wasserstein=a, js=b, importance=c, cells=(*column.cells[:-1], cell),
                         histogram=histogram),),
        performance=(replace(series, reference=Range(e, f, g), points=(*series.points[:-1], point)),),
    )  # fmt: skip
    harmless(page(odd))


def test_the_worst_comes_first_and_what_it_explains_is_folded_under_it() -> None:
    """The cause stands with its next step; the drift behind it is no finding of its own."""
    content = page(broken())
    head = content[: content.index("<nav")]
    assert "<strong>Critical.</strong> 2 critical findings; 2 more are explained by them." in head
    assert "lies outside of what its schema allows" in head
    findings = content[content.index('id="findings"') : content.index('id="alerts"')]
    listed = re.findall(r'<li class="(\w+)">', findings)
    assert listed == ["critical", "critical"]
    folded = re.search(r"<details>.*?</details>", findings)
    assert folded is not None
    assert "predictions drifted" in folded[0]
    assert findings.count("predictions drifted") == 1
    assert "<b>Do:</b> fix the unit of <code>distance</code>" in findings
    assert content.index('id="findings"') < content.index('id="performance"') < content.index('id="drift"')


def test_many_findings_leave_room_for_the_charts() -> None:
    """Five are seen at once, the others are folded; all of them are there."""
    content = page(wide())
    findings = content[content.index('id="findings"') : content.index('id="performance"')]
    seen, folded = findings.split("<details>")
    assert (seen.count("<b>Do:</b>"), folded.count("<b>Do:</b>")) == (5, 15)
    assert "<summary>15 more findings</summary>" in folded
    assert "<details>" not in page(drifted()).split('id="performance"')[0]


def test_deployments_stand_in_every_chart_and_in_words() -> None:
    """A marker where the release began to serve, and its name also for those who have no pointer."""
    content = page(quiet())
    performance = content[content.index('id="performance"') : content.index('id="quality"')]
    assert performance.count("<title>flights-late30@v1.2.0 serves since 2013-12-21 10:00 UTC</title>") == 5
    assert "flights-late30@v1.2.0 serves since 2013-12-21 10:00 UTC.</p>" in performance
    marker = re.search(r'class="deployed" d="M([\d.]+) 146V10[^"]*"><title>flights-late30@v1.2', performance)
    assert marker is not None
    assert float(marker[1]) == pytest.approx(44 + (20 + 10 / 24) * 292 / 30, abs=0.1)


def test_a_circle_of_explanations_hides_nothing() -> None:
    """Two findings that explain each other are both shown, and one whose cause is unknown too."""
    a, b, c = (replace(finding, explained_by=cause) for finding, cause in
               zip(drifted().findings, ("drift:carrier", "drift:wind_speed", "missing:gone"), strict=True))  # fmt: skip
    content = page(replace(drifted(), findings=(a, b, c)))
    assert content.count('<p class="next">') == 3


def test_it_says_when_it_is_out_of_date_and_when_traffic_stopped() -> None:
    """A page cannot know what time it is, but it knows until when it counts, and how old the traffic was."""
    assert "Is it later than 2014-01-02 06:00 UTC?" in page(quiet())
    stopped = replace(quiet(), live=replace(quiet().live, last="2013-12-20T10:00:00+00:00"))
    assert "The newest request is 11 days older than this run" in page(stopped)
    assert "No new requests" not in page(quiet())
    assert "Is it later" not in page(replace(quiet(), next_run=""))


def test_a_first_run_says_what_is_missing() -> None:
    """Nothing was logged: no chart, no green light, but what to wait for and what was not looked at."""
    content = page(first_run())
    assert "<strong>Not judged.</strong> Nothing is judged yet: no window with requests is over yet." in content
    assert "no closed files with requests of this model in <code>log/dt=*</code>" in content
    assert 'class="ok"' not in content[content.index("<nav") :]
    assert "set <code>monitor.labels</code> in leverframe.yaml" in content


def test_the_heat_map_tells_each_exceedance() -> None:
    """A cell beyond its band has its own figures; neighbours within it share one text with the greatest of them."""
    monitored = drifted()
    content = page(monitored)
    drift = content[content.index('id="drift"') : content.index("Columns beyond")]
    worst = next(column for column in monitored.columns if column.name == "wind_speed")
    titles = re.findall(r"<title>(2013-12-\d\d): KS [\d.]+, band ([\d.]+), p", drift)
    assert [window for window, _ in titles] == [cell.window for cell in worst.cells if cell.beyond]
    assert {band for _, band in titles} == {f"{worst.band:.3f}"}
    calm = re.search(r"<title>(\S+) to (\S+): at most KS ([\d.]+)</title>", drift)
    assert calm is not None
    within = [cell.statistic for column in monitored.columns for cell in column.cells
              if calm[1] <= cell.window <= calm[2] and cell.statistic]  # fmt: skip
    assert any(f"{value:.3f}" == calm[3] or f"{value:.2g}" == calm[3] for value in within)


def test_a_column_that_was_beyond_is_never_shaded_as_within() -> None:
    """The rule decides, not the ratio to the band: windows of other sizes have other bounds."""
    base = quiet(3)
    column = base.columns[0]
    for beyond, ratio in [(True, 0.1), (False, 9.0)]:
        cells = tuple(replace(cell, statistic=ratio * (column.band or 1), beyond=beyond) for cell in column.cells)
        content = page(replace(base, columns=(replace(column, cells=cells),)))
        looks = re.findall(r'class="(h\d)" d="M\d+ 28h', content[content.index('id="drift"') :])
        assert looks
        assert all((look in ("h3", "h4", "h5")) is beyond for look in looks)


def test_a_band_that_is_much_wider_than_the_figures_does_not_flatten_them() -> None:
    """The figures keep a quarter of the height; what the band is stands above the chart."""
    base = quiet(20)
    series = replace(base.performance[0], reference=Range(0.736, -50.0, 90.0))
    drawing = page(replace(base, performance=(series,)))
    drawing = drawing[drawing.index('id="performance"') : drawing.index('id="quality"')]
    assert "expected -50 to 90" in drawing
    intervals = re.search(r'class="whisker c1" d="([^"]+)"', drawing)
    assert intervals is not None
    heights = [float(end) for pair in re.findall(r"M\S+ (\S+?)V([\d.]+)", intervals[1]) for end in pair]
    assert max(heights) - min(heights) > 30  # of 136


def test_a_window_that_is_not_over_is_drawn_lighter_and_is_not_the_newest_figure() -> None:
    """A day that has just begun is no drop in volume."""
    base = quiet(5)
    begun = replace(base.windows[-1], whole=False, rows=Range(3.0, 760.0, 1_040.0))
    content = page(replace(base, windows=(*base.windows[:-1], begun)))
    before = base.windows[-2].rows.value or 0
    assert f"rows {before:,.0f} · " in content
    assert re.search(r'class="bar c1 part" d="M[^M"]+"', content)
    assert "30 Dec: 3, not over yet" in content


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["2013-12-30T05", "2013-12-30T06"], ["30 Dec 05h", "30 Dec 06h"]),
        (["2013-W51", "2013-W52"], ["2013-W51", "2013-W52"]),
        (["2013-11", "2013-12"], ["2013-11", "2013-12"]),
        (["2013-13-77", "<all>"], ["2013-13-77", "&lt;all&gt;"]),
    ],
)
def test_windows_of_every_period_are_named_below_charts(names: list[str], labels: list[str]) -> None:
    """A day by day and month, an hour with its day, weeks and months as they are."""
    base = quiet(2)
    windows = tuple(replace(window, name=given) for window, given in zip(base.windows, names, strict=True))
    content = page(replace(base, windows=windows))
    traffic = content[content.index('id="traffic"') : content.index('id="labels"')]
    assert [words for words in labels if f">{words}</text>" not in traffic] == []


def test_windows_before_the_first_request_are_not_shown() -> None:
    """A model that serves since a week has a week of charts, not three empty ones before it."""
    base = quiet(30)
    before = tuple(replace(window, requests=0, rows=Range(0.0), latency_ms=None) for window in base.windows[:23])
    content = page(replace(base, windows=(*before, *base.windows[23:])))
    assert "23 windows before the first request are not shown" in content
    assert "2013-12-23" not in content
    assert ">24 Dec</text>" in content
    assert "7 of 7 windows without a finding" in content
    assert "before the first request" not in page(base)


def test_refused_and_failed_requests_are_shares_of_all_that_came() -> None:
    """Of those that were answered, refused and failed together."""
    base = quiet(3)
    content = page(replace(base, windows=tuple(replace(w, requests=90, refused=4, failed=6) for w in base.windows)))
    assert "</svg>refused 4.0%</span> · <span>" in content
    assert "</svg>failed 6.0%</span>" in content
    calm = page(replace(base, windows=tuple(replace(w, refused=0, failed=0) for w in base.windows)))
    assert "No request was refused, and none failed." in calm
    assert "refused and failed requests" not in calm


def test_a_finding_within_the_band_keeps_a_cell_of_its_own() -> None:
    """A warning that two earlier windows raised is told in each window, not for a run of them."""
    base = quiet(6)
    cells = tuple(
        replace(cell, severity=Severity.WARNING if n > 3 else None) for n, cell in enumerate(base.columns[0].cells)
    )
    content = page(replace(base, columns=(replace(base.columns[0], cells=cells),)))
    drift = content[content.index('id="drift"') : content.index('class="legend"', content.index('id="drift"'))]
    assert len(re.findall("<title>2013-12-(?:29|30): ", drift)) == 2


def test_coverage_is_only_shown_where_there_are_labels() -> None:
    """Without a source of labels no row has one, which is no finding."""
    base = quiet(5)
    covered = replace(base, windows=tuple(replace(window, coverage=0.0) for window in base.windows))
    assert "rows with a label" in page(covered)
    assert "rows with a label" not in page(replace(covered, provenance=replace(base.provenance, labels="")))


def test_a_column_that_vanished_is_seen_in_the_map() -> None:
    """No statistic can be computed, but its finding stands where the cell would be."""
    base = quiet(5)
    cells = tuple(replace(cell, statistic=None, severity=Severity.CRITICAL) for cell in base.columns[0].cells)
    content = page(replace(base, columns=(replace(base.columns[0], cells=cells),)))
    drift = content[content.index('id="drift"') : content.index('class="legend"', content.index('id="drift"'))]
    assert drift.count('class="critical"') == 5
    assert 'class="mark cross"' in drift


def test_without_a_band_nothing_is_expected() -> None:
    """A reference without labels has no band, and one end alone is none."""
    base = quiet(5)
    for low, high in [(None, None), (0.7, None), (None, 0.8)]:
        series = replace(base.performance[0], reference=Range(0.736, low, high))
        performance = page(replace(base, performance=(series,))).split('id="performance"')[1].split("</figure>")[0]
        assert "expected" not in performance
        assert 'class="band"' not in performance


def test_what_earlier_runs_found_is_seen() -> None:
    """In the strip for windows that are shown, in the longer view for all; of this model and environment only."""
    monitored = quiet(90)
    lines = history(monitored, 10)
    content = page(monitored, lines)
    quality = content[content.index('id="quality"') : content.index('id="drift"')]
    assert re.findall(r"<title>(2013-10-\d\d): warning: wind_speed</title>", quality) == [
        f"2013-10-{d:02d}" for d in range(8, 12)
    ]
    longer = content[content.index('id="history"') :]
    assert "100 windows, each as it was judged then" in longer
    assert "<title>2013-10-08: warning: missing:wind_speed</title>" in longer
    assert longer.count("<figure>") == 3
    others = [replace(line, environment="staging") for line in lines]
    assert 'id="history"' not in page(monitored, others)
    assert "wind_speed</title>" not in page(monitored, others)
    odd = [replace(line, findings={"missing:x": "grave"}) for line in lines]
    assert "grave" not in page(monitored, odd)


def test_many_values_are_told_by_those_of_the_most_rows() -> None:
    """The others are one line; open bins are told by their inner edge."""
    base = quiet(3)
    shares = tuple(number / 210 for number in range(21))
    many = replace(base.columns[0], histogram=Histogram(tuple(f"level{n}" for n in range(21)), shares, shares[::-1]))
    content = page(replace(base, columns=(many,)))
    assert re.findall(r"<code>level(\d+)</code>", content) == ["0", "1", "2", "3", "17", "18", "19", "20"]
    assert "<i>13 others</i><span></span><span>61.9% → 61.9%</span>" in content
    open_ends = replace(many, histogram=Histogram(("-inf", "1.5", "2.5", "inf"), (0.3, 0.4, 0.3), (0.1, 0.1, 0.8)))
    content = page(replace(base, columns=(open_ends,)))
    assert ">&lt; 1.5</text>" in content
    assert ">≥ 2.5</text>" in content


def test_the_page_is_the_same_in_another_process() -> None:
    """Another hash seed, time zone and locale: the same bytes."""
    code = (
        "import hashlib\nfrom tests.fakes.monitored import CASES\n"
        "from leverframe.domain.monitoring.dashboard.dashboard_page import page\n"
        "print(hashlib.sha256(''.join(page(case()) for case in CASES.values()).encode()).hexdigest())"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    child = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert child.stdout.strip() == hashlib.sha256("".join(page(case()) for case in CASES.values()).encode()).hexdigest()


@pytest.mark.parametrize("theme", [0, 1])
def test_text_can_be_read_on_its_ground(theme: int) -> None:
    """WCAG 2.1 AA: text and signs of states have a contrast of 4.5 to 1, in light and in dark."""
    colors = dict(re.findall(r"--(\w+):(#\w+)", re.findall(r":root\{(.*?)\}", STYLE, re.DOTALL)[theme]))
    for ink in ("ink", "soft", "ok", "info", "warning", "critical", "unknown"):
        for ground in ("card", "page"):
            assert contrast(colors[ink], colors[ground]) >= 4.5, (ink, ground)
    assert contrast(colors["ink"], colors["faint"]) >= 4.5
    for line in ("c1", "c2", "c3"):
        assert contrast(colors[line], colors["card"]) >= 3, line
    for cell in ("h4", "h5"):
        assert contrast(colors[cell], colors["card"]) >= 3, cell
    assert contrast(colors["h3"], colors["card"]) > contrast(colors["h2"], colors["card"]) + 0.5  # it is taller, too


def contrast(first: str, second: str) -> float:
    """Return the ratio of two relative luminances."""
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(color: str) -> float:
    digits = color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_states_differ_by_more_than_colour() -> None:
    """Each state has a sign of its own shape, and a word beside it."""
    shapes = re.findall(r'<symbol id="(\w+)"[^>]*>(.*?)</symbol>', SYMBOLS)
    assert len({shape for _, shape in shapes}) == len(shapes) == 5
    content = page(broken())
    for sign in re.findall(r'<svg class="i \w+"[^>]*><use[^>]*/></svg>(.{0,60})', content):
        assert re.search(
            "OK|Info|Warning|Critical|Not judged|passed|failed|skipped|quality|Drift|tables|Server|Perf", sign
        )


def test_scales_paths_and_ticks() -> None:
    """Values have their place between the ends; a gap breaks a line, and a lone point is a dot."""
    made = scale([0.0, 10.0, None, math.nan], 100, 0, zero=True)
    assert (made.low, made.at(0), made.at(1e9), made.at(-5)) == (0, 100, 0, 100)
    assert made.at(5) == pytest.approx(100 - 100 * 5 / 10.8)
    assert scale([], 0, 1, zero=False).at(0.5) == pytest.approx(0.5, abs=0.1)
    assert scale([3.0, 3.0], 0, 1, zero=False).at(3.0) == pytest.approx(0.5)
    assert path([(0, 0), (1.25, 2), None, (3, 3), None]) == "M0 0L1.2 2M3 3h0"
    assert area([(0, 1, 2), (5, 1, 3), None]) == "M0 2L5 3L5 1L0 1Z"
    assert ticks(0, 1) == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert ticks(0.704, 0.768) == pytest.approx([0.72, 0.74, 0.76])
    assert ticks(3, 3) == ticks(math.nan, 1) == []


def test_the_page_is_the_golden_one() -> None:
    """The whole page of a broken source with its history, so that every change is looked at: in a browser, too."""
    assert page(broken(), history(broken(), 20)) == (GOLDEN / "broken.html").read_text(encoding="utf-8")
