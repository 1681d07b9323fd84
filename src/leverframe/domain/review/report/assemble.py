"""From what git and the levers left to a card; whatever is damaged costs its section, not the card."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from leverframe.documents import parsed
from leverframe.domain import layout
from leverframe.domain.model.bundle.conversion import Conversion
from leverframe.domain.pipeline.status.reasons import PipelineStatus
from leverframe.domain.review.check import Checked
from leverframe.domain.review.diff.diff_result import Diff
from leverframe.domain.review.gate.gate_result import Gated
from leverframe.domain.review.report.card import Card, Constraints, Curve, ParameterChange, StageNode
from leverframe.domain.review.report.curve_points import POINTS, at
from leverframe.domain.review.reproduce import Reproduced, StageRun
from leverframe.errors import LeverframeError
from leverframe.yaml_files import leaves

Kind = TypeVar("Kind")
Lever = TypeVar("Lever", Checked, Reproduced, Gated)
_CURVES = (("roc", "fpr", "tpr", "ROC"), ("precision-recall", "recall", "precision", "Precision and recall"))

Read = Callable[[], Kind]
Files = Mapping[str, bytes]  # the small files of one side, by path


def assembled(
    commits: tuple[str, str],
    levers: tuple[Checked | None, Reproduced | None, Gated | None],
    sides: tuple[Files, Files],
    parameters: tuple[Mapping[str, Any], Mapping[str, Any]],
    ask: tuple[Read[PipelineStatus], Read[Diff | None]],
    silence: str = "",
) -> Card:
    """Return the card of a change; ``sides`` are the files of base and head below ``reports``.

    Results of levers that belong to another commit are left out. ``silence`` says that the monitor has been silent.
    """
    base, head = commits
    notes: list[str] = [silence] if silence else []
    checked, reproduced, gated = levers
    status, diff = _or_note(ask[0], "the stages", notes), _or_note(ask[1], "the data diff", notes)
    nodes, edges = (
        _graph(status, reproduced.stages if reproduced and reproduced.head == head else ()) if status else ((), ())
    )
    return Card(
        base,
        head,
        _of(checked, head),
        _of(reproduced, head),
        _of(gated, head),
        tuple(_changes(*parameters)),
        _or_note(lambda: _constraints(sides[1]), "the contracts", notes),
        diff,
        tuple(_curves(*sides)),
        nodes,
        edges,
        tuple(notes),
        serving=_or_note(lambda: _serving(*sides), "what serves the model", notes) or "",
    )


def of_infrastructure(commits: tuple[str, str], parameters: tuple[Mapping[str, Any], Mapping[str, Any]]) -> Card:
    """Return the card of a change in a repository of infrastructure alone, still without its plans."""
    return Card(*commits, parameters=tuple(_changes(*parameters)), pipeline=False)


def _of(lever: Lever | None, head: str) -> Lever | None:
    return lever if lever is not None and lever.head == head else None


def wanted() -> tuple[str, ...]:
    """Return the files, and the folders with files, that a card is made of."""
    return (layout.CONTRACTS.as_posix(), layout.PLOTS.as_posix(), layout.BUNDLE_REPORT.as_posix())


def _or_note(read: Read[Kind], what: str, notes: list[str]) -> Kind | None:
    try:
        return read()
    except (LeverframeError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = error.what if isinstance(error, LeverframeError) else type(error).__name__
        notes.append(f"{what} cannot be shown: {reason}")
        return None


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[ParameterChange]:
    """Yield the keys that differ, those of the gate left aside: they have a paragraph of their own."""
    ours, theirs = _written(before), _written(after)
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name) and name.partition(".")[0] != "gate":
            yield ParameterChange(name, ours.get(name), theirs.get(name))


def _written(content: Mapping[str, Any]) -> dict[str, str]:
    def text(value: Any) -> str:
        return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)

    return {name: text(value) for name, value in leaves(content)}


def _constraints(files: Files) -> Constraints | None:
    checks = [
        (partition, table, check)
        for partition, content in _below(files, layout.CONTRACTS.as_posix(), ".json")
        for table, results in json.loads(content)["tables"].items()
        for check in results["checks"]
    ]
    if not checks:
        return None

    def named(severity: bool) -> tuple[str, ...]:
        return tuple(
            f"`{partition} {table}`: `{check['check']}`" + (f" of `{check['column']}`" if check.get("column") else "")
            for partition, table, check in checks
            if check["verdict"] == "failed" and (check["severity"] == "warn") is severity
        )

    passed = sum(check["verdict"] == "passed" for *_, check in checks)
    failed, warned = named(False), named(True)
    return Constraints(passed, len(checks) - passed - len(failed) - len(warned), failed, warned)


def _below(files: Files, folder: str, ending: str) -> Iterator[tuple[str, str]]:
    for path in sorted(files):
        if path.startswith(folder + "/") and path.endswith(ending):
            yield path.rpartition("/")[2].removesuffix(ending), files[path].decode(errors="replace")


def _serving(base: Files, head: Files) -> str:
    """Return why scikit-learn serves the model of the head, or that ONNX does again; empty where it does as ever."""
    ours, theirs = (_conversion(side) for side in (base, head))
    if theirs is None or (theirs.engine == "onnx" and (ours is None or ours.engine == "onnx")):
        return ""
    return theirs.line()


def _conversion(side: Files) -> Conversion | None:
    content = side.get(layout.BUNDLE_REPORT.as_posix())
    return None if content is None else parsed(Conversion, json.dumps(json.loads(content)["conversion"]))


def _curves(base: Files, head: Files) -> Iterator[Curve]:
    for name, x, y, title in _CURVES:
        path = f"{layout.PLOTS.as_posix()}/{name}.csv"
        ours, theirs = (_points(side.get(path, b""), x, y) for side in (base, head))
        if theirs:
            yield Curve(title, x, y, ours, theirs)


def _points(content: bytes, x: str, y: str) -> tuple[tuple[float, float], ...]:
    """Return a curve at evenly spaced x, so that two of them share an axis; empty where it cannot be read."""
    try:
        rows = [(float(row[x]), float(row[y])) for row in csv.DictReader(io.StringIO(content.decode()))]
    except (ValueError, KeyError, TypeError):
        return ()
    rows.sort()
    return tuple((place / POINTS, at(rows, place / POINTS)) for place in range(POINTS + 1)) if len(rows) > 1 else ()


def _graph(
    status: PipelineStatus, runs: Sequence[StageRun]
) -> tuple[tuple[StageNode, ...], tuple[tuple[str, str], ...]]:
    ran = {run.stage: run for run in runs}
    groups: dict[str, list[str]] = {}
    group_of = {}
    for stage in status.stages:
        group = stage.stage.group or stage.stage.name
        groups.setdefault(group, []).append(stage.stage.name)
        group_of[stage.stage.name] = group
    nodes = tuple(_node(name, members, ran) for name, members in groups.items())
    pairs = dict.fromkeys((group_of[a], group_of[b]) for a, b in status.edges if group_of[a] != group_of[b])
    return nodes, tuple(pairs)


def _node(name: str, members: Sequence[str], ran: Mapping[str, StageRun]) -> StageNode:
    runs = [ran[member] for member in members if member in ran]
    count = {how: sum(run.how == how for run in runs) for how in ("ran", "verified", "failed")}
    return StageNode(
        name, len(members), count["ran"], count["verified"], count["failed"], sum(run.seconds for run in runs)
    )
