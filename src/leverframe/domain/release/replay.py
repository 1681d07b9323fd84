"""What would change for those who ask: logged requests, answered by the release that serves and by the candidate."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from leverframe.domain.model.bundle.metadata import datatype
from leverframe.domain.model.bundle.schema import AS_OF, Schema
from leverframe.domain.release.smoke import OWN

_SHOWN = 5


@dataclass(frozen=True)
class LoggedRequest:
    """What was asked of ``model`` and when: ``columns`` are lists of values, by name; ``form`` is how it was asked."""

    id: str
    model: str
    at: datetime
    form: str
    columns: Mapping[str, list[Any]]


@dataclass(frozen=True)
class Flip:
    """A row whose answer moved far: its request, what was said and what would be said."""

    request: str
    row: int
    before: float
    after: float


@dataclass(frozen=True)
class Replayed:
    """``rows`` of ``requests`` that both answered; latencies are medians in milliseconds.

    ``lost`` requests are those that only the candidate refused, ``skipped`` those that neither could
    answer, for example because a column is not logged.
    """

    requests: int
    rows: int
    disagree: int
    lost: int
    skipped: int
    largest: tuple[Flip, ...]
    before_ms: float
    after_ms: float

    @property
    def share(self) -> float:
        """The share of rows that get another label, requests that are lost among them."""
        return (self.disagree + self.lost) / max(1, self.rows + self.lost)

    def line(self) -> str:
        """Return it in words."""
        if not self.rows and not self.lost:
            return f"no logged request could be replayed ({self.skipped} skipped)"
        lost = f", {self.lost:,} requests are refused" if self.lost else ""
        far = f"; furthest {self.largest[0].before:.3f} to {self.largest[0].after:.3f}" if self.largest else ""
        return (
            f"{self.rows:,} rows of {self.requests:,} logged requests: {self.disagree:,} get another label "
            f"({self.share:.1%}){lost}{far}; {self.before_ms:.1f} ms before, {self.after_ms:.1f} ms after"
        )


@dataclass(frozen=True)
class Twice:
    """One logged request and what both said, None where one refused: numbers a row, and milliseconds."""

    request: str
    before: Sequence[Sequence[float]] | None
    after: Sequence[Sequence[float]] | None
    before_ms: float
    after_ms: float


def body(schema: Schema, request: LoggedRequest) -> bytes:
    """Return a logged request as it can be asked again."""
    return json.dumps({"id": OWN, "inputs": inputs(schema, request)}).encode()


def inputs(schema: Schema, request: LoggedRequest) -> list[dict[str, Any]]:
    """Return what was logged as tensors of the V2 protocol; what the schema does not have is left out.

    A request by keys without a moment asked for now: asked again, it asks for the moment of its log.
    """
    known = {each.name: each for each in (*schema.columns, *schema.keys)}
    columns = dict(request.columns)
    if request.form == "keys" and AS_OF not in columns:
        rows = max(map(len, columns.values()), default=0)
        columns[AS_OF] = [request.at.isoformat()] * rows
    return [
        {"name": name, "shape": [len(values)], "datatype": datatype(known[name]), "data": values}
        for name, values in columns.items()
        if name in known
    ]


def judged(schema: Schema, pairs: Sequence[Twice]) -> Replayed:
    """Return what the pairs show together."""
    both = [each for each in pairs if each.before is not None and each.after is not None]
    flips: list[tuple[float, Flip]] = []
    disagree = rows = 0
    for each in both:
        for row, (before, after) in enumerate(zip(each.before or (), each.after or (), strict=False)):
            rows += 1
            disagree += _label(schema, before) != _label(schema, after)
            apart, said, says = max((abs(a - b), a, b) for a, b in zip(before, after, strict=False))
            flips.append((apart, Flip(each.request, row, said, says)))
    flips.sort(key=lambda each: (-each[0], each[1].request, each[1].row))
    return Replayed(
        requests=len(both),
        rows=rows,
        disagree=disagree,
        lost=sum(each.before is not None and each.after is None for each in pairs),
        skipped=sum(each.before is None for each in pairs),
        largest=tuple(flip for apart, flip in flips[:_SHOWN] if apart > 0),
        before_ms=_median([each.before_ms for each in both]),
        after_ms=_median([each.after_ms for each in both]),
    )


def _label(schema: Schema, numbers: Sequence[float]) -> object:
    if schema.label.kind == "regression":
        return None  # there is no label that could change
    return numbers[0] > 0.5 if schema.label.kind == "binary" else max(range(len(numbers)), key=lambda n: numbers[n])


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else 0.0
