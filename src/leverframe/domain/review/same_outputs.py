"""Whether a run wrote what the lock and git claim, output by output, and what could not be compared."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Literal, Protocol

from leverframe.domain import layout
from leverframe.domain.pipeline.status.graph import edges, ordered
from leverframe.domain.pipeline.status.resolved import Artefact, Locked, Recorded, Stage

How = Literal["digits", "predictions", "contents", "digests", "drawn", "bytes", "unclaimed"]
TABLE = ".parquet"
TABLES = (TABLE, ".csv", ".tsv", ".json", ".jsonl", ".txt", ".yaml", ".yml", ".toml")  # by values, or as texts
MODELS = (layout.MODEL.as_posix(), layout.BUNDLE.as_posix())
SAME: tuple[How, ...] = ("digits", "predictions")  # whoever reads such an output reads what is claimed

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
class SameModel:
    """How the predictions of a model lie apart from those of the claimed one, on rows of the hold-out.

    ``others`` tells that what a bundle holds beside the model differs, too, in files that nobody compares.
    """

    rows: int
    differing: int
    largest: float
    others: bool = False

    def __str__(self) -> str:
        """Return it in words."""
        if not self.differing:
            return f"on {self.rows:,} rows"
        return f"predictions differ on {self.differing:,} of {self.rows:,} rows, by up to {self.largest:.3g}"


class Contents(Protocol):
    """What is in outputs that are no texts, now and in a record of the cache."""

    def same_table(self, path: str, claimed: Recorded, tolerance: float) -> bool | None:
        """Tell whether a table, or text, has the values of a record; None where either cannot be read."""

    def same_model(self, path: str, claimed: Recorded, tolerance: float) -> SameModel | None:
        """Compare a model, or that of a bundle, with a record by predictions; None where either cannot be asked."""


@dataclass(frozen=True)
class Difference:
    """An output, or a text file in one, of other bytes than claimed.

    ``how`` tells whether only last digits of a text or table differ, or the bytes of a model that predicts the same;
    its contents; ``digests`` alone that a text names; what is ``drawn`` of rows, which one digit changes wholly; bytes
    that nobody can read, or whether the lock does not claim the output at all. ``words`` say more.
    ``same_inputs`` tells whether the stage read what the lock claims, up to last digits.
    """

    stage: str
    path: str
    how: How
    same_inputs: bool
    words: str = ""


def outputs(lock: Mapping[str, Locked]) -> list[str]:
    """Return the outputs of all stages."""
    return [path for entry in lock.values() for path in entry.outputs]


def in_order(lock: Mapping[str, Locked], names: Collection[str]) -> list[str]:
    """Return some stages of a lock, writers before their readers; raises ``DefinitionError`` for a cycle."""
    stages = [
        Stage(
            name,
            "dvc.lock",
            dependencies=tuple(Artefact(path, path) for path in entry.dependencies),
            outputs=tuple(Artefact(path, path) for path in entry.outputs),
        )
        for name, entry in lock.items()
    ]
    return [stage.name for stage in ordered(stages, edges(stages)) if stage.name in names]


def differences(before: State, after: State, ran: Set[str], tolerance: float, contents: Contents) -> list[Difference]:
    """Return every output of the stages that ran that is not as claimed before, writers before their readers."""
    differences: list[Difference] = []
    for name in in_order(after.lock, ran):
        alike_paths = {difference.path for difference in differences if difference.how in SAME}
        same = _same_inputs(before.lock.get(name), after.lock[name], alike_paths)
        differences += _of_stage(name, (before, after), same, tolerance, contents)
    return differences


def _same_inputs(ours: Locked | None, theirs: Locked, alike_paths: Set[str]) -> bool:
    """Tell whether a stage read what is claimed, where files that differ in last digits count as the same."""
    if ours is None or (ours.command, ours.parameters) != (theirs.command, theirs.parameters):
        return False
    return ours.dependencies.keys() == theirs.dependencies.keys() and all(
        ours.dependencies[path] == recorded or path in alike_paths for path, recorded in theirs.dependencies.items()
    )


def _of_stage(
    name: str, states: tuple[State, State], same: bool, tolerance: float, contents: Contents
) -> Iterator[Difference]:
    before, after = states
    ours, theirs = before.lock.get(name), after.lock[name]
    claimed = ours.outputs if ours else {}
    for path in dict.fromkeys([*theirs.outputs, *claimed]):
        if path not in claimed:
            yield Difference(name, path, "unclaimed", same)
            continue
        differs = claimed[path] != theirs.outputs.get(path)
        model = contents.same_model(path, claimed[path], tolerance) if path in MODELS and differs else None
        if model is not None:
            yield Difference(name, path, "contents" if model.differing else "predictions", same, str(model))
            differs = model.others
        files = [file for file in {**before.texts, **after.texts} if file == path or file.startswith(f"{path}/")]
        if not path.startswith(_IN_GIT) and not before.texts.keys() & files:
            files = []  # what DVC keeps was not here before, so that its bytes alone can be compared
        texts = {file: (before.texts.get(file), after.texts.get(file)) for file in files}
        kinds = {file: _how(file, one, other, tolerance) for file, (one, other) in texts.items() if one != other}
        if not kinds and differs:
            table = path.endswith(TABLES)
            kinds = {path: _how_of_table(contents.same_table(path, claimed[path], tolerance) if table else None)}
        yield from (Difference(name, file, how, same) for file, how in kinds.items())


def _how_of_table(same: bool | None) -> How:
    return "bytes" if same is None else "digits" if same else "contents"


def _how(file: str, one: str | None, other: str | None, tolerance: float) -> How:
    if one is None or other is None:
        return "contents"
    if alike(one, other, tolerance):
        return "digits"
    if same_but_digests(one, other, tolerance):
        return "digests"
    return "drawn" if file.startswith(_OPAQUE) else "contents"


def same_but_digests(one: str, other: str, tolerance: float) -> bool:
    """Tell whether two texts are the same but for last digits and the digests that they name."""
    ours, theirs = (_DIGEST.sub("digest", text) for text in (one, other))
    return alike(ours, theirs, tolerance)


def alike(one: str, other: str, tolerance: float) -> bool:
    """Tell whether two texts are the same but for numbers within a relative tolerance."""
    return _near(one, other, tolerance, tolerance)


def drawn_alike(one: str, other: str) -> bool:
    """Tell whether two drawings are the same but for numbers that no reader would tell apart."""
    return _near(one, other, 0.01, 0.02)


def _near(one: str, other: str, relative: float, absolute: float) -> bool:
    ours, theirs = (_NUMBER.split(text) for text in (one, other))
    return len(ours) == len(theirs) and all(
        a == b or (place % 2 == 1 and math.isclose(float(a), float(b), rel_tol=relative, abs_tol=absolute))
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
