"""The rule by which a release is slower than the one before: how often it is wrong, and what it finds.

The response times are drawn like those of a real server on two cores beside eight busy loops, as decision 32 tells: its
own work takes up to four times as long, and four of five responses wait for others, for 12 ms in the median.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain, repeat
from random import Random

import numpy as np
import pytest

from leverframe.domain.release.latency import (
    FALSE_ALARM,
    MAXIMUM_PAIRS,
    Pace,
    PaceRule,
    Pair,
    clear,
    paced,
    turns,
)
from leverframe.domain.release.latency_probes import Probe, compared

RULE = PaceRule(2.0, 0.005)
PROBE = Probe("1 row", b"")
CONTENTION = 4.0
WAITS, USUAL, SPREAD = 0.8, 0.012, 0.9  # how often a response waits, and the log-normal seconds that it waits
ROUNDS = 1000


def drawn(seed: int) -> Random:
    """Return where the order of the probes is drawn."""
    return Random(seed)  # noqa: S311


def responses(draw: np.random.Generator, work: float) -> Iterator[float]:
    """Yield response times in seconds of ``work`` seconds of computing beside four times as much other work."""
    while True:
        waits = USUAL * np.exp(SPREAD * draw.standard_normal(200))
        yield from (work * draw.uniform(1, CONTENTION, 200) + (draw.random(200) < WAITS) * waits).tolist()


def release(draw: np.random.Generator, before: float, after: float) -> Pace:
    """Return what the rule says of a release that is probed as a deployment does it."""
    sent = (responses(draw, before), responses(draw, after))
    verdict = compared(PROBE, lambda _, candidate: next(sent[candidate]), RULE, drawn(int(draw.integers(2**32))))
    assert verdict is not None
    return verdict.pace


@pytest.mark.parametrize("work", [0.001, 0.005, 0.05])
def test_good_releases_are_not_refused_under_contention(work: float) -> None:
    """At most one of 1,000 that take the same time, and none of 100 that take a third longer."""
    draw = np.random.default_rng(1)
    assert [release(draw, work, work) for _ in range(ROUNDS)].count(Pace.SLOWER) <= 1
    assert [release(draw, work, work * 4 / 3) for _ in range(100)].count(Pace.SLOWER) == 0


@pytest.mark.parametrize("work", [0.005, 0.01, 0.05])
def test_three_times_as_slow_is_found_under_contention(work: float) -> None:
    """At least 95 of 100, where the difference is beyond the floor."""
    draw = np.random.default_rng(2)
    assert [release(draw, work, 3 * work) for _ in range(200)].count(Pace.SLOWER) >= 190


def test_three_times_as_slow_within_the_floor_is_no_matter() -> None:
    """A millisecond more hurts no client."""
    draw = np.random.default_rng(3)
    assert Pace.SLOWER not in {release(draw, 0.0005, 0.0015) for _ in range(100)}


@pytest.mark.parametrize("clear_ones", [0, 1, 2, 3])
def test_the_chance_of_a_false_alarm_is_what_it_says(clear_ones: int) -> None:
    """At worst each pair of equal releases is beyond the rule with a chance of one half; computed, not simulated.

    Of three pairs ``clear_ones`` are clear. ``alive`` has the chance of each number of pairs beyond the rule, of either
    kind, among those not decided so far.
    """
    alive, alarms = {(0, 0): 1.0}, 0.0
    for number in range(MAXIMUM_PAIRS):
        kind, seen = number % 3 < clear_ones, number + 1
        of_clear = sum(index % 3 < clear_ones for index in range(seen))
        ahead: dict[tuple[int, int], float] = {}
        for (other, clears), chance in alive.items():
            for more in (0, 1):
                slower = (other, clears + more) if kind else (other + more, clears)
                ahead[slower] = ahead.get(slower, 0.0) + chance / 2
        alive = {}
        for (other, clears), chance in ahead.items():
            bet = 1.4**other * 0.6 ** (seen - of_clear - other) * 1.85**clears * 0.15 ** (of_clear - clears)
            alarms += chance * (bet >= 1 / FALSE_ALARM)
            if 0.005 < bet < 1 / FALSE_ALARM:
                alive[other, clears] = chance
    assert 0 < alarms <= FALSE_ALARM
    assert 4 * FALSE_ALARM <= 1 / 1000  # one row and a batch of two forms


SLOW, EQUAL = Pair(0.01, 0.03), Pair(0.01, 0.01)


def test_the_bounds_of_the_rule() -> None:
    """So many pairs without a doubt refuse, so many acquit, and at the limit itself nothing is slower."""
    clear_slow, clear_equal, limit = SLOW._replace(clear=True), EQUAL._replace(clear=True), Pair(0.01, 0.02)
    assert [paced([SLOW] * number, RULE, "").pace for number in (24, 25)] == [Pace.UNDECIDED, Pace.SLOWER]
    assert [paced([EQUAL] * number, RULE, "").pace for number in (10, 11)] == [Pace.UNDECIDED, Pace.NOT_SLOWER]
    assert [paced([clear_slow] * number, RULE, "").pace for number in (13, 14)] == [Pace.UNDECIDED, Pace.SLOWER]
    assert [paced([clear_equal] * number, RULE, "").pace for number in (2, 3)] == [Pace.UNDECIDED, Pace.NOT_SLOWER]
    assert paced([limit] * 11, RULE, "").pace is Pace.NOT_SLOWER
    pace = paced([SLOW] * 25, RULE, "1 row by keys")
    assert (pace.pairs, pace.slower) == (25, 25)
    assert pace.chance == pytest.approx(1.4**-25)
    assert "1 row by keys takes 30.0 ms instead of 10.0 ms (slower: +20.0 ms in the median of 25 pairs)" in pace.line()


def test_what_was_decided_stays_decided() -> None:
    """A release that is acquitted first is not refused by what comes later, and the other way round."""
    assert paced([EQUAL] * 11 + [SLOW] * 100, RULE, "").pace is Pace.NOT_SLOWER
    assert paced([SLOW] * 25 + [EQUAL] * 100, RULE, "").pace is Pace.SLOWER


def test_a_pair_ends_where_more_turns_would_hardly_change_it() -> None:
    """Within the floor at once; else where three responses of both agree, whichever of both is the candidate."""
    calm, rough = [0.010, 0.0101, 0.0114, 0.05], [0.010, 0.0101, 0.0116]  # 1.5 ms is 15 % of what may be added
    triple = [3 * seconds for seconds in calm]
    assert clear([0.05], [0.2, 0.005], RULE)
    assert not clear([0.005], [0.0051], RULE)
    pairs = [(calm, calm), (calm, triple), (triple, calm), (calm, rough), (rough, calm), (calm[:2], calm)]
    assert [clear(*seconds, RULE) for seconds in pairs] == [True] * 3 + [False] * 3


@pytest.mark.parametrize(("noise", "pairs", "count"), [(0, 14, 3), (0.02, 25, 7)])
def test_probes_go_to_both_in_turn_in_an_order_that_is_drawn(noise: float, pairs: int, count: int) -> None:
    """Each turn asks both once; who is first differs; quiet responses are fewer; one that is not answered ends it."""
    asked: list[bool] = []

    def ask(_: bytes, candidate: bool) -> float:
        asked.append(candidate)
        return (0.03 if candidate else 0.01) + noise * ((len(asked) + 1) // 2 % 7)

    verdict = compared(PROBE, ask, RULE, drawn(5))
    assert verdict is not None
    assert (verdict.pace, verdict.pairs) == (Pace.SLOWER, pairs)
    found_turns = list(zip(asked[2::2], asked[3::2], strict=True))
    assert len(found_turns) == pairs * count
    assert {frozenset(turn) for turn in found_turns} == {frozenset((True, False))}
    assert len(found_turns) / 3 < sum(first for first, _ in found_turns) < len(found_turns) * 2 / 3
    assert compared(PROBE, lambda _, candidate: None if candidate else 0.1, RULE, drawn(5)) is None


@pytest.mark.parametrize(("seconds", "count"), [(0.004, 1 + 3), (0.02, 1 + 3 * 3)])
def test_a_good_release_is_asked_little_where_it_is_quiet(seconds: float, count: int) -> None:
    """One that responds within the floor four times, any other ten times: all else would tell nothing new."""
    asked: list[bool] = []

    def ask(_: bytes, candidate: bool) -> float:
        asked.append(candidate)
        return seconds

    verdict = compared(PROBE, ask, RULE, drawn(5))
    assert verdict is not None
    assert (verdict.pace, sum(asked), len(asked)) == (Pace.NOT_SLOWER, count, 2 * count)


def test_neither_endless_nor_long() -> None:
    """What stays in between is undecided after so many pairs, which refuses nobody."""
    share = math.log(0.15) / math.log(
        0.15 / 1.85
    )  # of pairs beyond the rule, with which the bet stays about where it is
    slower = [math.floor(n * share) < math.floor((n + 1) * share) for n in range(MAXIMUM_PAIRS)]
    sent = [repeat(0.01), chain([0.01], (0.03 if beyond else 0.01 for beyond in slower for _ in range(3)))]
    verdict = compared(PROBE, lambda _, candidate: next(sent[candidate]), RULE, drawn(5))
    assert verdict is not None
    assert (verdict.pace, verdict.pairs) == (Pace.UNDECIDED, MAXIMUM_PAIRS)


def test_a_model_that_takes_long_is_asked_less_often() -> None:
    """What the machine adds to a second is little; the fastest of seven is for milliseconds."""
    assert [turns(seconds) for seconds in (0.0, 0.05, 0.1, 0.25, 9.0)] == [7, 7, 7, 4, 1]
