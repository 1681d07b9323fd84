"""What would change for clients: logged requests, sent to the release that serves and to the candidate."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from leverframe.domain.features.request import timestamp
from leverframe.domain.model.bundle.metadata import datatype
from leverframe.domain.model.bundle.schema import AS_OF, Schema
from leverframe.domain.model.evaluate.evaluation_summary import short
from leverframe.domain.release.smoke import OWN
from leverframe.errors import RequestError

_SHOWN = 5


@dataclass(frozen=True)
class LoggedRequest:
    """A prediction request to ``model`` and its time; ``columns`` are lists of values, ``form`` is how it was sent."""

    id: str
    model: str
    at: datetime
    form: str
    columns: Mapping[str, list[Any]]


@dataclass(frozen=True)
class RequestLog:
    """The newest requests of a log, oldest first; ``malformed`` lines, and files that cannot be read, were skipped."""

    requests: tuple[LoggedRequest, ...]
    malformed: int = 0
    name: str = ""


@dataclass(frozen=True)
class Flip:
    """A row whose prediction changed most: its request, the prediction before and after."""

    request: str
    row: int
    before: float
    after: float


@dataclass(frozen=True)
class Replayed:
    """``rows`` of ``requests`` that both models predicted; latencies are medians in milliseconds.

    ``lost`` requests are those that only the candidate refused, ``skipped`` those that the release before refused,
    for example because a column is not logged. ``numbers`` tells that it is a regression, which has no labels.
    """

    requests: int
    rows: int
    disagree: int
    lost: int
    skipped: int
    largest: tuple[Flip, ...]
    before_ms: float
    after_ms: float
    numbers: bool = False

    @property
    def share(self) -> float:
        """The share of rows that get another label, requests that are lost among them."""
        return (self.disagree + self.lost) / max(1, self.rows + self.lost)

    def line(self) -> str:
        """Return it in words."""
        if not self.rows and not self.lost:
            return f"no logged request could be replayed ({self.skipped} skipped)"
        lost = f", {self.lost:,} requests are refused" if self.lost else ""
        changed = self.moved if self.numbers else f"{self.disagree:,} get another label ({self.share:.1%})"
        far = f"; furthest {self.largest[0].before:.3f} to {self.largest[0].after:.3f}" if self.largest else ""
        return (
            f"{self.rows:,} rows of {self.requests:,} logged requests: {changed}{lost}{'' if self.numbers else far}; "
            f"{self.before_ms:.1f} ms before, {self.after_ms:.1f} ms after"
        )

    @property
    def moved(self) -> str:
        """How far numbers moved, in words; they have no label that could change."""
        if not self.largest:
            return "no prediction changed"
        first = self.largest[0]
        apart = short(abs(first.after - first.before))
        return f"predictions differ by at most {apart} ({short(first.before)} to {short(first.after)})"


Prediction = tuple[list[list[float]] | None, float]  # numbers a row, None where it was refused; milliseconds
Predict = Callable[[LoggedRequest], Prediction]


@dataclass(frozen=True)
class RequestPair:
    """One logged request and both predictions, None where one was refused: numbers a row, and milliseconds."""

    request: str
    before: Sequence[Sequence[float]] | None
    after: Sequence[Sequence[float]] | None
    before_ms: float
    after_ms: float


def body(schema: Schema, request: LoggedRequest, earliest: datetime | None = None) -> bytes:
    """Return a logged request as it can be sent again; ``earliest`` as in ``inputs``."""
    return json.dumps({"id": OWN, "inputs": inputs(schema, request, earliest)}).encode()


def inputs(schema: Schema, request: LoggedRequest, earliest: datetime | None = None) -> list[dict[str, Any]]:
    """Return the logged values as tensors of the V2 protocol; columns that the schema does not have are left out.

    A request by keys without ``as_of`` meant the time of the request: it gets the time of its log. One of before
    ``earliest`` is asked for that time: a snapshot that is newer than the log does not answer for the past.
    """
    known = {field.name: field for field in (*schema.columns, *schema.keys)}
    columns = dict(request.columns)
    if request.form == "keys":
        rows = max(map(len, columns.values()), default=0)
        times = columns.get(AS_OF, [None] * rows)
        columns[AS_OF] = [_not_before(earliest, value, request.at) for value in times]
    return [
        {"name": name, "shape": [len(values)], "datatype": datatype(known[name]), "data": values}
        for name, values in columns.items()
        if name in known
    ]


def answers_from(golden: Sequence[Mapping[str, Any]]) -> datetime | None:
    """Return from which time on a bundle answers for any key, by its golden rows; None where they name none."""
    times = [row["inputs"].get(AS_OF) for row in golden if row["form"] == "keys"]
    return max((timestamp(text) for text in times if text), default=None)


def _not_before(earliest: datetime | None, logged: Any, at: datetime) -> Any:
    """Return the time that a row asks for; what is no timestamp stays, for the server to refuse."""
    try:
        asked = at if logged is None else timestamp(logged)
    except RequestError:
        return logged
    if earliest is not None and asked < earliest:
        return earliest.isoformat()
    return at.isoformat() if logged is None else logged


def replay(schema: Schema, requests: Iterable[LoggedRequest], before: Predict, after: Predict) -> Replayed:
    """Return what changes where requests go to another model; each is sent to one right after the other."""
    pairs = []
    for request in requests:
        (old, old_ms), (new, new_ms) = before(request), after(request)
        pairs.append(RequestPair(request.id, old, new, old_ms, new_ms))
    return summarised(schema, pairs)


def summarised(schema: Schema, pairs: Sequence[RequestPair]) -> Replayed:
    """Return what the pairs show together."""
    both = [pair for pair in pairs if pair.before is not None and pair.after is not None]
    flips: list[tuple[float, Flip]] = []
    disagree = rows = 0
    for pair in both:
        for row, (before, after) in enumerate(zip(pair.before or (), pair.after or (), strict=False)):
            rows += 1
            disagree += _label(schema, before) != _label(schema, after)
            apart, old, new = max((abs(a - b), a, b) for a, b in zip(before, after, strict=False))
            flips.append((apart, Flip(pair.request, row, old, new)))
    flips.sort(key=lambda flip: (-flip[0], flip[1].request, flip[1].row))
    return Replayed(
        requests=len(both),
        rows=rows,
        disagree=disagree,
        lost=sum(pair.before is not None and pair.after is None for pair in pairs),
        skipped=sum(pair.before is None for pair in pairs),
        largest=tuple(flip for apart, flip in flips[:_SHOWN] if apart > 0),
        before_ms=_median([pair.before_ms for pair in both]),
        after_ms=_median([pair.after_ms for pair in both]),
        numbers=schema.label.kind == "regression",
    )


def _label(schema: Schema, numbers: Sequence[float]) -> object:
    if schema.label.kind == "regression":
        return None  # there is no label that could change
    return numbers[0] > 0.5 if schema.label.kind == "binary" else max(range(len(numbers)), key=lambda n: numbers[n])


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else 0.0
