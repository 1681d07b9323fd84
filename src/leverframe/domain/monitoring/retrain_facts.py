"""What a page and the metrics show of retraining, as plain values: the attempts, and when the next one is possible."""

from __future__ import annotations

from dataclasses import dataclass

from leverframe.domain.monitoring.monitor_words import State


@dataclass(frozen=True)
class TriedCandidate:
    """An attempt in words: ``at`` is ISO 8601, ``outcome`` a word of a closed list with its ``state``.

    ``title`` names the outcome. ``figures`` are those of the metric that decides, with their interval. ``pull`` is the
    address of the pull request, empty where there is none.
    """

    at: str
    causes: str
    window: str
    outcome: str
    title: str
    state: State
    figures: str
    why: str
    pull: str


@dataclass(frozen=True)
class RetrainFacts:
    """The attempts of a model, newest first, and how it stands now.

    ``waiting`` says why nothing is trained at present, ``until`` is when the next attempt is possible (ISO 8601), both
    empty where not known. ``outcomes`` are all that there may be. ``needs_human`` tells that a person should look.
    """

    tried: tuple[TriedCandidate, ...] = ()
    waiting: str = ""
    until: str = ""
    outcomes: tuple[str, ...] = ()
    needs_human: bool = False


NOTHING_TRIED = RetrainFacts()
