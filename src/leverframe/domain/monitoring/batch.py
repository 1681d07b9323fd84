"""Requests and their predictions as columns, a batch at a time: what every log becomes, whoever wrote it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NO_TIME = np.iinfo(np.int64).min  # a timestamp that is missing or cannot be read


@dataclass(frozen=True)
class Numbers:
    """Values of shape (rows,), NaN where missing; ``unreadable`` of them were there and no number, also NaN.

    ``strange`` tells which those are; None where there are none, or where nobody will ask.
    """

    values: Floats
    unreadable: int = 0
    strange: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Levels:
    """Texts as codes of shape (rows,) into ``names``, -1 where missing."""

    codes: NDArray[np.int32]
    names: tuple[str, ...]


Values = Numbers | Levels


@dataclass(frozen=True)
class Batch:
    """Rows of requests; every array has shape (rows,), predictions of many classes (rows, classes).

    ``at`` and ``snapshot`` are microseconds since the epoch, ``NO_TIME`` where unknown; ``snapshot`` is the end of
    the data that features were looked up in. ``row`` is a hash of request id and row, 0 where there is no id.
    ``columns`` lacks what the log lacks. ``release`` names the bundle that predicted, ``milliseconds`` are NaN where
    unknown, and ``missed`` tells per table of the snapshot which rows were not found in it. ``place`` is the number of
    a row in its request, from 0; None where every row is a request. ``key`` is a hash of what labels are joined on, 0
    where part of it is missing; None where it is not asked for.
    """

    at: Ints
    row: NDArray[np.uint64]
    columns: Mapping[str, Values]
    predictions: Floats
    release: Levels
    milliseconds: Floats
    snapshot: Ints
    missed: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    place: NDArray[np.int64] | None = None
    key: NDArray[np.uint64] | None = None

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.at)


@dataclass(frozen=True)
class LogFacts:
    """What can be said of a log only after it was read: what could not be read, and what was refused.

    ``malformed`` counts lines by file, ``unreadable`` names files with the reason; ``refused`` and ``failed`` count
    requests of an hour (microseconds since the epoch at its start) that were refused or failed. ``untimed`` rows have
    no readable timestamp, ``later`` ones are of after the time that was asked for, ``earlier`` ones of more than a day
    before the day of the folder that they stand in: clocks differ. ``unexpected`` counts the files with a column that
    neither the model nor a role has.
    """

    files: int = 0
    malformed: Mapping[str, int] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[int, int] = field(default_factory=dict)
    failed: Mapping[int, int] = field(default_factory=dict)
    other_models: Mapping[str, int] = field(default_factory=dict)  # rows by the name of a model that is not ours
    unexpected: Mapping[str, int] = field(default_factory=dict)
    untimed: int = 0
    later: int = 0
    earlier: int = 0


class RequestLog(Protocol):
    """Closed files of requests with their predictions."""

    def batches(self) -> Iterator[Batch]:
        """Yield every readable row of the model once, in bounded memory and no particular order."""

    @property
    def facts(self) -> LogFacts:
        """What came out beside the rows; complete once ``batches`` ended."""


@dataclass(frozen=True)
class LabelledRows:
    """Rows of one window with their labels, which arrived: shape (rows,), predictions of many classes (rows, classes).

    ``delay`` is the time from prediction to label in hours, NaN where the labels say no time.
    """

    at: Ints
    labels: Floats
    predictions: Floats
    delay: Floats
