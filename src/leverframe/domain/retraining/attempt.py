"""An attempt to train the model anew, as it is recorded: why, on which rows, and what the comparison said.

``retrain.jsonl`` has a line an attempt. Lines are only added; a run that is repeated adds none twice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from leverframe.documents import Timestamp, parsed, plain
from leverframe.domain.review.gate.gate_result import Compared, SliceCompared

VERSION = 1


class Cause(StrEnum):
    """Why a candidate is trained, strongest evidence first."""

    PERFORMANCE = "performance"  # realised, on labels
    CONCEPT = "concept"  # the same rows have other labels
    CALIBRATION = "calibration"
    DRIFT = "drift"  # of columns that the model relies on, or of its estimated performance
    AGE = "age"
    NEW_ROWS = "new-rows"
    REQUESTED = "requested"  # by a person


class Outcome(StrEnum):
    """The result of an attempt, and with that what happens to the pull request."""

    BETTER = "better"  # ready for review
    NOT_WORSE = "not-worse"  # a draft
    UNDECIDED = "undecided"  # too little evidence: none, and no back-off beyond the cooldown
    WORSE = "worse"  # none
    TOO_FEW_LABELS = "too-few-labels"  # none
    BROKEN_DATA = "broken-data"  # none: a contract of the new rows is broken
    FAILED = "failed"  # none: the pipeline did not run


PROPOSED = frozenset({Outcome.BETTER, Outcome.NOT_WORSE})
UNHELPFUL = frozenset({Outcome.WORSE, Outcome.BROKEN_DATA, Outcome.FAILED})  # each in a row doubles the cooldown


@dataclass(frozen=True)
class Evidence:
    """One finding of the monitor, or a fact such as an age, that speaks for an attempt; ``what`` is a sentence."""

    cause: Cause
    subject: str
    window: str
    since: str
    what: str


@dataclass(frozen=True)
class RetrainWindow:
    """Partitions by key, both ends included: those learnt from, and the later ones of the hold-out.

    ``data_last`` is the last partition that the pipeline must have, that of the hold-out. ``train_first`` is empty
    where it never moves.
    """

    train_first: str
    train_last: str
    holdout_first: str
    holdout_last: str

    @property
    def data_last(self) -> str:
        """The newest partition."""
        return self.holdout_last

    def __str__(self) -> str:
        """Return it in words."""
        learnt = f"on {self.train_first} to {self.train_last}" if self.train_first else f"until {self.train_last}"
        return f"trained {learnt}, judged on {self.holdout_first} to {self.holdout_last}"


@dataclass(frozen=True)
class Cost:
    """What training cost: rows of both sets, seconds of the pipeline, bytes of model and snapshot before and after.

    None is what nobody knows of a pipeline of one's own.
    """

    train_rows: int | None
    holdout_rows: int
    seconds: float
    champion_bytes: int | None
    candidate_bytes: int | None


@dataclass(frozen=True)
class Comparison:
    """Champion and candidate on the new hold-out, and on the old one where rows of it are left (forgetting).

    ``metric`` decides. ``violations`` are those of the gate's rules in words. ``labelled`` counts hold-out rows with
    a label, ``days`` its days. Bounds are one-sided with ``confidence``. ``usual`` is the AUC of the monitor's
    reference, None where there is none.
    """

    metric: str
    confidence: float
    labelled: int
    days: int
    metrics: tuple[Compared, ...]
    old_rows: int
    old_how: str
    old_metrics: tuple[Compared, ...]
    slices: tuple[SliceCompared, ...]  # those that got worse most come first
    violations: tuple[str, ...]
    notes: tuple[str, ...] = ()
    usual: float | None = None


@dataclass(frozen=True)
class Attempt:
    """One attempt; ``at`` is ISO 8601, ``base`` the commit it started from, ``evidence`` a digest of its grounds.

    ``window`` and ``comparison`` are None where it did not come to that. ``pull`` is the address of the pull request,
    ``candidate`` the digest (md5) of the model that was trained, ``champion`` that of the base, empty where unknown.
    """

    model: str
    environment: str
    at: Timestamp
    base: str
    evidence: str
    causes: tuple[Evidence, ...]
    outcome: Outcome
    why: str
    window: RetrainWindow | None = None
    comparison: Comparison | None = None
    cost: Cost | None = None
    candidate: str = ""
    champion: str = ""
    pull: str = ""
    version: int = VERSION

    @property
    def key(self) -> tuple[str, ...]:
        """What there is one line of: the same time may be asked for again, on another base or with another end."""
        return self.model, self.evidence, self.at, self.base, self.outcome, self.candidate


def read_attempts(text: str) -> list[Attempt]:
    """Return the attempts that can be read, oldest first, each once; what cannot be read is left where it is."""
    attempts: dict[tuple[str, ...], Attempt] = {}
    for line in text.splitlines():
        try:
            attempt = parsed(Attempt, line)
        except ValueError:
            continue
        attempts.setdefault(attempt.key, attempt)
    return sorted(attempts.values(), key=lambda attempt: attempt.at)


def with_attempts(text: str, attempts: Sequence[Attempt]) -> str:
    """Return the text with the attempts that it lacks at its end; lines that are there stay as they are."""
    known = {attempt.key for attempt in read_attempts(text)}
    fresh = [attempt for attempt in attempts if attempt.key not in known]
    whole = text if not text or text.endswith("\n") else text + "\n"  # a writer was killed within a line
    return whole + "".join(json.dumps(plain(attempt), separators=(",", ":")) + "\n" for attempt in fresh)
