"""Texts of others in every place that shows them: nothing of them is live, whoever wrote which field."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from leverframe.adapters.pygal import draw
from leverframe.domain.data.contract_markdown import render as contract_page
from leverframe.domain.data.contract_report import Report
from leverframe.domain.infrastructure.drift_issue import drift_subject
from leverframe.domain.infrastructure.infra_apply_result import InfraApplied
from leverframe.domain.infrastructure.infra_comment import apply_comment
from leverframe.domain.infrastructure.infra_plan_result import InfraPlanned
from leverframe.domain.infrastructure.infra_section import infra_section
from leverframe.domain.model.charts import Axis, Bar, BarChart, Line, LineChart
from leverframe.domain.monitoring.alerts import alert_issue
from leverframe.domain.monitoring.alerts.alert import Alert
from leverframe.domain.monitoring.alerts.alert_record import AlertRecord
from leverframe.domain.monitoring.dashboard.dashboard_page import page as dashboard
from leverframe.domain.monitoring.history import HistoryLine
from leverframe.domain.monitoring.monitor_result import Monitored
from leverframe.domain.monitoring.monitor_summary import summary as monitor_summary
from leverframe.domain.monitoring.retrain_facts import RetrainFacts
from leverframe.domain.project import WHOLE
from leverframe.domain.release.ledger import Revert
from leverframe.domain.release.restoration import Commit, Restoration, described
from leverframe.domain.retraining import retrain_summary
from leverframe.domain.retraining.attempt import Attempt, Comparison
from leverframe.domain.retraining.pulls import pull_body
from leverframe.domain.retraining.retrain_result import Retrained
from leverframe.domain.review.diff.diff_markdown import render as diff_page
from leverframe.domain.review.diff.diff_result import Diff
from leverframe.domain.review.report.card import Card
from leverframe.domain.review.report.card_markdown import Shown, render
from leverframe.domain.review.reproduce import Reproduced
from leverframe.domain.review.reproduce_issue import subject
from leverframe.inert import letters, markdown, mermaid, terminal
from tests.github_page import live, rendered
from tests.hostile import COMMIT, CORPUS, filled
from tests.profiles import deep, examples

TURNS = 4


def _drift(text: str, turn: int) -> str:
    subject = drift_subject(filled(InfraPlanned, text, turn))
    return subject.text if subject else ""


SINKS: dict[str, Callable[[str, int], str]] = {
    "card": lambda text, turn: render(filled(Card, text, turn), Shown(warnings=(text,))),
    "contract report": lambda text, turn: contract_page(filled(Report, text, turn)),
    "data diff": lambda text, turn: diff_page(filled(Diff, text, turn)),
    "apply of infrastructure": lambda text, turn: apply_comment(filled(InfraApplied, text, turn)),
    "mismatch on main": lambda text, turn: subject(filled(Reproduced, text, turn), text, WHOLE).text,
    "monitor": lambda text, turn: monitor_summary(filled(Monitored, text, turn)),
    "retraining": lambda text, turn: retrain_summary.summary(filled(Retrained, text, turn)),
    "retraining does not help": lambda text, turn: retrain_summary.asking(filled(Attempt, text, turn))[1],
    "alert": lambda text, turn: alert_issue.text(
        filled(Alert, text, turn), filled(Monitored, text, turn), alert_issue.IssueContext(text, (), (text,), (text,))
    ),
    "comment of an alert": lambda text, turn: alert_issue.comment(filled(Alert, text, turn), text),
    "resolved alert": lambda text, turn: alert_issue.closed(filled(AlertRecord, text, turn), text),
    "plan of infrastructure": lambda text, turn: infra_section(filled(InfraPlanned, text, turn), 30_000),
    "revert of a deployment": lambda text, turn: filled(Revert, text, turn).text,
    "revert of a candidate": lambda text, turn: pull_body.revert_text(
        9001, text, filled(Comparison, text, turn), "", filled(pull_body.PullFacts, text, turn)
    ).replace("#9001", "the merged one"),
    "restored files": lambda text, turn: described(
        filled(Restoration, text, turn), [filled(Commit, text, turn)], [filled(Commit, text, turn)]
    ),
    "pull request of a candidate": lambda text, turn: pull_body.text(
        filled(Attempt, text, turn), filled(pull_body.PullFacts, text, turn)
    ),
}

FORGE = (
    "monitor",
    "retraining",
    "alert",
    "pull request of a candidate",
)  # whose addresses come from the forge and settings
OURS = ("https://evil.example/x",)  # the one text of the corpus that is an address


def test_the_corpus_is_large_and_live() -> None:
    """Most of it does something where nothing makes it inert; what finds it is awake."""
    assert len(set(CORPUS)) >= 60
    assert sum(bool(live(terminal.storable(text))) for text in CORPUS) > 60


@pytest.mark.parametrize("sink", SINKS)
def test_nothing_is_live_in_markdown(sink: str) -> None:
    """Each text in every field that a page is made of: no mention, reference, link, picture or markup comes of it."""
    ours = OURS if sink in FORGE else ()
    turns = [
        (text, (number + more) % TURNS) for number, text in enumerate(CORPUS) for more in range(2 if deep() else 1)
    ]
    findings = {(text, turn): live(SINKS[sink](text, turn), ours) for text, turn in turns}
    assert {text: what for text, what in findings.items() if what} == {}


PIECES = st.sampled_from(
    ["@", "octocat", "#", "1", "GH-", COMMIT, "abcdef", "`", "``", "|", "\\", "<", ">", "!", "--", "[", "]", "(", ")",
     ":", "//", "www", ".", "http", "$", "*", "_", "~", "+", "=", " ", "\n", "\r", "\t", "&#64;", "&", ";", "%",
     "\u200b", "é", "字", "x"]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=14).map("".join)


@given(TEXTS, TEXTS, st.integers(1, 60))
@settings(deadline=None)
def test_no_text_is_live_at_any_length(one: str, other: str, limit: int) -> None:
    """As a name, as words and as a sentence: where a line begins, in a cell, in a summary, and beside another."""
    shown = [markdown.code(one, limit), markdown.plain(other, limit), markdown.sentence(f"{one}`{other}"),
             markdown.phrases(other, limit, limit)]  # fmt: skip
    page = "\n\n".join([
        *shown, *(f"- {text}" for text in shown), " ".join(shown), markdown.table(shown, [shown]),
        markdown.folded("Title", other, markdown.fenced("text", [one, other])),
    ])  # fmt: skip
    assert live(page) == []
    assert len(markdown.plain(other, limit).removesuffix("…").encode()) <= limit


@given(TEXTS.filter(str.strip))
def test_a_name_is_shown_as_it_is(text: str) -> None:
    """Every character of it, beside those that nobody sees; pipes stand between two spans."""
    shown = re.sub(r"<[^>]*>", "", rendered(markdown.code(text, 10_000))).removesuffix("\n")
    assert html.unescape(shown) == letters.one_line(text)


@pytest.mark.parametrize("text", CORPUS)
def test_a_title_refers_to_nobody(text: str) -> None:
    """Nor is there another line: a squash makes a commit of a title, and GitHub follows references in it."""
    shown = letters.title(text)
    assert len(shown.splitlines()) <= 1
    assert len(shown) <= 250
    assert not re.search(r"@\w|#\d|GH-\d|\w://|www\.|(?<![0-9a-z])[0-9a-f]{7,40}", shown, re.IGNORECASE)


def test_a_title_is_read_in_a_terminal_as_it_was_given() -> None:
    """The joiners of a title are characters that a log marks."""
    given = "Revert efe9cb8edd41 of @ada: #7"
    assert letters.UNSEEN in terminal.log(letters.title(given), runner=False)
    assert terminal.log(letters.as_read(letters.title(given)), runner=False) == given


@pytest.mark.parametrize("text", CORPUS)
def test_nothing_is_obeyed_in_a_log(text: str) -> None:
    """In results, errors, titles, JSON and YAML; neither by a runner nor by a terminal, and JSON stays what it is."""
    shown = terminal.log(f"a: {text}\n{text}", runner=True)
    document = terminal.log_json(json.dumps({text: [text]}, ensure_ascii=False, indent=1))
    command = terminal.command("error", text, title=text)
    for printed in (shown, document, command):
        assert not {odd for odd in printed if odd not in "\n\t" and not letters.harmless(odd) and odd != letters.JOINER}
    assert json.loads(document) == {text: [text]}
    for line in [*shown.splitlines(), *document.splitlines()]:
        assert not line.lstrip().startswith("::")
        assert "##[" not in line
    assert len(command.splitlines()) == 1
    assert command.startswith("::error title=")
    assert re.fullmatch(r"::error title=[^:,]*::.*", command)


@pytest.mark.parametrize("text", CORPUS)
def test_a_file_of_a_runner_has_one_entry(text: str) -> None:
    """Whatever the value: the file can be written, and its end stands where we wrote it."""
    written = terminal.entry("reason", text).encode().decode()
    fence = re.match(r"reason<<(leverframe-[0-9a-f]{32})\n", written)
    assert fence is not None
    assert written.count(fence[1]) == 2
    assert written.endswith(f"\n{fence[1]}\n")


@pytest.mark.parametrize("turn", range(TURNS))
def test_a_page_has_the_elements_of_a_harmless_one(turn: int) -> None:
    """The dashboard has no element and no attribute more, and no address that is none of the web."""
    usual = set().union(*(Elements(_dashboard(text, turn)).known for text in ("x", "x `y`", "", " ", OURS[0])))
    for text in CORPUS[turn % 2 :: 2]:
        shown = Elements(_dashboard(text, turn))
        assert shown.known <= usual
        assert all(re.match(r"#|https?://|data:image/svg", address) for address in shown.addresses)


def _dashboard(text: str, turn: int) -> str:
    history = filled(HistoryLine, text, turn)
    return dashboard(filled(Monitored, text, turn), [history], filled(RetrainFacts, text, turn))


def test_a_picture_holds_text_alone() -> None:
    """A chart can be read as XML, and has the elements that it has with other words."""
    usual = {text: _shapes(text) for text in ("x", *CORPUS)}
    assert all(shapes <= usual["x"] for shapes in usual.values())


def _shapes(text: str) -> set[str]:
    lines = draw(LineChart(text, Axis(text), Axis(text), [Line(text, [(0.0, 1.0), (1.0, 2.0)])]))
    bars = draw(BarChart(text, Axis(text, 0), [Bar(text, 0.5, 0.4, 0.6)], (text, 0.5)))
    return {element.tag for picture in (lines, bars) for element in ElementTree.fromstring(picture).iter()}  # noqa: S314


class Elements(HTMLParser):
    """The elements of a page with the names of their attributes, and the addresses in them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.known: set[tuple[str, ...]] = set()
        self.addresses: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element."""
        self.known |= {(tag, name) for name, _ in attrs} | {(tag,)}
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_comment(self, data: str) -> None:
        """Keep a comment: there is none."""
        self.known.add(("comment", data))


def test_a_label_of_a_diagram_is_letters() -> None:
    """No quote, bracket, semicolon, directive, entity or line end is left of any text."""
    assert all(re.fullmatch(r"[\w .,\-=·]*", mermaid.label(text)) for text in CORPUS)


PARTS = st.sampled_from(
    ["text of `a line`", "äöü 数据 🚀" * 3, "```", "````python", "~~~", "<details open><summary>x</summary>",
     "</details>", "| a | b |", "", "   ```", "x ``` y", "</DETAILS>", "long " * 30]
)  # fmt: skip


@given(st.lists(PARTS, max_size=30).map("\n".join), st.integers(0, 700))
@settings(max_examples=examples(60))
def test_what_is_too_long_is_cut_where_nothing_breaks(page: str, size: int) -> None:
    """At most so many bytes; whole lines; every fence and fold that is open there is closed, and the note is text."""
    cut = letters.fitting(page, size, "NOTE")
    assert len(cut.encode()) <= size
    if len(page.encode()) <= size:
        assert cut == page
    elif "NOTE" in cut:
        lines = cut.split("\n")
        kept = next(count for count in range(len(lines), -1, -1) if lines[:count] == page.split("\n")[:count])
        assert kept > 0
        shown = MarkdownIt("commonmark", {"html": True}).parse(cut)
        assert not any("NOTE" in token.content for token in shown if token.type in ("fence", "code_block"))


@pytest.mark.parametrize(
    ("page", "size", "cut"),
    [
        ("a\n" * 40, 20, "a\n" * 7 + "\nNOTE\n"),
        ("```\n" + "🚀\n" * 40, 26, "```\n🚀\n🚀\n```\n\nNOTE\n"),
        ("<details>\n\n" + "b\n" * 40, 36, "<details>\n\nb\nb\nb\n\n</details>\n\nNOTE\n"),
        ("ü" * 40, 9, "üüüü"),
        ("ü" * 4, 8, "üüüü"),
        ("any", 0, ""),
    ],
)  # fmt: skip
def test_where_a_page_is_cut(page: str, size: int, cut: str) -> None:
    """Bytes count, not characters."""
    assert letters.fitting(page, size, "NOTE") == cut
