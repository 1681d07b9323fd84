"""Whether a run wrote what the lock and git claim, output by output, and what could not be compared."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Literal

from leverframe.domain import layout
from leverframe.domain.pipeline.status.resolved import Locked

How = Literal["digits", "contents", "bytes", "unclaimed"]

_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)")
_DIGEST = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{32})\b")
# Hashes of rows and coordinates of drawings: the last digit of one value changes them in another place or wholly.
_IN_GIT = (layout.REPORTS.as_posix(), layout.MODEL_DESCRIPTION.as_posix())
_OPAQUE = (layout.SKETCHES.as_posix(), layout.PICTURES.as_posix())


@dataclass(frozen=True)
class State:
    """The entries of the lock by stage, and the text files among the outputs by path."""

    lock: Mapping[str, Locked]
    texts: Mapping[str, str]


@dataclass(frozen=True)
class Difference:
    """An output, or a text file in one, of other bytes than claimed.

    ``how`` tells whether only last digits of a text differ, its contents, bytes that nobody can read, or whether
    the lock does not claim the output at all. ``same_inputs`` tells whether the stage read what the lock claims.
    """

    stage: str
    path: str
    how: How
    same_inputs: bool


def outputs(lock: Mapping[str, Locked]) -> list[str]:
    """Return the outputs of all stages."""
    return [path for entry in lock.values() for path in entry.outputs]


def differences(before: State, after: State, ran: Set[str], tolerance: float) -> list[Difference]:
    """Return every output of the stages that ran that is not as claimed before, in the order of the lock."""
    return [each for name in after.lock if name in ran for each in _of_stage(name, before, after, tolerance)]


def _of_stage(name: str, before: State, after: State, tolerance: float) -> Iterator[Difference]:
    ours, theirs = before.lock.get(name), after.lock[name]
    claimed = ours.outputs if ours else {}
    same = ours is not None and ours.inputs == theirs.inputs
    for path in dict.fromkeys([*theirs.outputs, *claimed]):
        if path not in claimed:
            yield Difference(name, path, "unclaimed", same)
            continue
        files = [each for each in {**before.texts, **after.texts} if each == path or each.startswith(f"{path}/")]
        if not path.startswith(_IN_GIT) and not before.texts.keys() & files:
            files = []  # what DVC keeps was not here before, so that its bytes alone can be compared
        texts = {file: (before.texts.get(file), after.texts.get(file)) for file in files}
        found = {file: _how(file, one, other, tolerance) for file, (one, other) in texts.items() if one != other}
        if not found and claimed[path] != theirs.outputs.get(path):
            found = {path: "bytes"}
        yield from (Difference(name, file, how, same) for file, how in found.items())


def _how(file: str, one: str | None, other: str | None, tolerance: float) -> How:
    if one is None or other is None:
        return "contents"
    if alike(one, other, tolerance):
        return "digits"
    ours, theirs = (_DIGEST.sub("digest", each) for each in (one, other))
    return "bytes" if file.startswith(_OPAQUE) or alike(ours, theirs, tolerance) else "contents"


def alike(one: str, other: str, tolerance: float) -> bool:
    """Tell whether two texts are the same but for numbers within a relative tolerance."""
    ours, theirs = (_NUMBER.split(each) for each in (one, other))
    return len(ours) == len(theirs) and all(
        a == b or (place % 2 == 1 and math.isclose(float(a), float(b), rel_tol=tolerance, abs_tol=tolerance))
        for place, (a, b) in enumerate(zip(ours, theirs, strict=True))
    )


def same_origin(name: str, before: Mapping[str, Locked], after: Mapping[str, Locked]) -> bool:
    """Tell whether a stage came from the same commands, parameters and files, whatever stages in between wrote."""
    makers = {path: stage for stage, entry in after.items() for path in entry.outputs}
    waiting, seen = [name], {name}
    while waiting:
        stage = waiting.pop()
        ours, theirs = before.get(stage), after.get(stage)
        if ours is None or theirs is None or (ours.command, ours.parameters) != (theirs.command, theirs.parameters):
            return False
        if ours.dependencies.keys() != theirs.dependencies.keys():
            return False
        for path, recorded in theirs.dependencies.items():
            maker = makers.get(path)
            if ours.dependencies[path] != recorded and maker is None:
                return False
            if ours.dependencies[path] != recorded and maker is not None and maker not in seen:
                seen.add(maker)
                waiting.append(maker)
    return True
