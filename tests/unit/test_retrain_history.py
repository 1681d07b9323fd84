"""What the dashboard, the metrics and the summary show of attempts: newest first, the outcome first, nothing unsafe."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from leverframe.documents import parsed, plain
from leverframe.domain.monitoring.dashboard.dashboard_page import LIMIT, page
from leverframe.domain.monitoring.dashboard.retrain_panel import retrain_panel
from leverframe.domain.monitoring.prometheus_text import metrics
from leverframe.domain.retraining.attempt import Attempt, Cause, Comparison, Evidence, Outcome, RetrainWindow
from leverframe.domain.retraining.retrain_history import TITLES, history_of
from leverframe.domain.retraining.retrain_result import Proposal, Retrained
from leverframe.domain.retraining.retrain_summary import lines, summary
from leverframe.domain.retraining.trigger import NotTriggered, Standstill
from leverframe.domain.review.gate.gate_result import Compared
from leverframe.settings.retrain import RetrainSettings
from tests.fakes.monitored import HOSTILE, drifted

SETTINGS = RetrainSettings()
OF = ("shop", "production")
BETTER = Compared("auc", "AUC", "higher", 0.71, 0.78, 0.07, 0.02, 0.12)


def attempt(at: str, outcome: Outcome, **changed: object) -> Attempt:
    made = Attempt(
        "shop",
        "production",
        at,
        "b" * 40,
        f"evidence of {at}",
        (Evidence(Cause.DRIFT, "price", "2026-03-01", "2026-02-20", "`price` drifted."),),
        outcome,
        f"AUC on {at}.",
        RetrainWindow("2026-01-01", "2026-02-01", "2026-02-02", "2026-03-01"),
        Comparison("auc", 0.975, 900, 28, (BETTER,), 0, "", (), (), ()),
    )
    return replace(made, **changed)  # type: ignore[arg-type]


def test_attempts_stand_newest_first_with_their_figures() -> None:
    """Whatever order they are recorded in; those of other models and environments are none of it."""
    attempts = [
        attempt("2026-03-09T05:00:00+00:00", Outcome.BETTER, pull="https://github.com/a/b/pull/7"),
        attempt("2026-03-02T05:00:00+00:00", Outcome.WORSE),
        attempt("2026-03-10T05:00:00+00:00", Outcome.WORSE, environment="staging"),
        attempt("2026-03-10T05:00:00+00:00", Outcome.WORSE, model="other"),
    ]
    facts = history_of(attempts, None, SETTINGS, OF)
    assert [(one.at[:10], one.title, one.state) for one in facts.tried] == [
        ("2026-03-09", "better", "ok"),
        ("2026-03-02", "worse", "warning"),
    ]
    assert facts.tried[0].figures == "AUC rose from 0.7100 to 0.7800, better by 0.0700 [+0.0200, +0.1200]"
    assert facts.tried[0].causes == "drift of `price`"
    assert facts.until == "2026-03-16T05:00:00+00:00"  # seven days after a better one
    assert not facts.needs_human


@pytest.mark.parametrize(("failures", "days", "asks"), [(1, 14, False), (2, 28, False), (3, 28, True)])
def test_the_next_attempt_waits_longer_after_each_that_did_not_help(failures: int, days: int, asks: bool) -> None:
    """Doubled each time, four times at most, and after three a person is asked for."""
    attempts = [attempt(f"2026-03-0{day + 1}T00:00:00+00:00", Outcome.WORSE) for day in range(failures)]
    facts = history_of(attempts, None, SETTINGS, OF)
    newest = datetime.fromisoformat(attempts[-1].at)
    assert datetime.fromisoformat(facts.until) - newest == timedelta(days=days)
    assert facts.needs_human is asks


@pytest.mark.parametrize("outcome", Outcome)
def test_a_page_and_the_metrics_show_the_last_outcome(outcome: Outcome) -> None:
    """The panel, a marker on the charts, and one series that is 1."""
    monitored = drifted()
    of = (monitored.model, monitored.environment)
    window = monitored.windows[-3]
    made = attempt(window.start, outcome, model=of[0], environment=of[1], pull="https://github.com/a/b/pull/7")
    facts = history_of([made], None, SETTINGS, of)
    shown = page(monitored, (), facts)
    assert '<section id="retraining"><h2>Retraining</h2>' in shown
    assert f"{TITLES[outcome]}</span>" in shown
    assert 'href="https://github.com/a/b/pull/7"' in shown
    assert f"Attempts: retraining of {window.start[:10]}" in shown
    assert ">retraining</span>" in shown
    text = metrics(monitored, facts)
    values = dict(re.findall(r'^leverframe_monitor_retrain_outcome\{.*outcome="([a-z-]+)"\} (\d)$', text, re.MULTILINE))
    assert values == {name.value: str(int(name is outcome)) for name in Outcome}
    assert "leverframe_monitor_retrain_attempt_timestamp_seconds" in text


def test_without_an_attempt_neither_changes() -> None:
    """A repository that never retrains has the page that it had."""
    monitored = drifted()
    assert page(monitored) == page(monitored, (), history_of([], None, SETTINGS, OF))
    assert "retrain" not in metrics(monitored)


def test_hostile_words_stay_text_and_a_long_history_stays_small() -> None:
    """Names, sentences and addresses come from files that anybody may have edited."""
    monitored = drifted()
    of = (monitored.model, monitored.environment)
    hostile = " ".join(HOSTILE)
    evil = Evidence(Cause.DRIFT, hostile, hostile, hostile, hostile * 50)
    attempts = [
        attempt(f"20{10 + number // 300}-{number % 12 + 1:02d}-01T00:00:00+00:00", Outcome.WORSE, model=of[0],
                environment=of[1], causes=(evil,), why=hostile * 40, pull="javascript:alert(1)", evidence=str(number))
        for number in range(900)
    ]  # fmt: skip
    last = Retrained(*of, "2026-03-01T00:00:00+00:00", None, NotTriggered(Standstill.QUIET, hostile * 9))
    shown = page(monitored, (), history_of(attempts, last, SETTINGS, of))
    assert len(shown.encode()) <= LIMIT
    assert "<script" not in shown
    assert 'href="javascript' not in shown
    assert "left out here" in shown


def test_a_run_in_lines_and_in_markdown() -> None:
    """The terminal and the job summary say the same: outcome, why, window, figures, address."""
    made = attempt("2026-03-09T05:00:00+00:00", Outcome.NOT_WORSE)
    proposal = Proposal("https://github.com/a/b/pull/7", 7, "draft")
    run = Retrained("shop", "production", made.at, made, None, (proposal,), ("push",), ("a note",))
    for text in ("\n".join(lines(run)), summary(run)):
        for words in ("not worse", "`price` drifted", "2026-01-01", "0.7100", "0.7800", "pull/7", "a note"):
            assert words in text.replace("<code>price</code>", "`price`"), words
    waiting = Retrained("shop", "production", made.at, None, NotTriggered(Standstill.QUIET, "nothing speaks for it"))
    assert lines(waiting) == [
        "shop in production: nothing was trained: quiet",
        "  nothing speaks for it",
    ]
    assert "nothing speaks for it" in summary(waiting)
    assert parsed(Retrained, json.dumps(plain(run))) == run


def test_a_dry_run_says_why_and_how_many_causes_there_are() -> None:
    """On a terminal, in the summary of a job and as JSON; what is not shown is counted."""
    causes = tuple(
        Evidence(Cause.DRIFT, f"c{number}", "2026-03-01", "", f"`c{number}` drifted.") for number in range(9)
    )
    for number, more in ((1, None), (4, "  and of 1 more"), (9, "  and of 6 more")):
        run = Retrained(*OF, "2026-03-09T05:00:00+00:00", None, None, causes=causes[:number], steps=("train",))
        output = lines(run)
        assert output[1] == "  because of drift: `c0` drifted."
        assert (more in output) is (more is not None)
        assert "- drift: `c0` drifted" in summary(run)
        assert ("- and 1 more" in summary(run)) is (number == 9)
        assert parsed(Retrained, json.dumps(plain(run))) == run


def test_every_cause_of_an_attempt_has_its_name_on_the_page() -> None:
    """Four of them are no more than fit."""
    kinds = (Cause.PERFORMANCE, Cause.PERFORMANCE, Cause.CONCEPT, Cause.CALIBRATION)
    subjects = ("auc", "average_precision", "auc", "calibration_gap")
    causes = tuple(Evidence(*pair, "2026-03-01", "", "x") for pair in zip(kinds, subjects, strict=True))
    facts = history_of([attempt("2026-03-09T05:00:00+00:00", Outcome.BETTER, causes=causes)], None, SETTINGS, OF)
    shown = re.sub("<[^>]*>", "", retrain_panel(facts, "2026-03-10T05:00:00+00:00", 5, 600))
    assert (
        "performance of auc, performance of average_precision, concept of auc, calibration of calibration_gap" in shown
    )
