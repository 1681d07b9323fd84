"""The text of an issue: what is in it, what data cannot do to it, and how long it gets."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.adapters.markdown_it import fragment
from leverframe.domain.hidden_part import same
from leverframe.domain.monitoring.alerts.alert import alerts_of
from leverframe.domain.monitoring.alerts.alert_issue import IssueContext, text
from leverframe.domain.monitoring.alerts.alert_plan import AlertContext, planned
from leverframe.domain.monitoring.alerts.alert_record import block, merged, noted, snoozed_until, standing
from leverframe.domain.monitoring.alerts.alert_steps import OpenIssue
from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from leverframe.domain.monitoring.monitor_result import TableFacts
from leverframe.domain.single_issue import Issue
from leverframe.settings.monitor import AlertSettings
from tests.fakes.alerts import column, day, finding, monitored, performance
from tests.profiles import examples

WORDS = st.text(max_size=60)


def body(*findings: Finding, around: IssueContext | None = None, **more: object) -> str:
    """Return the text of the first alert."""
    result = monitored(9, *findings, **more)  # type: ignore[arg-type]
    return text(alerts_of(result, [])[0], result, around or IssueContext())


def test_it_says_what_since_when_and_what_to_do() -> None:
    """Findings, steps, the windows of the column, owners, who cannot be assigned, the dashboard, and how to snooze."""
    around = IssueContext("https://example.org/d?a=1", ("@ann", "@acme/ml"), ("gone",), ("snooze-until:friday",))
    words = body(
        finding(Kind.DRIFT, "age", 9, Severity.CRITICAL, since=day(7), what="`age` drifted: KS 0.3", next="Run `a b`."),
        columns=(column("age", 7, 8, 9),), around=around,
    )  # fmt: skip
    for part in (
        "**Critical** · `shop` in `production` · since `2026-03-08`, last in `2026-03-10`",
        "- **critical**: `age` drifted&#58; KS 0.3",
        "- Run `a b`.",
        "| `age`, by window | rows | KS | band | p | beyond |",
        "| `2026-03-10` | 500 | 0.2 | 0.1 | 0.2 | yes |",
        "Owners: @ann @acme/ml.",
        "GitHub cannot assign `gone`",
        "`snooze-until:friday` names no day",
        "[Dashboard](https://example.org/d?a=1)",
        "`snooze-until:YYYY-MM-DD`",
    ):
        assert part in words


def test_long_names_of_people_and_labels_are_cut() -> None:
    """Somebody else chose them."""
    around = IssueContext("", (), ("x" * 80, "y" * 81), ("u" * 80, "v" * 81))
    words = body(finding(Kind.DRIFT, "age", 9), columns=(column("age", 9),), around=around)
    for kept, cut in ("xy", "uv"):
        assert f"`{kept * 80}`, `{cut * 80}`… +1 characters" in words


def test_a_broken_table_names_what_is_built_from_it() -> None:
    """Features and model; the traffic stands in the table of windows."""
    table = TableFacts("visits", "2026-03", "failed", ("`total` is null",), (), 10, ("visits_7d", "visits_30d"))
    words = body(finding(Kind.TABLE, "visits", 9, Severity.CRITICAL), tables=(table,))
    assert "### Features of `shop` behind it" in words
    assert "- `visits`, partition `2026-03`: `visits_7d`, `visits_30d`" in words
    assert "| window | rows | expected | requests | refused | failed | p95 ms |" in words
    table = replace(table, features=("x" * 80, "y" * 81))
    words = body(finding(Kind.TABLE, "visits", 9, Severity.CRITICAL), tables=(table,))
    assert f"`{'x' * 80}`, `{'y' * 80}`… +1 characters" in words


@pytest.mark.parametrize(("judged", "words"), [(True, "| yes |"), (False, "| not judged |")])
def test_performance_shows_what_was_judged(judged: bool, words: str) -> None:
    """Realised with its interval, estimated, and how many labels are known."""
    markdown = body(finding(Kind.PERFORMANCE, "auc", 9), performance=(performance("auc", 9, judged=judged),))
    assert "| `2026-03-10` | 0.7 (0.6 to 0.8) | 0.71 | 90.0% " in markdown
    assert words in markdown


@settings(max_examples=examples(1.0))
@given(st.lists(st.tuples(st.sampled_from([Kind.DRIFT, Kind.MISSING, Kind.TABLE]), WORDS, WORDS, WORDS), min_size=1))
def test_names_and_words_of_data_form_no_markup(texts: list[tuple[Kind, str, str, str]]) -> None:
    """No mention, link, tag or hidden marker comes of them; the record is read back as it was written."""
    findings = [
        finding(kind, subject + "<!-- --> @all", 9, what=f"{what} @everyone [x](http://e) <img src=x>", next=step)
        for kind, subject, what, step in texts
    ]
    for step in planned(monitored(9, *findings), [], AlertSettings(), AlertContext()).steps:
        action = step.action
        assert isinstance(action, OpenIssue)
        whole = block(action.key, action.text, action.record)
        (here,) = standing([Issue(1, action.title, whole)])
        assert (here.key, here.record) == (action.key, action.record)
        assert same(noted(whole, action.key, action.record), whole)
        assert merged(whole, whole) == whole
        page = fragment(action.text)
        assert "<img" not in page
        assert "href=" not in page
        assert action.text.count("<!--") == action.text.replace("`", "").count("<!--")
        assert len(action.title) <= 256
        assert "\n" not in action.title


def test_it_fits_into_an_issue_however_much_is_found() -> None:
    """A thousand columns with long names: what does not fit is counted."""
    name = "`" + "c" * 5000
    drifts = [finding(Kind.DRIFT, f"{name}{number}", 9, what="é|`" * 2000, next=f"{number}") for number in range(1000)]
    tables = (TableFacts("t", "p", "failed", (), (), 1, tuple(f"{name}{number}" for number in range(500))),)
    columns = tuple(column(drift.subject, *range(10)) for drift in drifts)
    result = monitored(9, *drifts, finding(Kind.TABLE, "t", 9), columns=columns, tables=tables)
    for alert in alerts_of(result, []):
        words = text(alert, result, IssueContext("https://example.org", ("@ann",)))
        assert len(words.encode()) <= 40_000
        assert "more" in words
    for step in planned(result, [], AlertSettings(), AlertContext()).steps:
        assert isinstance(step.action, OpenIssue)
        assert len(block(step.action.key, step.action.text, step.action.record)) < 50_000


def test_labels_snooze_until_the_last_of_their_days() -> None:
    """Those that name no day are given back."""
    labels = ("snooze-until:2026-03-05", "snooze-until:2026-12-01", "snooze-until:2026-13-01", "other")
    assert snoozed_until(labels) == ("2026-12-01", ("snooze-until:2026-13-01",))
    assert snoozed_until(("bug",)) == ("", ())
