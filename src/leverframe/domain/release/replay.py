"""What would change for clients: logged requests, sent to the release that serves and to the candidate."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import fsum
from typing import Any

from leverframe.domain.features.request import timestamp
from leverframe.domain.model.bundle.metadata import datatype
from leverframe.domain.model.bundle.schema import AS_OF, Schema
from leverframe.domain.model.evaluate.evaluation_summary import short
from leverframe.domain.release.row_weights import ENOUGH, weights
from leverframe.domain.release.smoke import OWN
from leverframe.errors import RequestError

_SHOWN = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
    """``rows`` different rows of ``requests`` that both models predicted; latencies are medians in milliseconds.

    ``disagree`` of the rows get another label. ``lost`` different requests are those that only the candidate refused,
    ``skipped`` those that the release before refused, for example because a column is not logged. ``numbers`` tells
    that it is a regression, which has no labels. ``share`` is the share of the evidence that changes: rows by their
    weight, and what is lost. ``instead`` says why these are golden rows; it is empty where they are logged requests.
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
    share: float = 0.0
    evidence: float = 0.0
    instead: str = ""

    @property
    def what(self) -> str:
        """What was replayed, in words."""
        if self.instead:
            return f"{self.instead}, so golden rows decide: {self.rows:,} of them"
        return f"{self.rows:,} different rows of {self.requests:,} logged requests"

    def line(self) -> str:
        """Return it in words."""
        if not self.rows and not self.lost:
            return f"{self.instead or 'nothing was replayed'}, and no golden row could be ({self.skipped} skipped)"
        lost = f", {self.lost:,} requests are refused" if self.lost else ""
        changed = self.moved if self.numbers else f"{self.disagree:,} get another label ({self.share:.1%})"
        far = f"; furthest {self.largest[0].before:.3f} to {self.largest[0].after:.3f}" if self.largest else ""
        return (
            f"{self.what}: {changed}{lost}{'' if self.numbers else far}; "
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
    """One logged request and both predictions, None where one was refused: numbers a row, and milliseconds.

    ``rows`` are the rows as the client sent them; the same row has the same text in every request.
    """

    request: str
    rows: Sequence[str] = field(repr=False)
    before: Sequence[Sequence[float]] | None
    after: Sequence[Sequence[float]] | None
    before_ms: float
    after_ms: float

    @property
    def different(self) -> frozenset[str]:
        """Its different rows."""
        return frozenset(self.rows)


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


def as_requests(model: str, golden: Sequence[Mapping[str, Any]]) -> list[LoggedRequest]:
    """Return golden rows as requests of one row each; those by keys name their time."""
    rows = [(row["form"], {name: [value] for name, value in row["inputs"].items()}) for row in golden]
    return [
        LoggedRequest(f"golden row {number}", model, _EPOCH, form, columns)
        for number, (form, columns) in enumerate(rows)
    ]


def together(requests: Sequence[LoggedRequest]) -> LoggedRequest:
    """Return requests of one form, which have the same columns, as one."""
    first = requests[0]
    columns = {name: [value for request in requests for value in request.columns[name]] for name in first.columns}
    return replace(first, columns=columns)


def replay(
    schema: Schema, requests: Iterable[LoggedRequest], before: Predict, after: Predict, golden: Sequence[LoggedRequest]
) -> Replayed:
    """Return what changes where requests go to another model; each is sent to one right after the other.

    Where the log has too little evidence, ``golden`` rows are replayed in its place.
    """
    logged = summarised(schema, [_pair(request, before, after) for request in requests])
    if logged.evidence >= ENOUGH:
        return logged
    count = f"{logged.rows:,} different row{'' if logged.rows == 1 else 's'} of {logged.requests:,} logged requests"
    decisive = summarised(schema, [_pair(request, before, after) for request in golden])
    return replace(decisive, instead=f"{count} are too little evidence")


def _pair(request: LoggedRequest, before: Predict, after: Predict) -> RequestPair:
    (old, old_ms), (new, new_ms) = before(request), after(request)
    return RequestPair(request.id, _rows(request), old, new, old_ms, new_ms)


def _rows(request: LoggedRequest) -> list[str]:
    """Return the rows of a request as texts."""
    columns, count = sorted(request.columns.items()), max(map(len, request.columns.values()), default=0)
    return [
        json.dumps([request.form, [(name, values[row]) for name, values in columns if row < len(values)]])
        for row in range(count)
    ]


def summarised(schema: Schema, pairs: Sequence[RequestPair]) -> Replayed:
    """Return what the pairs show together; the same row counts once, however often it was requested."""
    both = [pair for pair in pairs if pair.before is not None and pair.after is not None]
    lost = {pair.different for pair in pairs if pair.before is not None and pair.after is None}
    changed: dict[str, list[bool]] = {}
    for pair in both:
        for key, before, after in _predicted(pair):
            changed.setdefault(key, []).append(_label(schema, before) != _label(schema, after))
    weight = weights([pair.different & changed.keys() for pair in both])
    evidence = fsum(weight.values()) + len(lost)
    change = fsum(weight[key] * sum(labels) / len(labels) for key, labels in changed.items()) + len(lost)
    return Replayed(
        requests=len(both),
        rows=len(changed),
        disagree=sum(map(any, changed.values())),
        lost=len(lost),
        skipped=sum(pair.before is None for pair in pairs),
        largest=_largest(both),
        before_ms=_median([pair.before_ms for pair in both]),
        after_ms=_median([pair.after_ms for pair in both]),
        numbers=schema.label.kind == "regression",
        share=change / evidence if evidence else 0.0,
        evidence=evidence,
    )


def _predicted(pair: RequestPair) -> Iterator[tuple[str, Sequence[float], Sequence[float]]]:
    """Yield the rows of a request with both predictions."""
    return zip(pair.rows, pair.before or (), pair.after or (), strict=False)


def _largest(pairs: Sequence[RequestPair]) -> tuple[Flip, ...]:
    """Return the different rows whose predictions are furthest apart."""
    flips = []
    for pair in pairs:
        for row, (key, before, after) in enumerate(_predicted(pair)):
            apart, old, new = max((abs(a - b), a, b) for a, b in zip(before, after, strict=False))
            flips.append((-apart, pair.request, row, key, Flip(pair.request, row, old, new)))
    flips.sort(key=lambda flip: flip[:3])
    furthest: dict[str, Flip] = {}
    for apart, _, _, key, flip in flips:
        if apart < 0:
            furthest.setdefault(key, flip)
    return tuple(furthest.values())[:_SHOWN]


def _label(schema: Schema, numbers: Sequence[float]) -> object:
    if schema.label.kind == "regression":
        return None  # there is no label that could change
    return numbers[0] > 0.5 if schema.label.kind == "binary" else max(range(len(numbers)), key=lambda n: numbers[n])


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else 0.0
