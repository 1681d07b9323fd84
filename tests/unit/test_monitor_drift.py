"""Drift: what is said of a column that moves, of one that does not, and of one that is not what it was."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.documents import parsed, plain
from leverframe.domain.monitoring.band import Band, Distance, Noise, Tail
from leverframe.domain.monitoring.batch import Levels, Numbers, Values
from leverframe.domain.monitoring.drift import Drift, judged
from leverframe.domain.monitoring.drift_rule import DriftRule
from leverframe.domain.monitoring.engine import BuiltinEngine
from leverframe.domain.monitoring.finding import Kind, Severity
from leverframe.domain.monitoring.monitored_column import ColumnKind
from leverframe.domain.monitoring.persistence import again, effective, inflation
from leverframe.domain.monitoring.reference_profile import ReferenceProfile
from leverframe.settings.monitor import MonitorSettings
from tests.unit.monitored import day, numbers, reference, texts, window

KINDS: dict[str, ColumnKind] = {"x": "numeric", "c": "categorical", "score": "numeric"}
SETTINGS = MonitorSettings(engine="builtin")
ROWS = 400


def rows(
    draw: np.random.Generator, moved: float = 0.0, share: float = 0.5, many: int = ROWS, noise: float = 0.05
) -> dict[str, Values]:
    levels = draw.choice(3, many, p=[share, 0.7 - share, 0.3]).astype(np.int32)
    return {
        "x": Numbers(draw.normal(moved + draw.normal(0, noise), 1, many)),
        "c": Levels(levels, ("red", "green", "blue")),
        "score": Numbers(draw.random(many)),
    }


def profile(days: int = 30, match: str = "none", week: float = 0.0) -> ReferenceProfile:
    draw = np.random.default_rng(1)
    listed = [rows(draw, week * (number % 7 > 4)) for number in range(days)]
    return reference(KINDS, listed, match=match, prediction="score")


def said(of: ReferenceProfile, live: Sequence[Mapping[str, Values]], first: int = 100) -> Drift:
    windows = [window(of, first + at, values) for at, values in enumerate(live)]
    return judged(of, windows, SETTINGS, BuiltinEngine())


PROFILE = profile()


def test_nothing_is_said_where_nothing_changes() -> None:
    draw = np.random.default_rng(2)
    drift = said(PROFILE, [rows(draw) for _ in range(14)])
    assert drift.findings == ()
    assert drift.notes == ()
    assert drift.rule.rule == "K"
    assert drift.rule.replayed == 30
    assert drift.rule.alarms == 0
    assert {column.name for column in drift.columns} == set(KINDS)


def test_a_shift_is_an_alarm_from_its_second_window_with_figures() -> None:
    draw = np.random.default_rng(1)
    quiet = [rows(draw) for _ in range(7)]
    first = said(PROFILE, [*quiet, rows(draw, 0.5, 0.3)])
    assert {(finding.subject, finding.severity) for finding in first.findings} == {
        ("x", Severity.INFO),
        ("c", Severity.INFO),
    }
    drift = said(PROFILE, [*quiet, *(rows(draw, 0.5, 0.3) for _ in range(3))])
    by_name = {finding.subject: finding for finding in drift.findings}
    assert {finding.severity for finding in drift.findings} == {Severity.WARNING}
    assert by_name["x"].kind is Kind.DRIFT
    assert (by_name["x"].window, by_name["x"].since) == (day(109), day(107))
    assert "rose from" in by_name["x"].what
    assert "standard deviations" in by_name["x"].what
    assert "`red` 50" in by_name["c"].what
    facts = next(column for column in drift.columns if column.name == "x")
    assert [cell.beyond for cell in facts.cells] == [False] * 7 + [True] * 3
    assert facts.wasserstein == pytest.approx(0.5, abs=0.15)
    assert facts.band is not None
    assert facts.histogram is not None
    assert len(facts.histogram.labels) == len(facts.histogram.current) + 1


def test_a_prediction_that_moves_has_a_kind_of_its_own() -> None:
    draw = np.random.default_rng(2)
    live = [rows(draw) | {"score": Numbers(draw.random(ROWS) ** 2)} for _ in range(3)]
    assert [(finding.kind, finding.subject) for finding in said(PROFILE, live).findings] == [
        (Kind.PREDICTION_DRIFT, "score")
    ]


def test_columns_that_matter_more_come_first() -> None:
    draw = np.random.default_rng(2)
    drift = said(PROFILE, [rows(draw, 0.5, 0.3) for _ in range(3)])
    assert [finding.subject for finding in drift.findings] == [column.name for column in drift.columns[:2]]


def test_it_ends_when_the_column_is_back() -> None:
    draw = np.random.default_rng(2)
    live = [*(rows(draw, 0.6) for _ in range(3)), *(rows(draw, noise=0.0) for _ in range(3))]
    assert said(PROFILE, live).findings == ()


@pytest.mark.parametrize(
    ("days", "rule"), [(0, "uncalibrated"), (1, "uncalibrated"), (6, "uncalibrated"), (7, "L"), (19, "L"), (20, "K")]
)
def test_the_rule_goes_by_how_many_windows_there_are(days: int, rule: str) -> None:
    draw = np.random.default_rng(2)
    drift = said(profile(days), [rows(draw, 3.0) for _ in range(3)])
    assert drift.rule.rule == rule
    moved = [finding for finding in drift.findings if finding.subject == "x"]
    assert [finding.severity for finding in moved] == [
        Severity.INFO if rule == "uncalibrated" else Severity.WARNING
    ] * bool(days)
    if not days:
        assert "the reference has no value" in drift.notes[0]


HOSTILE: list[tuple[str, dict[str, Values]]] = [
    ("empty", {"x": numbers(), "c": texts(), "score": numbers()}),
    ("vanished", {}),
    ("five rows", {"x": numbers(*range(5)), "c": texts(*["red", "red", "new"]), "score": numbers(*[0.5] * 5)}),
    ("all missing", {"x": numbers(*[math.nan] * 200), "c": texts(*[None] * 200), "score": numbers(*[math.nan] * 200)}),
    ("other types", {"x": texts(*["a", "b"] * 100), "c": numbers(*[1.0] * 200), "score": texts(*["0.5"] * 200)}),
    (
        "infinite",
        {"x": numbers(*[math.inf, -math.inf] * 100), "c": texts(*["red"] * 200), "score": numbers(*[1e308] * 200)},
    ),
    ("unseen", {"x": numbers(*[1e300] * 200), "c": texts(*["violet"] * 200), "score": numbers(*[-1.0] * 200)}),
]


@pytest.mark.parametrize(("name", "values"), HOSTILE, ids=[name for name, _ in HOSTILE])
def test_hostile_windows_never_crash_and_leave_finite_figures(name: str, values: dict[str, Values]) -> None:
    draw = np.random.default_rng(2)
    for of in (PROFILE, profile(3), profile(1), profile(0), reference(KINDS, [values] * 25, prediction="score")):
        drift = said(of, [rows(draw), values, values])
        json.dumps([plain(column) for column in drift.columns], allow_nan=False)
    drift = said(PROFILE, [rows(draw), values, values])
    if name in ("other types", "infinite", "unseen"):
        assert {finding.subject for finding in drift.findings} >= ({"c"} if name == "other types" else {"x", "c"})
    if name in ("empty", "vanished", "five rows", "all missing"):
        assert drift.findings == ()
        assert all(column.cells[-1].p is None for column in drift.columns)


ANY: st.SearchStrategy[Values] = st.one_of(
    st.lists(st.floats(width=64), max_size=150).map(lambda values: numbers(*values)),
    st.lists(st.one_of(st.none(), st.sampled_from("abc")), max_size=150).map(lambda values: texts(*values)),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(list(KINDS)), ANY), max_size=9),
    st.lists(st.dictionaries(st.sampled_from(list(KINDS)), ANY), max_size=4),
    st.sampled_from(["auto", "none", "weekday", "month"]),
)
def test_any_reference_and_any_windows_are_judged(
    days: list[dict[str, Values]], live: list[dict[str, Values]], match: str
) -> None:
    same = [
        {name: value for name, value in values.items() if isinstance(value, Levels) == (name == "c")} for values in days
    ]
    of = reference(KINDS, same, match=match, prediction="score")
    assert parsed(ReferenceProfile, json.dumps(plain(of), allow_nan=False)) == of
    drift = judged(of, [window(of, 40 + at, values) for at, values in enumerate(live)], SETTINGS, BuiltinEngine())
    json.dumps([plain(part) for part in (*drift.columns, *drift.findings, drift.rule)], allow_nan=False)


def test_a_week_of_seasons_is_matched_and_what_has_none_is_not() -> None:
    assert profile(28, "auto").match == "none"
    seasonal = profile(28, "auto", week=0.6)
    assert seasonal.match == "weekday"
    assert seasonal.seasons == tuple(range(7))
    draw = np.random.default_rng(5)
    assert said(seasonal, [rows(draw, 0.6 * (number % 7 > 4)) for number in range(14)], first=98).findings == ()
    weekday = [rows(draw, 0.6) for _ in range(3)]  # as weekends are, but on a Monday to Wednesday
    assert [finding.subject for finding in said(seasonal, weekday, first=98).findings] == ["x"]
    assert said(profile(28, "none", week=0.6), weekday, first=98).findings == ()


def test_a_window_of_a_season_that_the_reference_lacks_is_named() -> None:
    draw = np.random.default_rng(2)
    of = profile(5, "weekday")  # Monday to Friday
    drift = said(of, [rows(draw, 5.0)], first=5)
    assert drift.findings == ()
    assert day(5) in drift.notes[0]


def test_the_profile_is_small_and_holds_no_rows() -> None:
    draw = np.random.default_rng(0)
    kinds: dict[str, ColumnKind] = {f"a rather long name of a feature {at}": "numeric" for at in range(12)}
    kinds |= {f"a rather long name of a level {at}": "categorical" for at in range(3)}
    names = tuple(f"level {at}" for at in range(60))

    def drawn() -> dict[str, Values]:
        return {
            name: Numbers(draw.lognormal(0, 2, 1000))
            if kind == "numeric"
            else Levels(draw.integers(0, 60, 1000).astype(np.int32), names)
            for name, kind in kinds.items()
        }

    for match in ("none", "weekday"):
        of = reference(kinds, [drawn() for _ in range(122)], match=match)
        assert len(json.dumps(plain(of), separators=(",", ":"))) <= 100_000


def test_volume_alone_is_no_alarm() -> None:
    draw = np.random.default_rng(4)
    for many in (4 * ROWS, 40 * ROWS, ROWS // 4):
        drift = said(PROFILE, [rows(draw, many=many) for _ in range(10)])
        assert [finding for finding in drift.findings if finding.severity is Severity.WARNING] == []


def test_noise_is_what_samples_of_one_kind_differ_by() -> None:
    draw = np.random.default_rng(0)
    for ordered, share in ((True, np.full(100, 0.01)), (True, np.array([0.7, 0.2, 0.1])), (False, np.full(10, 0.1))):
        noise = Noise.of((share * 100_000).astype(np.int64), ordered=ordered)
        first, second = draw.multinomial(2000, share, 2000), draw.multinomial(500, share, 2000)
        from leverframe.domain.monitoring.distances import cramers_v, ks  # noqa: PLC0415

        squares = (ks if ordered else cramers_v)(first, second) ** 2
        assert squares.mean() == pytest.approx(noise.mean * (1 / 2000 + 1 / 500), rel=0.06)
        band = Band(noise)
        p = np.array([band.p(Distance(float(np.sqrt(square)), 500, 2000)) for square in squares])
        assert 0.02 <= (p < 0.05).mean() <= 0.08
        assert (p < 0.005).mean() <= 0.012


def test_the_band_and_its_limit_agree() -> None:
    band = Band.of([Distance(0.02 + 0.001 * at, 500, 5000) for at in range(20)], Noise(0.8, 3.3))
    limit = band.limit(0.01, 500, 5000)
    assert band.p(Distance(limit * 1.01, 500, 5000)) < 0.01 < band.p(Distance(limit * 0.99, 500, 5000))
    assert band.limit(0.01, 50, 5000) > limit


def test_dependence_lowers_the_level_and_heavy_tails_raise_p() -> None:
    loose, tied = ([Band(Noise(1.0, 3.0), windows=40, freedom=39.0, repeat=r)] * 15 for r in (0.0, 0.6))
    assert DriftRule.of(SETTINGS, tied).alpha < DriftRule.of(SETTINGS, loose).alpha / 2
    assert again(0.003, 0.0, 1e6) == pytest.approx(0.003, rel=0.1)
    assert again(0.003, 0.7, 1e6) > 0.1
    assert effective(60, 0.5) == 20
    assert inflation(20, 0.0) == 1.0
    assert inflation(20, 0.7) > 1.2
    uniform = np.random.default_rng(0).random(2000)
    assert Tail.of(uniform).corrected(1e-4) == pytest.approx(1e-4, rel=0.6)
    assert Tail.of(uniform**3).corrected(1e-4) > 0.01


def test_hourly_windows_share_the_same_budget() -> None:
    bands = [Band(Noise(1.0, 3.0), windows=100, freedom=99.0)] * 15
    hourly = MonitorSettings(engine="builtin", window="hour")
    assert DriftRule.of(hourly, bands).alpha < DriftRule.of(SETTINGS, bands).alpha
