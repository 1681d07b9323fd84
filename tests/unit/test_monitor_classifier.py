"""The weekly classifier: judged by the weeks of the reference, and silent with a reason where it cannot be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.monitoring.batch import Floats, Values
from leverframe.domain.monitoring.binning import Binning
from leverframe.domain.monitoring.domain_classifier import Draw, Separated, encoded, null_areas, separated
from leverframe.domain.monitoring.finding import Severity
from leverframe.settings.monitor import ClassifierSettings, MonitorSettings
from tests.unit.monitored import numbers, texts

SETTINGS = MonitorSettings(engine="builtin")


class Means:
    """Tells two samples apart by the mean of the first feature: exact where only that one moves."""

    def auc(self, reference: Floats, live: Floats) -> float:
        ahead = (live[:, 0][:, None] > reference[:, 0][None, :]).mean()
        return float(max(ahead, 1 - ahead))

    def weights(self, reference: Floats, live: Floats) -> Floats:
        return np.asarray(np.abs(live.mean(axis=0) - reference.mean(axis=0)))


def weeks(many: int, moved: float = 0.0, first: int = 1, rows: int = 300) -> dict[str, Floats]:
    draw = np.random.default_rng(first)
    samples = {}
    for week in range(first, first + many):
        samples[f"2024-W{week:02d}"] = draw.normal(size=(rows, 2)) + np.array([moved, 0.0])
    return samples


def said(reference: dict[str, Floats], live: dict[str, Floats], settings: MonitorSettings = SETTINGS) -> Separated:
    areas = null_areas(reference, Means(), settings.classifier.rows)
    return separated((reference, areas), live, ["amount", "plan"], Means(), settings)


def test_a_week_that_is_told_apart_is_named_with_what_gives_it_away() -> None:
    outcome = said(weeks(10), weeks(2, first=20) | weeks(1, 1.0, first=30))
    assert outcome.rule == "L"
    assert [week.beyond for week in outcome.live] == [False, False, True]
    (finding,) = outcome.findings
    assert finding.severity is Severity.WARNING
    assert finding.window == finding.since == "2024-W30"
    assert "`amount`" in finding.what


def test_few_weeks_never_warn_and_none_crash() -> None:
    for many in (1, 2, 6):
        outcome = said(weeks(many), weeks(1, 3.0, first=30))
        assert outcome.rule == "uncalibrated"
        assert all(finding.severity is Severity.INFO for finding in outcome.findings)


def test_from_twenty_weeks_two_of_three_are_asked_for() -> None:
    assert said(weeks(20), weeks(1, 2.0, first=30)).findings[0].severity is Severity.INFO
    outcome = said(weeks(20), weeks(2, 2.0, first=30))
    assert outcome.rule == "K"
    assert outcome.findings[0].severity is Severity.WARNING
    assert outcome.findings[0].since == "2024-W30"


@pytest.mark.parametrize(
    ("reference", "live", "settings", "reason"),
    [
        ({}, weeks(1), SETTINGS, "not at hand"),
        (weeks(8), {}, SETTINGS, "no week of live traffic"),
        (weeks(8), weeks(1, rows=5), SETTINGS, "no week of live traffic"),
        (weeks(8), weeks(1), MonitorSettings(classifier=ClassifierSettings(every="never")), "never"),
    ],
)
def test_it_says_why_it_was_not_run(
    reference: dict[str, Floats], live: dict[str, Floats], settings: MonitorSettings, reason: str
) -> None:
    outcome = said(reference, live, settings)
    assert reason in outcome.skipped
    assert not outcome.findings
    assert not outcome.live


@given(st.lists(st.integers(0, 40), max_size=8))
def test_a_draw_keeps_rows_that_were_there_and_no_more_than_asked(sizes: list[int]) -> None:
    draw, number = Draw(25), 0
    for size in sizes:
        draw.add("w", np.arange(number, number + size, dtype=np.float64)[:, None])
        number += size
    kept = draw.rows.get("w", np.zeros((0, 1)))[:, 0].tolist()
    assert len(kept) == len(set(kept)) == min(25, number)
    assert set(kept) <= set(range(number))


def test_columns_of_any_type_become_numbers_or_missing() -> None:
    bins = {"x": Binning("quantiles", (0.0,)), "c": Binning("levels", (), ("a", "b"), 2), "gone": Binning("quantiles")}
    values: dict[str, Values] = {"x": numbers(1.0, math.inf, math.nan), "c": texts("b", None, "new")}
    np.testing.assert_array_equal(
        encoded(bins, values, 3), [[1.0, 1.0, math.nan], [math.nan] * 3, [math.nan, 2.0, math.nan]]
    )
    swapped: dict[str, Values] = {"x": texts("1", "2", "3"), "c": numbers(1, 2, 3)}
    assert np.isnan(encoded(bins, swapped, 3)).all()
