"""Labels that arrive after the predictions: what of them fits a request, and what does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from leverframe.domain.monitoring.batch import LabelledRows


@dataclass(frozen=True)
class LabelFacts:
    """What can be said of labels after they were joined.

    Of ``labels`` rows, ``strange`` have no label that the model knows, ``keyless`` lack a column to join on,
    ``repeated`` say again what another one said, and ``contradicting`` keys have different labels, of which the one
    that was known last counts. ``unmatched`` keys have no request in the windows that are looked at, ``untimed`` labels
    no readable time, ``later`` ones became known after the run. ``early`` rows have a label that was known
    before their prediction: clocks differ.
    """

    files: int = 0
    malformed: Mapping[str, int] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    labels: int = 0
    strange: int = 0
    keyless: int = 0
    repeated: int = 0
    contradicting: int = 0
    unmatched: int = 0
    untimed: int = 0
    later: int = 0
    early: int = 0


@dataclass(frozen=True)
class WindowLabels:
    """The rows of a window that have a label, of ``rows`` that were predicted; ``early`` as in ``LabelFacts``."""

    window: str
    rows: int
    labelled: LabelledRows
    early: int

    @property
    def coverage(self) -> float | None:
        """The share of rows with a label; None where nothing was predicted."""
        return len(self.labelled.labels) / self.rows if self.rows else None


class LabelJoin(Protocol):
    """Labels and the requests that they belong to."""

    def windows(self) -> Iterator[WindowLabels]:
        """Yield every window, oldest first, one in memory at a time."""

    @property
    def facts(self) -> LabelFacts:
        """What else can be said of the labels; complete once ``windows`` ended."""
