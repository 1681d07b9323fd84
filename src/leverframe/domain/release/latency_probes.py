"""The requests by which the response times of two releases are compared, and how they are sent: in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from random import Random
from typing import Any

from leverframe.domain.model.bundle.schema import Schema
from leverframe.domain.release.latency import MAXIMUM_PAIRS, Pace, Paced, PaceRule, Pair, clear, paced, turns
from leverframe.domain.release.replay import as_requests, body, together

_BATCH = 32  # rows
_BYTES = 1_000_000  # of one request; more is left out

Ask = Callable[[bytes, bool], float | None]  # of the candidate or not: seconds, None for a response other than 200


@dataclass(frozen=True)
class Probe:
    """A request, and what it is in words."""

    what: str
    body: bytes


def probes(schema: Schema, golden: Sequence[Mapping[str, Any]], earliest: datetime | None) -> Iterator[Probe]:
    """Yield a request for one row and one for a batch of each form; ``earliest`` as in ``replay.inputs``."""
    for form, group in groupby(golden, key=lambda row: row["form"]):
        rows = as_requests(schema.model, list(group)[:_BATCH])
        for part in [rows[:1], rows] if len(rows) > 1 else [rows]:
            request = body(schema, together(part), earliest)
            if len(request) <= _BYTES:
                yield Probe(f"{len(part)} row{'s' if len(part) > 1 else ''} by {form}", request)


def compared(probe: Probe, ask: Ask, rule: PaceRule, draw: Random) -> Paced | None:
    """Send a request to both releases until it is decided; None where one of them does not answer it with 200.

    Each is sent it once before, so that neither is slow because it was not used for a while.
    """
    first = ask(probe.body, False), ask(probe.body, True)
    if first[0] is None or first[1] is None:
        return None
    count = turns(first[0] + first[1])
    pairs: list[Pair] = []
    while len(pairs) < MAXIMUM_PAIRS:
        pair = _pair(probe, ask, draw, count, rule)
        if pair is None:
            return None
        pairs.append(pair)
        comparison = paced(pairs, rule, probe.what)
        if comparison.pace is not Pace.UNDECIDED:
            break
    return comparison


def _pair(probe: Probe, ask: Ask, draw: Random, count: int, rule: PaceRule) -> Pair | None:
    """Return a pair of at most so many turns; None where one of both does not answer with 200."""
    before, after = list[float](), list[float]()
    for _ in range(count):
        for candidate in draw.sample((False, True), 2):
            seconds = ask(probe.body, candidate)
            if seconds is None:
                return None
            (after if candidate else before).append(seconds)
        if clear(before, after, rule):
            return Pair(min(before), min(after), clear=True)
    return Pair(min(before), min(after))
