"""The names that columns of a case may not have, with the reason for each; compared without regard to case.

What an engine calls its own columns is not among them: adapters give every column of a file another
name while they read it.
"""

from __future__ import annotations

from collections.abc import Iterable

from leverframe.domain.data.column_types import folded, same_but_case
from leverframe.domain.features.training_set import AS_OF, LABEL
from leverframe.errors import DefinitionError

OURS = "__"  # names that begin so are columns of the compiler while it computes
KNOWN_AT, VERSIONS = "_known_at", "_versions"  # after a label's name: when it was known; its versions
MONTH = "month"  # slice of every case: the calendar month of as_of
PROBABILITY = "probability_"  # before the name of a class, in the file of predictions

_OUTPUT = {
    AS_OF: "the timestamp that a row's features are for has this name, in files and in requests",
    LABEL: "the label has this name in the training set, whatever star.yaml calls it",
    "event_time": "the time of a row's event has this name in every table",
    "known_at": "the time at which a row was known has this name in every table",
    MONTH: "evaluate.slices calls the calendar month of as_of so",
}
_TIMES = {"event_time", "known_at"}
_PREDICTED = {"score", "prediction", AS_OF, LABEL}


def in_predictions(name: str) -> bool:
    """Tell whether the file of predictions has a column of that name for something else than a slice."""
    return folded(name) in _PREDICTED or folded(name).startswith(PROBABILITY)


def refuse_outputs(
    columns: Iterable[str], labels: Iterable[str], *, keys: Iterable[str], calendar: Iterable[str]
) -> None:
    """Raise ``DefinitionError`` for a column of the output that has a reserved name, or that of another.

    ``columns`` come from tables or are features, ``labels`` are names of labels. Columns of ``keys`` only
    name rows: these may be the times of a row. Those of the ``calendar`` are made by the compiler. A label
    may be called ``label``.
    """
    given, named, times = list(columns), list(labels), set(keys)
    for name in given:
        allowed = _TIMES if name in times else {MONTH} if name in calendar else set()
        _refuse(name, allowed)
    for name in named:
        _refuse(name, {LABEL})
    made = [f"{name}{ending}" for name in named for ending in ("", KNOWN_AT, VERSIONS)]
    twice = same_but_case([*given, *made])
    if twice:
        both = f"`{twice[0]}`" if twice[0] == twice[1] else f"`{twice[0]}` and `{twice[1]}`, which is the same,"
        raise DefinitionError(
            f"two columns would be called {both}",
            why="a feature's name is made of its dimension or measure, column, function and window; "
            f"a label's name is also used with `{KNOWN_AT}` and `{VERSIONS}` after it",
            next="rename one of the two; a column of a table, in the transform of its source too",
        )


def _refuse(name: str, allowed: Iterable[str]) -> None:
    ours = f"names that begin with {OURS} are the compiler's own" if name.startswith(OURS) else None
    reason = ours or (_OUTPUT.get(folded(name)) if folded(name) not in allowed else None)
    if reason:
        raise DefinitionError(
            f"`{name}` is a reserved name",
            why=reason,
            next="rename it in star.yaml; a column of a table, in the transform of its source too",
        )
