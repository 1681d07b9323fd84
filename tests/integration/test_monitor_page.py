"""The dashboard in a real browser: nothing is loaded, nothing is wrong, and it fits a phone, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from leverframe.domain.monitoring.dashboard.dashboard_page import page
from leverframe.domain.retraining.attempt import Outcome
from leverframe.domain.retraining.retrain_history import history_of
from leverframe.settings.retrain import RetrainSettings
from tests.fakes.attempts import attempt, comparison
from tests.fakes.monitored import CASES, history
from tests.integration.chromium import PROGRAM, Tab, tab

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed: tests/debian-packages.sh chromium")
COMPLAINTS = {"Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"}
SMALLEST = """Math.min(...[...document.querySelectorAll('figure svg')].map(
  svg => 11 * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width))"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """One browser for all tests of this module."""
    with tab(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def shown(browser: Tab, file: Path, width: int, *, dark: bool = False) -> tuple[list[str], list[str]]:
    """Show a file; return what the browser complains of, and the addresses that it asked for."""
    browser.events.clear()
    browser.show(file.as_uri(), width, dark=dark)
    browser.value("document.documentElement.scrollWidth")  # laid out: what is to be loaded is asked for by now
    complaints = [str(event["params"]) for event in browser.events if event.get("method") in COMPLAINTS]
    asked = [event for event in browser.events if event.get("method") == "Network.requestWillBeSent"]
    return complaints, [event["params"]["request"]["url"] for event in asked]


@pytest.mark.parametrize("case", CASES)
def test_a_page_is_quiet_alone_and_as_wide_as_its_window(browser: Tab, tmp_path: Path, case: str) -> None:
    """On a phone and a desk, in light and dark: wide parts scroll inside, the page does not."""
    monitored = CASES[case]()
    file = tmp_path / "dashboard.html"
    file.write_text(page(monitored, history(monitored)), encoding="utf-8")
    grounds = set()
    for width, dark in [(360, False), (360, True), (768, False), (1280, False), (1280, True)]:
        complaints, asked = shown(browser, file, width, dark=dark)
        assert complaints == []
        assert [address for address in asked if not address.startswith("data:")] == [file.as_uri()]
        assert browser.value("document.documentElement.scrollWidth") == width
        assert browser.value("getComputedStyle(document.querySelector('nav')).display") == "grid"  # it has its style
        assert browser.value("document.querySelectorAll('script, img, iframe').length") == 0
        grounds.add((dark, browser.value("getComputedStyle(document.body).backgroundColor")))
        if monitored.windows:
            assert browser.value(SMALLEST) >= 9.5  # pixels of the letters in charts
    assert len(grounds) == 2


def test_attempts_to_retrain_fit_a_phone(browser: Tab, tmp_path: Path) -> None:
    """The table scrolls inside; a marker of an attempt is told from one of a deployment by its shape."""
    monitored = CASES["drifted"]()
    why = {"why": "AUC fell. " * 30, "pull": "https://example.org/pull/1"}
    of = {"model": monitored.model, "environment": monitored.environment, **why}
    tried = [attempt(outcome, number) for number, outcome in enumerate(Outcome)]
    attempts = [
        replace(one, at=monitored.windows[-2 - number].start, comparison=comparison(0.1, 0.05), **of)  # type: ignore[arg-type]
        for number, one in enumerate(tried)
    ]
    facts = history_of(attempts, None, RetrainSettings(), (monitored.model, monitored.environment))
    file = tmp_path / "dashboard.html"
    file.write_text(page(monitored, history(monitored), facts), encoding="utf-8")
    for width, dark in [(360, False), (360, True), (1280, False), (1280, True)]:
        complaints, _ = shown(browser, file, width, dark=dark)
        assert complaints == []
        assert browser.value("document.documentElement.scrollWidth") == width
    assert browser.value("document.querySelectorAll('#retraining tbody tr').length") == len(Outcome)
    drawn = "[...document.querySelectorAll('#performance figure path.deployed')]"
    assert browser.value(f"new Set({drawn}.map(path => path.getAttribute('d').slice(-8))).size") == 2


def test_the_newest_windows_are_seen_first(browser: Tab, tmp_path: Path) -> None:
    """Where the map is wider than a phone, it begins at its right end."""
    file = tmp_path / "dashboard.html"
    file.write_text(page(CASES["drifted"]()), encoding="utf-8")
    shown(browser, file, 360)
    cut = "(box => box.scrollWidth - box.clientWidth)(document.querySelector('#drift .newest'))"
    at_the_end = """(box => Math.abs(box.querySelector('svg').getBoundingClientRect().right
      - box.getBoundingClientRect().right) < 1)(document.querySelector('#drift .newest'))"""
    assert browser.value(cut) > 100
    assert browser.value(at_the_end) is True


def test_what_is_wrong_with_a_page_is_seen(browser: Tab, tmp_path: Path) -> None:
    """The check itself: a script that fails, a picture from elsewhere, a part that is too wide."""
    file = tmp_path / "wrong.html"
    file.write_text(
        "<!doctype html><title>x</title><script>console.error('no')</script><div style='width:900px'>x</div>"
        "<img src='http://127.0.0.1:9/x.png'>"
    )
    complaints, asked = shown(browser, file, 360)
    assert complaints
    assert "http://127.0.0.1:9/x.png" in asked
    assert browser.value("document.documentElement.scrollWidth") > 360
