"""A monitor that stopped says nothing, so others say it: the card, and what deploys."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from leverframe import wiring
from leverframe.application.silence import silence_of_monitor
from leverframe.domain.monitoring.silence import BRANCH, silence
from leverframe.domain.plan_engine import StepResult
from leverframe.domain.release.deploy import Deployed
from leverframe.domain.review.report.assemble import assembled
from leverframe.domain.review.report.card_markdown import render
from leverframe.errors import RepositoryError
from leverframe.local.repository import TemporaryRepository

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def result(hours: float) -> bytes:
    """Return the result of a run some hours ago."""
    return json.dumps({"at": (NOW - timedelta(hours=hours)).isoformat(), "version": 1}).encode()


@pytest.mark.parametrize(
    ("hours", "every", "words"),
    [
        (47, 24, ""),
        (49, 24, "was last successful 2 days ago, on 2026-03-08 (schedule: every 24 h)"),
        (2.1, 1, "was last successful 2 hours ago"),
        (24 * 60, 24, "was last successful 60 days ago"),
    ],
)
def test_it_is_silent_after_two_periods(hours: float, every: float, words: str) -> None:
    """Once is an accident, twice is silence."""
    sentence = silence([result(hours)], "production", every, NOW)
    assert words in sentence
    assert bool(sentence) is bool(words)


def test_the_newest_result_that_can_be_read_counts() -> None:
    """Damaged ones, and those without a time, count as none; a time without a zone is of UTC."""
    damaged = (b"", b"\xff", b"[]", b"null", b'{"at": 5}', b'{"at": "yesterday"}', b'{"version": 1}')
    assert silence([*damaged, result(100), result(1)], "production", 24, NOW) == ""
    assert "no result of the monitor of `production` is known here" in silence(damaged, "production", 24, NOW)
    naive = json.dumps({"at": "2026-03-10T11:00:00"}).encode()
    assert silence([naive], "production", 24, NOW) == ""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TemporaryRepository:
    """Return a repository with a monitor, as the working directory of this process."""
    repository = TemporaryRepository.create(tmp_path, dvc=False)
    repository.write("leverframe.yaml", "monitor: {every_hours: 24}\n")
    repository.commit("A monitor")
    monkeypatch.chdir(repository.root)
    return repository


def test_the_branch_of_the_clone_and_the_folder_are_read(repository: TemporaryRepository) -> None:
    """The newer of both; without a `monitor` section nothing is said, and nothing goes wrong without git."""
    now = datetime.now(UTC)
    assert "no result" in silence_of_monitor(wiring.workspace())
    repository.git("checkout", "--quiet", "--orphan", "results")
    repository.write("local/monitor.json", json.dumps({"at": (now - timedelta(days=5)).isoformat()}))
    repository.commit("Result")
    repository.git("update-ref", f"refs/remotes/origin/{BRANCH}", "HEAD")
    repository.git("checkout", "--quiet", "main")
    assert "5 days ago" in silence_of_monitor(wiring.workspace())
    repository.write(".leverframe/monitor/local/monitor.json", json.dumps({"at": now.isoformat()}))
    assert silence_of_monitor(wiring.workspace()) == ""
    repository.write("leverframe.yaml", "report: {slices: 8}\n")
    (repository.root / ".leverframe/monitor/local/monitor.json").unlink()
    assert silence_of_monitor(wiring.workspace()) == ""
    repository.write("leverframe.yaml", "monitor: {every_hours: -1}\n")
    assert silence_of_monitor(wiring.workspace()) == ""


def test_the_card_says_it_before_other_notes_and_fails_for_nothing() -> None:
    """It is a note: the verdict is that of the levers, and names of environments are text."""

    def missing() -> object:
        raise RepositoryError("nothing is here", why="", next="")

    words = silence([], "@all <b>", 24, NOW)
    sides: tuple[dict[str, bytes], dict[str, bytes]] = ({"a" * 40: b""}, {})
    card = assembled(("a" * 40, "b" * 40), (None, None, None), sides, ({}, {}), (missing, missing), words)  # type: ignore[arg-type]
    plain = assembled(("a" * 40, "b" * 40), (None, None, None), sides, ({}, {}), (missing, missing))  # type: ignore[arg-type]
    assert card.notes == (words, *plain.notes)
    assert card.verdict == plain.verdict
    page = render(card)
    assert "no result of the monitor of `@all <b>` is known here" in page


def test_what_deploys_says_it_last() -> None:
    """Whether it did anything or not."""
    quiet = Deployed("shop", "production", None, None, notes=("the monitor is silent",))
    busy = replace(quiet, steps=(StepResult("switch", 0.1),))
    assert quiet.lines()[-1] == busy.lines()[-1] == "the monitor is silent"
