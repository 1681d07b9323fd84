"""Whether a release responds more slowly than the one that serves, judged by the same requests to both.

A pair is the response time of either release to the same request, each the fastest of several that were sent in turn,
in an order that is drawn anew for every turn. Where both releases take the same time, each is the slower one of a pair
with a chance of at most one half, whatever else the machine does: the draw makes it so, not the noise. A bet of one
unit on "slower", which gains or loses the same share of itself with a pair, then reaches a multiple of itself with
at most the inverse chance, however long it goes on (Ville 1939, "Étude critique de la notion de collectif").

What the machine does only adds to the time of a response. So a pair ends early, and more is staked on it, where more
turns would hardly change it: see ``clear``.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import NamedTuple

FALSE_ALARM = 1 / 4000  # for one kind of request; there are at most four
MAXIMUM_PAIRS = 300
_GIVEN_UP = 0.005  # of the bet, at which it is lost
_STAKE = 0.4  # of the bet: best where a slow release is beyond the rule in seven pairs of ten
_CLEAR_STAKE = 0.85  # and in more than nine of ten
_TURNS, _PAIR = 7, 1.0  # of which the fastest counts, as it was hardly interrupted; and seconds for all of them
_ALIKE, _NEAR = 3, 0.15  # how many of the fastest lie how close together, as a share of what may be added, where clear


class Pair(NamedTuple):
    """Seconds of the release that serves and of the candidate; ``clear`` where more turns would hardly change them."""

    before: float
    after: float
    clear: bool = False


class Pace(StrEnum):
    """What the pairs say of the candidate."""

    SLOWER = "slower"
    NOT_SLOWER = "not slower"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class PaceRule:
    """A slower release takes more than ``maximum_slowdown`` times as long and ``floor`` seconds longer."""

    maximum_slowdown: float
    floor: float

    @property
    def words(self) -> str:
        """The rule in words."""
        return f"allowed are {self.maximum_slowdown:g} times as long, and {self.floor * 1000:g} ms longer"

    def beyond(self, before: float) -> float:
        """Return how many seconds longer a response may take that usually took ``before`` seconds."""
        return max(self.floor, (self.maximum_slowdown - 1) * before)


@dataclass(frozen=True)
class Paced:
    """What ``pairs`` pairs of a request say; in ``slower`` the candidate was beyond the rule. Medians in milliseconds.

    ``chance`` bounds from above how often pairs as bad as these come from a release that takes the same time.
    """

    what: str
    pace: Pace
    pairs: int
    slower: int
    before_ms: float
    after_ms: float
    difference_ms: float
    chance: float

    def line(self) -> str:
        """Return it in words."""
        return (
            f"a prediction of {self.what} takes {self.after_ms:.1f} ms instead of {self.before_ms:.1f} ms "
            f"({self.pace}: {self.difference_ms:+.1f} ms in the median of {self.pairs} pairs)"
        )


def turns(usual: float) -> int:
    """Return of how many turns the fastest counts, by the seconds of one: a long response is hardly made longer."""
    return max(1, min(_TURNS, int(_PAIR / max(usual, 1e-9))))


def clear(before: Sequence[float], after: Sequence[float], rule: PaceRule) -> bool:
    """Tell whether more turns would hardly change a pair, by the seconds of its turns so far.

    They cannot where the candidate responded within the floor: then it takes less than that longer, whatever the other
    one takes. They hardly do where the three fastest responses of both agree: interruptions differ. Neither favours
    a release: which of both is the candidate changes nothing of the latter, and the former only loses the bet.
    """
    if min(after) <= rule.floor:
        return True
    return _agree(before, rule) and _agree(after, rule)


def _agree(seconds: Sequence[float], rule: PaceRule) -> bool:
    """Tell whether the fastest responses of a release lie within a share of what may be added to them."""
    fastest = sorted(seconds)[:_ALIKE]
    return len(fastest) == _ALIKE and fastest[-1] - fastest[0] <= _NEAR * rule.beyond(fastest[0])


def paced(pairs: Sequence[Pair], rule: PaceRule, what: str) -> Paced:
    """Return what pairs say, in the order in which they were measured; there is at least one.

    What is usual is the median of the pairs so far, so a machine that is slow altogether is slow for both.
    """
    bet = best = 1.0
    slower, pace = 0, Pace.UNDECIDED
    known: list[float] = []
    for pair in pairs:
        insort(known, pair.before)
        beyond = pair.after - pair.before > rule.beyond(known[len(known) // 2])
        slower += beyond
        stake = _CLEAR_STAKE if pair.clear else _STAKE
        bet *= 1 + stake if beyond else 1 - stake
        best = max(best, bet)
        if pace is Pace.UNDECIDED:
            pace = _decided(bet)
    old, new, apart = (median(values) * 1000 for values in (
        [pair.before for pair in pairs], [pair.after for pair in pairs], [pair.after - pair.before for pair in pairs],
    ))  # fmt: skip
    return Paced(what, pace, len(pairs), slower, old, new, apart, 1 / best)


def _decided(bet: float) -> Pace:
    if bet >= 1 / FALSE_ALARM:
        return Pace.SLOWER
    return Pace.NOT_SLOWER if bet <= _GIVEN_UP else Pace.UNDECIDED
