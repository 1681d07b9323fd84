"""Texts of others in every place that shows them: nothing of them is live, whoever wrote which field."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from leverframe.domain.data.contract_markdown import render as contract_page
from leverframe.domain.data.contract_report import Report
from leverframe.domain.infrastructure.infra_apply_result import InfraApplied
from leverframe.domain.infrastructure.infra_comment import apply_comment
from leverframe.domain.monitoring.monitor_result import Monitored
from leverframe.domain.monitoring.monitor_summary import summary as monitor_summary
from leverframe.domain.retraining import retrain_summary
from leverframe.domain.retraining.attempt import Attempt
from leverframe.domain.retraining.pulls import pull_body
from leverframe.domain.retraining.retrain_result import Retrained
from leverframe.domain.review.diff.diff_markdown import render as diff_page
from leverframe.domain.review.diff.diff_result import Diff
from leverframe.domain.review.report.card import Card
from leverframe.domain.review.report.card_markdown import Shown, render
from leverframe.inert import terminal
from tests.github_page import live
from tests.hostile import CORPUS, filled

TURNS = 4
SINKS: dict[str, Callable[[str, int], str]] = {
    "card": lambda text, turn: render(filled(Card, text, turn), Shown(warnings=(text,))),
    "contract report": lambda text, turn: contract_page(filled(Report, text, turn)),
    "data diff": lambda text, turn: diff_page(filled(Diff, text, turn)),
    "apply of infrastructure": lambda text, turn: apply_comment(filled(InfraApplied, text, turn)),
    "monitor": lambda text, turn: monitor_summary(filled(Monitored, text, turn)),
    "retraining": lambda text, turn: retrain_summary.summary(filled(Retrained, text, turn)),
    "retraining does not help": lambda text, turn: retrain_summary.asking(filled(Attempt, text, turn))[1],
    "pull request of a candidate": lambda text, turn: pull_body.text(
        filled(Attempt, text, turn), filled(pull_body.Facts, text, turn)
    ),
}

FORGE = ("monitor", "retraining", "pull request of a candidate")  # whose addresses come from the forge and settings
OURS = ("https://evil.example/x",)  # the one text of the corpus that is an address


def test_the_corpus_is_large_and_live() -> None:
    """Most of it does something where nothing makes it inert; what finds it is awake."""
    assert len(set(CORPUS)) >= 60
    assert sum(bool(live(terminal.storable(text))) for text in CORPUS) > 60


@pytest.mark.parametrize("sink", SINKS)
def test_nothing_is_live_in_markdown(sink: str) -> None:
    """Each text in every field that a page is made of: no mention, reference, link, picture or markup comes of it."""
    ours = OURS if sink in FORGE else ()
    found = {(text, turn): live(SINKS[sink](text, turn), ours) for text in CORPUS for turn in range(TURNS)}
    assert {text: what for text, what in found.items() if what} == {}
